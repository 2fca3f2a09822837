//! `omni --demo`: a throwaway configuration with a made-up month behind it, and databases to try things on. No key, no
//! network, nothing left behind.

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::Arc};

use chrono::Utc;
use omni_core::{
    Config, Registry,
    analytics::history::{History, PEOPLE, Person},
    audit::sql::SqlAudit,
    config::LoadOptions,
    ledger::SealKeys,
    mcp::{Connector, in_process::InProcess},
    registry::BuildError,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{Process, fault::Fault};

/// Variables that a demo sees: how it looks, nothing that leads anywhere.
const SEEN: [&str; 8] = ["PATH", "HOME", "TERM", "LANG", "LC_ALL", "TZ", "LOG_LEVEL", "NO_COLOR"];
/// The name of the sample databases in the registry.
const DATABASES: &str = "demo_databases";

const SETTINGS: &str = "data_dir: ../data\nllm:\n  provider: offline\n";
const MCPS: &str = include_str!("demo/mcps.yaml");

/// Everything that a demo is made of; it goes when this does.
#[derive(Debug)]
pub(crate) struct Demo {
    dir: TempDir,
}

impl Demo {
    /// Makes one.
    pub(crate) async fn make(process: &Process) -> Result<Self, Fault> {
        let dir = TempDir::with_prefix("omni-demo-").map_err(|error| no_room(&error))?;
        let demo = Self { dir };
        demo.write(process).map_err(|error| no_room(&error))?;
        let config = Config::load(demo.options(process)).map_err(omni_core::Error::from)?;
        fill(&config).await?;
        Ok(demo)
    }

    fn write(&self, process: &Process) -> io::Result<()> {
        let dir = self.dir.path().join("config");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("settings.yaml"), SETTINGS)?;
        fs::write(dir.join("mcps.yaml"), MCPS)?;
        fs::write(dir.join("users.yaml"), users(&process.os_user))
    }

    /// Where its configuration is.
    pub(crate) fn options(&self, process: &Process) -> LoadOptions {
        let seen = process.env.iter().filter(|(name, _)| SEEN.contains(&name.as_str()));
        let env: BTreeMap<String, String> = seen.map(|(name, value)| (name.clone(), value.clone())).collect();
        let dir = self.dir.path().join("config");
        LoadOptions::new(env, &dir).with_dir(&dir)
    }
}

fn no_room(error: &io::Error) -> Fault {
    omni_core::Error::Invalid { message: format!("the demo cannot be made: {error}") }.into()
}

/// The people of the history. Whoever runs the demo is its administrator. (JSON is YAML.)
fn users(os_user: &str) -> String {
    let person = |person: &Person| {
        let mut entry = json!({ "email": person.email, "name": person.name, "role": person.role });
        if person.role == "admin" {
            entry["os_user"] = json!(os_user);
        }
        entry
    };
    json!({ "users": PEOPLE.iter().map(person).collect::<Vec<_>>() }).to_string()
}

/// The month, and what people said of it.
async fn fill(config: &Config) -> Result<(), Fault> {
    let keys = config.audit.keys(SealKeys::load_or_create).map_err(omni_core::Error::Audit)?;
    let failed = |error: omni_core::db::DbError| omni_core::Error::Audit(error.into());
    let store = SqlAudit::open(&config.audit.url).await.map_err(failed)?;
    History::until(Utc::now()).fill(&store, keys.own()).await.map_err(omni_core::Error::Audit)?;
    store.db().close().await;
    Ok(())
}

/// Adds the sample databases, which are made when something is built of them.
pub(crate) fn register(registry: &mut Registry) {
    registry.builtins.register(DATABASES, |context| Box::pin(databases(context.config.data_dir.join("databases"))));
}

async fn databases(dir: PathBuf) -> Result<Arc<dyn Connector>, BuildError> {
    let server = database_mcp::sample::server(&dir).await;
    let server =
        server.map_err(|error| BuildError::invalid(format!("{error}: {:?}", std::error::Error::source(&error))))?;
    Ok(Arc::new(InProcess::new(move || server.clone())))
}
