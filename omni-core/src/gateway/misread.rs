//! Requests whose parameters are not what their methods take. rmcp knows them by their method alone, like those of
//! methods that there are not.
#![expect(deprecated, reason = "older clients set the level of messages")]

use rmcp::model::{
    CallToolRequestParams, CancelTaskParams, CompleteRequestParams, CustomRequest, ErrorCode, ErrorData,
    GetPromptRequestParams, GetTaskParams, PaginatedRequestParams, ReadResourceRequestParams, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionsListenRequestParams, UnsubscribeRequestParams, UpdateTaskParams,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Longest reason, in characters: it holds what the client sent.
const MAX_WHY: usize = 300;

/// What a request is answered with that rmcp could not read. `is_new`: its client speaks 2026-07-28.
pub(super) fn refusal(request: CustomRequest, is_new: bool) -> ErrorData {
    let CustomRequest { method, params, .. } = request;
    let why: fn(Value) -> String = match (&*method, is_new) {
        ("tools/call", _) => why::<CallToolRequestParams>,
        ("prompts/get", _) => why::<GetPromptRequestParams>,
        ("resources/read", _) => why::<ReadResourceRequestParams>,
        ("completion/complete", _) => why::<CompleteRequestParams>,
        ("tools/list" | "prompts/list" | "resources/list" | "resources/templates/list", _) => {
            why::<PaginatedRequestParams>
        }
        ("tasks/get", _) => why::<GetTaskParams>,
        ("tasks/update", _) => why::<UpdateTaskParams>,
        ("tasks/cancel", _) => why::<CancelTaskParams>,
        ("logging/setLevel", false) => why::<SetLevelRequestParams>,
        ("resources/subscribe", false) => why::<SubscribeRequestParams>,
        ("resources/unsubscribe", false) => why::<UnsubscribeRequestParams>,
        ("subscriptions/listen", true) => why::<SubscriptionsListenRequestParams>,
        _ => return ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None),
    };
    let why: String = why(params.unwrap_or_else(|| json!({}))).chars().take(MAX_WHY).collect();
    ErrorData::invalid_params(format!("params of {method}: {why}"), None)
}

fn why<T: DeserializeOwned>(params: Value) -> String {
    let misread = serde_json::from_value::<T>(params).err();
    misread.map_or_else(|| "not as the protocol has them".into(), |error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_cannot_be_read_are_told_from_methods_that_there_are_not() {
        let told = |method: &str, params: Option<Value>, is_new| {
            let refusal = refusal(CustomRequest::new(method, params), is_new);
            (refusal.code.0, refusal.message.into_owned())
        };
        for (method, params, named) in [
            ("tools/call", Some(json!({ "name": "a", "arguments": "str" })), "map"),
            ("tools/call", Some(json!({ "arguments": {} })), "name"),
            ("tools/call", None, "name"),
            ("resources/read", Some(json!({})), "uri"),
            ("completion/complete", Some(json!({ "ref": { "type": "ref/prompt", "name": "p" } })), "argument"),
            ("tools/list", Some(json!({ "cursor": 7 })), "string"),
        ] {
            for is_new in [false, true] {
                let (code, message) = told(method, params.clone(), is_new);
                assert!(code == -32_602 && message.contains(named), "{method}: {code} {message}");
            }
        }
        let level = Some(json!({ "level": "loud" }));
        assert_eq!(told("logging/setLevel", level.clone(), false).0, -32_602);
        assert_eq!(told("logging/setLevel", level, true).0, -32_601);
        assert_eq!(told("tools/none", None, false), (-32_601, "tools/none".into()));
        let long = Some(json!({ "name": "a", "arguments": "x".repeat(10_000) }));
        assert!(told("tools/call", long, false).1.len() < 400);
    }
}
