//! Step 5, catalog: what the servers offer, cut down to what a grant allows.
//!
//! A [`Catalog`] is a snapshot of all servers. A [`ToolSet`] is what one rule set may use of it,
//! definitions and handles together, so that what a model sees and what can be called are one
//! thing.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    pin::Why,
    policy::{RuleSet, ToolRef},
    scan::Finding,
};

mod canonical;
mod definitions;
mod explain;
pub(crate) mod kept;
pub mod name;
mod offered;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod rows;
pub mod schema;
pub(crate) mod search;
pub mod stored;
#[cfg(feature = "gateway")]
pub(crate) mod template;

pub(crate) use canonical::digest;
pub(crate) use definitions::Definition;
pub use definitions::{PromptDef, ResourceDef, ResourceTemplateDef, ServerCapabilities};
pub use explain::explain;
pub use name::{NameRules, Prefix};
pub use schema::{Dialect, Misfit, Sanitised, SchemaCheck, SchemaError, sanitise};

/// What a server says of a tool. Hints only: those of an untrusted server never loosen anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ToolAnnotations {
    /// A title for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The tool changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_hint: Option<bool>,
    /// The tool may destroy something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destructive_hint: Option<bool>,
    /// Calling it twice is as calling it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent_hint: Option<bool>,
    /// It reaches the outside world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_world_hint: Option<bool>,
}

/// One tool of one server, as the server defined it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ToolDef {
    /// The server's name in the configuration.
    pub server: Arc<str>,
    /// The tool's name at the server.
    pub name: Arc<str>,
    /// A title for people.
    pub title: Option<String>,
    /// The server's description: untrusted text, cut to a cap.
    pub description: String,
    /// JSON Schema of the arguments, byte for byte as the server sent it.
    pub input_schema: Box<RawValue>,
    /// JSON Schema of the structured result.
    pub output_schema: Option<Box<RawValue>>,
    /// Hints.
    pub annotations: ToolAnnotations,
    /// Whether its server takes a call as a task only (2025-11-25).
    pub needs_task: bool,
    /// The whole definition as the server sent it; `None` of a tool that was made here.
    raw: Option<Box<RawValue>>,
    /// The digest of it all, made when it is asked for first.
    digest: OnceLock<String>,
    /// Checks arguments against `input_schema`; compiled at most once.
    pub check: SchemaCheck,
}

/// Longest description that is put before a model or a person, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 4_000;

impl ToolDef {
    /// A tool without title, description or hints.
    #[must_use]
    pub fn new(server: impl Into<Arc<str>>, name: impl Into<Arc<str>>, input_schema: Box<RawValue>) -> Self {
        Self {
            server: server.into(),
            name: name.into(),
            title: None,
            description: String::new(),
            check: SchemaCheck::new(&input_schema),
            input_schema,
            output_schema: None,
            annotations: ToolAnnotations::default(),
            needs_task: false,
            raw: None,
            digest: OnceLock::new(),
        }
    }

    /// The same tool with the whole definition as the server sent it.
    #[must_use]
    pub fn with_definition(mut self, raw: Box<RawValue>) -> Self {
        (self.raw, self.digest) = (Some(raw), OnceLock::new());
        self
    }

    /// The whole definition: as the server sent it, with all that omni does not know, else made of
    /// what is known.
    #[must_use]
    pub fn definition(&self) -> Cow<'_, RawValue> {
        match &self.raw {
            Some(raw) => Cow::Borrowed(raw),
            None => Cow::Owned(definitions::of_tool(self)),
        }
    }

    /// The same tool with a description, cut to [`MAX_DESCRIPTION_CHARS`].
    #[must_use]
    pub fn with_description(mut self, description: &str) -> Self {
        self.description = description.chars().take(MAX_DESCRIPTION_CHARS).collect();
        self.digest = OnceLock::new();
        self
    }

    /// `server.tool`: the name in the ledger and before people.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.server, self.name)
    }

    /// The tool, as far as rules ask.
    #[must_use]
    pub fn rule_ref(&self) -> ToolRef<'_> {
        let is_destructive = self.annotations.destructive_hint == Some(true);
        ToolRef { server: &self.server, name: &self.name, is_destructive }
    }
}

/// How a server is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// Answered.
    Healthy,
    /// Did not answer, or not in time.
    Unhealthy {
        /// What went wrong, fit for people.
        reason: String,
    },
    /// Switched off in the configuration.
    Disabled,
}

impl Health {
    /// Whether the server answered.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }
}

/// Whether requests are kept from a server whose connections fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakerState {
    /// They are not.
    #[default]
    Closed,
    /// A few are let through, to find out whether it is back.
    HalfOpen,
    /// They are.
    Open {
        /// Until when.
        until: DateTime<Utc>,
    },
}

impl BreakerState {
    /// Its name: `closed`, `half_open`, `open`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open { .. } => "open",
        }
    }
}

/// One server in a snapshot.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerView {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// The name for people.
    pub display_name: String,
    /// What it is for, from the configuration.
    pub description: String,
    /// `http`, `sse`, `stdio`, `in_process`.
    pub kind: String,
    /// How it is doing.
    pub health: Health,
    /// How long its last discovery took.
    pub latency_ms: Option<u64>,
    /// When it was asked last.
    pub checked_at: Option<DateTime<Utc>>,
    /// When it last answered.
    pub last_seen: Option<DateTime<Utc>>,
    /// How often in a row it did not answer.
    pub failures: u32,
    /// Whether requests are kept from it.
    pub breaker: BreakerState,
    /// Its tools, sorted by name. One that is kept back is not among them.
    pub tools: Vec<Arc<ToolDef>>,
    /// Its prompts, sorted by name.
    pub prompts: Vec<Arc<PromptDef>>,
    /// Its resources, sorted by URI.
    pub resources: Vec<Arc<ResourceDef>>,
    /// Its families of resources, sorted by template.
    pub templates: Vec<Arc<ResourceTemplateDef>>,
    /// What it says that it can do; nothing before it was connected.
    pub capabilities: Arc<ServerCapabilities>,
    /// Its tools that nobody may use or see, save administrators.
    pub withheld: Vec<Withheld>,
    /// By tool, what looks suspicious in those that may be used: for administrators.
    pub flagged: BTreeMap<Arc<str>, Vec<Finding>>,
}

/// A tool that is kept back: it is in no list and cannot be called.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Withheld {
    /// What it is now.
    pub def: Arc<ToolDef>,
    /// Why it is kept back.
    pub why: Why,
    /// What was found in it.
    pub findings: Vec<Finding>,
}

impl Withheld {
    /// What decides about it, for the ledger and for administrators.
    #[must_use]
    pub fn rule(&self) -> String {
        explain::kept_back(self.why)
    }
}

impl ServerView {
    /// A server that was not asked yet.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            display_name: name.to_string(),
            name,
            description: String::new(),
            kind: kind.into(),
            health: Health::Unknown,
            latency_ms: None,
            checked_at: None,
            last_seen: None,
            failures: 0,
            breaker: BreakerState::Closed,
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            capabilities: Arc::default(),
            withheld: Vec::new(),
            flagged: BTreeMap::new(),
        }
    }
}

/// A snapshot of all servers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Catalog {
    /// Grows by one with every change.
    pub version: u64,
    /// The servers, sorted by name.
    pub servers: Vec<ServerView>,
}

impl Catalog {
    /// A snapshot; servers and tools are sorted, so that what goes to a model is stable.
    #[must_use]
    pub fn new(version: u64, mut servers: Vec<ServerView>) -> Self {
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        for server in &mut servers {
            server.tools.sort_by(|a, b| a.name.cmp(&b.name));
            server.prompts.sort_by(|a, b| a.name.cmp(&b.name));
            server.resources.sort_by(|a, b| a.uri.cmp(&b.uri));
            server.templates.sort_by(|a, b| a.uri_template.cmp(&b.uri_template));
        }
        Self { version, servers }
    }

    /// Every tool of every server.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<ToolDef>> {
        self.servers.iter().flat_map(|server| &server.tools)
    }

    /// One tool by its server's and its own name.
    #[must_use]
    pub fn tool(&self, server: &str, tool: &str) -> Option<&Arc<ToolDef>> {
        self.server(server)?.tools.iter().find(|def| &*def.name == tool)
    }

    /// One server by its name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&ServerView> {
        self.servers.iter().find(|view| &*view.name == name)
    }

    /// A tool that is kept back, by its server's and its own name.
    #[must_use]
    pub fn withheld(&self, server: &str, tool: &str) -> Option<&Withheld> {
        self.server(server)?.withheld.iter().find(|withheld| &*withheld.def.name == tool)
    }

    /// A tool as far as rules ask: by its names, and by what it says of itself where it is known.
    #[must_use]
    pub fn rule_ref<'a>(&self, server: &'a str, name: &'a str) -> ToolRef<'a> {
        let is_destructive = self.tool(server, name).is_some_and(|def| def.rule_ref().is_destructive);
        ToolRef { server, name, is_destructive }
    }
}

/// One tool under the name that the model calls it by.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OfferedTool {
    /// The definition.
    pub def: Arc<ToolDef>,
    /// `server__tool`, made legal for the vendor.
    pub llm_name: Arc<str>,
}

/// What one rule set may use of one catalog, under one vendor's naming rules. Immutable, shared.
pub struct ToolSet {
    /// The catalog's version.
    pub catalog_version: u64,
    /// The rule set's fingerprint.
    pub fingerprint: String,
    tools: Vec<OfferedTool>,
    by_llm_name: HashMap<Arc<str>, usize>,
    /// Whether a model finds them by searching, because they are too many to read.
    has_menu: bool,
    /// Whether a model reads results that are kept.
    reads_results: bool,
    /// What a model gets, where it is not these tools alone.
    offered: OnceLock<Arc<Self>>,
    index: OnceLock<Arc<search::Index>>,
    rendered: Mutex<HashMap<&'static str, Arc<RawValue>>>,
}

impl ToolSet {
    /// No tools.
    #[must_use]
    pub fn empty() -> Self {
        Self::from_tools(0, String::new(), Vec::new())
    }

    /// The tools of `catalog` that `rules` let be listed.
    #[must_use]
    pub fn build(catalog: &Catalog, rules: &RuleSet, names: NameRules) -> Self {
        let allowed: Vec<Arc<ToolDef>> =
            catalog.tools().filter(|def| rules.decide_tool(def.rule_ref(), None).is_allowed()).cloned().collect();
        let llm_names = name::assign(&allowed, names);
        let tools = allowed.into_iter().zip(llm_names).map(|(def, llm_name)| OfferedTool { def, llm_name }).collect();
        Self::from_tools(catalog.version, rules.fingerprint().to_owned(), tools)
    }

    fn from_tools(catalog_version: u64, fingerprint: String, tools: Vec<OfferedTool>) -> Self {
        let by_llm_name = tools.iter().enumerate().map(|(i, tool)| (tool.llm_name.clone(), i)).collect();
        Self {
            catalog_version,
            fingerprint,
            tools,
            by_llm_name,
            has_menu: false,
            reads_results: false,
            offered: OnceLock::new(),
            index: OnceLock::new(),
            rendered: Mutex::default(),
        }
    }

    /// Tools of omni's own.
    pub(crate) fn of_own(tools: Vec<OfferedTool>) -> Self {
        Self::from_tools(0, String::new(), tools)
    }

    /// The tools, in a stable order.
    #[must_use]
    pub fn tools(&self) -> &[OfferedTool] {
        &self.tools
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// The tool that a model calls `llm_name`: by table, never by splitting the name.
    #[must_use]
    pub fn by_llm_name(&self, llm_name: &str) -> Option<&OfferedTool> {
        self.by_llm_name.get(llm_name).map(|&i| &self.tools[i])
    }

    /// The tool by its server's and its own name.
    #[must_use]
    pub fn by_name(&self, server: &str, tool: &str) -> Option<&OfferedTool> {
        self.tools.iter().find(|offered| &*offered.def.server == server && &*offered.def.name == tool)
    }

    /// The set in a vendor's form, made at most once per `dialect`.
    pub fn rendered(&self, dialect: &'static str, make: impl FnOnce(&[OfferedTool]) -> Arc<RawValue>) -> Arc<RawValue> {
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        rendered.entry(dialect).or_insert_with(|| make(&self.tools)).clone()
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolSet")
            .field("catalog_version", &self.catalog_version)
            .field("fingerprint", &self.fingerprint)
            .field("tools", &self.tools.len())
            .finish_non_exhaustive()
    }
}

/// A JSON Schema that takes no arguments.
#[must_use]
pub fn empty_schema() -> Value {
    serde_json::json!({ "type": "object", "properties": {} })
}
