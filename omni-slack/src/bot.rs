//! [`Bot`]: takes in what Slack delivers, and does what it asks for later.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use omni_core::{Omni, config::SlackConfig};
use serde_json::json;
use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::Api,
    channels::Channels,
    event::Inbound,
    people::{Me, People},
    port::{Ack, Delivery, EventSource, Intake, SlackError, SlackPort},
    schedule::Clock,
};

mod action;
mod answering;
mod asked;
mod command;
mod confirming;
mod context;
mod expiring;
mod exporting;
mod following;
mod helping;
mod home;
mod interrupted;
mod judging;
mod keeping;
mod message;
mod modal;
mod more;
mod pages;
mod preferring;
mod question;
mod reacting;
mod recent;
mod refusing;
mod reporting;
mod running;
mod scheduling;
mod seen;
mod stopping;
mod telling;
mod turns;
mod voice;

use asked::Elicited;
pub(crate) use interrupted::LOOK_EVERY;
use interrupted::Life;
use pages::Pages;
use reporting::Reports;
use running::Running;
use seen::Seen;
use turns::Turns;

/// How many asks run at a time; others wait. Clicks never do: an ask may wait for one.
const AT_ONCE: usize = 512;
/// How many may wait; more are delivered again by Slack later.
const MOST: usize = 8_192;
/// How long the bot waits between two tries to learn who it is, at least and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long those have to say goodbye whose asks are given up at the end.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The bot. Clones are the same.
#[derive(Debug, Clone)]
pub struct Bot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    omni: Omni,
    api: Api,
    me: Me,
    /// What holds where the pipeline has no configuration of its own.
    given: SlackConfig,
    people: People,
    channels: Channels,
    seen: Seen,
    running: Arc<Running>,
    turns: Arc<Turns>,
    elicited: Arc<Elicited>,
    life: Life,
    reports: Arc<Reports>,
    pages: Pages,
    /// What time it is for what is done on schedule, and for what is told of today.
    clock: Clock,
    /// What it hears by, where it opens sockets itself.
    sockets: OnceLock<Arc<dyn EventSource>>,
    /// Whether the model answered when it was asked last, where it was.
    model: watch::Sender<Option<bool>>,
    tasks: TaskTracker,
    /// What waits for its time, and ends when nothing new is taken in.
    timers: TaskTracker,
    room: Semaphore,
    began: Instant,
    /// Nothing new is taken in.
    closing: CancellationToken,
    /// What still runs is given up.
    ending: CancellationToken,
}

impl Bot {
    /// The bot of a workspace, by its token; asks Slack who it is until that is known.
    ///
    /// # Errors
    /// A [`SlackError`] that is fatal: the token is not right.
    pub async fn new(omni: Omni, config: SlackConfig, port: Arc<dyn SlackPort>) -> Result<Self, SlackError> {
        Self::timed(omni, config, port, Clock::default()).await
    }

    /// The same, with schedules by another clock.
    ///
    /// # Errors
    /// As [`Bot::new`].
    pub async fn timed(
        omni: Omni,
        config: SlackConfig,
        port: Arc<dyn SlackPort>,
        clock: Clock,
    ) -> Result<Self, SlackError> {
        let api = Api::new(port);
        let me = who_am_i(&api).await?;
        tracing::info!(team = me.team, user = me.user, "the Slack bot is known to its workspace");
        Ok(Self(Arc::new(Inner {
            omni,
            api,
            me,
            given: config,
            people: People::default(),
            channels: Channels::default(),
            seen: Seen::default(),
            running: Arc::default(),
            turns: Arc::default(),
            elicited: Arc::default(),
            life: Life::default(),
            reports: Arc::default(),
            pages: Pages::default(),
            clock,
            sockets: OnceLock::new(),
            model: watch::Sender::new(None),
            tasks: TaskTracker::new(),
            timers: TaskTracker::new(),
            room: Semaphore::new(AT_ONCE),
            began: Instant::now(),
            closing: CancellationToken::new(),
            ending: CancellationToken::new(),
        })))
    }

    /// Who the bot is in Slack.
    #[must_use]
    pub fn me(&self) -> &Me {
        &self.0.me
    }

    /// From now on it hears by these.
    pub(crate) fn hears_by(&self, sockets: &Arc<dyn EventSource>) {
        let _ = self.0.sockets.set(sockets.clone());
    }

    /// Waits until Slack takes nothing more from the bot, and says why.
    pub(crate) async fn given_up(&self) -> SlackError {
        self.api().ended().await
    }

    /// Takes nothing new in, lets what runs finish for a while, and gives up the rest with a word to its askers.
    pub async fn drain(&self, within: Duration) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.timers.close();
        if timeout(within, self.0.tasks.wait()).await.is_err() {
            self.0.ending.cancel();
            if timeout(LAST_WORDS, self.0.tasks.wait()).await.is_err() {
                tracing::warn!(left = self.0.tasks.len(), "answers in Slack are left unfinished");
            }
        }
        // They end by themselves, but for one that changes a card just now.
        let _ = timeout(LAST_WORDS, self.0.timers.wait()).await;
    }

    /// Whether nothing runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.tasks.is_empty()
    }

    fn omni(&self) -> &Omni {
        &self.0.omni
    }

    fn api(&self) -> &Api {
        &self.0.api
    }

    /// What holds by now.
    fn config(&self) -> SlackConfig {
        self.0.omni.slack_config().unwrap_or_else(|| self.0.given.clone())
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(work);
    }
}

async fn who_am_i(api: &Api) -> Result<Me, SlackError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match api.call("auth.test", &json!({})).await.and_then(|answer| Me::of(&answer)) {
            Ok(me) => return Ok(me),
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "Slack does not say who the bot is; it is asked again");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

impl Intake for Bot {
    fn take(&self, delivery: Delivery) -> Ack {
        if self.0.closing.is_cancelled() {
            return Ack::Refused;
        }
        let inbound = Inbound::of(&delivery);
        self.heeds_change(&inbound);
        if !self.concerns(&inbound) {
            return Ack::Empty;
        }
        if self.0.tasks.len() >= MOST {
            tracing::warn!("too much comes from Slack; it is asked to deliver again later");
            return Ack::Refused;
        }
        let key = inbound.key(&delivery);
        if let Some(key) = &key
            && !self.0.seen.is_new(key.clone())
        {
            tracing::debug!(retry = delivery.retry, "Slack delivered something again");
            return Ack::Empty;
        }
        // What becomes of a modal has to be said at once.
        if let Inbound::Submission(submission) = inbound {
            let ack = self.submitted(submission);
            // A form that is refused may be sent again.
            if let (Ack::With(_), Some(key)) = (&ack, key) {
                self.0.seen.forget(&key);
            }
            return ack;
        }
        let bot = self.clone();
        self.spawn(async move { bot.handle(inbound, key.as_deref()).await });
        Ack::Empty
    }
}

impl Bot {
    /// What is known of a channel counts no more once it is another one: at once, for what comes next.
    fn heeds_change(&self, inbound: &Inbound) {
        match inbound {
            Inbound::ChannelChanged(channel) => self.0.channels.forget(channel),
            Inbound::Left { user, channel } if *user == self.me().user => self.0.channels.forget(channel),
            _ => {}
        }
    }

    /// Whether there may be anything to do: most of what people write in channels is not for the bot.
    fn concerns(&self, inbound: &Inbound) -> bool {
        match inbound {
            Inbound::Message(message) => self.is_for_me(message),
            Inbound::Reacted(reaction) => self.may_matter(reaction),
            Inbound::ChannelChanged(_) | Inbound::Left { .. } | Inbound::Other => false,
            _ => true,
        }
    }

    /// Does what something asks for. Events come to any process of a workspace, clicks and commands to one.
    async fn handle(&self, inbound: Inbound, key: Option<&str>) {
        match inbound {
            Inbound::Message(message) => self.message(message, key).await,
            Inbound::Command(command) => self.command(command).await,
            Inbound::Action(action) => self.action(action).await,
            Inbound::Shortcut(shortcut) => self.shortcut(shortcut).await,
            Inbound::Closed(submission) => self.closed(&submission),
            Inbound::HomeOpened { user, channel, tab } => self.opened(&user, &channel, &tab).await,
            Inbound::Stopped { user, channel, thread } => self.stopped(&user, channel, thread).await,
            Inbound::Reacted(reaction) if self.is_ours(key).await => self.reacted(reaction).await,
            Inbound::Reacted(_)
            | Inbound::Submission(_)
            | Inbound::ChannelChanged(_)
            | Inbound::Left { .. }
            | Inbound::Other => {}
        }
    }
}
