//! Parameters of requests, rewritten without reading what is in them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{McpError, client::protocol};

/// What `_meta` says of one connection's own client: it never goes on to another server.
const OWN_META: [&str; 4] = [
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
];

/// An object whose fields are not read.
type Fields = BTreeMap<String, Box<RawValue>>;

/// The parameters of a call to `tool`, made of those of somebody else's call.
pub(super) fn of_call(tool: &str, params: &RawValue) -> Result<Box<RawValue>, McpError> {
    with(Some(params), "name", &tool)
}

/// Parameters with a field put in or replaced.
pub(super) fn with<T: Serialize>(params: Option<&RawValue>, name: &str, value: &T) -> Result<Box<RawValue>, McpError> {
    let mut fields = fields(params)?;
    fields.insert(name.into(), to_raw_value(value).map_err(|error| protocol(&error))?);
    to_raw_value(&fields).map_err(|error| protocol(&error))
}

/// Parameters with more in their `_meta`.
#[cfg(feature = "mcp-http")]
pub(super) fn with_meta(
    params: &RawValue,
    more: &BTreeMap<String, serde_json::Value>,
) -> Result<Box<RawValue>, McpError> {
    if more.is_empty() {
        return Ok(params.to_owned());
    }
    let mut fields = fields(Some(params))?;
    let mut meta: Fields = match fields.get("_meta") {
        Some(meta) => serde_json::from_str(meta.get()).map_err(|error| protocol(&error))?,
        None => Fields::new(),
    };
    for (name, value) in more {
        meta.insert(name.clone(), to_raw_value(value).map_err(|error| protocol(&error))?);
    }
    fields.insert("_meta".into(), to_raw_value(&meta).map_err(|error| protocol(&error))?);
    to_raw_value(&fields).map_err(|error| protocol(&error))
}

/// Parameters without what `_meta` says of somebody else's client.
pub(super) fn without_meta_of_others(params: &RawValue) -> Result<Box<RawValue>, McpError> {
    let mut fields = fields(Some(params))?;
    let Some(meta) = fields.get("_meta") else { return Ok(params.to_owned()) };
    let mut meta: Fields = serde_json::from_str(meta.get()).unwrap_or_default();
    meta.retain(|name, _| !OWN_META.contains(&&**name));
    if meta.is_empty() {
        fields.remove("_meta");
    } else {
        fields.insert("_meta".into(), to_raw_value(&meta).map_err(|error| protocol(&error))?);
    }
    to_raw_value(&fields).map_err(|error| protocol(&error))
}

fn fields(params: Option<&RawValue>) -> Result<Fields, McpError> {
    let Some(params) = params else { return Ok(Fields::new()) };
    serde_json::from_str(params.get()).map_err(|error| protocol(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.into()).unwrap()
    }

    #[test]
    fn a_call_keeps_everything_but_the_name() {
        let params = raw(r#"{"name":"db__t","arguments":{"n":1.50},"requestState":"s"}"#);
        let params = of_call("t", &params).unwrap();
        assert_eq!(params.get(), r#"{"arguments":{"n":1.50},"name":"t","requestState":"s"}"#);
    }

    #[test]
    fn what_is_of_one_client_only_does_not_go_on() {
        let of = |text: &str| without_meta_of_others(&raw(text)).unwrap().get().to_owned();
        assert_eq!(of(r#"{"_meta":{"progressToken":1,"own":{"a":1}}}"#), r#"{"_meta":{"own":{"a":1}}}"#);
        assert_eq!(of(r#"{"_meta":{"io.modelcontextprotocol/clientInfo":{}},"x":1}"#), r#"{"x":1}"#);
        assert_eq!(of(r#"{ "x": 1 }"#), r#"{ "x": 1 }"#);
    }
}
