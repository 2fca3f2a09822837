//! Writes that come at the same time are made at once: while one transaction runs, what comes meanwhile gathers for the
//! next one. A commit waits for the disk, whatever it commits.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::FutureExt as _;
use tokio::sync::oneshot;

use super::DbError;

/// Most writes of one transaction.
const AT_ONCE: usize = 64;

/// What is written together.
#[async_trait]
pub(crate) trait Writes: Send + Sync + 'static {
    /// One write.
    type Item: Send + Sync + 'static;
    /// What is told of it.
    type Done: Send + 'static;

    /// Makes all of them true in one transaction, or none; what is told of each, in their order.
    async fn write(&self, items: &[Self::Item]) -> Result<Vec<Self::Done>, DbError>;
}

/// Takes writes, and makes those together that wait for each other anyway.
pub(crate) struct Together<W: Writes> {
    desk: Arc<Desk<W>>,
}

struct Desk<W: Writes> {
    writes: W,
    waiting: Mutex<Waiting<W>>,
}

/// Whoever waits for a write.
type Told<W> = oneshot::Sender<Result<<W as Writes>::Done, DbError>>;

/// What one transaction writes, and who waits for it.
type Batch<W> = (Vec<<W as Writes>::Item>, Vec<Told<W>>);

struct Waiting<W: Writes> {
    items: Vec<(W::Item, Told<W>)>,
    /// Whether a task takes them.
    is_taken: bool,
}

impl<W: Writes> Together<W> {
    pub(crate) fn new(writes: W) -> Self {
        let waiting = Mutex::new(Waiting { items: Vec::new(), is_taken: false });
        Self { desk: Arc::new(Desk { writes, waiting }) }
    }

    pub(crate) fn writes(&self) -> &W {
        &self.desk.writes
    }

    /// Has something written. Once that has begun it goes on when nobody waits for it any more.
    ///
    /// # Errors
    /// What the write says of it, alone: what fails together is tried one by one. A database that is away is away for
    /// all of them.
    pub(crate) async fn write(&self, item: W::Item) -> Result<W::Done, DbError> {
        let (told, wait) = oneshot::channel();
        let is_first = {
            let mut waiting = self.desk.waiting();
            waiting.items.push((item, told));
            !std::mem::replace(&mut waiting.is_taken, true)
        };
        if is_first {
            tokio::spawn(Taking { desk: self.desk.clone(), has_ended: false }.run());
        }
        wait.await.unwrap_or_else(|_| Err(crashed()))
    }
}

impl<W: Writes> Desk<W> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<W>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is written next. Whoever does not wait any more was told that it is not.
    fn next(&self) -> Option<Batch<W>> {
        let mut waiting = self.waiting();
        waiting.items.retain(|(_, told)| !told.is_closed());
        let count = waiting.items.len().min(AT_ONCE);
        waiting.is_taken = count > 0;
        waiting.is_taken.then(|| waiting.items.drain(..count).unzip())
    }

    /// `None`: it panicked.
    async fn write(&self, items: &[W::Item]) -> Option<Result<Vec<W::Done>, DbError>> {
        AssertUnwindSafe(self.writes.write(items)).catch_unwind().await.ok()
    }
}

/// Writes until nothing waits any more. Where it is dropped before that, whoever waits is told so.
struct Taking<W: Writes> {
    desk: Arc<Desk<W>>,
    has_ended: bool,
}

impl<W: Writes> Taking<W> {
    async fn run(mut self) {
        while let Some((items, told)) = self.desk.next() {
            match self.desk.write(&items).await {
                Some(Ok(done)) => told.into_iter().zip(done).for_each(|(told, done)| drop(told.send(Ok(done)))),
                Some(Err(away @ DbError::Unavailable { .. })) => {
                    told.into_iter().for_each(|told| drop(told.send(Err(away.clone()))));
                }
                failed => self.one_by_one(&items, told, failed).await,
            }
        }
        self.has_ended = true;
    }

    /// `failed` is how all of them together ended.
    async fn one_by_one(&self, items: &[W::Item], told: Vec<Told<W>>, failed: Option<Result<Vec<W::Done>, DbError>>) {
        let mut alone = (items.len() == 1).then_some(failed);
        for (item, told) in items.iter().zip(told) {
            let written = match alone.take() {
                Some(written) => written,
                None => self.desk.write(slice::from_ref(item)).await,
            };
            let done = written.unwrap_or_else(|| Err(crashed()));
            let _ = told.send(done.and_then(|done| done.into_iter().next().ok_or_else(crashed)));
        }
    }
}

impl<W: Writes> Drop for Taking<W> {
    fn drop(&mut self) {
        if !self.has_ended {
            let mut waiting = self.desk.waiting();
            waiting.is_taken = false;
            waiting.items.clear();
        }
    }
}

fn crashed() -> DbError {
    DbError::Unavailable { message: "a write broke off".into() }
}

impl<W: Writes + fmt::Debug> fmt::Debug for Together<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Together").field(&self.desk.writes).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    /// Takes numbers, none of them twice; each write is one entry. 0 finds nobody there.
    #[derive(Default)]
    struct Numbers(Mutex<Vec<Vec<u32>>>);

    #[async_trait]
    impl Writes for Numbers {
        type Item = u32;
        type Done = u32;

        async fn write(&self, items: &[u32]) -> Result<Vec<u32>, DbError> {
            yield_now().await;
            assert!(!items.contains(&13), "unlucky");
            if items.contains(&0) {
                return Err(DbError::Unavailable { message: "away".into() });
            }
            let mut written = self.0.lock().unwrap();
            if written.iter().flatten().any(|number| items.contains(number)) {
                return Err(DbError::Constraint { message: "twice".into() });
            }
            written.push(items.to_vec());
            Ok(items.to_vec())
        }
    }

    #[tokio::test]
    async fn what_comes_while_one_is_written_is_written_at_once() {
        let together = Together::new(Numbers::default());
        let all = join_all((100..150).map(|number| together.write(number))).await;
        assert!((100..150).zip(&all).all(|(number, told)| told.as_ref().is_ok_and(|told| *told == number)));
        let written = together.writes().0.lock().unwrap().clone();
        assert_eq!(written.concat(), (100..150).collect::<Vec<_>>());
        assert!(written.len() <= 2, "{written:?}");
    }

    #[tokio::test]
    async fn one_that_fails_or_panics_is_alone_in_that() {
        let together = Together::new(Numbers::default());
        together.write(2).await.unwrap();
        let all = join_all([1, 2, 13, 3].map(|number| together.write(number))).await;
        assert_eq!(all.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
        together.write(4).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_asked_once_for_all_of_them() {
        let together = Together::new(Numbers::default());
        let all = join_all([1, 0, 2].map(|number| together.write(number))).await;
        assert!(all.iter().all(|told| matches!(told, Err(DbError::Unavailable { .. }))), "{all:?}");
        assert!(together.writes().0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_runtime_that_ends_leaves_nothing_behind_for_the_next_one() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let together = Arc::new(Together::new(Numbers::default()));
        let first = runtime();
        first.block_on(async {
            tokio::spawn({
                let together = together.clone();
                async move { together.write(1).await }
            });
            yield_now().await;
        });
        drop(first);
        assert_eq!(runtime().block_on(together.write(2)).unwrap(), 2);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_before_it_began_is_not_written() {
        let together = Together::new(Numbers::default());
        let (mut left, stays) = (Box::pin(together.write(1)), together.write(2));
        assert!(futures::poll!(&mut left).is_pending());
        drop(left);
        stays.await.unwrap();
        assert_eq!(*together.writes().0.lock().unwrap(), [[2]]);
    }
}
