use std::time::Duration;

use futures::stream::{BoxStream, empty};

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
