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

    /// Has something written. Goes on when nobody waits for it any more.
    ///
    /// # Errors
    /// What the write says of it, alone: what fails together is tried one by one.
    pub(crate) async fn write(&self, item: W::Item) -> Result<W::Done, DbError> {
        let (told, wait) = oneshot::channel();
        let is_first = {
            let mut waiting = self.desk.waiting();
            waiting.items.push((item, told));
            !std::mem::replace(&mut waiting.is_taken, true)
        };
        if is_first {
            tokio::spawn(self.desk.clone().take());
        }
        wait.await.unwrap_or_else(|_| Err(crashed()))
    }
}

impl<W: Writes> Desk<W> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<W>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing waits any more.
    async fn take(self: Arc<Self>) {
        while let Some((items, told)) = self.next() {
            if items.len() > 1
                && let Ok(done) = self.write(&items).await
            {
                told.into_iter().zip(done).for_each(|(told, done)| drop(told.send(Ok(done))));
                continue;
            }
            for (item, told) in items.iter().zip(told) {
                let done = self.write(slice::from_ref(item)).await;
                let _ = told.send(done.and_then(|done| done.into_iter().next().ok_or_else(crashed)));
            }
        }
    }

    fn next(&self) -> Option<Batch<W>> {
        let mut waiting = self.waiting();
        let count = waiting.items.len().min(AT_ONCE);
        waiting.is_taken = count > 0;
        waiting.is_taken.then(|| waiting.items.drain(..count).unzip())
    }

    async fn write(&self, items: &[W::Item]) -> Result<Vec<W::Done>, DbError> {
        let written = AssertUnwindSafe(self.writes.write(items)).catch_unwind().await;
        written.unwrap_or_else(|_| Err(crashed()))
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

    /// Takes numbers, none of them twice; each write is one entry.
    #[derive(Default)]
    struct Numbers(Mutex<Vec<Vec<u32>>>);

    #[async_trait]
    impl Writes for Numbers {
        type Item = u32;
        type Done = u32;

        async fn write(&self, items: &[u32]) -> Result<Vec<u32>, DbError> {
            yield_now().await;
            assert!(!items.contains(&13), "unlucky");
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
}
