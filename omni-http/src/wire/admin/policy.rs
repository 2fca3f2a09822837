//! What holds, and what was done.

use omni_core::omni;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::wire::{LogQuery, moment::Moment};

/// What is to be decided.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Explain {
    /// The person: an e-mail address.
    pub(crate) user: String,
    /// The server's name.
    pub(crate) server: String,
    /// The tool's name at that server.
    pub(crate) tool: String,
    /// The arguments of a call, as a JSON object. Absent: whether the tool is listed.
    #[serde(default)]
    pub(crate) arguments: Option<String>,
}

/// A decision, and the rule that it comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// The person.
    pub(crate) user: String,
    /// Their role; `null` for somebody who may not use omni at all.
    pub(crate) role: Option<String>,
    /// Their teams. They grant nothing.
    pub(crate) teams: Vec<String>,
    pub(crate) server: String,
    pub(crate) tool: String,
    /// `allow` or `deny`.
    pub(crate) effect: &'static str,
    /// Whether a human must agree before the call runs.
    pub(crate) confirm: bool,
    /// The rule in the words of the configuration.
    pub(crate) rule: String,
    /// Where it stands; `null` for a built-in rule.
    pub(crate) source: Option<String>,
}

/// What of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListLogs {
    /// Whose entries: an e-mail address. Absent: everybody's.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    /// At this time or later. Absent: 7 days ago.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "2026-01-31")]
    pub(crate) start_date: Option<Moment>,
    /// How it ended: `success`, `denied`, …
    #[serde(default)]
    pub(crate) status: Option<String>,
    /// At most so many; 100 unless it is said.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<usize>,
    /// After this place: the header `X-Next-After` of the page before.
    #[serde(default)]
    pub(crate) after: Option<String>,
}

impl From<ListLogs> for LogQuery {
    fn from(list: ListLogs) -> Self {
        let ListLogs { user_id, start_date: since, status, limit, after } = list;
        Self { user_id, since, status, limit, after, ..Self::default() }
    }
}

impl Explanation {
    /// What was decided on what was asked.
    pub(crate) fn new(asked: Explain, explained: omni::Explanation) -> Self {
        let decision = explained.decision;
        Self {
            user: asked.user,
            role: explained.role,
            teams: explained.teams,
            server: asked.server,
            tool: asked.tool,
            effect: if decision.is_allowed() { "allow" } else { "deny" },
            confirm: decision.confirm,
            rule: decision.rule.text.clone(),
            source: decision.rule.source.as_ref().map(ToString::to_string),
        }
    }
}
