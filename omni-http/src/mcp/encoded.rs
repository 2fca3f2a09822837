//! What headers say that is said in the message too (2026-07-28). Text that no header can hold stands in base64.

use axum::http::{HeaderMap, header::AsHeaderName};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const BEFORE: &str = "=?base64?";
const AFTER: &str = "?=";

/// What one header says; `Ok(None)` where it is not there.
///
/// # Errors
/// Why it cannot be read: it is there twice, or is no text, or no base64.
pub(super) fn read(headers: &HeaderMap, name: impl AsHeaderName) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("is there twice");
    }
    let text = value.to_str().map_err(|_| "is no text")?;
    match text.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER)) {
        None => Ok(Some(text.to_owned())),
        Some(inner) => {
            let bytes = STANDARD.decode(inner).map_err(|_| "is no base64")?;
            String::from_utf8(bytes).map(Some).map_err(|_| "is no text")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::{super::NAME, *};

    #[test]
    fn text_stands_as_it_is_or_in_base64_and_never_twice() {
        let one = |value: &'static str| {
            let headers = HeaderMap::from_iter([(NAME, HeaderValue::from_static(value))]);
            read(&headers, NAME)
        };
        assert_eq!(one("echo"), Ok(Some("echo".into())));
        assert_eq!(one("=?base64?w6Q=?="), Ok(Some("ä".into())));
        assert_eq!(one("=?base64?w6Q="), Ok(Some("=?base64?w6Q=".into())));
        assert_eq!(one("=?base64?!?="), Err("is no base64"));
        assert_eq!(one("=?base64?/w==?="), Err("is no text"));
        assert_eq!(read(&HeaderMap::new(), NAME), Ok(None));
        let mut twice = HeaderMap::from_iter([(NAME, HeaderValue::from_static("a"))]);
        twice.append(NAME, HeaderValue::from_static("a"));
        assert_eq!(read(&twice, NAME), Err("is there twice"));
    }
}
