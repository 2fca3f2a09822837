//! Conversations, results and what frontends keep for a while go by themselves when their time is over.

use std::{fmt::Display, time::Duration};

use futures::future::BoxFuture;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::Omni;
use crate::{kept, ledger::prune::days_ago, results, thread::SWEPT_AT_ONCE, uptime};

/// When they are looked for first: not in the short life of a command at a terminal.
const FIRST: Duration = Duration::from_secs(60);
/// How often they are looked for.
const EVERY: Duration = Duration::from_secs(10 * 60);
/// How long one sweep may take.
const EACH: Duration = Duration::from_secs(30);
/// Most sweeps in a row; the next time goes on.
const AT_ONCE: u32 = 100;

impl Omni {
    /// Removes what is over, soon and then from time to time, until this `Omni` ends. Nobody reads it
    /// meanwhile. How servers did is kept for as many days as records, and never for more than
    /// [`uptime::MAX_DAYS`].
    pub(crate) fn keep_swept(&self, days: Option<u32>) {
        let parts = self.parts();
        let (threads, results, kept) = (parts.threads.clone(), parts.results.clone(), parts.kept.clone());
        let (seen, days) = (parts.uptime.clone(), days.unwrap_or(uptime::MAX_DAYS).min(uptime::MAX_DAYS));
        self.in_background(async move {
            let mut ticks = interval_at(Instant::now() + FIRST, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                sweep("conversations", SWEPT_AT_ONCE, || threads.sweep()).await;
                sweep("results", results::SWEPT_AT_ONCE, || results.sweep()).await;
                sweep("how servers did", uptime::SWEPT_AT_ONCE, || seen.sweep(days_ago(days))).await;
                if let Some(kept) = &kept {
                    sweep("what frontends keep", kept::SWEPT_AT_ONCE, || kept.sweep()).await;
                }
            }
        });
    }
}

/// Removes what is over, as often as there is more of it.
async fn sweep<'a, E: Display>(
    what: &'static str,
    at_once: u64,
    mut once: impl FnMut() -> BoxFuture<'a, Result<u64, E>>,
) {
    let mut removed = 0;
    for _ in 0..AT_ONCE {
        match timeout(EACH, once()).await {
            Ok(Ok(some)) => {
                removed += some;
                if some < at_once {
                    break;
                }
            }
            Ok(Err(error)) => return tracing::warn!(%error, what, "what is over could not be removed; it goes later"),
            Err(_) => return tracing::warn!(what, "what is over was not removed in time; it goes later"),
        }
    }
    if removed > 0 {
        tracing::debug!(removed, what, "what was over is removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Ask, Principal,
        results::{KeptCall, KeptResult, Owner, ResultStore as _, memory::MemoryResults},
        thread::{Conversation, ThreadRules, memory::MemoryThreads},
        uptime::{Spell, UptimeStore as _, memory::MemoryUptime},
    };

    #[tokio::test(start_paused = true)]
    async fn what_is_over_goes_by_itself_and_what_is_not_stays() {
        let store = std::sync::Arc::new(MemoryThreads::new());
        let rules = ThreadRules { expiry: Duration::from_secs(90), ..ThreadRules::default() };
        let omni = Omni::builder().threads(store.clone()).thread_rules(rules).build().await.unwrap();
        let ask = |name: &str| {
            let mut ask = Ask::new(Principal::email("ada@company.com"), "What can you do?");
            ask.thread = Some(Conversation::Own(name.into()));
            omni.ask(ask)
        };
        ask("old").await.unwrap();
        tokio::time::sleep(FIRST + EVERY - Duration::from_secs(30)).await;
        ask("new").await.unwrap();
        assert!(format!("{store:?}").contains("threads: 2"), "nobody removed it before");
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(format!("{store:?}").contains("threads: 1"), "{store:?}");
        omni.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn results_that_are_over_go_by_themselves_too() {
        let store = std::sync::Arc::new(MemoryResults::new());
        let omni = Omni::builder().results(store.clone()).build().await.unwrap();
        for expiry in [Duration::from_secs(30), Duration::from_secs(3_600)] {
            let arguments = serde_json::value::RawValue::from_string("{}".into()).unwrap();
            let call = KeptCall::new(Owner::new("default", "ada"), "lab", "echo", arguments);
            store.keep(&KeptResult::new(call, "x", None), expiry).await.unwrap();
        }
        tokio::time::sleep(FIRST - Duration::from_secs(1)).await;
        assert!(format!("{store:?}").contains("results: 2"), "nobody removed it before");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(format!("{store:?}").contains("results: 1"), "{store:?}");
        omni.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn how_servers_did_is_kept_for_as_many_days_as_records_and_never_for_more_than_three_months() {
        for (days, left) in [(Some(7), 1), (None, 2)] {
            let store = std::sync::Arc::new(MemoryUptime::new());
            let omni = Omni::builder().uptime(store.clone()).retention_days(days).build().await.unwrap();
            for ago in [3, 30, 100] {
                let at = days_ago(ago);
                store.keep(&[Spell::new("lab", uuid::Uuid::nil(), at, None)]).await.unwrap();
            }
            tokio::time::sleep(FIRST + Duration::from_secs(1)).await;
            assert_eq!(store.since(days_ago(1_000), None).await.unwrap().len(), left, "{days:?}");
            omni.shutdown().await;
        }
    }
}
