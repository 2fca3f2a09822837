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
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The parameters of a call to `tool`, made of those of somebody else's call: without what `_meta` says of their client.
pub(super) fn of_call(tool: &str, params: &RawValue) -> Result<Box<RawValue>, McpError> {
    let name = written(&tool)?;
    let mut fields = fields(params)?;
    let meta = fields.remove("_meta").map(of_anybody).transpose()?.flatten();
    fields.insert("name".into(), &name);
    fields.extend(meta.as_deref().map(|meta| ("_meta".to_owned(), meta)));
    written(&fields)
}

/// Parameters with a field put in or replaced.
pub(super) fn with<T: Serialize>(params: Option<&RawValue>, name: &str, value: &T) -> Result<Box<RawValue>, McpError> {
    let value = written(value)?;
    let mut fields = params.map(fields).transpose()?.unwrap_or_default();
    fields.insert(name.into(), &value);
    written(&fields)
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
    let more = more.iter().map(|(name, value)| Ok((name.clone(), written(value)?)));
    let more: BTreeMap<String, Box<RawValue>> = more.collect::<Result<_, McpError>>()?;
    let mut own = fields(params)?;
    let mut meta = own.get("_meta").map(|meta| fields(meta)).transpose()?.unwrap_or_default();
    meta.extend(more.iter().map(|(name, value)| (name.clone(), &**value)));
    let meta = written(&meta)?;
    own.insert("_meta".into(), &meta);
    written(&own)
}

/// Parameters without what `_meta` says of somebody else's client.
pub(super) fn without_meta_of_others(params: &RawValue) -> Result<Box<RawValue>, McpError> {
    let mut fields = fields(params)?;
    let Some(meta) = fields.remove("_meta") else { return Ok(params.to_owned()) };
    let meta = of_anybody(meta)?;
    fields.extend(meta.as_deref().map(|meta| ("_meta".to_owned(), meta)));
    written(&fields)
}

/// What a `_meta` says that is not of one connection's own client; `None` where nothing is left.
fn of_anybody(meta: &RawValue) -> Result<Option<Box<RawValue>>, McpError> {
    let mut meta = fields(meta).unwrap_or_default();
    meta.retain(|name, _| !OWN_META.contains(&&**name));
    if meta.is_empty() { Ok(None) } else { written(&meta).map(Some) }
}

fn fields(object: &RawValue) -> Result<Fields<'_>, McpError> {
    serde_json::from_str(object.get()).map_err(|error| protocol(&error))
}

fn written<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, McpError> {
    to_raw_value(value).map_err(|error| protocol(&error))
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
    fn a_call_tells_nothing_of_the_client_that_made_it() {
        let of = |meta: &str| of_call("t", &raw(&format!(r#"{{"_meta":{meta},"name":"db__t"}}"#))).unwrap();
        assert_eq!(of(r#"{"progressToken":1,"own":2}"#).get(), r#"{"_meta":{"own":2},"name":"t"}"#);
        for nothing in [r#"{"io.modelcontextprotocol/clientInfo":{}}"#, "{}", "7"] {
            assert_eq!(of(nothing).get(), r#"{"name":"t"}"#);
        }
    }

    #[test]
    fn what_is_of_one_client_only_does_not_go_on() {
        let of = |text: &str| without_meta_of_others(&raw(text)).unwrap().get().to_owned();
        assert_eq!(of(r#"{"_meta":{"progressToken":1,"own":{"a":1}}}"#), r#"{"_meta":{"own":{"a":1}}}"#);
        assert_eq!(of(r#"{"_meta":{"io.modelcontextprotocol/clientInfo":{}},"x":1}"#), r#"{"x":1}"#);
        assert_eq!(of(r#"{ "x": 1 }"#), r#"{ "x": 1 }"#);
    }
}
