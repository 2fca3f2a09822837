//! `omni sessions`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use omni_core::{
    Error, Omni, Source,
    agent::prompt::unfence,
    llm::{Block, ResultPart},
    thread::{KeptTurn, ThreadEntry},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    follow,
    users::{say, table},
};
use crate::{
    app::App,
    args::{ExportSessionArgs, ListSessionsArgs, RemoveSessionsArgs, SessionForm, ShowSessionArgs},
    exit::Exit,
    fault::Fault,
};

/// The name of the form of a session's document.
const SCHEMA: &str = "omni.session/1";

/// A session for programs.
#[derive(Debug, Serialize)]
struct Session<'a> {
    schema: &'static str,
    session_id: &'a str,
    turns: Vec<Turn>,
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

/// Does something with the pipeline, and ends it. No server is needed for it.
async fn with<T>(app: &App, work: impl AsyncFnOnce(&Omni) -> Result<T, Error>) -> Result<T, Fault> {
    let mut config = app.config()?;
    config.servers.clear();
    let omni = app.build(&config).await?;
    let done = work(&omni).await;
    follow::close(&omni).await;
    done.map_err(of_sessions)
}

/// What is not there may be found in the list.
fn of_sessions(error: Error) -> Fault {
    match error {
        Error::NotFound { .. } => Fault::from(error).hint("`omni sessions list` shows what there is"),
        other => other.into(),
    }
}

pub(super) async fn list(app: &App, args: &ListSessionsArgs) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    let sessions = with(app, async |omni| omni.threads(who, Source::Cli).await).await?;
    let shown = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M").to_string();
    let row = |entry: &ThreadEntry| {
        let name = entry.key.thread.clone();
        [name, entry.turns.to_string(), shown(entry.used_at), shown(entry.expires_at), entry.title.clone()]
    };
    let text = match sessions.is_empty() {
        true => "There is no session; `omni ask` begins one.".into(),
        false => {
            table(["SESSION", "QUESTIONS", "USED (UTC)", "KEPT UNTIL", "FIRST QUESTION"], sessions.iter().map(row))
        }
    };
    let document = sessions.iter().map(|entry| {
        json!({
            "session_id": entry.key.thread,
            "title": entry.title,
            "turns": entry.turns,
            "created_at": entry.created_at,
            "used_at": entry.used_at,
            "expires_at": entry.expires_at,
        })
    });
    say(app, args.json, &document.collect::<Value>(), &text)
}

pub(super) async fn show(app: &App, args: &ShowSessionArgs) -> Result<Exit, Fault> {
    write(app, &args.session, args.act_as.as_deref(), args.json).await
}

pub(super) async fn export(app: &App, args: &ExportSessionArgs) -> Result<Exit, Fault> {
    write(app, &args.session, args.act_as.as_deref(), args.format == SessionForm::Json).await
}

async fn write(app: &App, name: &str, act_as: Option<&str>, as_json: bool) -> Result<Exit, Fault> {
    let who = app.credential(act_as);
    let kept = with(app, async |omni| omni.thread(who, Source::Cli, name).await).await?;
    let session = Session { schema: SCHEMA, session_id: name, turns: kept.iter().map(turn).collect() };
    say(app, as_json, &session, &markdown(&session))
}

pub(super) async fn remove(app: &App, args: &RemoveSessionsArgs) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    let remove = async |omni: &Omni| {
        for session in &args.sessions {
            omni.delete_thread(who.clone(), Source::Cli, session).await?;
        }
        Ok(())
    };
    with(app, remove).await?;
    let forgotten = format!("forgotten: {}", args.sessions.join(", "));
    say(app, args.json, &json!({ "removed": args.sessions }), &forgotten)
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

fn markdown(session: &Session<'_>) -> String {
    let mut text = format!("# {}\n", session.session_id);
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
