//! The files of the pages: one sheet of styles, one script, and htmx.

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse as _, Response},
};

use crate::error::ApiError;

/// An hour: another build may bring others.
const CACHED: &str = "public, max-age=3600";

const FILES: [(&str, &str, &str); 4] = [
    ("app.css", "text/css; charset=utf-8", include_str!("../../assets/ui/app.css")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("../../assets/ui/app.js")),
    ("htmx.min.js", "text/javascript; charset=utf-8", include_str!("../../assets/ui/htmx.min.js")),
    ("htmx.LICENSE", "text/plain; charset=utf-8", include_str!("../../assets/ui/LICENSE")),
];

pub(super) async fn one(Path(name): Path<String>) -> Result<Response, ApiError> {
    let file = FILES.iter().find(|(known, ..)| *known == name);
    let (_, kind, text) = file.ok_or_else(|| ApiError::not_found("there is nothing at this path"))?;
    Ok(([(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, CACHED)], *text).into_response())
}
