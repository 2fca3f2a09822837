//! What stands under an answer, and tables as files.

use omni_core::{
    Answer, Error, Source,
    answer::Status,
    config::UserInfoFormat,
    policy::Grant,
    results::{ResultFilter, csv},
};

use super::{Bot, question::Question};
use crate::{
    api::{Body, To},
    event::{Action, ChannelKind},
    people::Person,
    view::{
        self,
        answer::{Buttons, Footer},
    },
};

/// Longest question that fits into a button.
const MOST_OF_VALUE: usize = 1_900;
/// Most tools that a footer names.
const MOST_TOOLS: usize = 5;

impl Bot {
    /// Footer and buttons of an answer.
    pub(super) async fn tail(&self, question: &Question, grant: &Grant, answer: &Answer) -> Vec<serde_json::Value> {
        let is_over = answer.status != Status::Waiting;
        let asks = Some(question.text.clone()).filter(|text| !text.is_empty() && text.len() <= MOST_OF_VALUE);
        let buttons = Buttons {
            csv: if is_over { self.table_of(question, answer).await } else { None },
            again: asks.filter(|_| is_over && question.private.is_none()),
        };
        view::answer::tail(&self.footer(question, grant, answer), &buttons)
    }

    /// The last result that is a table.
    async fn table_of(&self, question: &Question, answer: &Answer) -> Option<String> {
        for id in answer.tool_calls.iter().rev().filter_map(|call| call.result_id.as_deref()) {
            let kept = self.omni().result(question.person.credential(), id).await;
            if kept.is_ok_and(|kept| csv::of(&kept).is_ok()) {
                return Some(id.to_owned());
            }
        }
        None
    }

    fn footer(&self, question: &Question, grant: &Grant, answer: &Answer) -> Footer {
        let config = self.config();
        let (shown, info) = (&config.diagnostics, &config.user_info);
        let is_direct = question.kind == ChannelKind::Direct;
        let is_shown = if is_direct { shown.in_direct } else { shown.in_channels };
        let is_for_role = shown.roles.is_empty() || grant.role.is_one_of(&shown.roles);
        let full = is_shown && is_for_role;
        let is_named = if is_direct { info.in_direct } else { info.in_channels };
        let sent = || answer.tool_calls.iter().filter(|call| call.was_sent());
        let mut tools: Vec<String> = Vec::new();
        let mut servers: Vec<String> = Vec::new();
        for call in sent() {
            let name = format!("{}.{}", call.server, call.tool);
            if !tools.contains(&name) && tools.len() < MOST_TOOLS {
                tools.push(name);
            }
            if !servers.contains(&call.server) {
                servers.push(call.server.clone());
            }
        }
        Footer {
            who: is_named.then(|| who(info.format, question, grant)),
            tools,
            calls: sent().count(),
            iterations: (full && shown.iterations).then_some(answer.iterations),
            servers: if full && shown.servers { servers } else { Vec::new() },
            duration_ms: (!full || shown.timing).then_some(answer.duration_ms),
            tokens: (full && shown.tokens).then_some((answer.usage.input, answer.usage.output)),
            cost_usd: answer.cost.filter(|_| full && shown.cost).map(omni_core::cost::NanoUsd::as_usd),
            warnings: answer.warnings.iter().filter(|one| !one.is_note()).map(|one| one.message.clone()).collect(),
        }
    }

    /// A table as a file: to whoever asked for it, where its question was asked.
    pub(super) async fn export(&self, person: &Person, action: &Action) {
        let to = To { channel: action.channel.clone(), thread: action.thread.clone() };
        match self.exported(person, &action.value, &to).await {
            Ok(()) => {}
            Err(text) => self.answer_click(action, &Body::of(text)).await,
        }
    }

    async fn exported(&self, person: &Person, id: &str, to: &To) -> Result<(), String> {
        let told = |error: &Error| match error {
            Error::NotFound { .. } => {
                "🚫 I have no such table of yours: it is somebody else's, too old, or of a tool that you may not use."
                    .to_owned()
            }
            other => view::error::text(other, None),
        };
        let kept = self.omni().result(person.credential(), id).await.map_err(|error| told(&error))?;
        let table = csv::of(&kept).map_err(|error| view::error::text(&error, None))?;
        let name = view::csv::file_name(&kept.call.server, &kept.call.tool, kept.call.created_at);
        self.api().upload(to, &name, table.as_bytes()).await.map_err(|error| {
            tracing::warn!(%error, "a table could not be sent");
            "⚠️ Slack did not take the file. Please try again in a minute.".to_owned()
        })
    }
}

fn who(format: UserInfoFormat, question: &Question, grant: &Grant) -> String {
    let role = &grant.role.name;
    match format {
        UserInfoFormat::Minimal => role.to_string(),
        _ => format!("{} ({role})", question.person.name),
    }
}
