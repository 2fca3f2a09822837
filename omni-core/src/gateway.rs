//! omni itself as an MCP server: one endpoint whose tools are what the caller may use.
//!
//! A [`Gateway`] takes MCP messages and gives replies; where they come from is the business of whoever
//! has the wire. [`Session`] is a connection as an rmcp `ServerHandler`; [`Gateway::serve_stdio`] serves
//! standard input and output. Every request passes identity → policy → limit → call → ledger, exactly as
//! a direct call: identity comes with each message, never with the session.
//!
//! A tool that one may not use is unknown to one, in the same words as a tool that does not exist.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use secrecy::ExposeSecret as _;
use tokio::sync::Notify;

use crate::{
    Omni,
    ask::Client,
    catalog::{NameRules, Prefix, ToolSet},
    error::Error,
    identity::Credential,
    mcp::{self, LogLevel, McpReply, ParamHeader},
};

mod background;
mod call;
mod changes;
mod error;
mod line;
mod list;
mod misread;
mod parked;
mod plain;
mod result;
mod session;
mod stdio;
mod tasks;
mod telling;
mod watch;

use background::Background;
use changes::Changes;
use parked::Parking;
pub use plain::{Logs, PlainCall, PlainResult};
pub use session::Session;

/// What clients are told about the tools.
const INSTRUCTIONS: &str = "The tools of several servers, as far as you may use them.";

/// How a gateway is set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayOptions {
    /// When the name of a tool begins with its server's.
    pub prefix: Prefix,
}

impl GatewayOptions {
    /// The same with other names.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Prefix) -> Self {
        self.prefix = prefix;
        self
    }
}

/// Who sends a message, as the wire's owner found it. Over HTTP it is an extension of every request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Visitor {
    /// What they come with.
    pub credential: Credential,
    /// What the request says of itself.
    pub client: Client,
}

impl Visitor {
    /// Somebody of whom only the credential is known.
    #[must_use]
    pub fn new(credential: Credential) -> Self {
        Self { credential, client: Client::default() }
    }

    /// The same with what the request says of itself.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    fn token(&self) -> Option<&str> {
        let Credential::Bearer { token, .. } = self.credential.brought() else { return None };
        Some(token.expose_secret())
    }
}

/// Who sent the newest message of a session: what it is told unasked is for them, by what they came with last. Over
/// HTTP it is an extension of every request of the session, beside the [`Visitor`]. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Newest(Arc<Now>);

#[derive(Debug, Default)]
struct Now {
    visitor: ArcSwapOption<Visitor>,
    /// Woken when a token has taken another's place.
    renewed: Notify,
}

impl Newest {
    /// Somebody sent a message.
    pub fn is(&self, visitor: Visitor) {
        let is_renewed = self.0.visitor.load().as_deref().is_some_and(|old| old.token() != visitor.token());
        self.0.visitor.store(Some(Arc::new(visitor)));
        if is_renewed {
            self.0.renewed.notify_one();
        }
    }

    /// Waits until somebody comes with another token than before.
    async fn renewed(&self) {
        self.0.renewed.notified().await;
    }

    /// Who it was; `None` before the first message.
    #[must_use]
    pub fn visitor(&self) -> Option<Visitor> {
        self.0.visitor.load().as_deref().cloned()
    }
}

impl From<Visitor> for Newest {
    fn from(visitor: Visitor) -> Self {
        let newest = Self::default();
        newest.is(visitor);
        newest
    }
}

/// omni as an MCP server. Clones are the same.
#[derive(Debug, Clone)]
pub struct Gateway {
    omni: Omni,
    names: NameRules,
    changes: Arc<Changes>,
    /// Calls that wait for what their client has to say.
    parking: Arc<Parking<McpReply>>,
    /// What servers go on with in the background.
    background: Arc<Background>,
}

impl Gateway {
    /// A gateway to what this pipeline offers.
    #[must_use]
    pub fn new(omni: Omni, options: GatewayOptions) -> Self {
        let names = NameRules::default().with_prefix(options.prefix);
        let (changes, parking, background) = (Arc::default(), Arc::default(), Arc::default());
        Self { omni, names, changes, parking, background }
    }

    /// A connection on which each message says who sends it, by a [`Visitor`] among the extensions of its
    /// HTTP request. A message without one is refused.
    #[must_use]
    pub fn session(&self) -> Session {
        Session::new(self.clone(), None)
    }

    /// A connection of one person.
    #[must_use]
    pub fn session_of(&self, visitor: Visitor) -> Session {
        Session::new(self.clone(), Some(visitor))
    }

    /// Has servers log from a level on, where no client wanted that much before. What each client is told is
    /// another matter.
    async fn log_from(&self, visitor: &Visitor, level: LogLevel) -> Result<(), Error> {
        self.omni.log_from(visitor.credential.clone(), level).await
    }

    /// The arguments of a tool that a client says in HTTP headers too (2026-07-28); none of a tool that is not on
    /// offer to this one.
    pub async fn param_headers(&self, visitor: &Visitor, tool: &str) -> Vec<ParamHeader> {
        let offered = self.omni.offered_tool(visitor.credential.clone(), self.names, tool).await;
        // Why there is none the call itself says.
        let offered = offered.ok().flatten();
        offered.map(|tool| mcp::param_headers(tool.def.input_schema.get())).unwrap_or_default()
    }

    /// What somebody may use, after servers that were not asked yet were asked.
    async fn tools(&self, visitor: &Visitor) -> Result<Arc<ToolSet>, Error> {
        self.omni.offered(visitor.credential.clone(), self.names).await
    }
}
