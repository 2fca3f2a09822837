//! Server-sent events of a model's answer, bounded in size and in silence.

use std::{
    error::Error,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_stream::try_stream;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{BoxStream, Stream},
};
use sse_stream::{Sse, SseStream};
use tokio::time::timeout;

use super::LlmError;

/// What a stream may do at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct SseLimits {
    /// Largest event in bytes. An event that shares its last network packet with a smaller one may
    /// be larger by that packet.
    pub(super) event_bytes: usize,
    /// Largest answer in bytes.
    pub(super) total_bytes: usize,
    /// Longest silence; a comment ends it as an event does.
    pub(super) idle: Duration,
}

impl Default for SseLimits {
    fn default() -> Self {
        Self { event_bytes: 4 << 20, total_bytes: 32 << 20, idle: Duration::from_secs(60) }
    }
}

/// Why the bytes end early.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("nothing came for {} s", .0.as_secs_f32())]
    Idle(Duration),
    #[error("an event is larger than {0} bytes")]
    EventTooLarge(usize),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    Body(String),
}

/// The events in a body. After an error nothing comes.
///
/// A connection that breaks, goes silent or floods is [`LlmError::Cut`]; lines that are no
/// server-sent events are [`LlmError::Protocol`].
pub(super) fn events<S>(provider: &'static str, body: S, limits: SseLimits) -> BoxStream<'static, Result<Sse, LlmError>>
where
    S: Stream<Item = Result<Bytes, String>> + Send + 'static,
{
    let since_event = Arc::new(AtomicUsize::new(0));
    let bytes = Box::pin(bounded(body, limits, since_event.clone()));
    let events = SseStream::from_bytes_stream(bytes).map(move |event| {
        since_event.store(0, Ordering::Relaxed);
        event.map_err(|error| fault(provider, &error))
    });
    // The parser would go on behind a broken line, with half an event.
    let mut failed = false;
    Box::pin(events.take_while(move |event| {
        let go_on = !failed;
        failed = event.is_err();
        std::future::ready(go_on)
    }))
}

/// Passes the bytes on, and ends with an error where they pass a bound.
fn bounded<S>(body: S, limits: SseLimits, since_event: Arc<AtomicUsize>) -> impl Stream<Item = Result<Bytes, Broken>>
where
    S: Stream<Item = Result<Bytes, String>>,
{
    try_stream! {
        let mut body = pin!(body);
        let mut total = 0_usize;
        while let Some(chunk) = timeout(limits.idle, body.next()).await.map_err(|_| Broken::Idle(limits.idle))? {
            let chunk = chunk.map_err(Broken::Body)?;
            total = total.saturating_add(chunk.len());
            if total > limits.total_bytes {
                Err(Broken::TooLarge(limits.total_bytes))?;
            }
            if since_event.fetch_add(chunk.len(), Ordering::Relaxed) > limits.event_bytes {
                Err(Broken::EventTooLarge(limits.event_bytes))?;
            }
            yield chunk;
        }
    }
}

fn fault(provider: &'static str, error: &sse_stream::Error) -> LlmError {
    match error {
        sse_stream::Error::Body(cause) => LlmError::Cut { provider, message: last_cause(cause.as_ref()) },
        sse_stream::Error::InvalidLine
        | sse_stream::Error::DuplicatedEventLine
        | sse_stream::Error::DuplicatedIdLine
        | sse_stream::Error::DuplicatedRetry
        | sse_stream::Error::Utf8Parse(_)
        | sse_stream::Error::IntParse(_) => {
            LlmError::Protocol { provider, message: format!("not a stream of events: {error}") }
        }
    }
}

fn last_cause(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use proptest::prelude::*;

    use super::*;

    const LIMITS: SseLimits = SseLimits { event_bytes: 64, total_bytes: 256, idle: Duration::from_millis(150) };

    async fn read(chunks: Vec<Vec<u8>>) -> Vec<Result<(Option<String>, String), LlmError>> {
        let body = stream::iter(chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk))));
        collect(body).await
    }

    async fn collect(
        body: impl Stream<Item = Result<Bytes, String>> + Send + 'static,
    ) -> Vec<Result<(Option<String>, String), LlmError>> {
        let events = events("test", body, LIMITS);
        events.map(|event| event.map(|sse| (sse.event, sse.data.unwrap_or_default()))).collect().await
    }

    #[tokio::test]
    async fn an_event_larger_than_the_cap_cuts_the_stream() {
        let chunks = vec![b"data: ".to_vec(), vec![b'x'; 60], vec![b'x'; 60], b"\n\ndata: 1\n\n".to_vec()];
        let events = read(chunks).await;
        assert_eq!(events.len(), 1);
        let error = events[0].as_ref().unwrap_err();
        assert!(matches!(error, LlmError::Cut { .. }) && error.to_string().contains("64 bytes"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_larger_than_the_cap_cuts_the_stream() {
        let events = read(vec![b"data: 123456789\n\n".to_vec(); 100]).await;
        assert_eq!(events.iter().filter(|event| event.is_ok()).count(), 256 / 17);
        assert!(events.last().unwrap().as_ref().unwrap_err().to_string().contains("256 bytes"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_cuts_the_stream() {
        let body = stream::iter([Ok(Bytes::from_static(b"data: 1\n\n"))]).chain(stream::pending());
        let events = collect(body).await;
        assert_eq!(events.len(), 2);
        assert!(events[1].as_ref().unwrap_err().to_string().contains("nothing came"));
    }

    #[tokio::test(start_paused = true)]
    async fn comments_keep_a_stream_alive() {
        let drip = stream::unfold(0, |n| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let chunk: &[u8] = if n == 20 { b"data: late\n\n" } else { b":\n" };
            (n < 21).then(|| (Ok(Bytes::from_static(chunk)), n + 1))
        });
        let events = collect(drip).await;
        assert_eq!(events[0].as_ref().unwrap().1, "late");
    }

    #[tokio::test]
    async fn a_broken_connection_is_a_cut_with_its_cause() {
        let body = stream::iter([Ok(Bytes::from_static(b"data: 1\n\nda")), Err("connection reset".to_owned())]);
        let events = collect(body).await;
        assert!(matches!(&events[1], Err(LlmError::Cut { message, .. }) if message == "connection reset"));
    }

    #[tokio::test]
    async fn nothing_comes_behind_a_line_that_is_no_event() {
        let events = read(vec![b"<html>\n\n".to_vec(), b"data: 1\n\n".to_vec()]).await;
        assert_eq!(events.len(), 1);
        assert!(matches!(events[0], Err(LlmError::Protocol { .. })));
    }

    proptest! {
        #[test]
        fn chunks_may_end_anywhere(cuts in proptest::collection::vec(0_usize..60, 0..6)) {
            let text = "event: a\r\ndata: kůň 🐎\r\n\r\n: ping\n\ndata: 1\ndata: 2\n\n".as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|pair| text[pair[0]..pair[1]].to_vec()).collect();

            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let events: Vec<_> = runtime.block_on(read(chunks)).into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(events, vec![(Some("a".to_owned()), "kůň 🐎".to_owned()), (None, "1\n2".to_owned())]);
        }
    }
}
