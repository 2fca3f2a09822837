//! Step 0, the ask: what every frontend makes of its event, request or argv.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    catalog::NameRules,
    confirm::{Approver, Unattended},
    cost::NanoUsd,
    elicit::{Elicit, NobodyThere},
    identity::Credential,
    mcp::{Peer, ProgressFn},
    thread::{Conversation, Place, ThreadKey},
};

mod client;

pub use client::{ChatPlace, Client};

/// The door by which an ask came. It follows from the adapter, never from the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The Slack bot.
    Slack,
    /// The HTTP service.
    Http,
    /// The terminal.
    Cli,
    /// Another agent through the MCP endpoint.
    Mcp,
    /// A program that embeds the crate.
    #[default]
    Embed,
}

impl Source {
    /// Every door.
    pub const ALL: [Self; 5] = [Self::Slack, Self::Http, Self::Cli, Self::Mcp, Self::Embed];

    /// The name as the ledger stores it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Http => "http",
            Self::Cli => "cli",
            Self::Mcp => "mcp",
            Self::Embed => "embed",
        }
    }
}

/// Text that comes with a question, such as what was piped into the terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is called before the model, such as `stdin`.
    pub name: String,
    /// Its text. Over-long text is cut before the model sees it.
    pub text: String,
}

/// Bounds of one ask. What is `None` comes from the configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AskOptions {
    /// Model id or alias (`haiku`, `sonnet`, `opus`).
    pub model: Option<String>,
    /// Offer no tools at all.
    pub no_tools: bool,
    /// Wall time for the whole ask.
    pub timeout: Option<Duration>,
    /// Most that the ask may cost.
    pub max_cost: Option<NanoUsd>,
    /// Most model turns.
    pub max_turns: Option<u32>,
}

/// One question on its way into the pipeline. A clone is another ask, with an id of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ask {
    /// Who asks, as the frontend found it.
    pub credential: Credential,
    /// The question.
    pub question: String,
    /// What came with it.
    pub attachments: Vec<Attachment>,
    /// The conversation it belongs to; `None` is one-shot.
    pub thread: Option<Conversation>,
    /// The door.
    pub source: Source,
    /// What the request says of itself.
    pub client: Client,
    /// Bounds.
    pub options: AskOptions,
    /// Whom to ask before a call that needs a human.
    pub approver: Arc<dyn Approver>,
    /// Whom a server may ask something in the middle of a call.
    pub elicit: Arc<dyn Elicit>,
    /// Whether a human may answer later, instead of the approver now; see [`Ask::with_parking`].
    pub parks: bool,
    /// The number of the key with which it was asked, of an ask that goes on.
    pub(crate) key: Option<i64>,
    /// Identifies the ask in logs, events and the ledger.
    pub request_id: Uuid,
}

impl Clone for Ask {
    fn clone(&self) -> Self {
        Self {
            credential: self.credential.clone(),
            question: self.question.clone(),
            attachments: self.attachments.clone(),
            thread: self.thread.clone(),
            source: self.source,
            client: self.client.clone(),
            options: self.options.clone(),
            approver: self.approver.clone(),
            elicit: self.elicit.clone(),
            parks: self.parks,
            key: self.key,
            request_id: Uuid::now_v7(),
        }
    }
}

impl Ask {
    /// A one-shot question.
    #[must_use]
    pub fn new(who: impl Into<Credential>, question: impl Into<String>) -> Self {
        Self {
            credential: who.into(),
            question: question.into(),
            attachments: Vec::new(),
            thread: None,
            source: Source::default(),
            client: Client::default(),
            options: AskOptions::default(),
            approver: Arc::new(Unattended),
            elicit: Arc::new(NobodyThere),
            parks: false,
            key: None,
            request_id: Uuid::now_v7(),
        }
    }

    /// The same ask by another door.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// The same ask with what its request says of itself.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// The same ask with other bounds.
    #[must_use]
    pub fn with_options(mut self, options: AskOptions) -> Self {
        self.options = options;
        self
    }

    /// The same ask for another model.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.options.model = Some(model.into());
        self
    }

    /// The same ask with an attachment.
    #[must_use]
    pub fn with_attachment(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.attachments.push(Attachment { name: name.into(), text: text.into() });
        self
    }

    /// The same ask with somebody to approve calls that need a human.
    #[must_use]
    pub fn with_approver(mut self, approver: Arc<dyn Approver>) -> Self {
        self.approver = approver;
        self
    }

    /// The same ask with somebody whom servers may ask something in the middle of a call.
    #[must_use]
    pub fn with_elicit(mut self, elicit: Arc<dyn Elicit>) -> Self {
        self.elicit = elicit;
        self
    }

    /// The same ask for a door that can come back: a call that needs a human waits while the turn's others go
    /// on. Then the ask ends with the status [`Waiting`](crate::answer::Status::Waiting), and
    /// [`Omni::confirm`](crate::Omni::confirm) goes on with it.
    #[must_use]
    pub fn with_parking(mut self) -> Self {
        self.parks = true;
        self
    }

    /// The same ask as part of one of the asker's own conversations, which begins with it if it is new.
    #[must_use]
    pub fn with_session(mut self, name: impl Into<String>) -> Self {
        self.thread = Some(Conversation::Own(name.into()));
        self
    }

    /// The same ask as part of a conversation at a place that several people may share.
    #[must_use]
    pub fn with_thread(mut self, key: ThreadKey, place: Place) -> Self {
        self.thread = Some(Conversation::At { key, place });
        self
    }
}

/// What comes with a call whose result goes on to another MCP client as the server sent it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Relay {
    /// Who is behind the call: the client.
    pub peer: Arc<dyn Peer>,
    /// The client's other parameters, such as `_meta`, `inputResponses` and `requestState`.
    pub rest: BTreeMap<String, Box<RawValue>>,
    /// Whether the client sent no arguments at all, so that none are sent on.
    pub bare: bool,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.rest.keys().collect();
        f.debug_struct("Relay").field("rest", &keys).field("bare", &self.bare).finish_non_exhaustive()
    }
}

impl Relay {
    /// A call of a client's.
    #[must_use]
    pub fn new(peer: Arc<dyn Peer>, rest: BTreeMap<String, Box<RawValue>>, bare: bool) -> Self {
        Self { peer, rest, bare }
    }
}

/// One tool call without a model: `omni tools call`, an HTTP call, a gateway call. A clone is
/// another call, with an id of its own.
#[non_exhaustive]
pub struct DirectCall {
    /// Who calls.
    pub credential: Credential,
    /// The server's name; empty where the tool is called by the name under which it is on offer.
    pub server: String,
    /// The tool's name at that server, or the name under which it is on offer.
    pub tool: String,
    /// The rules by which the tool got the name that it is called by; `None` where that is its own.
    pub names: Option<NameRules>,
    /// The arguments: a JSON object.
    pub arguments: Box<serde_json::value::RawValue>,
    /// The door.
    pub source: Source,
    /// What the request says of itself.
    pub client: Client,
    /// Wall time; `None` takes the server's.
    pub timeout: Option<Duration>,
    /// Whom to ask if the call needs a human.
    pub approver: Arc<dyn Approver>,
    /// Whom its server may ask something in the middle of it.
    pub elicit: Arc<dyn Elicit>,
    /// Where progress goes.
    pub progress: Option<ProgressFn>,
    /// The MCP client that calls, where it is one.
    pub relay: Option<Relay>,
    /// Identifies the call in logs and the ledger.
    pub request_id: Uuid,
}

impl fmt::Debug for DirectCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectCall")
            .field("server", &self.server)
            .field("tool", &self.tool)
            .field("source", &self.source)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl Clone for DirectCall {
    fn clone(&self) -> Self {
        Self {
            credential: self.credential.clone(),
            server: self.server.clone(),
            tool: self.tool.clone(),
            names: self.names,
            arguments: self.arguments.clone(),
            source: self.source,
            client: self.client.clone(),
            timeout: self.timeout,
            approver: self.approver.clone(),
            elicit: self.elicit.clone(),
            progress: self.progress.clone(),
            relay: self.relay.clone(),
            request_id: Uuid::now_v7(),
        }
    }
}

impl DirectCall {
    /// A call of `tool` at `server`.
    #[must_use]
    pub fn new(
        who: impl Into<Credential>,
        server: impl Into<String>,
        tool: impl Into<String>,
        arguments: Box<serde_json::value::RawValue>,
    ) -> Self {
        Self {
            credential: who.into(),
            server: server.into(),
            tool: tool.into(),
            names: None,
            arguments,
            source: Source::default(),
            client: Client::default(),
            timeout: None,
            approver: Arc::new(Unattended),
            elicit: Arc::new(NobodyThere),
            progress: None,
            relay: None,
            request_id: Uuid::now_v7(),
        }
    }

    /// A call of the tool that is on offer to whoever calls as `name`, by these rules.
    #[must_use]
    pub fn offered(
        who: impl Into<Credential>,
        name: impl Into<String>,
        names: NameRules,
        arguments: Box<serde_json::value::RawValue>,
    ) -> Self {
        Self { names: Some(names), ..Self::new(who, "", name, arguments) }
    }

    /// The same call for an MCP client; see [`Omni::call_tool_raw`](crate::Omni::call_tool_raw).
    #[must_use]
    pub fn with_relay(mut self, relay: Relay) -> Self {
        self.relay = Some(relay);
        self
    }

    /// The same call with progress reports.
    #[must_use]
    pub fn with_progress(mut self, progress: Option<ProgressFn>) -> Self {
        self.progress = progress;
        self
    }

    /// The same call with somebody whom its server may ask something in the middle of it.
    #[must_use]
    pub fn with_elicit(mut self, elicit: Arc<dyn Elicit>) -> Self {
        self.elicit = elicit;
        self
    }

    /// The same call with somebody to approve it.
    #[must_use]
    pub fn with_approver(mut self, approver: Arc<dyn Approver>) -> Self {
        self.approver = approver;
        self
    }

    /// The same call within other bounds of time.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same call with what its request says of itself.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// The same call by another door.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }
}
