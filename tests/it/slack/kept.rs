//! A bot with a database, and others beside it that share it.

use std::ops::{Deref, DerefMut};

use omni_core::{
    Omni, OmniBuilder,
    audit::{AuditBackend, sql::SqlAudit},
    config::SlackConfig,
    kept::sql::SqlKept,
    llm::scripted::Scripted,
    people::Tables,
};
use omni_slack::{BotError, serve};
use omni_tests::server::FakeServer;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Bot, known, lab, rig::config_of, same, says, workspace};

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    bot: Bot,
    pub(super) tables: Tables,
    dir: TempDir,
}

/// Such a bot.
pub(super) async fn kept(llm: Scripted) -> Kept {
    Kept::start(llm, |_| {}).await
}

/// Another process of the same workspace and database.
#[derive(Debug)]
pub(super) struct Beside {
    omni: Omni,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), BotError>>,
}

async fn with_database(builder: OmniBuilder, dir: &TempDir, name: &str) -> (OmniBuilder, Tables) {
    let url = format!("sqlite:{}", dir.path().join("omni.db").display());
    let (store, tables) = (SqlAudit::open(&url).await.unwrap(), Tables::at(url));
    let builder = builder
        .people(tables.clone())
        .kept(SqlKept::new(tables.clone()))
        .audit_backend(AuditBackend::new(store))
        .ledger_dir(dir.path().join(name));
    (builder, tables)
}

impl Kept {
    pub(super) async fn start(llm: Scripted, set: impl FnOnce(&mut SlackConfig)) -> Self {
        Self::start_with(llm, lab(), same, set).await
    }

    pub(super) async fn start_with(
        llm: Scripted,
        server: FakeServer,
        change: impl FnOnce(OmniBuilder) -> OmniBuilder,
        set: impl FnOnce(&mut SlackConfig),
    ) -> Self {
        let dir = TempDir::new().unwrap();
        // The ledger goes where it is read from; what a builder was given before is in its place.
        let (ready, tables) = with_database(Omni::builder(), &dir, "ledger").await;
        let ready = change(ready.llm(llm).server("lab", server.clone()).policy(known()));
        let change = |builder: OmniBuilder| {
            drop(builder);
            ready
        };
        let bot = Bot::start(workspace().await, says(""), server, change, set).await;
        Self { bot, tables, dir }
    }

    pub(super) async fn another(&self) -> Beside {
        let (builder, _) = with_database(Omni::builder(), &self.dir, "ledger of another").await;
        let builder = builder.llm(says("Paris.")).server("lab", lab()).policy(known());
        let omni = builder.build().await.unwrap();
        let (stop, config) = (CancellationToken::new(), config_of(&self.slack));
        let (serves, stopped) = (omni.clone(), stop.clone());
        let serving = tokio::spawn(async move { serve(serves, &config, stopped).await });
        Beside { omni, stop, serving }
    }
}

impl Beside {
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
        self.omni.shutdown().await;
    }
}

impl Deref for Kept {
    type Target = Bot;

    fn deref(&self) -> &Bot {
        &self.bot
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Bot {
        &mut self.bot
    }
}
