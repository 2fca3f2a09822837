//! Event streams, with whatever goes wrong on their way.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use tokio_util::sync::CancellationToken;

use super::plan::Mischief;

/// How many frames come before something goes wrong.
pub(super) const FRAMES_BEFORE: usize = 5;
/// Size of the pieces of [`Mischief::Split`]: cuts through characters and lines.
const PIECE: usize = 5;

/// Notices whether a stream was read to its end.
struct Reader {
    abandoned: Arc<AtomicUsize>,
    is_done: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.is_done {
            self.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

pub(super) fn respond(
    frames: Vec<String>,
    mischief: Option<Mischief>,
    abandoned: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> Response {
    let pieces: Vec<Bytes> = match mischief {
        Some(Mischief::Split) => frames.concat().as_bytes().chunks(PIECE).map(Bytes::copy_from_slice).collect(),
        _ => frames.into_iter().map(Bytes::from).collect(),
    };
    let start = (pieces.into_iter(), 0_usize, Reader { abandoned, is_done: false });
    let body = stream::unfold(start, move |(mut pieces, sent, mut reader)| {
        let stop = stop.clone();
        async move {
            if reader.is_done {
                return None;
            }
            let piece = tokio::select! {
                piece = next(&mut pieces, sent, mischief) => piece,
                () = stop.cancelled() => None,
            };
            reader.is_done = !matches!(piece, Some(Ok(_)));
            piece.map(|piece| (piece, (pieces, sent + 1, reader)))
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::from_stream(body)).into_response()
}

async fn next(
    pieces: &mut std::vec::IntoIter<Bytes>,
    sent: usize,
    mischief: Option<Mischief>,
) -> Option<Result<Bytes, io::Error>> {
    match mischief {
        Some(Mischief::Cut) if sent == FRAMES_BEFORE => {
            // The frames before it shall be on the wire when the connection breaks.
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut on purpose")));
        }
        Some(Mischief::Slow { pause_ms }) => tokio::time::sleep(Duration::from_millis(pause_ms)).await,
        Some(Mischief::Hang) if sent == FRAMES_BEFORE => std::future::pending().await,
        _ => {}
    }
    pieces.next().map(Ok)
}
