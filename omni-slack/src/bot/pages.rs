//! Pages of the app show what somebody may decide on: each is made again when that is another thing, such as when somebody
//! asks for something, or somebody else decided.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use omni_core::ErrorKind;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::Bot;
use crate::event::User;

/// How often it is looked at what others ask and decide, at other doors too; and how long it is not looked at again,
/// however much happens here.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const BREATH: Duration = Duration::from_secs(1);
/// How long a page is looked after that nobody opened again, and how many are; the one that was opened first goes first.
const LOOKED_AFTER: Duration = Duration::from_secs(2 * 60 * 60);
const MOST: usize = 200;

/// The pages of this process, with those that have nothing to decide on: there may be something later.
#[derive(Debug, Default)]
pub(super) struct Pages {
    shown: Mutex<HashMap<User, Page>>,
    /// Rings when something was decided here, or there is a first page.
    ring: Notify,
}

/// The calls that somebody's page asks for; `None`: they could not be read when it was made.
pub(super) type Shown = Option<BTreeSet<Uuid>>;

/// Somebody's page.
#[derive(Debug)]
struct Page {
    shown: Shown,
    /// When somebody made it, by opening it or by a click.
    since: Instant,
}

impl Pages {
    fn all(&self) -> MutexGuard<'_, HashMap<User, Page>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody opened their page, which shows this.
    pub(super) fn open(&self, user: &User, shown: Shown) {
        let mut all = self.all();
        if all.len() >= MOST && !all.contains_key(user) {
            let oldest = all.iter().min_by_key(|(_, page)| page.since).map(|(user, _)| user.clone());
            oldest.and_then(|user| all.remove(&user));
        }
        all.insert(user.clone(), Page { shown, since: Instant::now() });
        drop(all);
        self.ring.notify_one();
    }

    /// It shows something else by now, though nobody opened it again.
    fn show(&self, user: &User, shown: Shown) {
        if let Some(page) = self.all().get_mut(user) {
            page.shown = shown;
        }
    }

    /// It shows nothing that could be another thing later.
    pub(super) fn close(&self, user: &User) {
        self.all().remove(user);
    }

    /// Something was decided, or is to be.
    pub(super) fn changed(&self) {
        self.ring.notify_one();
    }

    /// Waits until the pages are to be looked at, where there are any.
    async fn time(&self) {
        sleep(BREATH).await;
        if self.all().is_empty() {
            return self.ring.notified().await;
        }
        let _ = timeout(LOOK_EVERY, self.ring.notified()).await;
    }

    /// All of them, without those that nobody looks at any more.
    fn young(&self) -> Vec<(User, Shown)> {
        let mut all = self.all();
        all.retain(|_, page| page.since.elapsed() < LOOKED_AFTER);
        all.iter().map(|(user, page)| (user.clone(), page.shown.clone())).collect()
    }
}

impl Bot {
    /// From now on pages are made again when what they show is over, until the bot is drained.
    pub(crate) fn keep_pages(&self) {
        let bot = self.clone();
        self.0.timers.spawn(async move {
            while bot.0.closing.run_until_cancelled(bot.0.pages.time()).await.is_some() {
                for (user, shown) in bot.0.pages.young() {
                    bot.look_after(&user, &shown).await;
                }
            }
        });
    }

    /// Makes a page again that shows something else than there is. What cannot be read takes nothing from it.
    async fn look_after(&self, user: &User, shown: &Shown) {
        let Ok(person) = self.resolve(user, "").await else { return };
        let found = match self.decides_on(&person).await {
            Ok(found) if found.shown() == *shown => return,
            Ok(found) => self.omni().grant(person.credential()).await.map(|grant| (grant, found)),
            Err(error) => Err(error),
        };
        match found {
            Ok((grant, found)) => {
                if self.put_page(&person, &grant, &found).await {
                    self.0.pages.show(user, found.shown());
                }
            }
            // Somebody is let in no more.
            Err(error) if error.kind() == ErrorKind::Denied => self.publish(user).await,
            Err(error) => tracing::debug!(%error, "it is not known whether a page shows what is so"),
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
        Some(BTreeSet::from([Uuid::now_v7()]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_looked_after_whatever_it_shows_and_not_for_ever() {
        let (pages, nothing) = (Pages::default(), Some(BTreeSet::new()));
        pages.open(&user(1), nothing.clone());
        tokio::time::advance(LOOKED_AFTER / 2).await;
        assert_eq!(pages.young(), [(user(1), nothing)]);
        let later = something();
        pages.show(&user(1), later.clone());
        assert_eq!(pages.young(), [(user(1), later)]);
        tokio::time::advance(LOOKED_AFTER / 2).await;
        assert_eq!(pages.young(), [], "nobody opened it again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_page_of_somebody_who_is_not_let_in_is_not_looked_after() {
        let pages = Pages::default();
        pages.open(&user(1), something());
        pages.close(&user(1));
        pages.show(&user(1), something());
        assert_eq!(pages.young(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn of_very_many_pages_the_oldest_are_left() {
        let pages = Pages::default();
        for at in 0..=MOST {
            pages.open(&user(at), something());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let young = pages.young();
        assert_eq!((young.len(), young.iter().any(|(one, _)| *one == user(0))), (MOST, false));
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_looked_at_at_most_once_a_second_however_much_is_decided() {
        let (pages, began) = (Pages::default(), Instant::now());
        pages.open(&user(1), something());
        for _ in 0..10 {
            pages.changed();
            pages.time().await;
        }
        assert!(began.elapsed() >= BREATH * 10 && began.elapsed() < LOOK_EVERY * 10, "{:?}", began.elapsed());
    }
}
