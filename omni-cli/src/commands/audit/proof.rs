//! `omni audit head` and `omni audit verify`.

use std::{collections::BTreeSet, path::Path};

use omni_core::{
    Config, Error, compose,
    config::Need,
    ledger::{
        Heads, SealKey, SealKeys,
        verify::{Break, LastSeals, Verified, verify_up_to},
    },
};
use serde_json::{Value, json};

use super::{failed, readable, store};
use crate::{
    app::App,
    args::{KeyArgs, VerifyArgs},
    exit::Exit,
    fault::Fault,
    render::counted,
};

/// Prints where all chains end.
pub(in crate::commands) async fn head(app: &App) -> Result<Exit, Fault> {
    let store = store(app, &app.config()?).await?;
    app.console.json(&Heads::read(&*store).await.map_err(failed)?)?;
    Ok(Exit::Success)
}

/// Says which key seals, or makes one for hosts that share a database.
pub(in crate::commands) fn key(app: &App, args: &KeyArgs) -> Result<Exit, Fault> {
    if args.new {
        app.console.line(&SealKey::generate().expose_hex())?;
        return Ok(Exit::Success);
    }
    let keys = keys(&app.config()?)?;
    let others: Vec<String> = keys.iter().skip(1).map(|key| key.id().to_string()).collect();
    if args.json {
        app.console.json(&json!({ "key": keys.own().id(), "verify_keys": others }))?;
        return Ok(Exit::Success);
    }
    let also =
        if others.is_empty() { String::new() } else { format!("; also proves what {} sealed", others.join(", ")) };
    app.console.line(&format!("the ledger is sealed with the key {}{also}", keys.own().id()))?;
    Ok(Exit::Success)
}

/// Verifies, names the first bad row, and says how many there are.
pub(in crate::commands) async fn verify(app: &App, args: &VerifyArgs) -> Result<Exit, Fault> {
    let config = app.config()?;
    let exported = args.head.as_deref().map(exported).transpose()?;
    let keys = keys(&config)?;
    #[cfg(feature = "sql")]
    if !is_there(&config).await? {
        return no_ledger(app, args);
    }
    let backend = compose::ledger_store(&config, &app.registry).await?;
    let last = LastSeals::read(&config.audit.dir, &*backend.sink).map_err(failed)?;
    let store = readable(&config, backend.reader)?;
    app.console.spinner.show("verifying …");
    let heads = exported.map(|heads| heads.heads).unwrap_or_default();
    let verified = verify_up_to(&*store, &keys, &heads, &last).await.map_err(failed)?;
    if args.json {
        app.console.json(&document(&verified))?;
    } else {
        app.console.line(&sentence(&verified))?;
    }
    Ok(if verified.is_proved() { Exit::Success } else { Exit::Failed })
}

/// Whether the ledger's database has omni's tables. One that is looked at as another's must not get them by that.
#[cfg(feature = "sql")]
async fn is_there(config: &Config) -> Result<bool, Fault> {
    if !config.audit.has_database() {
        return Ok(true);
    }
    let status = omni_core::db::Db::status_of(&config.audit.url).await.map_err(crate::commands::db::failed)?;
    if status.is_newer() {
        return Err(crate::commands::db::failed(omni_core::db::DbError::Newer { version: status.current }));
    }
    Ok(status.current > 0)
}

#[cfg(feature = "sql")]
fn no_ledger(app: &App, args: &VerifyArgs) -> Result<Exit, Fault> {
    let message = "there is no ledger in this database: omni has not begun there, or database.url names another one";
    if args.json {
        let mut document = document(&Verified::default());
        document["ok"] = false.into();
        document["reason"] = message.into();
        app.console.json(&document)?;
    } else {
        app.console.line(&format!("not ok: {message}"))?;
    }
    Ok(Exit::Failed)
}

/// The keys of the ledger: those that the configuration means, or none.
pub(in crate::commands) fn keys(config: &Config) -> Result<SealKeys, Fault> {
    config.require(Need::Ledger).map_err(Error::from)?;
    config.audit.keys(SealKeys::load).map_err(|error| {
        let hint = "the key lies where omni writes, in its data directory, or is given as audit.key in \
                    settings.yaml or as OMNI_AUDIT_KEY; nothing can be proved without it";
        Fault::with_exit(error.to_string(), Exit::Config).hint(hint)
    })
}

fn exported(path: &Path) -> Result<Heads, Fault> {
    let unusable = |error: String| Fault::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unusable(format!("not what `omni audit head` prints: {error}")))
}

fn document(verified: &Verified) -> Value {
    let first_break = verified
        .first_break
        .as_ref()
        .map(|found| json!({ "chain_id": found.chain_id, "seq": found.seq, "fault": found.fault.to_string() }));
    let unknown = |chain: &Break| json!({ "chain_id": chain.chain_id, "key": chain.missing_key() });
    let not_provable: Vec<Value> = verified.not_provable.iter().map(unknown).collect();
    json!({
        "ok": verified.is_proved(),
        "chains": verified.chains,
        "records": verified.records,
        "pruned": verified.pruned,
        "unproved": verified.unproved,
        "beside": verified.beside,
        "elsewhere": verified.elsewhere,
        "set_aside": verified.set_aside,
        "not_provable": not_provable,
        "first_break": first_break,
        "breaks": verified.breaks,
    })
}

fn sentence(verified: &Verified) -> String {
    let seen = format!("{} in {}", counted(verified.records, "record"), counted(verified.chains, "chain"));
    let unproved = match verified.unproved {
        0 => String::new(),
        1 => "; 1 row of audit_logs is older than the ledger, and nothing proves it".into(),
        rows => format!("; {rows} rows of audit_logs are older than the ledger, and nothing proves them"),
    };
    let beside = match verified.beside {
        0 => String::new(),
        rows => format!(
            "; {rows} of the rows of audit_logs came since without a record: an OMNI2 that still runs beside omni wrote \
             them, or somebody forged them (docs/migration.md, \"The database\")"
        ),
    };
    let elsewhere = match verified.elsewhere {
        0 => String::new(),
        ends => format!(
            "; of the last seals in the data directory {ends} belong to another database, and nothing looked for them"
        ),
    };
    let set_aside = set_aside(&verified.set_aside);
    let rest = format!("{}{set_aside}{beside}{unproved}{elsewhere}", foreign(&verified.not_provable));
    match &verified.first_break {
        Some(found) => {
            let more = match verified.breaks {
                0 | 1 => String::new(),
                breaks => format!("; this is the first of {breaks} breaks"),
            };
            format!("not ok: {found} (proved: {seen}){more}{rest}")
        }
        None if verified.is_proved() => format!("ok: {seen}, each as the ledger wrote it{rest}"),
        None if verified.is_gone() => {
            format!("not ok: no record is here, but the data directory knows of some: this is another database{rest}")
        }
        None => format!("not ok: {seen} are as the ledger wrote them{rest}"),
    }
}

/// Files that were kept for a human, and what to do with them.
fn set_aside(files: &[String]) -> String {
    match files {
        [] => String::new(),
        files => format!(
            "; in the data directory {} {} what may not have reached the database as it was written: compare it with the \
             database, and move it elsewhere to keep it (docs/guide.md, \"Backup and restore\")",
            files.join(", "),
            if files.len() == 1 { "holds" } else { "hold" },
        ),
    }
}

/// Chains of other hosts, or of other times, and what would prove them.
fn foreign(chains: &[Break]) -> String {
    let keys: BTreeSet<String> = chains.iter().filter_map(Break::missing_key).map(|id| id.to_string()).collect();
    match chains.len() {
        0 => String::new(),
        count => format!(
            "; {count} chains cannot be proved here, for their keys are not at hand: add {} to audit.verify_keys",
            Vec::from_iter(keys).join(", ")
        ),
    }
}
