//! Who is behind a call: what a server may ask of them in the middle of it, and tell them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::{Map, Value, json, value::RawValue, value::to_raw_value};

use super::McpError;

/// The requests that a server may make of a peer, with the capability that each of them takes.
const ASKABLE: [(&str, &str); 3] =
    [("elicitation/create", "elicitation"), ("sampling/createMessage", "sampling"), ("roots/list", "roots")];

/// JSON-RPC: there is no such method.
const METHOD_NOT_FOUND: i64 = -32_601;

/// Who is behind a call.
///
/// # Contract
/// * `ask` is called only while the call runs, and at most until its deadline; dropping its future
///   means that nobody waits for the answer any more.
/// * What a server asks or tells is untrusted data: whoever shows it fences it.
/// * `tell` is called on the connection's own task and must not block.
#[async_trait]
pub trait Peer: Send + Sync + fmt::Debug {
    /// What may be asked of this peer.
    fn can(&self) -> PeerCapabilities;

    /// Answers a request of the server: `elicitation/create`, `sampling/createMessage`, `roots/list`.
    ///
    /// # Errors
    /// An [`McpError`]; the server reads it as the error of its request.
    async fn ask(&self, method: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError>;

    /// Hears a notification of the server, such as `notifications/message`.
    fn tell(&self, method: &str, params: Box<RawValue>);

    /// Whether the peer speaks 2026-07-28 itself: what a server wants in between (`input_required`) is then
    /// handed through to it as it came, and it sends the call again by itself.
    fn takes_interim(&self) -> bool {
        false
    }

    /// Whether a task is handed through to the peer too, which asks after it by itself.
    fn takes_tasks(&self) -> bool {
        false
    }
}

#[async_trait]
impl<T: Peer + ?Sized> Peer for Arc<T> {
    fn can(&self) -> PeerCapabilities {
        (**self).can()
    }

    async fn ask(&self, method: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        (**self).ask(method, params).await
    }

    fn tell(&self, method: &str, params: Box<RawValue>) {
        (**self).tell(method, params);
    }

    fn takes_interim(&self) -> bool {
        (**self).takes_interim()
    }

    fn takes_tasks(&self) -> bool {
        (**self).takes_tasks()
    }
}

/// What a peer can, in the form of MCP's client capabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerCapabilities(Map<String, Value>);

impl PeerCapabilities {
    /// Of a client's capabilities, those that a server may make use of in the middle of a call.
    #[must_use]
    pub fn of_client(capabilities: &Value) -> Self {
        let askable = |name: &str| capabilities.get(name).filter(|value| value.is_object()).cloned();
        Self(ASKABLE.iter().filter_map(|(_, name)| Some(((*name).to_owned(), askable(name)?))).collect())
    }

    /// Everything that there is.
    #[must_use]
    pub fn everything() -> Self {
        Self::of_client(&json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} }))
    }

    /// Whether nothing can be asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request of `method` can be answered.
    #[must_use]
    pub fn answers(&self, method: &str) -> bool {
        ASKABLE.iter().any(|(askable, name)| *askable == method && self.0.contains_key(*name))
    }

    /// Whether forms can be filled in. That is what `elicitation` means where it says nothing more.
    #[must_use]
    pub fn fills_forms(&self) -> bool {
        self.0.get("elicitation").is_some_and(|modes| modes.get("form").is_some() || modes.get("url").is_none())
    }

    /// Whether addresses can be opened.
    #[must_use]
    pub fn opens_urls(&self) -> bool {
        self.0.get("elicitation").is_some_and(|modes| modes.get("url").is_some())
    }

    /// As JSON, in the form of MCP's client capabilities.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// Whether a server may ask for `method` in the middle of a call at all.
pub(super) fn is_askable(method: &str) -> bool {
    ASKABLE.iter().any(|(askable, _)| *askable == method)
}

/// Asks a peer, or answers in its place what it cannot.
pub(super) async fn ask(peer: &dyn Peer, method: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
    let can = peer.can();
    let wants_url = method == "elicitation/create" && mode(&params).as_deref() == Some("url");
    let fits = method != "elicitation/create" || if wants_url { can.opens_urls() } else { can.fills_forms() };
    if can.answers(method) && fits { peer.ask(method, params).await } else { Nobody.ask(method, params).await }
}

fn mode(params: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Mode {
        mode: Option<String>,
    }
    serde_json::from_str::<Mode>(params.get()).ok()?.mode
}

/// Nobody is there: can nothing, and declines.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

#[async_trait]
impl Peer for Nobody {
    fn can(&self) -> PeerCapabilities {
        PeerCapabilities::default()
    }

    async fn ask(&self, method: &str, _: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        let answer = match method {
            "elicitation/create" => json!({ "action": "decline" }),
            "roots/list" => json!({ "roots": [] }),
            _ => {
                let message = format!("nobody is there to answer {method:?}");
                return Err(McpError::rpc(METHOD_NOT_FOUND, message));
            }
        };
        to_raw_value(&answer).map_err(|error| McpError::Protocol { message: error.to_string() })
    }

    fn tell(&self, _: &str, _: Box<RawValue>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_client_only_what_can_be_asked_is_taken() {
        let can = PeerCapabilities::of_client(&json!({ "elicitation": {}, "sampling": null, "experimental": {} }));
        assert_eq!(can.to_json(), json!({ "elicitation": {} }));
        assert!(can.answers("elicitation/create") && !can.answers("sampling/createMessage"));
        assert!(can.fills_forms() && !can.opens_urls());
    }

    #[derive(Debug)]
    struct Opens;

    #[async_trait]
    impl Peer for Opens {
        fn can(&self) -> PeerCapabilities {
            PeerCapabilities::of_client(&json!({ "elicitation": { "url": {} } }))
        }

        async fn ask(&self, _: &str, _: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
            Ok(to_raw_value(&json!({ "action": "accept" })).unwrap())
        }

        fn tell(&self, _: &str, _: Box<RawValue>) {}
    }

    #[tokio::test]
    async fn what_a_peer_cannot_is_declined_in_its_place() {
        let asked = |params: Value| async move {
            ask(&Opens, "elicitation/create", to_raw_value(&params).unwrap()).await.unwrap().get().to_owned()
        };
        assert_eq!(asked(json!({ "mode": "url", "url": "https://h" })).await, r#"{"action":"accept"}"#);
        assert_eq!(asked(json!({ "message": "your name?" })).await, r#"{"action":"decline"}"#);
    }
}
