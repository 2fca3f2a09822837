//! What a server asks of the person in the middle of a call (MCP's elicitation): a form to fill in, or a page to
//! open. Nobody is asked where nobody can be: the server learns that the person declined.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use url::Url;
use uuid::Uuid;

use crate::mcp::{McpError, Peer, PeerCapabilities, clean};

mod form;

pub use form::{Choice, Field, FieldKind, Form};

/// Longest message of a server that a person is shown, in characters.
const MAX_MESSAGE: usize = 2_000;
/// Most that a server may say in a question, in bytes: doors keep it while it waits.
const MAX_QUESTION: usize = 64 * 1024;
/// Longest address of a page, in bytes.
const MAX_URL: usize = 2_048;
/// JSON-RPC: the parameters are not what they must be.
const INVALID_PARAMS: i64 = -32_602;
/// JSON-RPC: there is no such method.
const METHOD_NOT_FOUND: i64 = -32_601;

/// A server's question.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Elicitation {
    /// Identifies the question.
    pub id: Uuid,
    /// The server that asks.
    pub server: String,
    /// The tool in whose call it asks.
    pub tool: String,
    /// Why it asks, in its own words: nothing of it is to be believed.
    pub message: String,
    /// What it wants.
    pub wanted: Wanted,
}

/// What a server wants of a person.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Wanted {
    /// A form filled in.
    Form(Form),
    /// A page opened, at which something is done that is not omni's business.
    Page {
        /// Its address: https, or http on this machine.
        url: Url,
    },
}

/// What the person answered.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// The form with these values; none for a page, which the person goes to.
    Accept(Map<String, Value>),
    /// The person does not want to.
    Decline,
    /// The person did not decide.
    Cancel,
}

/// What somebody typed may be secret.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action())
    }
}

impl Reply {
    /// `accept`, `decline` or `cancel`.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Accept(_) => "accept",
            Self::Decline => "decline",
            Self::Cancel => "cancel",
        }
    }
}

/// Puts questions of servers to the person at the door.
///
/// # Contract
/// * `is_there` is asked before each call and with each of its questions, and does not block. Where it says no, the
///   server is told that nobody can be asked, and `ask` is never called.
/// * `ask` is called while the call runs, for a form that can be filled in or a page that may be opened. Several may
///   wait at the same time: of one call, and of calls that run beside each other.
/// * **Cancel-safe**: when the call ends or its time is over the future is dropped. The server is told that nobody
///   answered, and what the person says later is for nobody.
/// * It has no errors: whoever cannot put the question to anybody answers [`Reply::Cancel`].
/// * Of values that do not fit the form the server learns nothing: they are [`Reply::Cancel`] to it, which
///   [`Form::check`] says before.
/// * What a question says is the server's word: whoever shows it says whose it is, and lets nothing in it take effect.
#[async_trait]
pub trait Elicit: Send + Sync + std::fmt::Debug {
    /// Whether anybody is there to be asked.
    fn is_there(&self) -> bool {
        true
    }

    /// Asks, and waits; the call's deadline ends the wait.
    async fn ask(&self, question: &Elicitation) -> Reply;
}

#[async_trait]
impl<T: Elicit + ?Sized> Elicit for Arc<T> {
    fn is_there(&self) -> bool {
        (**self).is_there()
    }

    async fn ask(&self, question: &Elicitation) -> Reply {
        (**self).ask(question).await
    }
}

/// Nobody can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyThere;

#[async_trait]
impl Elicit for NobodyThere {
    fn is_there(&self) -> bool {
        false
    }

    async fn ask(&self, _: &Elicitation) -> Reply {
        Reply::Decline
    }
}

/// The person behind one call, as its server sees them.
#[derive(Debug)]
pub(crate) struct Asked {
    server: String,
    tool: String,
    elicit: Arc<dyn Elicit>,
}

impl Asked {
    pub(crate) fn new(server: &str, tool: &str, elicit: Arc<dyn Elicit>) -> Self {
        Self { server: server.into(), tool: tool.into(), elicit }
    }

    /// What the parameters of `elicitation/create` ask.
    fn question(&self, params: &RawValue) -> Result<Elicitation, String> {
        if params.get().len() > MAX_QUESTION {
            return Err(format!("a question of more than {MAX_QUESTION} bytes"));
        }
        let params: Value = serde_json::from_str(params.get()).map_err(|error| error.to_string())?;
        let text = |name: &str| params[name].as_str();
        let wanted = match text("mode").unwrap_or("form") {
            "form" => Wanted::Form(Form::of(&params["requestedSchema"])?),
            "url" => Wanted::Page { url: page(text("url").unwrap_or_default())? },
            other => return Err(format!("there is no mode {other:?}")),
        };
        Ok(Elicitation {
            id: Uuid::now_v7(),
            server: self.server.clone(),
            tool: self.tool.clone(),
            message: clean(text("message").unwrap_or_default(), MAX_MESSAGE),
            wanted,
        })
    }
}

/// A page that may be opened.
fn page(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("url: {error}"))?;
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    if text.len() > MAX_URL
        || !is_safe
        || url.host().is_none()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err("url: it is no https address that a person can be sent to".into());
    }
    Ok(url)
}

#[async_trait]
impl Peer for Asked {
    fn can(&self) -> PeerCapabilities {
        let can = if self.elicit.is_there() { json!({ "elicitation": { "form": {}, "url": {} } }) } else { json!({}) };
        PeerCapabilities::of_client(&can)
    }

    async fn ask(&self, method: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        if method != "elicitation/create" {
            return Err(McpError::rpc(METHOD_NOT_FOUND, format!("nobody is there to answer {method:?}")));
        }
        let question = self.question(&params).map_err(|error| McpError::rpc(INVALID_PARAMS, error))?;
        let reply = match (self.elicit.ask(&question).await, &question.wanted) {
            (Reply::Accept(values), Wanted::Form(form)) => match form.check(&values) {
                Ok(()) => Reply::Accept(values),
                Err(wrong) => {
                    tracing::warn!(server = self.server, wrong = wrong.join("; "), "an answer does not fit its form");
                    Reply::Cancel
                }
            },
            (reply, _) => reply,
        };
        tracing::info!(server = self.server, tool = self.tool, action = reply.action(), "a server asked the person");
        let answer = match (&reply, &question.wanted) {
            (Reply::Accept(values), Wanted::Form(_)) => json!({ "action": "accept", "content": values }),
            _ => json!({ "action": reply.action() }),
        };
        to_raw_value(&answer).map_err(|error| McpError::Protocol { message: error.to_string() })
    }

    fn tell(&self, _: &str, _: Box<RawValue>) {}
}

/// Questions as servers put them, for tests of whoever answers.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use super::*;

    /// The question of these parameters of `elicitation/create`.
    #[must_use]
    #[allow(clippy::missing_panics_doc, clippy::expect_used, reason = "tests stop at a fault")]
    pub fn question(server: &str, tool: &str, params: &Value) -> Elicitation {
        let asked = Asked::new(server, tool, Arc::new(NobodyThere));
        asked.question(&to_raw_value(params).expect("JSON")).expect("a question")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the same whatever is asked.
    #[derive(Debug)]
    struct Says(Reply);

    #[async_trait]
    impl Elicit for Says {
        async fn ask(&self, _: &Elicitation) -> Reply {
            self.0.clone()
        }
    }

    async fn answered(reply: Reply, params: Value) -> Result<String, McpError> {
        let asked = Asked::new("db", "drop", Arc::new(Says(reply)));
        asked.ask("elicitation/create", to_raw_value(&params).unwrap()).await.map(|raw| raw.get().to_owned())
    }

    fn form() -> Value {
        json!({ "message": "Which one?", "requestedSchema": { "type": "object", "required": ["n"],
            "properties": { "n": { "type": "integer", "minimum": 1 } } } })
    }

    fn values(value: &Value) -> Reply {
        Reply::Accept(value.as_object().cloned().unwrap())
    }

    #[tokio::test]
    async fn what_fits_the_form_goes_to_the_server_and_nothing_else() {
        let accepted = answered(values(&json!({ "n": 3 })), form()).await.unwrap();
        assert_eq!(accepted, r#"{"action":"accept","content":{"n":3}}"#);
        for wrong in [json!({ "n": 0 }), json!({ "n": "3" }), json!({}), json!({ "n": 3, "more": 1 })] {
            assert_eq!(answered(values(&wrong), form()).await.unwrap(), r#"{"action":"cancel"}"#, "{wrong}");
        }
        assert_eq!(answered(Reply::Decline, form()).await.unwrap(), r#"{"action":"decline"}"#);
    }

    #[tokio::test]
    async fn a_page_is_one_of_https_and_names_nobody() {
        let page = |url: &str| answered(values(&json!({})), json!({ "mode": "url", "message": "", "url": url }));
        assert_eq!(page("https://login.example/a?b").await.unwrap(), r#"{"action":"accept"}"#);
        assert_eq!(page("http://127.0.0.1:9/a").await.unwrap(), r#"{"action":"accept"}"#);
        for url in ["http://login.example", "javascript:alert(1)", "file:///etc", "https://a@b.example", "", "https://"]
        {
            assert!(matches!(page(url).await, Err(McpError::Rpc { code: INVALID_PARAMS, .. })), "{url}");
        }
    }

    #[tokio::test]
    async fn a_question_that_is_too_long_is_not_asked() {
        let mut long = form();
        long["message"] = "m".repeat(MAX_QUESTION).into();
        assert!(matches!(answered(Reply::Decline, long).await, Err(McpError::Rpc { code: INVALID_PARAMS, .. })));
    }

    #[tokio::test]
    async fn where_nobody_is_there_nothing_can_be_asked() {
        let asked = Asked::new("db", "drop", Arc::new(NobodyThere));
        assert!(asked.can().is_empty());
        let other = asked.ask("sampling/createMessage", to_raw_value(&json!({})).unwrap()).await;
        assert!(matches!(other, Err(McpError::Rpc { code: METHOD_NOT_FOUND, .. })));
    }
}
