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

/// How often it is looked at whether others ask or decide something, at other doors too; and how long it is not looked at
/// again, however much happens here.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const BREATH: Duration = Duration::from_secs(1);
/// For how long after that pages are looked at again and again: another process may yet write down where an answer is told.
const SETTLED_AFTER: Duration = Duration::from_secs(15);
/// How often a page is looked at although nothing happened: rights change too.
const LOOK_ANYWAY: Duration = Duration::from_secs(60);
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
    /// When it was known last that it shows what is so; `None`: it is not.
    right_at: Option<Instant>,
}

impl Page {
    fn is_due(&self) -> bool {
        self.right_at.is_none_or(|at| at.elapsed() >= LOOK_ANYWAY)
    }
}

/// What waits for anybody's decision, as a number, and when it was another one.
#[derive(Debug, Default)]
struct Waiting {
    number: Option<u64>,
    changed_at: Option<Instant>,
}

impl Waiting {
    /// Whether that changes, or did a moment ago. What is not known may be anything.
    fn changes(&mut self, number: Option<u64>) -> bool {
        if number.is_none() || number != self.number {
            (self.number, self.changed_at) = (number, Some(Instant::now()));
        }
        self.changed_at.is_some_and(|at| at.elapsed() < SETTLED_AFTER)
    }
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
        let (is_first, now) = (all.is_empty(), Instant::now());
        let right_at = shown.is_some().then_some(now);
        all.insert(user.clone(), Page { shown, since: now, right_at });
        drop(all);
        if is_first {
            self.ring.notify_one();
        }
    }

    /// It shows this, which is so, though nobody opened it again.
    fn show(&self, user: &User, shown: Shown) {
        if let Some(page) = self.all().get_mut(user) {
            (page.shown, page.right_at) = (shown, Some(Instant::now()));
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

    /// Waits until it is to be looked whether something happened, where there are pages; whether it is known that it did.
    async fn time(&self) -> bool {
        sleep(BREATH).await;
        if self.all().is_empty() {
            self.ring.notified().await;
            return true;
        }
        timeout(LOOK_EVERY, self.ring.notified()).await.is_ok()
    }

    /// Waits until pages are to be looked at, where there are any; `number` is what waits by then. However many pages
    /// there are, that is read once, and most of them only where it changed.
    async fn next(&self, waiting: &mut Waiting, number: impl Future<Output = Option<u64>>) -> Vec<(User, Shown)> {
        let rang = self.time().await;
        let changes = waiting.changes(number.await);
        self.due(rang || changes)
    }

    /// Those that are to be looked at, without those that nobody looks at any more. Until it is known that one is right
    /// it is due again.
    fn due(&self, all_are: bool) -> Vec<(User, Shown)> {
        let mut all = self.all();
        all.retain(|_, page| page.since.elapsed() < LOOKED_AFTER);
        let due = all.iter_mut().filter(|(_, page)| all_are || page.is_due());
        let looked_at = due.map(|(user, page)| {
            page.right_at = None;
            (user.clone(), page.shown.clone())
        });
        looked_at.collect()
    }
}

impl Bot {
    /// From now on pages are made again when what they show is over, until the bot is drained.
    pub(crate) fn keep_pages(&self) {
        let bot = self.clone();
        self.0.timers.spawn(async move {
            let mut waiting = Waiting::default();
            loop {
                let due = bot.0.pages.next(&mut waiting, bot.what_waits());
                let Some(due) = bot.0.closing.run_until_cancelled(due).await else { return };
                for (user, shown) in due {
                    bot.look_after(&user, &shown).await;
                }
            }
        });
    }

    /// What waits for anybody's decision, as a number; `None` where that cannot be read.
    async fn what_waits(&self) -> Option<u64> {
        match self.omni().waiting(&self.config().tenant_of(&self.me().team)).await {
            Ok(waiting) => Some(waiting),
            Err(error) => {
                tracing::debug!(%error, "it is not known whether somebody's page shows what is so");
                None
            }
        }
    }

    /// Makes a page again that shows something else than there is. What cannot be read takes nothing from it.
    async fn look_after(&self, user: &User, shown: &Shown) {
        let Ok(person) = self.resolve(user, "").await else { return };
        let found = match self.decides_on(&person).await {
            Ok(found) if found.shown() == *shown => return self.0.pages.show(user, found.shown()),
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
        assert_eq!(pages.due(true), [(user(1), nothing)]);
        let later = something();
        pages.show(&user(1), later.clone());
        assert_eq!(pages.due(true), [(user(1), later)]);
        tokio::time::advance(LOOKED_AFTER / 2).await;
        assert_eq!(pages.due(true), [], "nobody opened it again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_page_of_somebody_who_is_not_let_in_is_not_looked_after() {
        let pages = Pages::default();
        pages.open(&user(1), something());
        pages.close(&user(1));
        pages.show(&user(1), something());
        assert_eq!(pages.due(true), []);
    }

    #[tokio::test(start_paused = true)]
    async fn of_very_many_pages_the_oldest_are_left() {
        let pages = Pages::default();
        for at in 0..=MOST {
            pages.open(&user(at), something());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let young = pages.due(true);
        assert_eq!((young.len(), young.iter().any(|(one, _)| *one == user(0))), (MOST, false));
    }

    /// Pages that are looked at within some time, and how often it is read what waits; `number` is that.
    async fn looks(pages: &Pages, waiting: &mut Waiting, within: Duration, number: Option<u64>) -> (usize, usize) {
        let (began, mut looks, mut reads) = (Instant::now(), 0, 0);
        while began.elapsed() < within {
            for (user, shown) in pages.next(waiting, async { number }).await {
                pages.show(&user, shown);
                looks += 1;
            }
            reads += 1;
        }
        (looks, reads)
    }

    #[tokio::test(start_paused = true)]
    async fn pages_of_whom_nothing_happens_are_seldom_looked_at_however_many_there_are() {
        let (pages, mut waiting) = (Pages::default(), Waiting::default());
        (0..50).for_each(|at| pages.open(&user(at), something()));
        looks(&pages, &mut waiting, SETTLED_AFTER, Some(1)).await;
        let (quiet, reads) = looks(&pages, &mut waiting, LOOK_ANYWAY, Some(1)).await;
        assert!(quiet <= 50 && reads <= 12, "{quiet} looks, {reads} reads");
        let (changed, _) = looks(&pages, &mut waiting, LOOK_EVERY, Some(2)).await;
        assert_eq!(changed, 50, "something else waits");
        looks(&pages, &mut waiting, SETTLED_AFTER, Some(2)).await;
        pages.changed();
        assert_eq!(pages.next(&mut waiting, async { Some(2) }).await.len(), 50, "something was decided here");
        assert_eq!(pages.next(&mut waiting, async { Some(2) }).await.len(), 50, "of none it is known that it is right");
        looks(&pages, &mut waiting, LOOK_EVERY, Some(2)).await;
        let (unknown, _) = looks(&pages, &mut waiting, LOOK_EVERY, None).await;
        assert_eq!(unknown, 50, "it is not known what waits");
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
