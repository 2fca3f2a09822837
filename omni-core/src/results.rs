//! What tools returned, kept for a while, so that its asker can read on, export it and run the call again.
//!
//! Whatever is kept has no secrets in it. Only whoever asked finds it, and only for as long as they may use the
//! tool: `KeptCall::is_for` decides by the grant of now.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use crate::{
    ask::Source,
    catalog::Catalog,
    identity::Principal,
    policy::{Grant, ToolRef},
};

pub mod csv;
mod keeping;
pub mod memory;
mod page;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
mod table;

pub(crate) use keeping::{Kept, of_call};
pub use page::Page;

/// Most bytes of one result, as it is kept, where nobody says otherwise.
pub const DEFAULT_BYTES: u64 = 1 << 20;
/// Most bytes that can be set for one result.
pub const MAX_BYTES: u64 = 4 << 20;
/// How long results are kept where nobody says otherwise.
pub const DEFAULT_EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest while that results are kept.
pub const MAX_EXPIRY: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Most results that are kept of one person: the newest.
pub const MAX_KEPT: u64 = 100;
/// Most bytes that are kept of one person.
pub const MAX_KEPT_BYTES: u64 = 16 << 20;
/// Most results that one sweep removes.
pub const SWEPT_AT_ONCE: u64 = 1_000;

/// What is kept of results, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultRules {
    /// How long; zero keeps none.
    pub expiry: Duration,
    /// Most bytes of one; what is longer is cut.
    pub max_bytes: u64,
}

impl Default for ResultRules {
    fn default() -> Self {
        Self { expiry: DEFAULT_EXPIRY, max_bytes: DEFAULT_BYTES }
    }
}

impl ResultRules {
    /// Nothing is kept.
    #[must_use]
    pub fn none() -> Self {
        Self { expiry: Duration::ZERO, max_bytes: 0 }
    }

    /// The same with another while; zero keeps none.
    #[must_use]
    pub fn expiring(mut self, expiry: Duration) -> Self {
        self.expiry = expiry.min(MAX_EXPIRY);
        self
    }

    /// The same with other room for one result.
    #[must_use]
    pub fn up_to(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes.min(MAX_BYTES);
        self
    }

    /// Whether anything is kept.
    #[must_use]
    pub fn keeps(&self) -> bool {
        !self.expiry.is_zero() && self.max_bytes > 0
    }
}

/// Whose results they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owner<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The person.
    pub subject: &'a str,
}

impl<'a> Owner<'a> {
    /// Somebody.
    #[must_use]
    pub fn new(tenant: &'a str, subject: &'a str) -> Self {
        Self { tenant, subject }
    }

    /// Whom a principal stands for.
    #[must_use]
    pub fn of(principal: &'a Principal) -> Self {
        Self::new(&principal.tenant, &principal.subject)
    }
}

/// Which of somebody's results are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultFilter {
    /// Only those that were asked for at this door.
    pub source: Option<Source>,
    /// Only those of the conversation of this name.
    pub thread: Option<String>,
    /// Only those of conversations in this channel, and those of which the channel is not known.
    pub channel: Option<String>,
}

impl ResultFilter {
    /// Those of one door.
    #[must_use]
    pub fn at(source: Source) -> Self {
        Self { source: Some(source), ..Self::default() }
    }

    /// The same of conversations of one name, whatever channel of the door they are in.
    #[must_use]
    pub fn in_thread(mut self, thread: impl Into<String>) -> Self {
        self.thread = Some(thread.into());
        self
    }

    /// The same of one channel of the door, without conversations of the same name in others. What earlier builds kept,
    /// which took down no channel, counts as being in it.
    #[must_use]
    pub fn in_channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = Some(channel.into());
        self
    }

    /// Whether a result is meant.
    #[must_use]
    pub fn takes(&self, call: &KeptCall) -> bool {
        let is_in = |channel: &String| call.channel.as_ref().is_none_or(|known| known == channel);
        self.source.is_none_or(|source| source == call.source)
            && self.thread.as_ref().is_none_or(|thread| call.thread.as_ref() == Some(thread))
            && self.channel.as_ref().is_none_or(is_in)
    }
}

/// The call that a result came from, and how much of it is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptCall {
    /// Names the result: `r_` and ten characters that nobody guesses.
    pub id: String,
    /// The tenant of whoever asked.
    pub tenant: String,
    /// Who asked.
    pub subject: String,
    /// The door.
    pub source: Source,
    /// The ask.
    pub request_id: Uuid,
    /// The conversation, by its name, where it was asked in one.
    pub thread: Option<String>,
    /// The channel of that conversation within the door, as [`ThreadKey::channel`](crate::thread::ThreadKey::channel);
    /// `None` where it is not known.
    pub channel: Option<String>,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// Whether the tool said of itself that it may destroy something.
    pub is_destructive: bool,
    /// The arguments, without secrets.
    pub arguments: Box<RawValue>,
    /// Whether these are the very bytes of the call: others cannot be sent again or be held to a rule.
    pub is_whole: bool,
    /// The fingerprint of the rules that decided about the call.
    pub rules: String,
    /// How many bytes text and structured form have.
    pub bytes: u64,
    /// Whether there was more than is kept.
    pub is_cut: bool,
    /// When it was kept, by the store's clock.
    pub created_at: DateTime<Utc>,
    /// Until when it is.
    pub expires_at: DateTime<Utc>,
}

impl KeptCall {
    /// A call of a tool with arguments that are kept as they were; it is nobody's yet, and has no result.
    #[must_use]
    pub fn new(owner: Owner<'_>, server: &str, tool: &str, arguments: Box<RawValue>) -> Self {
        let now = Utc::now();
        Self {
            id: new_id(),
            tenant: owner.tenant.into(),
            subject: owner.subject.into(),
            source: Source::default(),
            request_id: Uuid::nil(),
            thread: None,
            channel: None,
            server: server.into(),
            tool: tool.into(),
            is_destructive: false,
            arguments,
            is_whole: true,
            rules: String::new(),
            bytes: 0,
            is_cut: false,
            created_at: now,
            expires_at: now,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> Owner<'_> {
        Owner::new(&self.tenant, &self.subject)
    }

    /// The tool with its server.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.server, self.tool)
    }

    /// The arguments as JSON.
    #[must_use]
    pub fn arguments_json(&self) -> Value {
        serde_json::from_str(self.arguments.get()).unwrap_or_default()
    }

    /// Whether it is for somebody, by what they may do now. Arguments that are not kept as they were can be held to
    /// no rule: such a result is for its asker only under the rules of then.
    #[must_use]
    pub fn is_for(&self, grant: &Grant, catalog: &Catalog) -> bool {
        if self.owner() != Owner::of(&grant.principal) || catalog.withheld(&self.server, &self.tool).is_some() {
            return false;
        }
        if !self.is_whole {
            return self.rules == grant.rules.fingerprint();
        }
        let known = catalog.rule_ref(&self.server, &self.tool);
        let tool = ToolRef { is_destructive: known.is_destructive || self.is_destructive, ..known };
        grant.decide_tool(tool, Some(&self.arguments_json())).is_allowed()
    }
}

/// A result as it is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptResult {
    /// The call.
    pub call: KeptCall,
    /// What a person reads of it, without secrets.
    pub text: String,
    /// Its structured form, without secrets, where the server sent one that is not too large.
    pub structured: Option<Value>,
}

impl KeptResult {
    /// A result of a call.
    #[must_use]
    pub fn new(mut call: KeptCall, text: impl Into<String>, structured: Option<Value>) -> Self {
        let text = text.into();
        call.bytes = (text.len() + structured.as_ref().map_or(0, |value| value.to_string().len())) as u64;
        Self { call, text, structured }
    }

    /// A part of the text: at most `limit` bytes from the byte `offset` on.
    #[must_use]
    pub fn page(&self, offset: usize, limit: usize) -> Page<'_> {
        Page::of(&self.text, offset, limit)
    }
}

/// A name for a result.
fn new_id() -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    // The last 62 bits of such an id are random.
    let random = Uuid::new_v4().as_u128();
    let letters = (0..10).map(|n| LETTERS[(random >> (5 * n)) as usize & 31] as char);
    ['r', '_'].into_iter().chain(letters).collect()
}

/// Keeps results for their askers.
///
/// # Contract
/// `keep` is atomic; times are the store's own. What is read back is what was kept, byte for byte. Nobody finds what
/// is somebody else's, nor what is over, be it swept or not. Of one person the newest [`MAX_KEPT`] results and
/// [`MAX_KEPT_BYTES`] are kept. `list` and `forget` go by [`ResultFilter::takes`].
///
/// **Cancel-safe**: callers stop waiting after seconds. What was dropped is done whole or not at all: a result that was
/// kept all the same is found by its asker, whom nobody told of it, until its time is over.
#[async_trait]
pub trait ResultStore: Send + Sync + std::fmt::Debug {
    /// Keeps a result for a while from now on.
    ///
    /// # Errors
    /// When the store cannot be reached, or there is a result of that name.
    async fn keep(&self, result: &KeptResult, expiry: Duration) -> Result<(), ResultError>;

    /// One of somebody's results.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn read(&self, owner: Owner<'_>, id: &str) -> Result<Option<KeptResult>, ResultError>;

    /// The calls of somebody's results, the newest first; at most [`MAX_KEPT`].
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn list(&self, owner: Owner<'_>, filter: &ResultFilter) -> Result<Vec<KeptCall>, ResultError>;

    /// Forgets somebody's results that are meant; how many.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn forget(&self, owner: Owner<'_>, filter: &ResultFilter) -> Result<u64, ResultError>;

    /// Removes what is over, [`SWEPT_AT_ONCE`] at most; how many.
    ///
    /// # Errors
    /// When the store cannot be reached.
    async fn sweep(&self) -> Result<u64, ResultError>;
}

#[async_trait]
impl<T: ResultStore + ?Sized> ResultStore for Arc<T> {
    async fn keep(&self, result: &KeptResult, expiry: Duration) -> Result<(), ResultError> {
        (**self).keep(result, expiry).await
    }

    async fn read(&self, owner: Owner<'_>, id: &str) -> Result<Option<KeptResult>, ResultError> {
        (**self).read(owner, id).await
    }

    async fn list(&self, owner: Owner<'_>, filter: &ResultFilter) -> Result<Vec<KeptCall>, ResultError> {
        (**self).list(owner, filter).await
    }

    async fn forget(&self, owner: Owner<'_>, filter: &ResultFilter) -> Result<u64, ResultError> {
        (**self).forget(owner, filter).await
    }

    async fn sweep(&self) -> Result<u64, ResultError> {
        (**self).sweep().await
    }
}

/// Why a result could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store of results failed: {message}")]
pub struct ResultError {
    /// What went wrong.
    pub message: String,
}

impl ResultError {
    /// An error in these words.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

#[cfg(test)]
mod tests;
