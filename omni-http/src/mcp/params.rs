//! Arguments of a tool that are headers too (2026-07-28): whatever stands before omni may have gone by the headers.

use axum::http::HeaderMap;
use omni_core::{
    gateway::{Gateway, Visitor},
    mcp::ParamHeader,
};
use serde_json::Map;

use super::{
    encoded,
    envelope::{Message, Refusal},
};

const PREFIX: &str = "mcp-param-";

/// Refuses a call whose headers do not say what its arguments are.
pub(super) async fn check(
    gateway: &Gateway,
    visitor: &Visitor,
    headers: &HeaderMap,
    message: &Message,
) -> Result<(), Refusal> {
    if message.method() != Some("tools/call") || !super::envelope::says_all_in_headers(headers) {
        return Ok(());
    }
    let Some(tool) = message.params().and_then(|params| params.get("name")?.as_str()) else { return Ok(()) };
    let none = Map::new();
    let arguments = message.params().and_then(|params| params.get("arguments")?.as_object()).unwrap_or(&none);
    for wanted in gateway.param_headers(visitor, tool).await {
        let name = format!("{PREFIX}{}", wanted.name.to_ascii_lowercase());
        let is = encoded::read(headers, &name).map_err(|why| message.mismatch(&format!("the header {name} {why}")))?;
        agrees(&wanted, is.as_deref(), wanted.value(arguments).as_deref())
            .map_err(|why| message.mismatch(&format!("the header {name} {why}")))?;
    }
    Ok(())
}

fn agrees(wanted: &ParamHeader, is: Option<&str>, own: Option<&str>) -> Result<(), &'static str> {
    match (is, own) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err("is not there, and the tool wants it"),
        (Some(_), None) => Err("is there, and its argument is not"),
        (Some(is), Some(own)) if is == own || (wanted.is_integer && whole(is) == whole(own)) => Ok(()),
        (Some(_), Some(_)) => Err("is not what the argument says"),
    }
}

/// An integer without the zeros of a fraction: `42.0` is 42.
fn whole(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) | None => number,
    }
}
