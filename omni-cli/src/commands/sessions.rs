//! `omni sessions`.

use chrono::{DateTime, Utc};
use omni_core::{Error, Omni, Source, thread::ThreadEntry};
use serde_json::{Value, json};

use super::{
    follow,
    transcript::{Session, markdown, read},
    users::{say, table},
};
use crate::{
    app::App,
    args::{ExportSessionArgs, ListSessionsArgs, RemoveSessionsArgs, SessionForm, ShowSessionArgs},
    exit::Exit,
    fault::Fault,
};

/// Does something with the pipeline, and ends it. No server is needed for it.
async fn with<T>(app: &App, work: impl AsyncFnOnce(&Omni) -> Result<T, Error>) -> Result<T, Fault> {
    follow::without_servers(app, work, of_sessions).await
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
    let (kept, summary) = with(app, async |omni| read(omni, who, name).await).await?;
    let session = Session::new(name, &kept, summary.as_ref());
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
