//! Bodies that cannot grow without end.

use std::io;

use futures::StreamExt as _;
use reqwest::Response;

/// A whole body of at most `max` bytes.
///
/// # Errors
/// What broke, or that it is larger.
pub(crate) async fn whole(response: Response, max: usize) -> Result<Vec<u8>, io::Error> {
    let (bytes, is_whole) = prefix(response, max).await?;
    if is_whole { Ok(bytes) } else { Err(io::Error::other(format!("an answer of more than {max} bytes"))) }
}

/// The first `max` bytes of a body, and whether that is all of it.
///
/// # Errors
/// What broke.
pub(crate) async fn prefix(response: Response, max: usize) -> Result<(Vec<u8>, bool), io::Error> {
    let mut chunks = response.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| io::Error::other(super::describe(&error)))?;
        let room = max - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}
