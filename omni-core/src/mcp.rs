//! Step 7, tools: MCP servers behind one trait, and the pool that keeps them.

use std::{borrow::Cow, fmt, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{catalog::ServerCapabilities, llm::ResultPart};

#[cfg(feature = "mcp-oauth")]
pub mod auth;
mod client;
mod content;
mod context;
mod credentials;
mod error;
mod ext;
#[cfg(feature = "mcp-http")]
pub mod http;
pub mod in_process;
mod lenient;
mod lines;
mod list;
mod options;
mod params;
mod peer;
pub mod pool;
mod rounds;
#[cfg(feature = "mcp-http")]
pub mod sse;
#[cfg(feature = "mcp-stdio")]
pub mod stdio;
mod tap;
mod thinking;

pub(crate) use content::clean;
pub use context::{CallContext, Progress, ProgressFn};
pub use credentials::{CredentialSource, Refused, ServerCredential};
pub use error::McpError;
pub use ext::McpTransportExt;
pub use list::Listed;
#[cfg(feature = "gateway")]
pub use list::param::ParamHeader;
#[cfg(feature = "gateway")]
pub(crate) use list::param::of as param_headers;
pub use options::{BreakerOptions, Connect, OnStartFailure, ServerOptions, Sharing};
pub use peer::{Nobody, Peer, PeerCapabilities};
#[cfg(feature = "gateway")]
pub(crate) use pool::LogLevel;
pub use pool::{Heard, Hearing, Pool, Subscription};

/// A request to one connected server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct McpRequest {
    /// The method, such as `tools/call`.
    pub method: Cow<'static, str>,
    /// Its parameters: a JSON object.
    pub params: Option<Box<RawValue>>,
}

impl McpRequest {
    /// A request.
    #[must_use]
    pub fn new(method: impl Into<Cow<'static, str>>, params: Option<Box<RawValue>>) -> Self {
        Self { method: method.into(), params }
    }
}

/// A server's answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum McpReply {
    /// The result, as it came.
    Complete(Box<RawValue>),
    /// The server needs input before it goes on (2026-07-28).
    InputRequired(Box<RawValue>),
    /// The server goes on in the background (tasks extension).
    Task(Box<RawValue>),
}

impl McpReply {
    /// The result as the server sent it, whatever it says.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        match self {
            Self::Complete(raw) | Self::InputRequired(raw) | Self::Task(raw) => raw,
        }
    }
}

/// Something a server says unasked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum McpEvent {
    /// Its tools changed.
    ToolsChanged,
    /// Its prompts changed.
    PromptsChanged,
    /// Its resources or their templates changed.
    ResourcesChanged,
    /// What a resource holds changed.
    ResourceUpdated {
        /// Which one.
        uri: String,
    },
    /// A log message.
    Log {
        /// Its level.
        level: String,
        /// What it says, cut to a cap.
        message: String,
    },
    /// The connection is gone.
    Closed {
        /// Why.
        reason: String,
    },
}

/// One connected server.
///
/// # Contract
/// * Requests run concurrently; replies never cross. What a tool says of its own failure (`isError`) is a reply.
/// * Every request ends by `cx.deadline`, at the latest with [`McpError::Timeout`]; omni's own transports leave out the
///   time that is not the server's (see [`CallContext::deadline`]).
/// * Dropping the future of `request` tells the server (`notifications/cancelled`).
/// * After the connection is lost every request fails at once with [`McpError::Closed`], and
///   `events` yields one [`McpEvent::Closed`] and ends. A transport never reconnects by itself: the
///   pool does.
/// * Everybody who asks for `events` is told all from then on. What is kept for whoever is slow is bounded: in place of
///   what they miss they are told that tools have changed, and every resource of which they want to know.
/// * `close` is idempotent and leaves no process, socket or task.
#[async_trait]
pub trait McpTransport: Send + Sync + fmt::Debug {
    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// An [`McpError`].
    async fn request(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError>;

    /// What the server says that it can do. Of a transport that cannot tell nothing is known.
    fn capabilities(&self) -> Arc<ServerCapabilities> {
        Arc::default()
    }

    /// What the server says unasked, from now on.
    fn events(&self) -> BoxStream<'static, McpEvent>;

    /// Tells the server, as soon as may be, that nobody waits for a task of its any more.
    fn abandon_task(&self, _id: &str) {}

    /// Ends the connection.
    async fn close(&self);
}

#[async_trait]
impl<T: McpTransport + ?Sized> McpTransport for Arc<T> {
    async fn request(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        (**self).request(request, cx).await
    }

    fn capabilities(&self) -> Arc<ServerCapabilities> {
        (**self).capabilities()
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        (**self).events()
    }

    fn abandon_task(&self, id: &str) {
        (**self).abandon_task(id);
    }

    async fn close(&self) {
        (**self).close().await;
    }
}

/// Makes connections to one configured server.
///
/// # Contract
/// * `connect` hands out a connection that is initialised and usable, by `cx.deadline` at the latest.
/// * Where [`CallContext::credentials`] says whose the connection is to be, it is made with those and no others, or
///   refused with [`McpError::Unauthorized`]: with omni's own, the server would take everybody for one.
#[async_trait]
pub trait Connector: Send + Sync + fmt::Debug {
    /// The transport's kind: `http`, `sse`, `stdio`, `in_process`.
    fn kind(&self) -> &'static str;

    /// Connects.
    ///
    /// # Errors
    /// [`McpError::Connect`], [`McpError::Unauthorized`] or [`McpError::Timeout`].
    async fn connect(&self, cx: &CallContext) -> Result<Arc<dyn McpTransport>, McpError>;

    /// Whether a server that is used with callers' own tokens is asked for its lists with a token of omni's own.
    fn has_discovery_token(&self) -> bool {
        false
    }

    /// Waits for what goes on although nobody connects any more ([`CredentialSource::settle`]).
    async fn settle(&self) {}
}

#[async_trait]
impl<T: Connector + ?Sized> Connector for Arc<T> {
    fn kind(&self) -> &'static str {
        (**self).kind()
    }

    async fn connect(&self, cx: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        (**self).connect(cx).await
    }

    fn has_discovery_token(&self) -> bool {
        (**self).has_discovery_token()
    }

    async fn settle(&self) {
        (**self).settle().await;
    }
}

/// Variables of omni's own environment that a child may have: enough to find programs, a home, a
/// language and a time zone, and no credentials.
pub const BASE_ENV: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "TZ",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
];

/// A part of a result, as MCP knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// Its media type.
        mime: String,
        /// Its bytes in base64.
        data: String,
    },
    /// A sound.
    Audio {
        /// Its media type.
        mime: String,
        /// Its bytes in base64.
        data: String,
    },
    /// A resource, with its content.
    Resource {
        /// Its URI.
        uri: String,
        /// Its media type.
        mime: Option<String>,
        /// Its text, if it is text.
        text: Option<String>,
        /// Its bytes in base64, if it is not.
        blob: Option<String>,
    },
    /// A resource that can be read at the server.
    ResourceLink {
        /// Its URI.
        uri: String,
        /// What it is called.
        name: String,
        /// What it is.
        description: Option<String>,
        /// Its media type.
        mime: Option<String>,
    },
}

/// What a tool returned. Untrusted data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolOutput {
    /// Its parts, capped.
    pub content: Vec<Content>,
    /// Its structured form, if it has one and it is not over the cap.
    pub structured: Option<serde_json::Value>,
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// Whether something was cut.
    pub truncated: bool,
}

impl ToolOutput {
    /// A text result.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![Content::Text { text: text.into() }], ..Self::default() }
    }

    /// What a model reads of it: never empty, every kind of content represented.
    #[must_use]
    pub fn for_model(&self) -> Vec<ResultPart> {
        content::for_model(self)
    }

    /// What a person reads of it in a terminal.
    #[must_use]
    pub fn for_person(&self) -> String {
        content::for_person(self)
    }
}
