//! Pages of the app that show what somebody may decide on: each is made again when that is another thing, such as when
//! somebody else decided.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use omni_core::omni::ConfirmationView;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::{Bot, confirming::Ticket};
use crate::event::User;

/// How often it is looked at what others decided, at other doors too.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a page is looked after that nobody opened again, and how many are; the one that was made first goes first.
const LOOKED_AFTER: Duration = Duration::from_secs(2 * 60 * 60);
const MOST: usize = 200;

/// The pages of this process that have something to decide on.
#[derive(Debug, Default)]
pub(super) struct Pages {
    shown: Mutex<HashMap<User, (Shown, Instant)>>,
    /// Rings when something was decided here, or there is a first page.
    ring: Notify,
}

/// What somebody's page shows of what they may decide on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    calls: BTreeSet<Uuid>,
    /// Whether there is anything at all, on the page or not yet.
    is_any: bool,
}

impl Shown {
    pub(super) fn of(on_page: &[(&ConfirmationView, Option<Ticket>)], waiting: &[ConfirmationView]) -> Self {
        let calls = on_page.iter().map(|(one, _)| one.confirmation.id).collect();
        Self { calls, is_any: waiting.iter().any(|one| one.may_approve) }
    }
}

impl Pages {
    fn all(&self) -> MutexGuard<'_, HashMap<User, (Shown, Instant)>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is what somebody's page shows by now.
    pub(super) fn show(&self, user: &User, shown: Shown) {
        let mut all = self.all();
        if !shown.is_any {
            all.remove(user);
            return;
        }
        if all.len() >= MOST && !all.contains_key(user) {
            let oldest = all.iter().min_by_key(|(_, (_, since))| *since).map(|(user, _)| user.clone());
            oldest.and_then(|user| all.remove(&user));
        }
        all.insert(user.clone(), (shown, Instant::now()));
        drop(all);
        self.ring.notify_one();
    }

    /// Something was decided, or is to be.
    pub(super) fn changed(&self) {
        self.ring.notify_one();
    }

    /// Waits until the pages are to be looked at, where there are any.
    async fn time(&self) {
        if self.all().is_empty() {
            return self.ring.notified().await;
        }
        let _ = timeout(LOOK_EVERY, self.ring.notified()).await;
    }

    /// All of them, without those that nobody looks at any more.
    fn young(&self) -> Vec<(User, Shown)> {
        let mut all = self.all();
        all.retain(|_, (_, since)| since.elapsed() < LOOKED_AFTER);
        all.iter().map(|(user, (shown, _))| (user.clone(), shown.clone())).collect()
    }
}

impl Bot {
    /// From now on pages are made again when what they show is over, until the bot is drained.
    pub(crate) fn keep_pages(&self) {
        let bot = self.clone();
        self.0.timers.spawn(async move {
            while bot.0.closing.run_until_cancelled(bot.0.pages.time()).await.is_some() {
                bot.look_after_pages().await;
            }
        });
    }

    async fn look_after_pages(&self) {
        for (user, shown) in self.0.pages.young() {
            let Ok(person) = self.resolve(&user, "").await else { continue };
            match self.omni().confirmations(person.credential()).await {
                Ok(waiting) => {
                    if Shown::of(&self.on_page(&person, &waiting).await, &waiting) != shown {
                        self.publish(&user).await;
                    }
                }
                Err(error) => tracing::debug!(%error, "it is not known whether a page shows what is so"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(at: usize) -> User {
        User { id: format!("U{at}"), team: "T1".into() }
    }

    fn something() -> Shown {
        Shown { calls: BTreeSet::from([Uuid::now_v7()]), is_any: true }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_looked_after_while_there_is_something_to_decide_and_not_for_ever() {
        let (pages, first) = (Pages::default(), something());
        pages.show(&user(1), first.clone());
        pages.show(&user(2), something());
        assert_eq!(pages.young().len(), 2);
        pages.show(&user(2), Shown::default());
        assert_eq!(pages.young(), [(user(1), first)]);
        tokio::time::advance(LOOKED_AFTER).await;
        assert_eq!(pages.young(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn of_very_many_pages_the_oldest_are_left() {
        let pages = Pages::default();
        for at in 0..=MOST {
            pages.show(&user(at), something());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let young = pages.young();
        assert_eq!((young.len(), young.iter().any(|(one, _)| *one == user(0))), (MOST, false));
    }
}
