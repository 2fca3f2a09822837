//! What to find, and in which portions.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::{AuditError, LogEntry};

/// What entries are of: an ask, a direct call, an administrator's operation.
pub const REQUEST_TYPES: [&str; 3] = [CHAT, "tool_call", ADMIN];
/// The source of what came by no door that is known, as rows of an imported database.
pub const UNKNOWN_SOURCE: &str = "unknown";
/// How asks and calls end that neither were refused nor given up.
pub const FAILURES: [&str; 3] = ["error", "timeout", "unknown_outcome"];
/// What has turns of a model.
pub(super) const CHAT: &str = "chat";
/// What stands in no sum of asks and calls.
pub(super) const ADMIN: &str = "admin";
/// Most entries of a page.
pub const MAX_PAGE: usize = 1_000;
/// Entries of a page where nobody says.
const DEFAULT_PAGE: usize = 100;

/// In which order entries come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
    /// As they were stored, by their numbers: what is stored late comes late, whatever its time.
    AsStored,
    /// What was stored last first.
    LastStoredFirst,
}

impl Order {
    /// Whether places grow from entry to entry.
    pub(super) fn is_ascending(self) -> bool {
        matches!(self, Self::OldestFirst | Self::AsStored)
    }

    /// Whether times do not matter.
    pub(super) fn is_by_number(self) -> bool {
        matches!(self, Self::AsStored | Self::LastStoredFirst)
    }

    /// A place as this order compares it.
    pub(super) fn place(self, cursor: Cursor) -> Cursor {
        if self.is_by_number() { Cursor::behind(cursor.id) } else { cursor }
    }
}

/// Which asks and direct calls. Everything that is set is a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditQuery {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this person, by e-mail address.
    pub user: Option<String>,
    /// Ended like this: `success`, `denied`, …
    pub status: Option<String>,
    /// Failed, in one way or another of [`FAILURES`].
    pub failed: bool,
    /// Used this server, or wanted to call it directly.
    pub server: Option<String>,
    /// Used this tool, or wanted to call it directly: `server.tool`, or a tool of any server.
    pub tool: Option<String>,
    /// Came by this door: the name of a [`Source`](crate::Source), or [`UNKNOWN_SOURCE`].
    pub source: Option<String>,
    /// One of [`REQUEST_TYPES`].
    pub request_type: Option<String>,
    /// This very ask or direct call.
    pub request_id: Option<Uuid>,
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
    /// In this order.
    pub order: Order,
    /// After this place.
    pub after: Option<Cursor>,
    /// Without so many of the first. A store goes through all of them; [`AuditQuery::after`] does not.
    pub offset: usize,
    /// At most so many, and never more than [`MAX_PAGE`]; `None` is a hundred.
    pub limit: Option<usize>,
    /// Without `message` and `tool_params`, which may be long: for lists that do not show them.
    pub brief: bool,
}

impl AuditQuery {
    /// How many entries a page may have.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE)
    }

    /// Whether an entry is one that is looked for, wherever the page begins.
    #[must_use]
    pub fn finds(&self, entry: &LogEntry) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|w| found == Some(w));
        is(&self.tenant, Some(&entry.tenant))
            && is(&self.user, entry.user_email.as_deref())
            && is(&self.status, Some(&entry.status))
            && (!self.failed || FAILURES.contains(&&*entry.status))
            && is(&self.source, Some(entry.source.as_deref().unwrap_or(UNKNOWN_SOURCE)))
            && is(&self.request_type, Some(&entry.request_type))
            && self.request_id.is_none_or(|id| entry.request_id == id)
            && self.server.as_ref().is_none_or(|server| is_server_of(entry, server))
            && self.tool.as_ref().is_none_or(|tool| is_tool_of(entry, tool))
            && self.since.is_none_or(|since| entry.created_at >= since)
            && self.until.is_none_or(|until| entry.created_at < until)
    }

    /// Whether an entry comes after the place where the last page ended.
    #[must_use]
    pub fn follows(&self, entry: &LogEntry) -> bool {
        self.after.is_none_or(|after| {
            let (place, after) = (self.order.place(Cursor::of(entry)), self.order.place(after));
            if self.order.is_ascending() { place > after } else { place < after }
        })
    }
}

fn is_server_of(entry: &LogEntry, server: &String) -> bool {
    entry.mcp_target.as_ref() == Some(server) || entry.mcps_accessed.contains(server)
}

fn is_tool_of(entry: &LogEntry, tool: &str) -> bool {
    let direct = entry.mcp_target.iter().zip(&entry.tool_called).map(|(server, name)| format!("{server}.{name}"));
    let mut all = direct.chain(entry.tools_used.iter().cloned());
    all.any(|used| is_tool(&used, tool))
}

fn is_tool(used: &str, wanted: &str) -> bool {
    used == wanted || used.strip_suffix(wanted).is_some_and(|server| server.ends_with('.'))
}

/// The place of an entry among all. As text it is opaque, and safe in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    at: DateTime<Utc>,
    id: i64,
}

impl Cursor {
    /// The place of an entry.
    #[must_use]
    pub fn of(entry: &LogEntry) -> Self {
        Self { at: entry.created_at, id: entry.id }
    }

    /// The place of an entry with this number, for the orders of storing.
    #[must_use]
    pub fn behind(id: i64) -> Self {
        Self { at: DateTime::UNIX_EPOCH, id }
    }

    /// The time and the number.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn parts(self) -> (DateTime<Utc>, i64) {
        (self.at, self.id)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.at.to_rfc3339_opts(SecondsFormat::Micros, true), self.id)
    }
}

impl FromStr for Cursor {
    type Err = AuditError;

    fn from_str(text: &str) -> Result<Self, AuditError> {
        let parse = || {
            let (at, id) = text.rsplit_once('_')?;
            Some(Self { at: DateTime::parse_from_rfc3339(at).ok()?.to_utc(), id: id.parse().ok()? })
        };
        parse().ok_or_else(|| AuditError::Invalid { message: format!("{text:?} is not a place in the log") })
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A portion of what a query finds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogPage {
    /// The entries.
    pub entries: Vec<LogEntry>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl LogPage {
    /// A page of at most `size` entries: of those that are to come, in order, the first. One more than fits says that
    /// there is a next page.
    #[must_use]
    pub fn new(mut entries: Vec<LogEntry>, size: usize) -> Self {
        let more = entries.len() > size;
        entries.truncate(size);
        let next = entries.last().filter(|_| more).map(Cursor::of);
        Self { entries, next }
    }
}

/// Sums over asks and direct calls. Fields have the original's names.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditStats {
    /// Asks and direct calls.
    pub total_requests: u64,
    /// Tool calls that came to their servers.
    pub total_tool_calls: u64,
    /// Model turns of an ask, on average.
    pub avg_iterations: f64,
    /// Milliseconds, on average.
    pub avg_duration_ms: f64,
    /// Dollars, of all whose price is known.
    pub total_cost: f64,
    /// Asks that used a model whose price is not known.
    pub unpriced_count: u64,
    /// Asks of which tokens and cost are in part reckoned and not the vendor's word.
    pub estimated_count: u64,
    /// Input tokens.
    pub total_tokens_input: u64,
    /// Output tokens.
    pub total_tokens_output: u64,
    /// Input tokens from a cache.
    pub total_tokens_cached: u64,
    /// Input tokens written to a cache.
    pub total_tokens_cache_write: u64,
    /// Refused by policy or a limit.
    pub blocked_count: u64,
    /// How many ended how.
    pub by_status: BTreeMap<String, u64>,
    /// Operations of administrators, which are in none of the others.
    pub admin_count: u64,
}

/// What is summed up together: a status, and whether it is of an administrator's operations.
pub(super) type Group = (String, bool);

/// What stands behind [`AuditStats`], of one group.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) requests: u64,
    /// Those of them that are asks, and the model's turns of these.
    pub(super) asks: u64,
    pub(super) iterations: u64,
    pub(super) calls: u64,
    pub(super) duration_ms: u64,
    pub(super) nano_usd: u64,
    pub(super) unpriced: u64,
    pub(super) estimated: u64,
    pub(super) tokens: [u64; 4],
    pub(super) blocked: u64,
}

impl Sums {
    pub(super) fn add(&mut self, entry: &LogEntry) {
        self.requests += 1;
        self.calls += entry.tool_calls_count;
        if entry.request_type == CHAT {
            self.asks += 1;
            self.iterations += entry.iterations;
        }
        self.duration_ms += entry.duration_ms;
        self.nano_usd += entry.cost_nano_usd.unwrap_or(0);
        self.unpriced += u64::from(entry.model.is_some() && entry.cost_nano_usd.is_none());
        self.estimated += u64::from(entry.cost_is_estimated);
        let tokens = [entry.tokens_input, entry.tokens_output, entry.tokens_cached, entry.tokens_cache_write];
        self.tokens.iter_mut().zip(tokens).for_each(|(sum, more)| *sum += more);
        self.blocked += u64::from(entry.was_blocked);
    }
}

impl FromIterator<(Group, Sums)> for AuditStats {
    fn from_iter<I: IntoIterator<Item = (Group, Sums)>>(sums: I) -> Self {
        let mut stats = Self::default();
        let (mut asks, mut iterations, mut duration_ms, mut nano_usd) = (0_u64, 0_u64, 0_u64, 0_u64);
        for ((status, is_admin), sums) in sums {
            if is_admin {
                stats.admin_count += sums.requests;
                continue;
            }
            stats.total_requests += sums.requests;
            stats.total_tool_calls += sums.calls;
            asks += sums.asks;
            iterations += sums.iterations;
            duration_ms += sums.duration_ms;
            nano_usd += sums.nano_usd;
            stats.unpriced_count += sums.unpriced;
            stats.estimated_count += sums.estimated;
            stats.total_tokens_input += sums.tokens[0];
            stats.total_tokens_output += sums.tokens[1];
            stats.total_tokens_cached += sums.tokens[2];
            stats.total_tokens_cache_write += sums.tokens[3];
            stats.blocked_count += sums.blocked;
            stats.by_status.insert(status, sums.requests);
        }
        let average = |sum: u64, of: u64| if of == 0 { 0.0 } else { sum as f64 / of as f64 };
        stats.avg_iterations = average(iterations, asks);
        stats.avg_duration_ms = average(duration_ms, stats.total_requests);
        stats.total_cost = nano_usd as f64 / 1e9;
        stats
    }
}
