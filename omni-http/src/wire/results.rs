//! What tools returned.

use chrono::{DateTime, Utc};
use omni_core::results::{KeptCall, KeptResult, Page};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Bytes of a page, and most of them.
const PAGE: usize = 64 * 1024;
const MAX_PAGE: usize = 1024 * 1024;

/// Whose results are listed, and which.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListResults {
    /// Only those of this conversation by HTTP.
    #[serde(default)]
    pub(crate) thread_id: Option<String>,
    /// An e-mail address. Absent: the key's owner; anybody else takes a key with the scope `act_as`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
}

/// In which form a result comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResultForm {
    /// A document.
    #[default]
    Json,
    /// The page of the text.
    Text,
    /// All of it as a table.
    Csv,
}

/// What of a result is read.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReadResult {
    /// In which form.
    #[serde(default)]
    #[param(inline)]
    pub(crate) format: ResultForm,
    /// At which byte of the text to begin.
    #[serde(default)]
    pub(crate) offset: usize,
    /// Most bytes of the text. Absent: 65536; at most 1048576.
    #[serde(default)]
    pub(crate) limit: Option<usize>,
    /// An e-mail address. Absent: the key's owner; anybody else takes a key with the scope `act_as`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
}

impl ReadResult {
    pub(crate) fn page<'a>(&self, kept: &'a KeptResult) -> Page<'a> {
        kept.page(self.offset, self.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE))
    }
}

/// What tools returned to one's own questions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeptResults {
    /// The newest first.
    pub(crate) results: Vec<Kept>,
}

/// A call whose result is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Kept {
    /// Names the result.
    pub(crate) result_id: String,
    /// The server.
    pub(crate) mcp: String,
    /// The tool.
    pub(crate) tool: String,
    /// The arguments, without secrets.
    pub(crate) arguments: Value,
    /// The question, as the ledger names it.
    pub(crate) request_id: Uuid,
    /// The door by which it was asked: `http`, `cli`, `slack`, `mcp`, `embed`.
    pub(crate) source: &'static str,
    /// The conversation that the question belongs to.
    pub(crate) thread_id: Option<String>,
    /// How many bytes are kept.
    pub(crate) bytes: u64,
    /// Whether there was more.
    pub(crate) is_cut: bool,
    /// When it was kept.
    pub(crate) created_at: DateTime<Utc>,
    /// Until when it is.
    pub(crate) expires_at: DateTime<Utc>,
}

impl From<KeptCall> for Kept {
    fn from(call: KeptCall) -> Self {
        Self {
            arguments: call.arguments_json(),
            result_id: call.id,
            mcp: call.server,
            tool: call.tool,
            request_id: call.request_id,
            source: call.source.as_str(),
            thread_id: call.thread,
            bytes: call.bytes,
            is_cut: call.is_cut,
            created_at: call.created_at,
            expires_at: call.expires_at,
        }
    }
}

/// A page of a result.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResultPage {
    /// The call.
    #[serde(flatten)]
    pub(crate) call: Kept,
    /// The text, as far as this page goes, without secrets.
    pub(crate) text: String,
    /// At which byte of the text the page begins.
    pub(crate) offset: usize,
    /// At which the next one begins; `null` where nothing comes after.
    pub(crate) next_offset: Option<usize>,
    /// The structured form, where the server sent one.
    pub(crate) structured: Option<Value>,
}

impl ResultPage {
    /// The page that is asked for.
    pub(crate) fn of(kept: KeptResult, query: &ReadResult) -> Self {
        let page = query.page(&kept);
        let (text, offset, next_offset) = (page.text.to_owned(), page.offset, page.next);
        Self { text, offset, next_offset, call: kept.call.into(), structured: kept.structured }
    }
}
