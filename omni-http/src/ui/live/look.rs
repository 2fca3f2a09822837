//! What pages go by: one look at the stores serves all pages of a tenant for a while.

use std::{
    collections::HashMap,
    future::Future,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Mutex as AsyncMutex,
    time::{Instant, timeout},
};

use crate::{state::App, ui::Page, wire::server_status};

/// How long a look serves, and how often pages look that somebody waits at.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// How long a look may take: a page is there without it.
const WITHIN: Duration = Duration::from_secs(5);

/// How things stood, as numbers that are others when something changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    waiting: u64,
    all: u64,
}

impl Seen {
    /// The number that counts on a page.
    pub(super) fn on(self, page: Page) -> u64 {
        if page == Page::Approvals { self.waiting } else { self.all }
    }
}

/// The last look at a tenant, and what was seen; nothing where a store was away.
type Look = AsyncMutex<Option<(Instant, Option<Seen>)>>;

/// The last look at each tenant of whom somebody sits before a page.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<HashMap<String, Arc<Look>>>);

impl Looks {
    /// How things stand with a tenant, or stood a moment ago. Whoever comes while somebody looks waits for what they see,
    /// and nobody for longer than [`WITHIN`] by a store that hangs.
    pub(super) async fn at(&self, app: &App, tenant: &str) -> Option<Seen> {
        self.of_look(tenant, || look_at(app, tenant)).await
    }

    async fn of_look<F: Future<Output = Option<Seen>>>(&self, tenant: &str, once: impl FnOnce() -> F) -> Option<Seen> {
        let look = self.of(tenant);
        let mut last = look.lock().await;
        if let Some((at, seen)) = *last
            && at.elapsed() < SOON
        {
            return seen;
        }
        let seen = timeout(WITHIN, once()).await.unwrap_or_else(|_| {
            tracing::warn!("the stores are too slow for pages to be told what changed");
            None
        });
        *last = Some((Instant::now(), seen));
        seen
    }

    fn of(&self, tenant: &str) -> Arc<Look> {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = looks.get(tenant) {
            return look.clone();
        }
        // Nobody needs a look any more that does not serve, and that nobody waits for.
        let serves = |look: &Look| look.try_lock().is_ok_and(|last| last.is_some_and(|(at, _)| at.elapsed() < SOON));
        looks.retain(|_, look| Arc::strong_count(look) > 1 || serves(look));
        looks.entry(tenant.to_owned()).or_default().clone()
    }
}

async fn look_at(app: &App, tenant: &str) -> Option<Seen> {
    let pulse = match app.omni.pulse(tenant).await {
        Ok(pulse) => pulse,
        Err(error) => {
            tracing::debug!(%error, "pages cannot be told what changed");
            return None;
        }
    };
    let mut all = DefaultHasher::new();
    pulse.hash(&mut all);
    for server in &app.omni.known_catalog().servers {
        (&server.name, server_status(&server.health).0, server.breaker.as_str()).hash(&mut all);
    }
    Some(Seen { waiting: pulse.waiting, all: all.finish() })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const SEEN: Seen = Seen { waiting: 1, all: 2 };

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_holds_up_no_page_for_longer_than_a_look_may_take() {
        let (looks, began) = (Looks::default(), Instant::now());
        let hanging = || pending::<Option<Seen>>();
        let both = async { tokio::join!(looks.of_look("a", hanging), looks.of_look("a", hanging)) };
        let (first, second) = timeout(2 * WITHIN, both).await.expect("nobody waits for a store that hangs");
        assert!(first.is_none() && second.is_none());
        assert_eq!(began.elapsed(), WITHIN, "whoever came meanwhile saw the same");
        assert!(looks.of_look("b", || ready(Some(SEEN))).await.is_some(), "others are not held up");
        tokio::time::sleep(SOON).await;
        assert_eq!(looks.of_look("a", || ready(Some(SEEN))).await.map(|seen| seen.all), Some(2), "it is looked again");
    }
}
