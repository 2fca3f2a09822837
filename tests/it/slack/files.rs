//! A bot of a configuration directory: people, servers and the database are what files say.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use omni_core::{
    Config, LlmProvider, Omni, Registry, audit, config::LoadOptions, limit, llm::scripted::Scripted, mcp::Connector,
    policy,
};
use omni_tests::{recorder::Recorder, server::FakeServer, slack::Slack};
use tempfile::TempDir;

use super::rig::{Bot, config_of, timing};

/// A configuration directory, with a database beside it.
#[derive(Debug)]
pub(super) struct Files(TempDir);

/// One server, `lab`; `wipe` of it takes a human.
const MCPS: &str = "mcps: [{ name: lab, transport: fake, url: http://lab, confirm: [wipe] }]";

impl Files {
    /// These people, by `users.yaml`.
    pub(super) fn new(users: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let files = Self(dir);
        files.write("settings.yaml", "data_dir: data\nllm: { provider: script }\n");
        files.write("mcps.yaml", MCPS);
        files.write("users.yaml", users);
        files
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Its database.
    pub(super) async fn database(&self) -> sqlx::SqlitePool {
        let found = walk(self.0.path()).into_iter().find(|path| path.extension().is_some_and(|end| end == "db"));
        sqlx::SqlitePool::connect(found.unwrap().to_str().unwrap()).await.unwrap()
    }

    /// The pipeline, as a process of its own would make it.
    pub(super) async fn omni(&self, llm: Scripted, server: FakeServer) -> Omni {
        let mut registry = Registry::empty();
        policy::yaml::register(&mut registry);
        limit::memory::register(&mut registry);
        audit::sql::register(&mut registry);
        registry.llm.register("script", move |_| {
            let llm = llm.clone();
            Box::pin(async move { Ok(Arc::new(llm) as Arc<dyn LlmProvider>) })
        });
        registry.transports.register("fake", move |_| {
            let server = server.clone();
            Box::pin(async move { Ok(Arc::new(server) as Arc<dyn Connector>) })
        });
        let options = LoadOptions::new(BTreeMap::new(), self.0.path()).with_dir(self.0.path());
        Omni::from_config(&Config::load(options).unwrap(), &registry).await.unwrap()
    }

    /// The bot over it.
    pub(super) async fn bot(&self, slack: Slack, llm: Scripted, server: FakeServer) -> Bot {
        let omni = self.omni(llm, server.clone()).await;
        let config = config_of(&slack);
        Bot::over(slack, omni, Recorder::default(), server, config, timing()).await
    }
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
