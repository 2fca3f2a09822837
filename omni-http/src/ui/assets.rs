//! The files of the pages: one sheet of styles, one script, and htmx. Their addresses have a digest of what is in them,
//! so that browsers keep them for good and never show one build with the files of another.

use std::{fmt::Write as _, sync::LazyLock};

use axum::{
    extract::{Path, RawQuery},
    http::header,
    response::{IntoResponse as _, Response},
};
use ring::digest::{SHA256, digest};

use crate::error::ApiError;

/// What is in a file of this address stays as it is.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// Whoever asks for a file by its name alone asks again whether it is another.
const ONCE: &str = "no-cache";
/// How much of a digest tells builds apart, in bytes.
const TELLS: usize = 8;

/// A file of the pages.
struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const FILES: [File; 4] = [
    File { name: "app.css", kind: "text/css; charset=utf-8", text: include_str!("../../assets/ui/app.css") },
    File { name: "app.js", kind: "text/javascript; charset=utf-8", text: include_str!("../../assets/ui/app.js") },
    File {
        name: "htmx.min.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("../../assets/ui/htmx.min.js"),
    },
    File { name: "htmx.LICENSE", kind: "text/plain; charset=utf-8", text: include_str!("../../assets/ui/LICENSE") },
];

/// The digest of each file, in their order.
static DIGESTS: LazyLock<[String; 4]> =
    LazyLock::new(|| FILES.map(|file| in_hex(&digest(&SHA256, file.text.as_bytes()).as_ref()[..TELLS])));

fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The address of a file, as it is in this build.
pub(super) fn address(name: &str) -> String {
    let known = FILES.iter().zip(DIGESTS.iter()).find(|(file, _)| file.name == name);
    known.map_or_else(|| format!("assets/{name}"), |(_, digest)| format!("assets/{name}?v={digest}"))
}

pub(super) async fn one(Path(name): Path<String>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let known = FILES.iter().zip(DIGESTS.iter()).find(|(file, _)| file.name == name);
    let (file, digest) = known.ok_or_else(|| ApiError::not_found("there is nothing at this path"))?;
    let is_this = query.is_some_and(|query| query.strip_prefix("v=") == Some(digest));
    let cached = if is_this { FOR_GOOD } else { ONCE };
    Ok(([(header::CONTENT_TYPE, file.kind), (header::CACHE_CONTROL, cached)], file.text).into_response())
}
