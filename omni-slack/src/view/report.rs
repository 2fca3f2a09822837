//! Reports on schedule: what stands above one, and what is told when it rests.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Message, block, limits, text, time};

/// Longest question that is shown above its answer, longest title, and longest reason.
const QUESTION: usize = 300;
const TITLE: usize = 2_500;
const REASON: usize = 500;

/// What stands above a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// Whose it is, by their id in Slack, if they are somebody there.
    pub slack_id: Option<&'a str>,
    /// What they are called otherwise.
    pub name: &'a str,
    /// For when it is.
    pub at: DateTime<Utc>,
    /// The operator's own words, in mrkdwn.
    pub title: Option<&'a str>,
    /// What is asked, where there are none.
    pub question: &'a str,
}

impl Head<'_> {
    /// As blocks.
    #[must_use]
    pub fn blocks(&self) -> Vec<Value> {
        let whose = self.slack_id.map_or_else(|| text::mrkdwn_line(self.name, 100), |id| format!("<@{id}>"));
        let below = match self.title {
            Some(title) => limits::clamp(title, TITLE),
            None => format!("*{}*", text::mrkdwn_line(self.question, QUESTION)),
        };
        let when = format!("🗓 Scheduled report of {whose} · {}", time::moment(self.at));
        vec![block::context(&when), block::section(&below)]
    }
}

/// To its owner: a report is made no more. One of a file only administrators can have go on.
#[must_use]
pub fn rests(question: &str, reason: &str, is_of_file: bool) -> Message {
    let (asked, reason) = (text::mrkdwn_line(question, QUESTION), text::mrkdwn_line(reason, REASON));
    let advice = match is_of_file {
        true => "An administrator finds it by `/omni schedules`; there it can go on.",
        false => "`/omni schedules` shows it; there it can go on.",
    };
    Message::of(&format!(
        "🔴 A scheduled report of yours rests, for it failed three times in a row: *{asked}*\n{reason}\n{advice}"
    ))
}
