//! Events that cannot grow without end.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};

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
