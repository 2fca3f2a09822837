//! Results of tools, as rmcp has them. What it does not know is passed on as text, for nothing may be lost.

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, ResultType};
use serde_json::{Map, Value, value::RawValue};

use super::error;

/// A tool's result.
pub(super) fn of_tool(raw: &RawValue) -> Result<CallToolResult, ErrorData> {
    if let Ok(mut result) = serde_json::from_str::<CallToolResult>(raw.get()) {
        // Servers of older revisions do not say it; rmcp takes it away again where the client is one.
        result.result_type = Some(ResultType::COMPLETE);
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
    Ok(result)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_of_content_that_nobody_knows_is_passed_on_as_text() {
        let raw = r#"{"content":[{"type":"text","text":"a"},{"type":"hologram","data":"b"}],"isError":true}"#;
        let result = of_tool(&RawValue::from_string(raw.into()).unwrap()).unwrap();
        let result = serde_json::to_value(result).unwrap();
        assert_eq!(result["content"][0], json!({ "type": "text", "text": "a" }));
        assert_eq!(result["content"][1]["text"], r#"{"data":"b","type":"hologram"}"#);
        assert_eq!(result["isError"], true);
    }
}
