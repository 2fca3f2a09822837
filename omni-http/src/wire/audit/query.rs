//! What of the log is asked for.

use std::{fmt::Display, ops::RangeInclusive};

use chrono::{DateTime, TimeDelta, Utc};
use omni_core::audit::{AuditQuery, Cursor};
use utoipa::{IntoParams, ToSchema};

use super::{Deserialize, Moment};
use crate::{error::ApiError, extract::Invalid};

/// How many days where nobody says, and at most.
const DAYS: u32 = 7;
const MAX_DAYS: u32 = 90;
/// An offset goes through all that it leaves out; `after` does not.
const MAX_OFFSET: usize = 100_000;

/// In which form a log comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// A page.
    #[default]
    Json,
    /// All that is found, as a table for spreadsheets.
    Csv,
    /// All that is found, a JSON document a line.
    Ndjson,
}

/// Whose log, and what of it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// Who asks: an e-mail address. Absent: the key's owner; anybody else takes a key with the scope
    /// `act_as`.
    #[serde(default)]
    pub(crate) requesting_user: Option<String>,
    /// Whose entries. Absent: everybody's, for whom may read those; else one's own.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    /// How it ended: `success`, `denied`, …
    #[serde(default)]
    pub(crate) status: Option<String>,
    /// A server that it used.
    #[serde(default)]
    pub(crate) mcp_name: Option<String>,
    /// A tool that it used: `server.tool`, or a tool of any server.
    #[serde(default)]
    pub(crate) tool: Option<String>,
    /// The door that it came by: `slack`, `http`, `cli`, `mcp`, `embed`, `unknown`.
    #[serde(default)]
    pub(crate) source: Option<String>,
    /// `chat`, `tool_call`, `admin`.
    #[serde(default, rename = "type")]
    pub(crate) request_type: Option<String>,
    /// At this time or later. Absent: `days` before `until`, or ago, if those are said or a page is wanted.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "2026-01-31")]
    pub(crate) since: Option<Moment>,
    /// Before this time; later than `since`.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "2026-01-31T08:00:00Z")]
    pub(crate) until: Option<Moment>,
    /// Of so many days, the last before `until`, or now; 7 unless it is said, and in other forms than JSON all.
    #[serde(default)]
    #[param(minimum = 1, maximum = 90)]
    pub(crate) days: Option<u32>,
    /// At most so many; 100 unless it is said, and in other forms than JSON all.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<usize>,
    /// Without so many of the newest.
    #[serde(default)]
    #[param(minimum = 0, maximum = 100_000)]
    pub(crate) offset: Option<usize>,
    /// After this place: the `next` of the page before.
    #[serde(default)]
    pub(crate) after: Option<String>,
    /// `json` unless it is said.
    #[serde(default)]
    #[param(inline)]
    pub(crate) format: Option<Format>,
}

/// What of one's own log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MyLogQuery {
    /// Who asks: an e-mail address. Absent: the key's owner; anybody else takes a key with the scope
    /// `act_as`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    /// How it ended: `success`, `denied`, …
    #[serde(default)]
    pub(crate) status: Option<String>,
    /// A server that it used.
    #[serde(default)]
    pub(crate) mcp_name: Option<String>,
    /// A tool that it used: `server.tool`, or a tool of any server.
    #[serde(default)]
    pub(crate) tool: Option<String>,
    /// The door that it came by: `slack`, `http`, `cli`, `mcp`, `embed`, `unknown`.
    #[serde(default)]
    pub(crate) source: Option<String>,
    /// `chat`, `tool_call`, `admin`.
    #[serde(default, rename = "type")]
    pub(crate) request_type: Option<String>,
    /// At this time or later. Absent: `days` before `until`, or ago, if those are said or a page is wanted.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "2026-01-31")]
    pub(crate) since: Option<Moment>,
    /// Before this time; later than `since`.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "2026-01-31T08:00:00Z")]
    pub(crate) until: Option<Moment>,
    /// Of so many days, the last before `until`, or now; 7 unless it is said, and in other forms than JSON all.
    #[serde(default)]
    #[param(minimum = 1, maximum = 90)]
    pub(crate) days: Option<u32>,
    /// At most so many; 50 unless it is said, and in other forms than JSON all.
    #[serde(default)]
    #[param(minimum = 1, maximum = 500)]
    pub(crate) limit: Option<usize>,
    /// Without so many of the newest.
    #[serde(default)]
    #[param(minimum = 0, maximum = 100_000)]
    pub(crate) offset: Option<usize>,
    /// After this place: the `next` of the page before.
    #[serde(default)]
    pub(crate) after: Option<String>,
    /// `json` unless it is said.
    #[serde(default)]
    #[param(inline)]
    pub(crate) format: Option<Format>,
}

/// Over whose entries sums are.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsQuery {
    /// Who asks, as of the log.
    #[serde(default)]
    pub(crate) requesting_user: Option<String>,
    /// Whose entries, as of the log.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    /// Since so many days; 7 unless it is said.
    #[serde(default)]
    #[param(minimum = 1, maximum = 90)]
    pub(crate) days: Option<u32>,
}

/// Over how much of one's own log sums are.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MyStatsQuery {
    /// Who asks, as of the log.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    /// Since so many days; 7 unless it is said.
    #[serde(default)]
    #[param(minimum = 1, maximum = 90)]
    pub(crate) days: Option<u32>,
}

impl LogQuery {
    /// What it finds, by pages of at most `most`.
    ///
    /// # Errors
    /// A number out of its range, a place that is none, or an end that is not after its beginning.
    pub(crate) fn read(&self, most: usize) -> Result<AuditQuery, ApiError> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let mut query = AuditQuery::default();
        query.user = set(&self.user_id);
        query.status = set(&self.status);
        query.server = set(&self.mcp_name);
        query.tool = set(&self.tool);
        query.source = set(&self.source);
        query.request_type = set(&self.request_type);
        query.until = self.until.map(|until| until.0);
        query.since = self.begin(query.until)?;
        query.limit = self.limit.map(|limit| within("limit", limit, 1..=most)).transpose()?;
        query.offset = self.offset.map_or(Ok(0), |offset| within("offset", offset, 0..=MAX_OFFSET))?;
        query.after = set(&self.after).map(|after| place(&after)).transpose()?;
        Ok(query)
    }

    /// Where it begins: a page unasked with the last days before its end, and what is no page with the first entry.
    fn begin(&self, until: Option<DateTime<Utc>>) -> Result<Option<DateTime<Utc>>, ApiError> {
        let days = TimeDelta::days(days(self.days)?.into());
        if let Some(since) = self.since.map(|since| since.0) {
            return match until.is_none_or(|until| since < until) {
                true => Ok(Some(since)),
                false => Err(Invalid::new("value_error", "expected a time after `since`")
                    .within("until")
                    .within("query")
                    .into()),
            };
        }
        let (now, is_page) = (Utc::now(), self.format.unwrap_or_default() == Format::Json);
        let end = until.map_or(now, |until| until.min(now));
        // Before the first of all times there is nothing.
        Ok(end.checked_sub_signed(days).filter(|_| is_page || self.days.is_some()))
    }
}

impl StatsQuery {
    /// What is summed up, and over how many days.
    ///
    /// # Errors
    /// A number out of its range.
    pub(crate) fn read(&self) -> Result<(AuditQuery, u32), ApiError> {
        let period = days(self.days)?;
        let log = LogQuery { user_id: self.user_id.clone(), days: Some(period), ..LogQuery::default() };
        Ok((log.read(1)?, period))
    }
}

impl From<MyLogQuery> for LogQuery {
    fn from(own: MyLogQuery) -> Self {
        Self {
            requesting_user: own.user_id,
            user_id: None,
            status: own.status,
            mcp_name: own.mcp_name,
            tool: own.tool,
            source: own.source,
            request_type: own.request_type,
            since: own.since,
            until: own.until,
            days: own.days,
            limit: own.limit,
            offset: own.offset,
            after: own.after,
            format: own.format,
        }
    }
}

fn days(days: Option<u32>) -> Result<u32, ApiError> {
    days.map_or(Ok(DAYS), |days| within("days", days, 1..=MAX_DAYS))
}

fn place(text: &str) -> Result<Cursor, ApiError> {
    let invalid = |_| Invalid::new("value_error", "this is no place in the log").within("after").within("query").into();
    text.parse().map_err(invalid)
}

/// A number of a query, if it is in its range.
pub(crate) fn within<N: Copy + PartialOrd + Display>(
    name: &str,
    number: N,
    range: RangeInclusive<N>,
) -> Result<N, ApiError> {
    if range.contains(&number) {
        return Ok(number);
    }
    let message = format!("expected a number from {} to {}, found {number}", range.start(), range.end());
    Err(Invalid::new("value_error", message).within(name).within("query").into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// How many days ago it begins that a query asks for.
    fn begins(query: Value) -> Option<i64> {
        let query: LogQuery = serde_json::from_value(query).unwrap();
        let since = query.read(1_000).unwrap().since;
        since.map(|since| (Utc::now() - since).num_days())
    }

    #[test]
    fn a_page_is_of_the_last_days_and_all_of_it_has_no_beginning() {
        assert_eq!(begins(json!({})), Some(7));
        assert_eq!(begins(json!({ "format": "json", "days": 3 })), Some(3));
        for format in ["csv", "ndjson"] {
            assert_eq!(begins(json!({ "format": format })), None, "{format}");
            assert_eq!(begins(json!({ "format": format, "days": 7 })), Some(7), "{format}");
            let since = Utc::now() - TimeDelta::days(400);
            assert_eq!(begins(json!({ "format": format, "since": since })), Some(400), "{format}");
        }
    }

    #[test]
    fn days_are_those_before_the_end_and_none_of_the_future() {
        let ago = |days| Utc::now() - TimeDelta::days(days);
        assert_eq!(begins(json!({ "until": ago(30) })), Some(37));
        assert_eq!(begins(json!({ "until": ago(30), "days": 2 })), Some(32));
        assert_eq!(begins(json!({ "until": ago(-30) })), Some(7), "what has no end yet ends now");
        for format in ["csv", "ndjson"] {
            assert_eq!(begins(json!({ "format": format, "until": ago(30) })), None, "{format}");
            assert_eq!(begins(json!({ "format": format, "until": ago(30), "days": 2 })), Some(32), "{format}");
        }
        assert_eq!(begins(json!({ "until": "-262143-01-01" })), None);
    }
}
