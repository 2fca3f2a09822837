//! What was said in a session, written down.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use omni_core::{
    Error, Omni, Source,
    agent::prompt::unfence,
    identity::Credential,
    llm::{Block, ResultPart},
    thread::{KeptTurn, Summary},
};
use serde::Serialize;
use serde_json::Value;

/// The name of the form of a session's document.
const SCHEMA: &str = "omni.session/1";

/// A session's turns, and what models are told in place of the older ones.
pub(super) async fn read(omni: &Omni, who: Credential, name: &str) -> Result<(Vec<KeptTurn>, Option<Summary>), Error> {
    let kept = omni.thread(who.clone(), Source::Cli, name).await?;
    Ok((kept, omni.thread_summary(who, Source::Cli, name).await?))
}

/// A session for programs.
#[derive(Debug, Serialize)]
pub(super) struct Session<'a> {
    schema: &'static str,
    session_id: &'a str,
    /// What models are told in place of the older turns, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Short<'a>>,
    turns: Vec<Turn>,
}

/// What stands for the turns up to one.
#[derive(Debug, Serialize)]
struct Short<'a> {
    through_turn: u64,
    text: &'a str,
}

impl<'a> Session<'a> {
    pub(super) fn new(name: &'a str, kept: &[KeptTurn], summary: Option<&'a Summary>) -> Self {
        let summary = summary.map(|summary| Short { through_turn: summary.through, text: &summary.text });
        Self { schema: SCHEMA, session_id: name, summary, turns: kept.iter().map(turn).collect() }
    }
}

/// A question and its answer.
#[derive(Debug, Serialize)]
struct Turn {
    number: u64,
    at: DateTime<Utc>,
    user: String,
    question: String,
    calls: Vec<Call>,
    answer: String,
}

/// A call that stood between them, with what is kept of its result.
#[derive(Debug, Serialize)]
struct Call {
    server: String,
    tool: String,
    arguments: Value,
    result: String,
    is_error: bool,
}

fn turn(kept: &KeptTurn) -> Turn {
    Turn {
        number: kept.number,
        at: kept.at,
        user: kept.turn.asker.clone(),
        question: kept.turn.question().to_owned(),
        calls: calls(kept),
        answer: kept.turn.answer(),
    }
}

fn calls(kept: &KeptTurn) -> Vec<Call> {
    let blocks = || kept.turn.messages.iter().flat_map(|message| &message.blocks);
    let call = |block: &Block| {
        let Block::ToolUse { id, name, input } = block else { return None };
        let called = kept.turn.calls.iter().find(|call| call.id == *id);
        let result = blocks().find_map(|block| match block {
            Block::ToolResult { id: of, content, is_error } if of == id => Some((text(content), *is_error)),
            _ => None,
        });
        let (result, is_error) = result.unwrap_or_default();
        Some(Call {
            server: called.map(|call| call.server.clone()).unwrap_or_default(),
            tool: called.map_or_else(|| name.clone(), |call| call.tool.clone()),
            arguments: serde_json::from_str(input.get()).unwrap_or_default(),
            result,
            is_error,
        })
    };
    blocks().filter_map(call).collect()
}

/// What a call returned, without its fence.
fn text(content: &[ResultPart]) -> String {
    let texts = unfence(content).iter().map(|part| match part {
        ResultPart::Text { text } => text.as_str(),
        _ => "[a picture]",
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The same for people.
pub(super) fn markdown(session: &Session<'_>) -> String {
    let mut text = format!("# {}\n", session.session_id);
    if let Some(Short { through_turn, text: short }) = &session.summary {
        let _ = write!(text, "\n*Of the questions up to {through_turn} the model is told:*\n\n{short}\n");
    }
    for turn in &session.turns {
        let asked = turn.at.format("%Y-%m-%d %H:%M UTC");
        let _ = write!(text, "\n## {}. {} ({asked})\n\n{}\n", turn.number, turn.user, quoted(&turn.question));
        for call in &turn.calls {
            let failed = if call.is_error { ", which failed" } else { "" };
            let _ = write!(text, "\n*Called `{}.{}`{failed}.*\n", call.server, call.tool);
        }
        let _ = write!(text, "\n{}\n", turn.answer);
    }
    text.trim_end().to_owned()
}

fn quoted(question: &str) -> String {
    let lines: Vec<String> = question.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect();
    lines.join("\n")
}
