//! What stands around an answer, and tables as files.

use chrono::Utc;
use omni_core::{
    Answer, Error,
    answer::Status,
    config::{DiagnosticRules, UserInfoFormat, UserInfoRules},
    policy::Grant,
    results::csv,
};

use super::{Bot, more, question::Question};
use crate::{
    api::{Body, To},
    event::{Action, ChannelKind},
    people::Person,
    view::{
        self,
        answer::Buttons,
        footer::{self, Footer, Servers},
        limits,
    },
};

/// Longest question that fits into a button.
const MOST_OF_VALUE: usize = limits::VALUE - 100;
/// Said where a table cannot be sent.
const NO_FILE: &str = "⚠️ Slack did not take the file. Please try again in a minute.";

impl Bot {
    /// What stands above and under an answer.
    pub(super) async fn around(
        &self,
        question: &Question,
        grant: &Grant,
        answer: &Answer,
    ) -> (footer::Person, Footer, Buttons) {
        let config = self.config();
        let is_over = answer.status != Status::Waiting;
        // A button has the words alone, and not the message that they are about.
        let asks = Some(question.text.clone()).filter(|text| !text.is_empty() && !question.is_about);
        let asks = asks.filter(|text| limits::width(text) <= MOST_OF_VALUE);
        let buttons = Buttons {
            csv: if is_over { self.table_of(question, answer).await } else { None },
            again: asks.filter(|_| is_over && question.private.is_none()),
            follow: (is_over && question.private.is_none()).then(String::new),
            feedback: (is_over && self.omni().keeps_feedback()).then(|| answer.request_id.to_string()),
            more: (is_over && self.omni().keeps_answer(&answer.text))
                .then(|| more::value(answer.request_id, more::AT_ONCE, config.max_message)),
            stop: None,
        };
        let wanted = self.preferences(&question.person).await;
        if wanted.wants_answer_alone() {
            return (footer::Person::default(), Footer::default(), buttons);
        }
        let mut footer = footer_of(&config.diagnostics, question, grant, answer, wanted.wants_all());
        footer.cost_usd = footer.cost_usd.filter(|_| wanted.show_cost);
        (self.shown(&config.user_info, question, grant).await, footer, buttons)
    }

    /// What is shown of whoever asked.
    async fn shown(&self, info: &UserInfoRules, question: &Question, grant: &Grant) -> footer::Person {
        if !is_shown(info, question) {
            return footer::Person::default();
        }
        let mut shown = person_of(info, &question.person, grant);
        if shown.format == footer::Format::Detailed && (info.server_count || info.server_names) {
            let theirs = self.omni().known_servers(question.person.credential()).await.unwrap_or_default();
            let is_all = !theirs.is_empty() && theirs.len() == self.omni().known_catalog().servers.len();
            let count = if is_all { Servers::All } else { Servers::Some(theirs.len()) };
            shown.servers = info.server_count.then_some(count);
            let names = theirs.iter().map(|server| server.view.name.to_string());
            shown.server_names = if info.server_names { names.collect() } else { Vec::new() };
        }
        shown
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

    /// A table as a file: to whoever asked for it, where its question was asked.
    pub(super) async fn export(&self, person: &Person, action: &Action) {
        let to = match action.is_ephemeral {
            // What only they see stays theirs.
            true => match self.api().direct(&person.user.id).await {
                Ok(channel) => To { channel, thread: None },
                Err(error) => {
                    tracing::warn!(%error, "direct messages for a table could not be opened");
                    return self.answer_click(action, &Body::of(NO_FILE)).await;
                }
            },
            false => To { channel: action.channel.clone(), thread: action.thread.clone() },
        };
        if let Err(text) = self.exported(person, &action.value, &to).await {
            self.answer_click(action, &Body::of(&text)).await;
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
        let name = file_name(&kept.call.server, &kept.call.tool);
        self.api().upload(to, &name, table.as_bytes()).await.map_err(|error| {
            tracing::warn!(%error, "a table could not be sent");
            NO_FILE.to_owned()
        })
    }
}

/// What a table is called as a file.
fn file_name(server: &str, tool: &str) -> String {
    let plain = |name: &str| -> String {
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' }).take(60).collect()
    };
    format!("{}-{}-{}.csv", plain(server), plain(tool), Utc::now().format("%Y%m%d-%H%M%S"))
}

/// What an answer took; `wants_all` is what the person asks for, and gets where the roles that may see it are theirs.
fn footer_of(shown: &DiagnosticRules, question: &Question, grant: &Grant, answer: &Answer, wants_all: bool) -> Footer {
    let is_here = if question.kind == ChannelKind::Direct { shown.in_direct } else { shown.in_channels };
    let is_for_role = shown.roles.is_empty() || grant.role.is_one_of(&shown.roles);
    let all = Footer::of(answer);
    if wants_all && is_for_role {
        return Footer { name_tools: true, is_detailed: true, ..all };
    }
    if !(is_here && is_for_role) {
        // What an answer always says of itself.
        return Footer { iterations: None, cost_usd: None, tokens: None, model: None, role: None, ..all };
    }
    Footer {
        iterations: all.iterations.filter(|_| shown.iterations),
        cost_usd: all.cost_usd.filter(|_| shown.cost),
        tokens: all.tokens.filter(|_| shown.tokens),
        duration_ms: all.duration_ms.filter(|_| shown.timing),
        tools: if shown.tool_calls { all.tools } else { Vec::new() },
        name_tools: shown.servers,
        role: None,
        is_detailed: true,
        ..all
    }
}

/// Whether answers there show who asked.
fn is_shown(info: &UserInfoRules, question: &Question) -> bool {
    match (question.kind, &question.thread) {
        (ChannelKind::Direct, _) => info.in_direct,
        (_, Some(_)) => info.in_threads,
        (_, None) => info.in_channels,
    }
}

/// Somebody without their servers.
fn person_of(info: &UserInfoRules, person: &Person, grant: &Grant) -> footer::Person {
    let format = match info.format {
        UserInfoFormat::Minimal => footer::Format::Minimal,
        UserInfoFormat::Detailed => footer::Format::Detailed,
        _ => footer::Format::Standard,
    };
    let role = &grant.role.name;
    let address = Some(&person.principal.subject).filter(|subject| info.email && subject.contains('@'));
    footer::Person {
        format,
        name: info.name.then(|| person.name.clone()),
        role: info.role.then(|| role.to_string()),
        emoji: info.emoji_of(role).filter(|_| info.role).map(str::to_owned),
        email: address.cloned(),
        ..footer::Person::default()
    }
}
