//! The names of the tools that servers had when they were last asked: for whoever wants to know
//! what a policy means without asking them again. Nothing is decided with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{Catalog, Health};
use crate::{config::Config, ledger::files};

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Tool names by server.
pub type StoredTools = BTreeMap<String, BTreeSet<String>>;

/// The tools that were seen last; empty where none ever were.
#[must_use]
pub fn read(config: &Config) -> StoredTools {
    let mut text = String::new();
    let read = fs::File::open(path(&config.data_dir)).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    // One that cannot be read is written anew the next time.
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Keeps what the servers that answered have; of the others, what they had.
pub(crate) async fn keep(config: &Config, catalog: &Catalog) {
    let before = read(config);
    let mut tools = before.clone();
    for server in catalog.servers.iter().filter(|server| server.health == Health::Healthy) {
        tools.insert(server.name.to_string(), server.tools.iter().map(|tool| tool.name.to_string()).collect());
    }
    if tools == before {
        return;
    }
    let dir = config.data_dir.clone();
    let written = files::blocking(move || write(&dir, &tools).map_err(|error| files::failed(&path(&dir), &error)));
    if let Err(error) = written.await {
        tracing::debug!(%error, "the names of the servers' tools were not kept");
    }
}

/// Puts a whole new file in the place of the old one.
fn write(dir: &Path, tools: &StoredTools) -> std::io::Result<()> {
    files::create_dir(dir).map_err(std::io::Error::other)?;
    let new = dir.join(format!("tools.json.{}", std::process::id()));
    fs::write(&new, serde_json::to_vec(tools)?)?;
    fs::rename(new, path(dir))
}

fn path(dir: &Path) -> PathBuf {
    dir.join("tools.json")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{json, value::to_raw_value};

    use super::*;
    use crate::catalog::{ServerView, ToolDef};

    fn catalog(server: &str, health: Health, tools: &[&str]) -> Catalog {
        let mut view = ServerView::new(server, "http");
        view.health = health;
        let schema = || to_raw_value(&json!({ "type": "object" })).unwrap();
        view.tools = tools.iter().map(|tool| Arc::new(ToolDef::new(server, *tool, schema()))).collect();
        Catalog::new(1, vec![view])
    }

    #[tokio::test]
    async fn a_server_that_is_away_keeps_the_tools_that_it_had() {
        let dir = tempfile::TempDir::new().unwrap();
        let mut config = Config::embedded(&BTreeMap::new(), dir.path());
        config.data_dir = dir.path().join("data");
        assert!(read(&config).is_empty());
        keep(&config, &catalog("a", Health::Healthy, &["x", "y"])).await;
        keep(&config, &catalog("a", Health::Unhealthy { reason: "away".into() }, &[])).await;
        keep(&config, &catalog("b", Health::Healthy, &["z"])).await;
        let tools = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(read(&config), [("a".into(), tools(&["x", "y"])), ("b".into(), tools(&["z"]))].into());
        fs::write(path(&config.data_dir), "{").unwrap();
        assert!(read(&config).is_empty());
    }
}
