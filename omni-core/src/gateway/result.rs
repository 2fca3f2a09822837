//! Results of tools, as rmcp has them. What it does not know is passed on as text, for nothing may be lost.

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, ResultType};
use serde_json::{Map, Value, value::RawValue};

use super::error;

/// A tool's result. `is_new`: its client speaks 2026-07-28, where null is something structured too.
pub(super) fn of_tool(raw: &RawValue, is_new: bool) -> Result<CallToolResult, ErrorData> {
    let mut result = read(raw)?;
    if !is_new && result.structured_content == Some(Value::Null) {
        // Nothing to an older client: rmcp would put it into words.
        result.structured_content = None;
    }
    // Servers of older revisions do not say it; rmcp takes it away again where the client is one.
    result.result_type = Some(ResultType::COMPLETE);
    Ok(result)
}

fn read(raw: &RawValue) -> Result<CallToolResult, ErrorData> {
    if let Ok(result) = serde_json::from_str(raw.get()) {
        return Ok(result);
    }
    let fields: Map<String, Value> = serde_json::from_str(raw.get()).map_err(|_| error::not_understood())?;
    let part = |part: &Value| {
        let known = serde_json::from_value::<ContentBlock>(part.clone());
        known.unwrap_or_else(|_| ContentBlock::text(part.to_string()))
    };
    let parts = fields.get("content").and_then(Value::as_array);
    let mut result = CallToolResult::success(parts.into_iter().flatten().map(part).collect());
    result.is_error = fields.get("isError").and_then(Value::as_bool);
    result.structured_content = fields.get("structuredContent").cloned();
    result.meta = fields.get("_meta").and_then(|meta| serde_json::from_value(meta.clone()).ok());
    Ok(result)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(raw: &str, is_new: bool) -> Value {
        serde_json::to_value(of_tool(&RawValue::from_string(raw.into()).unwrap(), is_new).unwrap()).unwrap()
    }

    #[test]
    fn a_kind_of_content_that_nobody_knows_is_passed_on_as_text_and_nothing_beside_it_is_lost() {
        let raw = r#"{"content":[{"type":"text","text":"a"},{"type":"hologram","data":"b"}],"isError":true,
            "structuredContent":{"n":1},"_meta":{"example.com/own":1}}"#;
        let result = shown(raw, true);
        assert_eq!(result["content"][0], json!({ "type": "text", "text": "a" }));
        assert_eq!(result["content"][1]["text"], r#"{"data":"b","type":"hologram"}"#);
        assert_eq!(result["isError"], true);
        assert_eq!(result["structuredContent"], json!({ "n": 1 }));
        assert_eq!(result["_meta"], json!({ "example.com/own": 1 }));
    }

    #[test]
    fn null_is_nothing_structured_to_an_older_client() {
        for content in ["[]", r#"[{"type":"hologram"}]"#] {
            let raw = format!(r#"{{"content":{content},"structuredContent":null}}"#);
            assert_eq!(shown(&raw, false).get("structuredContent"), None, "{content}");
            assert_eq!(shown(&raw, true).get("structuredContent"), Some(&Value::Null), "{content}");
        }
    }
}
