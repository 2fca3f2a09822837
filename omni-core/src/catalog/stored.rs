//! The tools that servers had when they were last asked: for whoever wants to know what a policy means
//! without asking them again. Nothing is decided with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Catalog, Health, ServerView, ToolDef, Withheld};
use crate::{config::Config, ledger::files, pin::Why};

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Tools by server and name.
pub type StoredTools = BTreeMap<String, BTreeMap<String, StoredTool>>;

/// What is kept of a tool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredTool {
    /// Whether it says that it may destroy something; `None` where that was not kept.
    #[serde(rename = "destructive", default, skip_serializing_if = "Option::is_none")]
    pub is_destructive: Option<bool>,
    /// Why it was kept back; `None` of a tool that was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Why>,
}

impl From<&ToolDef> for StoredTool {
    fn from(def: &ToolDef) -> Self {
        Self { is_destructive: Some(def.rule_ref().is_destructive), withheld: None }
    }
}

impl From<&Withheld> for StoredTool {
    fn from(withheld: &Withheld) -> Self {
        Self { withheld: Some(withheld.why), ..Self::from(&*withheld.def) }
    }
}

/// A server's tools in the file. Once it had the names alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tools {
    Names(BTreeSet<String>),
    Known(BTreeMap<String, StoredTool>),
}

impl From<Tools> for BTreeMap<String, StoredTool> {
    fn from(tools: Tools) -> Self {
        match tools {
            Tools::Names(names) => names.into_iter().map(|name| (name, StoredTool::default())).collect(),
            Tools::Known(known) => known,
        }
    }
}

/// The tools that were seen last; empty where none ever were.
#[must_use]
pub fn read(config: &Config) -> StoredTools {
    read_in(&config.data_dir)
}

fn read_in(dir: &Path) -> StoredTools {
    let mut text = String::new();
    let read = fs::File::open(path(dir)).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    // One that cannot be read is written anew the next time.
    let tools: Option<BTreeMap<String, Tools>> = read.ok().and_then(|_| serde_json::from_str(&text).ok());
    tools.unwrap_or_default().into_iter().map(|(server, tools)| (server, tools.into())).collect()
}

/// What is kept of a server: all its tools, those that are kept back among them.
#[must_use]
pub fn of(server: &ServerView) -> BTreeMap<String, StoredTool> {
    let usable = server.tools.iter().map(|def| (def.name.to_string(), StoredTool::from(&**def)));
    let withheld = server.withheld.iter().map(|held| (held.def.name.to_string(), StoredTool::from(held)));
    usable.chain(withheld).collect()
}

/// Keeps what the servers that answered have; of the others, what they had.
pub(crate) async fn keep(config: &Config, catalog: &Catalog) {
    let answered = catalog.servers.iter().filter(|server| server.health == Health::Healthy);
    let seen: StoredTools = answered.map(|server| (server.name.to_string(), of(server))).collect();
    change(config, move |tools| tools.extend(seen)).await;
}

/// Notes that tools of a server are not kept back any more, which nobody need ask the server for.
pub(crate) async fn let_in(config: &Config, server: &str, names: &[&str]) {
    let (server, names) = (server.to_owned(), names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let let_in = move |tools: &mut StoredTools| {
        for (name, tool) in tools.get_mut(&server).into_iter().flatten() {
            if names.contains(name) {
                tool.withheld = None;
            }
        }
    };
    change(config, let_in).await;
}

/// Changes the tools that are kept, and writes them where they are others than before.
async fn change(config: &Config, change: impl FnOnce(&mut StoredTools) + Send + 'static) {
    let dir = config.data_dir.clone();
    let written = files::blocking(move || {
        let before = read_in(&dir);
        let mut tools = before.clone();
        change(&mut tools);
        if tools == before {
            return Ok(());
        }
        write(&dir, &tools).map_err(|error| files::failed(&path(&dir), &error))
    });
    if let Err(error) = written.await {
        tracing::debug!(%error, "what the servers' tools are was not kept");
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

    fn catalog(server: &str, health: Health, tools: &[&str]) -> Catalog {
        let mut view = ServerView::new(server, "http");
        view.health = health;
        let schema = || to_raw_value(&json!({ "type": "object" })).unwrap();
        let tool = |name: &&str| {
            let mut tool = ToolDef::new(server, *name, schema());
            tool.annotations.destructive_hint = Some(*name == "y").filter(|_| *name != "z");
            Arc::new(tool)
        };
        view.tools = tools.iter().map(tool).collect();
        Catalog::new(1, vec![view])
    }

    fn config(dir: &Path) -> Config {
        let mut config = Config::embedded(&BTreeMap::new(), dir);
        config.data_dir = dir.join("data");
        config
    }

    #[tokio::test]
    async fn a_tool_that_is_kept_back_is_known_as_such_until_it_is_let_in() {
        let dir = tempfile::TempDir::new().unwrap();
        let config = config(dir.path());
        let mut seen = catalog("a", Health::Healthy, &["x", "y"]);
        let def = seen.servers[0].tools.pop().unwrap();
        seen.servers[0].withheld.push(Withheld { def, why: Why::Changed, findings: Vec::new() });
        keep(&config, &seen).await;
        let held = StoredTool { is_destructive: Some(true), withheld: Some(Why::Changed) };
        assert_eq!((read(&config)["a"]["x"].withheld, read(&config)["a"]["y"]), (None, held));
        let_in(&config, "b", &["y"]).await;
        let_in(&config, "a", &["x"]).await;
        assert_eq!(read(&config)["a"]["y"], held);
        let_in(&config, "a", &["y"]).await;
        assert_eq!(read(&config)["a"], of(&catalog("a", Health::Healthy, &["x", "y"]).servers[0]));
    }

    #[tokio::test]
    async fn a_server_that_is_away_keeps_the_tools_that_it_had() {
        let dir = tempfile::TempDir::new().unwrap();
        let config = config(dir.path());
        assert!(read(&config).is_empty());
        keep(&config, &catalog("a", Health::Healthy, &["x", "y"])).await;
        keep(&config, &catalog("a", Health::Unhealthy { reason: "away".into() }, &[])).await;
        keep(&config, &catalog("b", Health::Healthy, &["z"])).await;
        let tools = |tools: &[(&str, bool)]| {
            let tool = |(name, is): &(&str, bool)| {
                ((*name).to_owned(), StoredTool { is_destructive: Some(*is), withheld: None })
            };
            tools.iter().map(tool).collect::<BTreeMap<_, _>>()
        };
        let expected = [("a".into(), tools(&[("x", false), ("y", true)])), ("b".into(), tools(&[("z", false)]))].into();
        assert_eq!(read(&config), expected, "a tool that says nothing may destroy nothing");
        fs::write(path(&config.data_dir), "{").unwrap();
        assert!(read(&config).is_empty());
        // As it was kept once.
        fs::write(path(&config.data_dir), r#"{ "a": ["x"] }"#).unwrap();
        assert_eq!(read(&config)["a"]["x"], StoredTool::default());
    }
}
