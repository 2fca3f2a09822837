//! `omni db`.

use omni_core::{
    Config, Error,
    audit::AuditError,
    db::{Db, DbError, Dialect, script},
    ledger::prune::days_ago,
};
use serde_json::json;

use super::{audit, users::administer};
use crate::{
    app::App,
    args::{MigrateArgs, PruneArgs},
    exit::Exit,
    fault::Fault,
    render::counted,
    typed::Terminal,
};

/// Brings the tables up to date, or prints how.
pub(super) async fn migrate(app: &App, args: &MigrateArgs) -> Result<Exit, Fault> {
    let config = app.config()?;
    let dialect = dialect(&config)?;
    if args.print {
        app.console.write(&script(dialect))?;
        return Ok(Exit::Success);
    }
    let db = Db::open(&config.audit.url).await.map_err(failed)?;
    let status = db.migration_status().await.map_err(failed)?;
    db.close().await;
    app.console.line(&format!("{}: the tables are at version {}", config.audit.kind, status.current))?;
    Ok(Exit::Success)
}

/// Says how far the tables are.
pub(super) async fn status(app: &App, json: bool) -> Result<Exit, Fault> {
    let config = app.config()?;
    dialect(&config)?;
    let status = Db::status_of(&config.audit.url).await.map_err(failed)?;
    let is_current = status.is_up_to_date();
    if json {
        app.console.json(&json!({
            "kind": config.audit.kind,
            "url": config.show()["audit"]["url"],
            "current": status.current,
            "latest": status.latest,
            "missing": status.missing,
            "up_to_date": is_current,
        }))?;
    } else {
        let verdict = if is_current {
            "up to date"
        } else if status.is_newer() {
            "they are of a newer omni: run that one, or restore a backup"
        } else {
            "`omni db migrate` brings them up to date"
        };
        let missing = match status.missing {
            0 => String::new(),
            steps => format!(", {steps} steps are missing"),
        };
        let versions = format!("version {} of {}{missing}", status.current, status.latest);
        app.console.line(&format!("{}: the tables are at {versions}; {verdict}", config.audit.kind))?;
    }
    Ok(if is_current { Exit::Success } else { Exit::Failed })
}

/// Removes what is older than it must be.
pub(super) async fn prune(app: &App, args: &PruneArgs) -> Result<Exit, Fault> {
    let config = app.config()?;
    let days = args.older_than.or(config.audit.retention_days).ok_or_else(|| {
        Fault::usage("nobody says how old").hint("add --older-than DAYS, or set audit.retention_days in settings.yaml")
    })?;
    let keys = audit::proof::keys(&config)?;
    // A script has nobody who could answer, and says what it means by what it is given.
    if app.process.stdin_tty && !args.yes && !agreed(&app.terminal(), days).await {
        return Err(Fault::with_exit("nothing was removed", Exit::Denied).hint("--yes removes without asking"));
    }
    app.console.spinner.show("pruning …");
    let pruned = administer(app, async |admin| admin.prune(&keys, days_ago(days)).await).await?;
    if pruned.not_provable > 0 {
        let message = "chains were left alone, whose keys are not at hand: their hosts prune them";
        app.console.warning(&format!("{} {message}", pruned.not_provable));
    }
    for refused in &pruned.refused {
        app.console.error(&format!("nothing of a chain was removed that is not as omni wrote it: {refused}"));
    }
    if args.json {
        let refused: Vec<String> = pruned.refused.iter().map(ToString::to_string).collect();
        app.console.json(&json!({ "older_than_days": days, "records": pruned.records, "unproved": pruned.unproved,
            "refused": refused, "not_provable": pruned.not_provable }))?;
    } else {
        let older = match pruned.unproved {
            0 => String::new(),
            rows => format!(", and {} of before the ledger", counted(rows, "row")),
        };
        let (records, days) = (counted(pruned.records, "record"), counted(days, "day"));
        app.console.line(&format!("Removed what is older than {days}: {records}{older}"))?;
    }
    Ok(if pruned.refused.is_empty() { Exit::Success } else { Exit::Failed })
}

/// Whether the person at the terminal wants it gone; anything but a clear yes is no.
async fn agreed(terminal: &Terminal, days: u32) -> bool {
    let Some(turn) = terminal.turn().await else { return false };
    turn.say(&format!(
        "What is older than {} goes for good, in the ledger and in rows that were there before it.",
        counted(days, "day")
    ));
    let answer = turn.line("Remove it? [y]es / [N]o: ").await;
    answer.is_some_and(|answer| matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

fn dialect(config: &Config) -> Result<Dialect, Fault> {
    let none = || Fault::usage(format!("the ledger is kept in {:?}, which is no database", config.audit.kind));
    config.audit.dialect().ok_or_else(none)
}

pub(super) fn failed(error: DbError) -> Fault {
    match error {
        DbError::Url { .. } | DbError::Schema { .. } | DbError::Newer { .. } => {
            Fault::with_exit(error.to_string(), Exit::Config)
        }
        other => Error::from(AuditError::from(other)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::typed::testing::terminal;

    #[tokio::test]
    async fn only_a_clear_yes_removes_what_the_question_names() {
        for (typed, goes) in [
            (&["y"][..], true),
            (&["YES"], true),
            (&[" yes "], true),
            (&[][..], false),
            (&[""], false),
            (&["n"], false),
            (&["yess"], false),
        ] {
            let (terminal, shown) = terminal(typed);
            assert_eq!(agreed(&terminal, 90).await, goes, "{typed:?}");
            let shown = shown.text();
            assert!(shown.contains("older than 90 days goes for good") && shown.contains("[N]o"), "{shown}");
        }
    }
}
