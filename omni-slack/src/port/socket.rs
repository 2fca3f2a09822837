//! Socket Mode over slack-morphism: sockets that the bot opens, and Slack delivers by.
//!
//! The library keeps the connections. What comes over them it hands over as text, so that nothing is lost in
//! types that know less than Slack sends, and an answer can be anything.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hyper_util::client::legacy::connect::Connect;
use serde_json::{Value, json};
use slack_morphism::{
    SlackClientSocketModeConfig, SlackSocketModeClientListener, SlackSocketModeWssClientId,
    clients_manager::{SlackSocketModeClientsManager, SlackSocketModeClientsManagerFactory as _},
    hyper_tokio::SlackClientHyperConnector,
    listener::SlackClientEventsListenerEnvironment,
};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Ack, Delivery, DeliveryKind, EventSource, Intake, Pulse, SlackError, SlackPort as _, web::Web};

mod lives;

use lives::{End, Lives};

/// The method that opens a socket.
const OPEN: &str = "apps.connections.open";
/// How many connections there are: while one is made anew the other hears.
const CONNECTIONS: u32 = 2;
/// How long after the first one the second is made, in seconds.
const STAGGER: u64 = 1;
/// How long after a failure it is tried again, in seconds.
const AGAIN_AFTER: u64 = 10;
/// How many looks in a row find no connection though Slack would open one, until all are made anew: one may hang
/// before it is a connection, where the library waits for ever.
const LOOKS_IN_VAIN: u32 = 3;
/// How long the first try waits after a failure, and the next socket after one that ended soon, at least and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Deliveries by sockets, opened with the app's token.
pub(crate) struct Sockets<H: Send + Sync + Clone + Connect + 'static> {
    web: Web<H>,
    pulse: Pulse,
    live: Live,
}

/// The connections that Slack has greeted.
type Live = Arc<Mutex<HashSet<SlackSocketModeWssClientId>>>;

impl<H: Send + Sync + Clone + Connect + 'static> std::fmt::Debug for Sockets<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sockets").finish_non_exhaustive()
    }
}

impl<H: Send + Sync + Clone + Connect + 'static> Sockets<H> {
    pub(crate) fn new(web: Web<H>, pulse: Pulse) -> Self {
        Self { web, pulse, live: Live::default() }
    }

    /// Waits until Slack lets a socket be opened: only here an error is seen after which it never will.
    async fn ready(&self) -> Result<(), SlackError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.probe().await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    let wait = if let SlackError::Limited { retry_after, .. } = &error { *retry_after } else { pause };
                    tracing::warn!(%error, "Slack opens no socket; it is tried again");
                    sleep(wait).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Ends when the connections are to be made anew.
    ///
    /// # Errors
    /// The first error that is for good, while there is no connection.
    async fn watch(&self, live: &Hearing) -> Result<(), SlackError> {
        let mut in_vain = 0;
        while in_vain < LOOKS_IN_VAIN {
            sleep(self.pulse.look_every()).await;
            if live.is_connected() || live.is_resting() {
                in_vain = 0;
                continue;
            }
            match self.probe().await {
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => tracing::warn!(%error, "there is no socket to Slack"),
                Ok(()) => in_vain += 1,
            }
        }
        tracing::warn!("no socket to Slack came to be; all are opened anew");
        Ok(())
    }

    /// Opens all connections, and hears on them until they are to be made anew.
    ///
    /// # Errors
    /// An error that is for good.
    async fn hear(&self, to: Arc<dyn Intake>, stop: &CancellationToken) -> Result<(), SlackError> {
        let environment = Arc::new(SlackClientEventsListenerEnvironment::new(self.web.client.clone()));
        let connector: &SlackClientHyperConnector<H> = &self.web.client.http_api.connector;
        let manager = connector.new_clients_manager(environment);
        let hearing = Arc::new(Hearing::new(to, self.live.clone()));
        // It is set before anything is heard.
        let _ = hearing.manager.set(Arc::downgrade(&manager));
        let config = SlackClientSocketModeConfig::new()
            .with_max_connections_count(CONNECTIONS)
            .with_initial_backoff_in_seconds(STAGGER)
            .with_reconnect_timeout_in_seconds(AGAIN_AFTER)
            .with_ping_interval_in_seconds(self.pulse.every_s)
            .with_ping_failure_threshold_times(self.pulse.missed);
        let registered = manager.register_new_token(&config, self.web.token.clone(), hearing.clone()).await;
        registered.map_err(|_| SlackError::away(OPEN, "the sockets cannot be set up"))?;
        manager.start().await;
        let ended = stop.run_until_cancelled(self.watch(&hearing)).await;
        hearing.ends().await;
        manager.shutdown().await;
        hearing.live().clear();
        ended.unwrap_or(Ok(()))
    }
}

#[async_trait]
impl<H: Send + Sync + Clone + Connect + 'static> EventSource for Sockets<H> {
    async fn probe(&self) -> Result<(), SlackError> {
        self.web.call(OPEN, &json!({})).await.map(drop).map_err(explained)
    }

    fn connections(&self) -> usize {
        locked(&self.live).len()
    }

    async fn run(&self, to: Arc<dyn Intake>, stop: CancellationToken) -> Result<(), SlackError> {
        match stop.run_until_cancelled(self.ready()).await {
            None => return Ok(()),
            Some(ready) => ready?,
        }
        while !stop.is_cancelled() {
            self.hear(to.clone(), &stop).await?;
        }
        Ok(())
    }
}

/// What a token may do is said when it is made: one that may open no sockets never will.
fn explained(error: SlackError) -> SlackError {
    match error.code() {
        Some("missing_scope") => SlackError::Config {
            message: "the app token (slack.app_token, SLACK_APP_TOKEN) lacks the scope connections:write; generate \
                      another one that has it"
                .into(),
        },
        _ => error,
    }
}

/// Whatever opens the sockets.
type Manager = Weak<dyn SlackSocketModeClientsManager + Send + Sync>;

/// What is heard on all sockets.
struct Hearing {
    to: Arc<dyn Intake>,
    manager: OnceLock<Manager>,
    live: Live,
    lives: Arc<Mutex<Lives>>,
    /// Sockets that are to be opened, until it is over.
    tasks: TaskTracker,
    over: CancellationToken,
}

impl Hearing {
    fn new(to: Arc<dyn Intake>, live: Live) -> Self {
        Self {
            to,
            manager: OnceLock::new(),
            live,
            lives: Arc::default(),
            tasks: TaskTracker::new(),
            over: CancellationToken::new(),
        }
    }

    fn is_connected(&self) -> bool {
        !self.live().is_empty()
    }

    /// Whether every socket waits for its time.
    fn is_resting(&self) -> bool {
        locked(&self.lives).waiting() >= CONNECTIONS as usize
    }

    fn live(&self) -> MutexGuard<'_, HashSet<SlackSocketModeWssClientId>> {
        locked(&self.live)
    }

    /// Has another socket opened for one that ended: at once, or after a pause where it did not live long. An app may
    /// open only so many in a minute, also for its other processes.
    async fn again(&self, id: &SlackSocketModeWssClientId, end: End) {
        let is_heard = {
            let mut live = self.live();
            live.remove(id);
            !live.is_empty()
        };
        let pause = locked(&self.lives).ended(id, end, is_heard, Instant::now());
        let (Some(pause), Some(manager)) = (pause, self.manager.get().cloned()) else { return };
        if pause.is_zero() {
            return open(&manager, id).await;
        }
        tell(end, pause);
        let (lives, over, id) = (self.lives.clone(), self.over.clone(), id.clone());
        // What Slack still sends over the old one meanwhile is heard.
        self.tasks.spawn(async move {
            if over.run_until_cancelled(sleep(pause)).await.is_some() {
                locked(&lives).goes_on(&id);
                open(&manager, &id).await;
            }
        });
    }

    /// No socket is opened any more.
    async fn ends(&self) {
        self.over.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The answer to an envelope; `None` where there is none to give.
    fn answer(&self, envelope: Value) -> Option<String> {
        let kind = match envelope["type"].as_str()? {
            "events_api" => Some(DeliveryKind::Event),
            "slash_commands" => Some(DeliveryKind::Command),
            "interactive" => Some(DeliveryKind::Interaction),
            _ => None,
        };
        let id = envelope["envelope_id"].as_str()?.to_owned();
        let takes_payload = envelope["accepts_response_payload"].as_bool().unwrap_or(false);
        let retry = envelope["retry_attempt"].as_u64().unwrap_or(0);
        // What nobody knows here, nobody will at the next delivery.
        let Some(kind) = kind else { return Some(json!({ "envelope_id": id }).to_string()) };
        let Value::Object(mut envelope) = envelope else { return None };
        let payload = envelope.remove("payload").unwrap_or_default();
        match self.to.take(Delivery { kind, payload, retry }) {
            Ack::Empty => Some(json!({ "envelope_id": id }).to_string()),
            Ack::With(payload) if takes_payload => Some(json!({ "envelope_id": id, "payload": payload }).to_string()),
            Ack::With(_) => Some(json!({ "envelope_id": id }).to_string()),
            Ack::Refused => None,
        }
    }
}

fn locked<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a socket in place of another one, which is given up.
async fn open(manager: &Manager, id: &SlackSocketModeWssClientId) {
    if let Some(manager) = manager.upgrade() {
        manager.restart_client(id).await;
    }
}

/// Says that a socket is opened later, and what may be done about it.
fn tell(end: End, pause: Duration) {
    let pause_s = pause.as_secs();
    match end {
        End::OneTooMany => tracing::warn!(
            pause_s,
            "the app has more than the ten sockets that Slack lets it have: run fewer processes of the bot, or have \
             Slack post to them (slack.socket_mode: false)"
        ),
        End::Other => tracing::warn!(pause_s, "a socket to Slack ended soon after it was opened; the next one waits"),
    }
}

#[async_trait]
impl SlackSocketModeClientListener for Hearing {
    async fn on_message(&self, id: &SlackSocketModeWssClientId, body: String) -> Option<String> {
        let Ok(envelope) = serde_json::from_str::<Value>(&body) else {
            tracing::warn!("Slack sent something that is no JSON");
            return None;
        };
        match envelope["type"].as_str() {
            Some("hello") => {
                self.live().insert(id.clone());
                locked(&self.lives).greeted(id, Instant::now());
                tracing::info!(connections = envelope["num_connections"].as_u64(), "a socket to Slack is open");
                None
            }
            Some("disconnect") => {
                let reason = envelope["reason"].as_str();
                tracing::info!(reason, "Slack wants another socket");
                let end = if reason == Some("too_many_websockets") { End::OneTooMany } else { End::Other };
                self.again(id, end).await;
                None
            }
            _ => self.answer(envelope),
        }
    }

    async fn on_error(&self, _: Box<dyn std::error::Error + Send + Sync>) {
        tracing::warn!("a socket to Slack failed");
    }

    async fn on_disconnect(&self, id: &SlackSocketModeWssClientId) {
        self.again(id, End::Other).await;
    }
}

#[cfg(test)]
mod tests;
