//! A bot with a database, and others beside it that share it.

use std::ops::{Deref, DerefMut};

use omni_core::{
    Omni, OmniBuilder,
    audit::{AuditBackend, sql::SqlAudit},
    config::SlackConfig,
    kept::{Kept as Values, sql::SqlKept},
    llm::scripted::Scripted,
    people::Tables,
};
use omni_slack::{BotError, serve_with};
use omni_tests::{
    own_database::OwnDatabase,
    server::FakeServer,
    slack::{BOT_USER, TEAM},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    Bot, known, lab,
    rig::{config_of, timing},
    same, says, workspace,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    bot: Bot,
    pub(super) tables: Tables,
    place: Place,
}

/// Where a bot keeps what it keeps: its database, and the files of its ledger.
#[derive(Debug)]
struct Place {
    url: String,
    dir: TempDir,
    _database: Option<OwnDatabase>,
}

impl Place {
    /// A file of its own.
    fn file() -> Self {
        let dir = TempDir::new().unwrap();
        Self { url: format!("sqlite:{}", dir.path().join("omni.db").display()), dir, _database: None }
    }

    /// What a pipeline takes that keeps everything there.
    async fn given_to(&self, builder: OmniBuilder, name: &str) -> (OmniBuilder, Tables) {
        let (store, tables) = (SqlAudit::open(&self.url).await.unwrap(), Tables::at(self.url.clone()));
        let builder = builder
            .people(tables.clone())
            .kept(SqlKept::new(tables.clone()))
            .audit_backend(AuditBackend::new(store))
            .ledger_dir(self.dir.path().join(name));
        (builder, tables)
    }
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

impl Kept {
    pub(super) async fn start(llm: Scripted, set: impl FnOnce(&mut SlackConfig)) -> Self {
        Self::start_with(llm, lab(), same, set).await
    }

    /// The same with a PostgreSQL database, where there is a server.
    pub(super) async fn on_postgres(llm: Scripted, set: impl FnOnce(&mut SlackConfig)) -> Option<Self> {
        let database = OwnDatabase::postgres().await?;
        let place = Place { url: database.url(), dir: TempDir::new().unwrap(), _database: Some(database) };
        Some(Self::at(place, llm, lab(), same, set).await)
    }

    pub(super) async fn start_with(
        llm: Scripted,
        server: FakeServer,
        change: impl FnOnce(OmniBuilder) -> OmniBuilder,
        set: impl FnOnce(&mut SlackConfig),
    ) -> Self {
        Self::at(Place::file(), llm, server, change, set).await
    }

    async fn at(
        place: Place,
        llm: Scripted,
        server: FakeServer,
        change: impl FnOnce(OmniBuilder) -> OmniBuilder,
        set: impl FnOnce(&mut SlackConfig),
    ) -> Self {
        // The ledger goes where it is read from; what a builder was given before is in its place.
        let (ready, tables) = place.given_to(Omni::builder(), "ledger").await;
        let ready = change(ready.llm(llm).server("lab", server.clone()).policy(known()));
        let change = |builder: OmniBuilder| {
            drop(builder);
            ready
        };
        let bot = Bot::start(workspace().await, says(""), server, change, set).await;
        Self { bot, tables, place }
    }

    /// What bots of this workspace keep beside everything else.
    pub(super) fn values(&self) -> Values {
        self.omni.kept(&format!("slack:{TEAM}:{BOT_USER}")).unwrap()
    }

    pub(super) async fn another(&self) -> Beside {
        let (builder, _) = self.place.given_to(Omni::builder(), "ledger of another").await;
        let builder = builder.llm(says("Paris.")).server("lab", lab()).policy(known());
        let omni = builder.build().await.unwrap();
        let (stop, config) = (CancellationToken::new(), config_of(&self.slack));
        let (serves, stopped) = (omni.clone(), stop.clone());
        let serving = tokio::spawn(async move { serve_with(serves, &config, timing(), stopped).await });
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
