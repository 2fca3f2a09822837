//! Bodies that cannot grow without end.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt};

/// Reads at most `max` bytes of a body.
///
/// # Errors
/// What broke, or that it is larger.
pub(in crate::mcp) async fn body(response: reqwest::Response, max: usize) -> Result<Vec<u8>, io::Error> {
    let (bytes, whole) = prefix(response, max).await?;
    if whole { Ok(bytes) } else { Err(io::Error::other(format!("an answer of more than {max} bytes"))) }
}

/// The first `max` bytes of a body, and whether that is all of it.
///
/// # Errors
/// What broke.
pub(in crate::mcp) async fn prefix(response: reqwest::Response, max: usize) -> Result<(Vec<u8>, bool), io::Error> {
    let mut chunks = response.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| io::Error::other(crate::net::describe(&error)))?;
        let room = max - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

/// A stream of server-sent events in which no event has more than `max` bytes.
pub(in crate::mcp) fn events<S>(chunks: S, max: usize) -> impl Stream<Item = Result<Bytes, io::Error>> + Send
where
    S: Stream<Item = Result<Bytes, reqwest::Error>> + Send,
{
    let mut size = EventSize::default();
    chunks.map(move |chunk| {
        let chunk = chunk.map_err(|error| io::Error::other(crate::net::describe(&error)))?;
        if size.after(&chunk) > max {
            return Err(io::Error::other(format!("an event of more than {max} bytes")));
        }
        Ok(chunk)
    })
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
