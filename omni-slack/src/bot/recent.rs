//! What somebody asked lately, by the ledger.

use omni_core::audit::{AuditQuery, LogEntry};

use super::{Bot, reacting::ABOUT};
use crate::{
    people::Person,
    view::{home::Recent, limits},
};

/// How many questions are looked for.
const MOST: usize = 5;
/// Longest question that fits into a button.
const MOST_OF_VALUE: usize = limits::VALUE - 100;

impl Bot {
    /// Somebody's last questions, the newest first; none where the ledger cannot be read.
    pub(super) async fn recent(&self, person: &Person) -> Vec<Recent> {
        let Ok(log) = self.omni().audit(person.credential()).await else { return Vec::new() };
        let mut query = AuditQuery::default();
        query.user = Some(person.principal.subject.clone());
        query.request_type = Some("chat".into());
        query.limit = Some(MOST);
        match log.logs(&query).await {
            Ok(page) => page.entries.iter().filter_map(|entry| recent(&self.me().url, entry)).collect(),
            Err(error) => {
                tracing::warn!(%error, "it is not known what somebody asked");
                Vec::new()
            }
        }
    }
}

/// A question as the page shows it; none of which nothing was kept.
fn recent(url: &str, entry: &LogEntry) -> Option<Recent> {
    let question = entry.message.as_ref().or(entry.message_preview.as_ref()).filter(|text| !text.trim().is_empty())?;
    // The message that it was asked about is not kept.
    let again = entry.message.clone().filter(|text| text != ABOUT && limits::width(text) <= MOST_OF_VALUE);
    Some(Recent {
        question: question.clone(),
        at: entry.created_at,
        is_answered: entry.success,
        link: link(url, entry),
        again,
    })
}

/// Where a message stands; what begins a thread begins its address too.
fn link(url: &str, entry: &LogEntry) -> Option<String> {
    let channel = entry.slack_channel.as_deref()?;
    let ts = entry.slack_message_ts.as_deref().or(entry.slack_thread_ts.as_deref())?;
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    if url.is_empty() || !is_plain(channel) || !is_plain(ts) {
        return None;
    }
    let thread = entry.slack_thread_ts.as_deref().filter(|thread| *thread != ts && is_plain(thread));
    let thread = thread.map_or(String::new(), |thread| format!("?thread_ts={thread}&cid={channel}"));
    Some(format!("{url}archives/{channel}/p{}{thread}", ts.replace('.', "")))
}
