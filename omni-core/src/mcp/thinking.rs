//! The time that whoever is behind a request takes to answer a server's questions: it is not the server's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{McpError, Peer, PeerCapabilities};

/// Whoever is behind a request, and how long they thought.
#[derive(Debug)]
pub(super) struct Thinking {
    peer: Arc<dyn Peer>,
    /// When nobody waits for the request any more.
    latest: Instant,
    thought: Mutex<Thought>,
}

#[derive(Debug, Default)]
struct Thought {
    /// How many questions are open, and since when there are any.
    open: usize,
    since: Option<Instant>,
    /// How long there were any before, and when the last of them ended.
    before: Duration,
    ended: Option<Instant>,
}

impl Thinking {
    /// Somebody who has thought of nothing yet, behind a request for which nobody waits after `latest`.
    pub(super) fn of(peer: Arc<dyn Peer>, latest: Instant) -> Self {
        Self { peer, latest, thought: Mutex::default() }
    }

    pub(super) fn latest(&self) -> Instant {
        self.latest
    }

    /// When a server's time is over that would be at `deadline` without questions, as it looks now.
    pub(super) fn put_off(&self, deadline: Instant) -> Instant {
        let thought = self.thought();
        let open = thought.since.map(|since| Instant::now().saturating_duration_since(since)).unwrap_or_default();
        (deadline + thought.before + open).min(self.latest)
    }

    /// Whether a question was open when nobody waited for the request any more.
    pub(super) fn is_unanswered(&self) -> bool {
        let thought = self.thought();
        let last = if thought.open > 0 { Some(Instant::now()) } else { thought.ended };
        last.is_some_and(|last| last >= self.latest)
    }

    fn thought(&self) -> MutexGuard<'_, Thought> {
        self.thought.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods, reason = "a decorator that forgets a method changes what a peer takes")]
impl Peer for Thinking {
    fn can(&self) -> PeerCapabilities {
        self.peer.can()
    }

    async fn ask(&self, method: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        let _open = Open::new(self);
        self.peer.ask(method, params).await
    }

    fn tell(&self, method: &str, params: Box<RawValue>) {
        self.peer.tell(method, params);
    }

    fn takes_interim(&self) -> bool {
        self.peer.takes_interim()
    }

    fn takes_tasks(&self) -> bool {
        self.peer.takes_tasks()
    }
}

/// A question that is open for as long as this lives.
struct Open<'a>(&'a Thinking);

impl<'a> Open<'a> {
    fn new(thinking: &'a Thinking) -> Self {
        let mut thought = thinking.thought();
        thought.open += 1;
        thought.since.get_or_insert_with(Instant::now);
        drop(thought);
        Self(thinking)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let (mut thought, now) = (self.0.thought(), Instant::now());
        thought.open -= 1;
        if thought.open == 0 {
            let since = thought.since.take();
            thought.before += since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
            thought.ended = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;
    use tokio::time::{sleep, sleep_until};

    use super::*;
    use crate::mcp::CallContext;

    /// Thinks for a hundred seconds.
    #[derive(Debug)]
    struct Slow;

    #[async_trait]
    impl Peer for Slow {
        fn can(&self) -> PeerCapabilities {
            PeerCapabilities::everything()
        }

        async fn ask(&self, _: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
            sleep(seconds(100)).await;
            Ok(params)
        }

        fn tell(&self, _: &str, _: Box<RawValue>) {}
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    /// Somebody waits so long for a server that has thirty seconds of its own.
    fn cx(within: Duration) -> CallContext {
        CallContext::within(within).with_peer(Arc::new(Slow)).with_own_time(seconds(30))
    }

    async fn ask(cx: &CallContext) {
        cx.peer.ask("elicitation/create", to_raw_value("?").unwrap()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_servers_time_stands_still_while_a_question_is_open() {
        for (before, after, is_in_time) in [(0, 29, true), (10, 19, true), (10, 21, false), (29, 0, true)] {
            let (cx, began) = (cx(seconds(600)), Instant::now());
            let work = Box::pin(async {
                sleep(seconds(before)).await;
                // Two at once take no longer than one.
                tokio::join!(ask(&cx), ask(&cx));
                sleep(seconds(after)).await;
            });
            assert_eq!(cx.in_time(Duration::ZERO, work).await.is_ok(), is_in_time, "{before} {after}");
            let took = if is_in_time { 100 + before + after } else { 130 };
            assert_eq!(began.elapsed().as_secs(), took, "{before} {after}");
            assert!(!cx.is_unanswered());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_nothing_has_no_more_than_its_own_time() {
        let (cx, began) = (cx(seconds(600)), Instant::now());
        assert!(cx.in_time(Duration::ZERO, Box::pin(sleep(seconds(100)))).await.is_err());
        assert_eq!(began.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn no_question_is_open_for_longer_than_somebody_waits_for_the_call() {
        let (cx, began) = (cx(seconds(60)), Instant::now());
        assert!(cx.in_time(Duration::ZERO, Box::pin(ask(&cx))).await.is_err());
        assert_eq!(began.elapsed().as_secs(), 60);
        assert!(cx.is_unanswered());
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_comes_too_late_takes_no_time() {
        let cx = cx(seconds(600));
        sleep_until(cx.deadline + seconds(1)).await;
        assert!(cx.in_time(Duration::ZERO, Box::pin(ask(&cx))).await.is_err());
    }
}
