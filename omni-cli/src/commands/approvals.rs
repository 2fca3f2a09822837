//! `omni approvals`.

use std::fmt::Write as _;

use omni_core::{
    Answer, Error, Omni, Source,
    answer::{Failure, Status, json::AnswerJson},
    confirm::Verdict,
    omni::{ConfirmationView, Decider},
    scan::visible_json,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    follow::{self, Interruption},
    users::{say, table},
};
use crate::{
    app::App,
    args::{ApproveCallArgs, DenyCallArgs, ListApprovalsArgs, ShowApprovalArgs},
    elicit,
    exit::Exit,
    fault::Fault,
};

/// Most characters of arguments in a list.
const MAX_SHOWN: usize = 60;

/// Looks at what waits, and ends the pipeline. No server is needed for it: without any, no ask goes on here.
async fn with<T>(app: &App, work: impl AsyncFnOnce(&Omni) -> Result<T, Error>) -> Result<T, Fault> {
    follow::without_servers(app, work, of_approvals).await
}

/// What is not there may be found in the list.
fn of_approvals(error: Error) -> Fault {
    match error {
        Error::NotFound { .. } => Fault::from(error).hint("`omni approvals list` shows what waits"),
        other => other.into(),
    }
}

pub(super) async fn list(app: &App, args: &ListApprovalsArgs) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    let waiting = with(app, async |omni| omni.confirmations(who).await).await?;
    let row = |view: &ConfirmationView| {
        let one = &view.confirmation;
        let arguments: String = visible_json(&view.arguments.to_string()).chars().take(MAX_SHOWN).collect();
        let until = one.expires_at.format("%Y-%m-%d %H:%M").to_string();
        let tool = format!("{}.{}", one.server, one.tool);
        [one.id.to_string(), one.state.as_str().into(), one.subject.clone(), tool, until, arguments]
    };
    let text = match waiting.is_empty() {
        true => "No call waits for a decision.".into(),
        false => table(["ID", "STATE", "ASKED BY", "TOOL", "UNTIL (UTC)", "ARGUMENTS"], waiting.iter().map(row)),
    };
    say(app, args.json, &waiting.iter().map(document).collect::<Value>(), &text)
}

pub(super) async fn show(app: &App, args: &ShowApprovalArgs) -> Result<Exit, Fault> {
    let who = app.credential(args.act_as.as_deref());
    let view = with(app, async |omni| omni.confirmation(who, args.id).await).await?;
    say(app, args.json, &document(&view), &shown(&view))
}

pub(super) async fn approve(app: &App, args: &ApproveCallArgs) -> Result<Exit, Fault> {
    decide(app, args.id, args.act_as.as_deref(), Verdict::Approve, args.json).await
}

pub(super) async fn deny(app: &App, args: &DenyCallArgs) -> Result<Exit, Fault> {
    let verdict = Verdict::Decline { reason: args.reason.clone().unwrap_or_default() };
    decide(app, args.id, args.act_as.as_deref(), verdict, args.json).await
}

/// Decides, and waits until the question has gone on to its end.
async fn decide(app: &App, id: Uuid, act_as: Option<&str>, verdict: Verdict, json: bool) -> Result<Exit, Fault> {
    let config = app.config()?;
    let omni = app.build(&config).await?;
    let by = Decider::new(app.credential(act_as), Source::Cli).with_elicit(elicit::elicit(app, &app.terminal()));
    let mut interruption = Interruption::listen();
    let deciding = async {
        let stream = omni.confirm(id, verdict, by).await?;
        stream.collect().await.map_err(|Failure { error, .. }| error)
    };
    let answered = tokio::select! {
        biased;
        () = interruption.arrives() => Err(Error::Cancelled),
        answered = deciding => answered,
    };
    match answered {
        Err(Error::Cancelled) => follow::close(&omni).await,
        // Somebody else's question goes on here too, and has the time that a question has.
        _ => follow::close_within(&omni, config.bounds.timeout).await,
    }
    let answer = answered.map_err(of_approvals)?;
    say(app, json, &AnswerJson::from(&answer), &told(&answer))?;
    match answer.status {
        // It was decided, and that is what was wanted.
        Status::Waiting => Ok(Exit::Success),
        status => Ok(Exit::of_status(status)),
    }
}

fn told(answer: &Answer) -> String {
    let mut text = answer.text.clone();
    for call in &answer.pending {
        let _ = write!(text, "\n{}.{} still waits: omni approvals show {}", call.server, call.tool, call.id);
    }
    text.trim().to_owned()
}

fn shown(view: &ConfirmationView) -> String {
    let one = &view.confirmation;
    let arguments = visible_json(&serde_json::to_string_pretty(&view.arguments).unwrap_or_default());
    let mut text = format!(
        "{}.{}\nState:     {}\nAsked by:  {}\nAsked at:  {}\nUntil:     {}\n",
        one.server,
        one.tool,
        one.state.as_str(),
        one.subject,
        one.created_at.format("%Y-%m-%d %H:%M UTC"),
        one.expires_at.format("%Y-%m-%d %H:%M UTC"),
    );
    let lines = [("Rule", Some(&one.rule).filter(|rule| !rule.is_empty())), ("Decided by", one.decided_by.as_ref())];
    for (name, value) in lines.into_iter().chain([("Reason", one.reason.as_ref())]) {
        if let Some(value) = value {
            let _ = writeln!(text, "{:10} {value}", format!("{name}:"));
        }
    }
    let _ = write!(text, "Arguments: {arguments}");
    text
}

fn document(view: &ConfirmationView) -> Value {
    let one = &view.confirmation;
    json!({
        "id": one.id,
        "request_id": one.run,
        "user": one.subject,
        "thread_id": one.thread,
        "server": one.server,
        "tool": one.tool,
        "arguments": view.arguments,
        "rule": one.rule,
        "state": one.state,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "may_approve": view.may_approve,
        "decided_by": one.decided_by,
        "decided_at": one.decided_at,
        "reason": one.reason,
        "result": view.result,
    })
}
