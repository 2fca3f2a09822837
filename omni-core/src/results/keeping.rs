//! A result is kept while its ask goes on: nobody waits for the store before the answer is there.

use std::{collections::HashSet, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tracing::{Instrument as _, debug_span};

use super::{KeptCall, KeptResult, Owner};
use crate::{
    agent::{PlannedCall, drive::AskContext},
    call::CallEnd,
    parts::Parts,
};

/// How long the store may take for one result.
const EACH: Duration = Duration::from_secs(10);
/// How long the end of an ask waits for the last of them.
const LAST: Duration = Duration::from_secs(3);

/// The results of one ask on their way into the store.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    under_way: JoinSet<Result<(), String>>,
    ids: HashSet<String>,
}

impl Kept {
    /// Begins to keep a result.
    pub(crate) fn begin(&mut self, parts: &Parts, result: KeptResult) {
        let (store, expiry) = (parts.results.clone(), parts.result_rules.expiry);
        let id = result.call.id.clone();
        self.ids.insert(id.clone());
        let keeping = async move {
            let why = match timeout(EACH, store.keep(&result, expiry)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the store of results did not answer in time".into(),
            };
            tracing::warn!(error = why, "a result is not kept");
            Err(id)
        };
        self.under_way.spawn(keeping.instrument(debug_span!("omni.result")));
    }

    /// Waits for the store; which results are not there then.
    pub(crate) async fn end(mut self) -> HashSet<String> {
        let until = Instant::now() + LAST;
        let mut lost = HashSet::new();
        while !self.under_way.is_empty() {
            match timeout_at(until, self.under_way.join_next()).await {
                Ok(Some(Ok(Err(id)))) => drop(lost.insert(id)),
                Ok(Some(Ok(Ok(())))) | Ok(None) => {}
                // Which one panicked is not known, nor what comes too late.
                Ok(Some(Err(_))) | Err(_) => {
                    tracing::warn!("the store of results panicked, or did not answer in time");
                    return self.ids;
                }
            }
        }
        lost
    }
}

/// What is to be kept of a call's end: what a server returned, and no failure.
pub(crate) fn of_call(parts: &Parts, cx: &AskContext<'_>, call: &PlannedCall, end: &CallEnd) -> Option<KeptResult> {
    let output = end.output.as_ref().filter(|output| !output.is_error && !end.unsent)?;
    if !parts.result_rules.keeps() {
        return None;
    }
    let said = call.arguments_json();
    let arguments = parts.redactor.json(&said);
    let is_whole = arguments == said;
    let arguments = match is_whole {
        true => call.arguments.clone(),
        false => serde_json::value::to_raw_value(&arguments).ok()?,
    };
    let mut kept = KeptCall::new(Owner::of(&cx.grant.principal), &call.server, &call.tool, arguments);
    (kept.source, kept.request_id) = (cx.party.source, cx.request_id);
    kept.thread = cx.thread.map(|key| key.thread.clone());
    kept.channel = cx.thread.map(|key| key.channel.clone());
    kept.is_destructive = cx.catalog.rule_ref(&call.server, &call.tool).is_destructive;
    (kept.is_whole, kept.rules) = (is_whole, cx.grant.rules.fingerprint().to_owned());
    kept.is_cut = output.truncated;
    let most = usize::try_from(parts.result_rules.max_bytes).unwrap_or(usize::MAX);
    if kept.arguments.get().len() > most {
        return None;
    }
    let mut text = parts.redactor.text(&output.for_person());
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        kept.is_cut = true;
    }
    let structured = output.structured.as_ref().map(|value| parts.redactor.json(value));
    let fits = structured.filter(|value| text.len() + value.to_string().len() <= most);
    kept.is_cut |= fits.is_none() && output.structured.is_some();
    Some(KeptResult::new(kept, text, fits))
}
