//! `omni --demo`: a throwaway configuration with a made-up month behind it, and databases to try things on. No key, no
//! network, nothing left behind.

use std::{
    collections::BTreeMap,
    fs::{self, DirEntry, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

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

/// What names of demos begin with.
const PREFIX: &str = "omni-demo-";
/// The file that is locked for as long as a demo is used.
const LOCK: &str = ".omni-demo.lock";
/// How old a demo is that nobody uses before another one removes it.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);
/// How often removing is tried, and what lies between.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(50);

/// As a service it is for whoever is on this machine: a key of it would be made in another demo.
const SETTINGS: &str = "data_dir: ../data\nllm:\n  provider: offline\nsecurity:\n  mode: trusted_local\n";
const MCPS: &str = include_str!("demo/mcps.yaml");

/// Everything that a demo is made of; it goes when this does.
#[derive(Debug)]
pub(crate) struct Demo {
    dir: TempDir,
    _lock: File,
}

impl Demo {
    /// One without its month, in the place of those that the same person left behind.
    pub(crate) fn begin(process: &Process) -> Result<Self, Fault> {
        let demo = Self::place().map_err(|error| no_room(&error))?;
        demo.write(process).map_err(|error| no_room(&error))?;
        remove_left_behind(demo.dir.path());
        Ok(demo)
    }

    fn place() -> io::Result<Self> {
        let dir = TempDir::with_prefix(PREFIX)?;
        let lock = File::create(dir.path().join(LOCK))?;
        // Where there are no locks, nobody takes it for left behind.
        let _ = lock.lock();
        Ok(Self { dir, _lock: lock })
    }

    /// Fills the month in.
    pub(crate) async fn fill(&self, process: &Process) -> Result<(), Fault> {
        let config = Config::load(self.options(process)).map_err(omni_core::Error::from)?;
        fill(&config).await
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

impl Drop for Demo {
    /// What a database writes while it closes stops the first try.
    fn drop(&mut self) {
        for _ in 0..TRIES {
            if fs::remove_dir_all(self.dir.path()).is_ok() {
                return;
            }
            thread::sleep(BETWEEN);
        }
    }
}

/// Removes demos beside this one whose process was killed.
fn remove_left_behind(own: &Path) {
    let Some((beside, owner)) = own.parent().zip(fs::metadata(own).ok().map(|about| about.uid())) else { return };
    for entry in fs::read_dir(beside).into_iter().flatten().flatten() {
        if let Some(_lock) = left_behind(&entry, owner) {
            // Another one tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The lock of an old demo of this person that nobody uses.
fn left_behind(entry: &DirEntry, owner: u32) -> Option<File> {
    entry.file_name().to_str()?.strip_prefix(PREFIX)?;
    // Of the entry itself, should it be a link.
    let about = entry.metadata().ok()?;
    let is_old = about.modified().ok()?.elapsed().ok()? >= LEFT_BEHIND;
    if !about.is_dir() || about.uid() != owner || !is_old {
        return None;
    }
    let lock = File::open(entry.path().join(LOCK)).ok()?;
    lock.try_lock().ok()?;
    Some(lock)
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

#[cfg(test)]
mod tests {
    use std::{fs::FileTimes, time::SystemTime};

    use super::*;

    /// What a process that was killed leaves, so long ago.
    fn left(beside: &Path, name: &str, ago: Duration) -> PathBuf {
        let dir = beside.join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(LOCK), "").unwrap();
        let times = FileTimes::new().set_modified(SystemTime::now() - ago);
        File::open(&dir).unwrap().set_times(times).unwrap();
        dir
    }

    #[test]
    fn an_old_demo_that_nobody_uses_goes_and_nothing_else_does() {
        let beside = TempDir::new().unwrap();
        let own = left(beside.path(), "omni-demo-own", Duration::ZERO);
        let [old, used, other] =
            ["omni-demo-old", "omni-demo-used", "omni-other"].map(|name| left(beside.path(), name, 2 * LEFT_BEHIND));
        let young = left(beside.path(), "omni-demo-young", LEFT_BEHIND / 2);
        let link = beside.path().join("omni-demo-link");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let lock = File::open(used.join(LOCK)).unwrap();
        lock.lock().unwrap();
        remove_left_behind(&own);
        assert!(!old.exists());
        assert!([&own, &used, &other, &young, &link].iter().all(|kept| kept.join(LOCK).exists()));
        drop(lock);
        remove_left_behind(&own);
        assert!(!used.exists() && other.exists());
    }
}
