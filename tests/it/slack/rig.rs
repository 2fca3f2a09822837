//! A bot in a workspace.

use std::{sync::Arc, time::Duration};

use omni_core::{
    Omni, OmniBuilder, PolicyStore, Principal,
    config::SlackConfig,
    llm::scripted::Scripted,
    policy::{Grant, PolicyError, PolicyVersion, Role, RuleSet},
};
use omni_slack::{BotError, Timing, serve_with};
use omni_tests::{
    recorder::Recorder,
    rig::until_some,
    server::FakeServer,
    slack::{Message, Slack},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::known;

/// Roles by address; everybody else is unknown. Whatever is called `wipe` takes a human.
#[derive(Debug)]
pub(super) struct Roles {
    roles: Vec<(&'static str, &'static str)>,
    /// Whether every server may be used, and nothing takes a human.
    is_open: bool,
    version: watch::Sender<PolicyVersion>,
}

impl Roles {
    pub(super) fn new(roles: &[(&'static str, &'static str)]) -> Arc<Self> {
        Arc::new(Self { roles: roles.to_vec(), is_open: false, version: watch::Sender::new(1) })
    }

    /// The same with every server.
    pub(super) fn of_all(roles: &[(&'static str, &'static str)]) -> Arc<Self> {
        Arc::new(Self { roles: roles.to_vec(), is_open: true, version: watch::Sender::new(1) })
    }
}

#[async_trait::async_trait]
impl PolicyStore for Roles {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let known = self.roles.iter().find(|(subject, _)| *subject == principal.subject);
        let Some((_, role)) = known else {
            return Err(PolicyError::UnknownSubject { subject: principal.subject.clone() });
        };
        let rules = match self.is_open {
            true => RuleSet::allow_all(),
            false => RuleSet::builder().allow("lab", "*").confirm("lab", "wipe").build().unwrap(),
        };
        let mut grant = Grant::new(principal.clone(), Role::new(*role), rules);
        grant.version = *self.version.borrow();
        Ok(Arc::new(grant))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }
}

/// A bot that runs, and the workspace that it is in.
#[derive(Debug)]
pub(super) struct Bot {
    pub(super) slack: Slack,
    pub(super) omni: Omni,
    pub(super) recorder: Recorder,
    pub(super) server: FakeServer,
    config: SlackConfig,
    timing: Timing,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), BotError>>,
}

/// As it is for everybody, but for what would take a test half a minute.
pub(super) fn timing() -> Timing {
    Timing::default().with_looks(Duration::from_millis(500))
}

impl Bot {
    pub(super) async fn start(
        slack: Slack,
        llm: Scripted,
        server: FakeServer,
        change: impl FnOnce(OmniBuilder) -> OmniBuilder,
        set: impl FnOnce(&mut SlackConfig),
    ) -> Self {
        let recorder = Recorder::default();
        let builder = Omni::builder().llm(llm).server("lab", server.clone()).audit(recorder.clone()).policy(known());
        let omni = change(builder).build().await.unwrap();
        let mut config = config_of(&slack);
        set(&mut config);
        Self::over(slack, omni, recorder, server, config, timing()).await
    }

    /// The bot of a pipeline that was built elsewhere.
    pub(super) async fn over(
        slack: Slack,
        omni: Omni,
        recorder: Recorder,
        server: FakeServer,
        config: SlackConfig,
        timing: Timing,
    ) -> Self {
        let is_socket = config.socket_mode;
        let (stop, serving) = served(&omni, &config, &timing);
        let bot = Self { slack, omni, recorder, server, config, timing, stop, serving };
        if is_socket {
            bot.slack.connected(1).await;
        }
        bot
    }

    /// Ends as with SIGTERM.
    pub(super) fn asked_to_end(&self) {
        self.stop.cancel();
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> Result<(), BotError> {
        (&mut self.serving).await.unwrap()
    }

    /// Ends it and its pipeline, so that every record is kept.
    pub(super) async fn closes(&mut self) {
        self.stop.cancel();
        self.ended().await.unwrap();
        self.omni.shutdown().await;
    }

    /// Another process takes its place: nothing that it had in memory is there any more.
    pub(super) async fn restart(&mut self) {
        self.stop.cancel();
        self.ended().await.unwrap();
        self.begins_again().await;
    }

    /// A process takes the place of one that ended.
    pub(super) async fn begins_again(&mut self) {
        (self.stop, self.serving) = served(&self.omni, &self.config, &self.timing);
        self.slack.connected(1).await;
    }

    /// What the bot said first in direct messages with somebody after a message of theirs that has these words.
    pub(super) async fn said_to(&self, user: &str, after: &str, words: &str) -> Message {
        let direct = self.slack.direct(user);
        until_some(async || {
            let mut later = self.slack.messages(&direct).into_iter().filter(|message| *message.ts > *after);
            later.rfind(|message| message.by_bot && message.says(words))
        })
        .await
    }

    /// The bot did nothing that Slack forbids.
    pub(super) fn behaved(&self) {
        let broken = self.slack.violations();
        assert!(broken.is_empty(), "{broken:#?}\n{}", self.slack.transcript());
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn served(omni: &Omni, config: &SlackConfig, timing: &Timing) -> (CancellationToken, JoinHandle<Result<(), BotError>>) {
    let stop = CancellationToken::new();
    let (omni, config, timing, stopped) = (omni.clone(), config.clone(), timing.clone(), stop.clone());
    (stop, tokio::spawn(async move { serve_with(omni, &config, timing, stopped).await }))
}

pub(super) fn config_of(slack: &Slack) -> SlackConfig {
    let mut config = SlackConfig::default();
    config.api_url = slack.api_url();
    config.bot_token = Some(slack.bot_token().into());
    config.app_token = Some(slack.app_token().into());
    config.signing_secret = Some(slack.signing_secret().into());
    config
}
