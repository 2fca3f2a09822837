use std::time::Duration;

use futures::stream::{BoxStream, empty};
use serde_json::json;

use super::*;
use crate::mcp::McpEvent;

#[tokio::test]
async fn a_call_that_needs_input_is_a_tool_error() {
    #[derive(Debug)]
    struct Asks;
    #[async_trait]
    impl McpTransport for Asks {
        async fn request(&self, _: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
            let question = json!({ "method": "elicitation/create", "params": { "message": "your name?" } });
            let wanted = json!({ "resultType": "input_required", "inputRequests": { "name": question } });
            Ok(McpReply::InputRequired(to_raw_value(&wanted).unwrap()))
        }
        fn events(&self) -> BoxStream<'static, McpEvent> {
            Box::pin(empty())
        }
        async fn close(&self) {}
    }
    let arguments = to_raw_value(&json!({})).unwrap();
    let cx = CallContext::within(Duration::from_secs(5));
    let output = Asks.call_tool("t", &arguments, 200, &cx).await.unwrap();
    assert!(output.is_error && output.for_person().contains("nobody is there to answer"), "{output:?}");
}

#[tokio::test]
async fn a_server_is_sent_the_very_arguments_of_the_call() {
    #[derive(Debug)]
    struct Tells;
    #[async_trait]
    impl McpTransport for Tells {
        async fn request(&self, request: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
            let sent = request.params.map(|params| params.get().to_owned()).unwrap_or_default();
            let result = json!({ "content": [{ "type": "text", "text": sent }] });
            Ok(McpReply::Complete(to_raw_value(&result).unwrap()))
        }
        fn events(&self) -> BoxStream<'static, McpEvent> {
            Box::pin(empty())
        }
        async fn close(&self) {}
    }
    let arguments = RawValue::from_string(r#"{ "row":12345678901234567890123, "share": 1e2 }"#.into()).unwrap();
    let output = Tells.call_tool("t", &arguments, 200, &CallContext::within(Duration::from_secs(5))).await.unwrap();
    let sent = r#"{"name":"t","arguments":{ "row":12345678901234567890123, "share": 1e2 }}"#;
    assert_eq!(output, ToolOutput::text(sent));
}
