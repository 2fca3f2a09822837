//! Answers and events that cannot grow without end.

use std::future::ready;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use reqwest::Response;
use sse_stream::Error as SseError;

use super::endpoint::too_large;
use crate::{
    mcp::{McpError, client::protocol},
    net::{self, body},
};

/// Why no more of a stream comes.
#[derive(Debug, thiserror::Error)]
pub(in crate::mcp) enum Broken {
    #[error("{0}")]
    Lost(String),
    #[error("an event of more than {max} bytes")]
    TooLarge { max: usize },
}

/// A whole answer of at most `max` bytes.
pub(super) async fn answer(response: Response, max: usize) -> Result<Vec<u8>, McpError> {
    match body::prefix(response, max).await {
        Ok((bytes, true)) => Ok(bytes),
        Ok((_, false)) => Err(too_large(format!("an answer of more than {max} bytes"))),
        Err(error) => Err(protocol(&error)),
    }
}

/// A stream of server-sent events in which no event has more than `max` bytes. It ends with one that has.
pub(in crate::mcp) fn events<S>(chunks: S, max: usize) -> impl Stream<Item = Result<Bytes, Broken>> + Send
where
    S: Stream<Item = Result<Bytes, reqwest::Error>> + Send,
{
    chunks.scan((EventSize::default(), false), move |(size, is_over), chunk| {
        if *is_over {
            return ready(None);
        }
        let chunk = chunk.map_err(|error| Broken::Lost(net::describe(&error))).and_then(|chunk| {
            *is_over = size.after(&chunk) > max;
            if *is_over { Err(Broken::TooLarge { max }) } else { Ok(chunk) }
        });
        ready(Some(chunk))
    })
}

/// What it means for a request that its answer came in too large an event; `None` where the stream broke otherwise.
pub(super) fn over(error: &SseError) -> Option<McpError> {
    let SseError::Body(cause) = error else { return None };
    match cause.downcast_ref::<Broken>()? {
        broken @ Broken::TooLarge { .. } => Some(too_large(broken.to_string())),
        Broken::Lost(_) => None,
    }
}

/// The size of the event that is being received: an empty line ends one.
#[derive(Default)]
struct EventSize {
    event: usize,
    line: usize,
}

impl EventSize {
    /// The largest size that an event had or has in this chunk.
    fn after(&mut self, chunk: &[u8]) -> usize {
        let mut largest = 0;
        for &byte in chunk {
            self.event += 1;
            match byte {
                b'\n' if self.line == 0 => self.event = 0,
                b'\n' => self.line = 0,
                b'\r' => {}
                _ => self.line += 1,
            }
            largest = largest.max(self.event);
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_ends_an_event() {
        let mut size = EventSize::default();
        assert_eq!(size.after(b"data: abc\n\n"), 10);
        assert_eq!(size.after(b"data: a\r\n\r"), 10);
        assert_eq!(size.after(b"\ndata"), 4);
        assert_eq!(size.after(b": more"), 10);
    }
}
