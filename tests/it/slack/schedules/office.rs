//! Bots that share a database and a clock.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, Utc};
use omni_core::{
    Omni, OmniBuilder, PolicyStore, Principal,
    config::SlackConfig,
    identity::Via,
    kept::{Kept, sql::SqlKept},
    llm::scripted::Scripted,
    people::Tables,
    policy::{Grant, PolicyError, PolicyVersion, Role, RuleSet},
};
use omni_slack::{BotError, Clock, serve_with};
use omni_tests::{
    recorder::Recorder,
    rig::until_some,
    server::{FakeServer, any, text},
    slack::{Message, Slack, Submitted},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        GENERAL,
        rig::{config_of, timing},
        same, workspace,
    },
    MONDAY, at, doors,
};

/// An administrator.
pub(super) const ADA: &str = "U0ADA";

/// Roles by address, which change. Whatever is called `wipe` takes a human.
#[derive(Debug)]
pub(super) struct Doors {
    roles: Mutex<BTreeMap<String, String>>,
    /// How whoever was looked up last is known.
    via: Mutex<Option<Via>>,
    version: watch::Sender<PolicyVersion>,
}

impl Doors {
    pub(super) fn new(roles: &[(&str, &str)]) -> Arc<Self> {
        let roles = roles.iter().map(|(subject, role)| ((*subject).to_owned(), (*role).to_owned()));
        Arc::new(Self { roles: Mutex::new(roles.collect()), via: Mutex::default(), version: watch::Sender::new(1) })
    }

    /// From now on nobody knows them.
    pub(super) fn shuts_out(&self, subject: &str) {
        self.roles.lock().unwrap().remove(subject);
        self.version.send_modify(|version| *version += 1);
    }

    /// From now on they have a role.
    pub(super) fn lets_in(&self, subject: &str, role: &str) {
        self.roles.lock().unwrap().insert(subject.into(), role.into());
        self.version.send_modify(|version| *version += 1);
    }

    /// How whoever was looked up last is known.
    pub(super) fn last_via(&self) -> Option<Via> {
        *self.via.lock().unwrap()
    }
}

#[async_trait::async_trait]
impl PolicyStore for Doors {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        *self.via.lock().unwrap() = Some(principal.via);
        let role = self.roles.lock().unwrap().get(&principal.subject).cloned();
        let Some(role) = role else {
            return Err(PolicyError::UnknownSubject { subject: principal.subject.clone() });
        };
        let rules = RuleSet::builder().allow("lab", "*").confirm("lab", "wipe").build().unwrap();
        let is_admin = role == "admin";
        let mut role = Role::new(role);
        role.is_admin = is_admin;
        let mut grant = Grant::new(principal.clone(), role, rules);
        grant.version = *self.version.borrow();
        Ok(Arc::new(grant))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }
}

/// Bots that run.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) slack: Slack,
    pub(super) doors: Arc<Doors>,
    pub(super) recorder: Recorder,
    pub(super) server: FakeServer,
    omnis: Vec<Omni>,
    clock: watch::Sender<DateTime<Utc>>,
    stop: CancellationToken,
    serving: Vec<JoinHandle<Result<(), BotError>>>,
    _dir: TempDir,
}

impl Office {
    /// One bot.
    pub(super) async fn of(llm: Scripted) -> Self {
        Self::with(llm, 1, |_| {}).await
    }

    /// Several, in one workspace.
    pub(super) async fn with(llm: Scripted, bots: usize, set: impl FnOnce(&mut SlackConfig)) -> Self {
        Self::at(lab(), llm, bots, set).await
    }

    pub(super) async fn at(server: FakeServer, llm: Scripted, bots: usize, set: impl FnOnce(&mut SlackConfig)) -> Self {
        Self::changed(server, llm, bots, same, set).await
    }

    /// The same with another pipeline.
    pub(super) async fn changed(
        server: FakeServer,
        llm: Scripted,
        bots: usize,
        change: impl Fn(OmniBuilder) -> OmniBuilder,
        set: impl FnOnce(&mut SlackConfig),
    ) -> Self {
        let (slack, doors, recorder) = (workspace().await, doors(), Recorder::default());
        slack.user(ADA, "ada@company.com");
        let mut config = config_of(&slack);
        set(&mut config);
        let dir = tempfile::tempdir().unwrap();
        let tables = Tables::at(format!("sqlite://{}", dir.path().join("omni.db").display()));
        let (clock, _) = watch::channel(at(MONDAY));
        let stop = CancellationToken::new();
        let (mut omnis, mut serving) = (Vec::new(), Vec::new());
        for _ in 0..bots {
            let builder = Omni::builder().llm(llm.clone()).server("lab", server.clone()).audit(recorder.clone());
            let builder = builder.policy(doors.clone()).kept(SqlKept::new(tables.clone()));
            let omni = change(builder).build().await.unwrap();
            omnis.push(omni.clone());
            let (config, stopped, clock) = (config.clone(), stop.clone(), Clock::told(clock.subscribe()));
            serving.push(tokio::spawn(
                async move { serve_with(omni, &config, timing().with_clock(clock), stopped).await },
            ));
        }
        slack.connected(bots).await;
        Self { slack, doors, recorder, server, omnis, clock, stop, serving, _dir: dir }
    }

    /// It is this time now.
    pub(super) fn is(&self, time: &str) {
        self.clock.send_replace(at(time));
    }

    /// It is still this time.
    pub(super) fn goes_on(&self) {
        self.clock.send_modify(|_| ());
    }

    /// What the bots keep.
    pub(super) fn kept(&self) -> Kept {
        self.omnis[0].kept("slack:T0ACME:U0OMNI").unwrap()
    }

    /// Waits until what is kept below a key is like this.
    pub(super) async fn until_kept(&self, prefix: &str, is: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        until_some(async || {
            self.goes_on();
            let rows: Vec<Value> = self.kept().list(prefix).await.unwrap().into_iter().map(|(_, row)| row).collect();
            is(&rows).then_some(rows)
        })
        .await
    }

    /// Waits until the only schedule of somebody failed so often.
    pub(super) async fn failed(&self, times: u64) {
        self.until_kept("schedule/", |rows| rows.len() == 1 && rows[0]["progress"]["failures"] == times).await;
    }

    /// Nothing failed.
    pub(super) async fn failed_none(&self) {
        self.until_kept("schedule/", |rows| rows.iter().all(|row| row["progress"]["failures"] == 0)).await;
    }

    /// Somebody fills the form for a schedule in; what is not said is as most have it.
    pub(super) async fn enters(&self, user: &str, entries: Value) -> Submitted {
        for open in self.slack.views(user) {
            self.slack.closes(&open).await;
        }
        self.slack.slash(user, GENERAL, "/omni", "schedules").await.acked().await.unwrap();
        let list = self.slack.whisper(user, "Scheduled reports").await;
        self.slack.clicks(user, &list, "omni:schedule:new").await.acked().await.unwrap();
        let modal = self.slack.modal(user, "What is asked").await;
        let mut values = json!({ "question": "What broke?", "when": "0 9 * * *", "channel": GENERAL });
        for (name, value) in entries.as_object().unwrap() {
            values[name] = value.clone();
        }
        self.slack.submits(&modal, values).await
    }

    /// The same, and it is kept; the list with it.
    pub(super) async fn makes(&self, user: &str, entries: Value) -> Message {
        let sent = self.enters(user, entries).await;
        assert_eq!(sent, Submitted::Closed);
        self.slack.whisper(user, "Pause").await
    }

    /// The reports in a channel.
    pub(super) fn reports(&self, channel: &str) -> Vec<Message> {
        let all = self.slack.messages(channel).into_iter();
        all.filter(|message| message.by_bot && message.says("Scheduled report of")).collect()
    }

    /// Waits for so many of them.
    pub(super) async fn until_reports(&self, count: usize) -> Vec<Message> {
        self.slack
            .until(&format!("{count} reports"), |world| {
                self.goes_on();
                let all = world.messages(GENERAL).into_iter();
                let reports: Vec<_> = all.filter(|one| one.by_bot && one.says("Scheduled report of")).collect();
                (reports.len() >= count).then_some(reports)
            })
            .await
    }

    /// Waits for a direct message of the bot's.
    pub(super) async fn tells(&self, user: &str, words: &str) -> Message {
        let direct = self.slack.direct(user);
        let look = |world: &omni_tests::slack::World| {
            world.messages(&direct).into_iter().find(|one| one.by_bot && one.says(words))
        };
        self.slack.until(&format!("a direct message to {user} that says {words:?}"), look).await
    }

    /// Ends all of them as with SIGTERM.
    pub(super) async fn ends(&mut self) {
        self.stop.cancel();
        for serving in self.serving.drain(..) {
            serving.await.unwrap().unwrap();
        }
    }

    /// The bots did nothing that Slack forbids.
    pub(super) fn behaved(&self) {
        let broken = self.slack.violations();
        assert!(broken.is_empty(), "{broken:#?}\n{}", self.slack.transcript());
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// `wipe`, to which somebody has to agree.
pub(super) fn lab() -> FakeServer {
    FakeServer::echo().tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }))
}
