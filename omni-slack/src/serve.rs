//! The bot of a configuration, until the process is asked to end.

use std::{sync::Arc, time::Duration};

use omni_core::{
    Config, Error, Omni, Registry, SecretString,
    config::{ConfigError, LoadOptions, SlackConfig},
    reload::Reloader,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    bot::{Bot, LOOK_EVERY},
    people::Me,
    port::{EventSource, Intake, Pulse, SlackError, web},
    schedule::Clock,
    signed::{self, Listening},
};

/// How long running answers have to finish at the end.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

/// Why the bot ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BotError {
    /// The pipeline could not be built.
    #[error(transparent)]
    Omni(#[from] Error),
    /// Slack will not have it.
    #[error(transparent)]
    Slack(#[from] SlackError),
}

impl BotError {
    /// Whether configuration or credentials are not right: programs end with 3 then.
    #[must_use]
    pub fn is_config(&self) -> bool {
        match self {
            Self::Omni(error) => error.kind() == omni_core::ErrorKind::Config,
            Self::Slack(error) => error.is_fatal(),
        }
    }
}

/// The whole bot: what the configuration describes, kept up to date with the files that it was loaded from by
/// `options`, until `stop`.
///
/// # Errors
/// A [`BotError`] when it cannot be built, or Slack does not accept its tokens, at first or later.
pub async fn run(
    config: &Config,
    options: LoadOptions,
    registry: Arc<Registry>,
    stop: CancellationToken,
) -> Result<(), BotError> {
    let omni = Omni::from_config(config, &registry).await?;
    let files = config.dir.is_some().then_some(options);
    let served = served(&omni, config, files, registry, stop).await;
    omni.shutdown().await;
    served
}

async fn served(
    omni: &Omni,
    config: &Config,
    files: Option<LoadOptions>,
    registry: Arc<Registry>,
    stop: CancellationToken,
) -> Result<(), BotError> {
    let Some(files) = files else { return serve(omni.clone(), &config.slack, stop).await };
    let reloader = Reloader::new(omni.clone(), registry, files);
    #[cfg(feature = "watch")]
    let _watching = reloader.clone().watch()?;
    let served = serve(omni.clone(), &config.slack, stop).await;
    drop(reloader);
    served
}

/// Whether Slack accepts the tokens of a configuration; who the bot is there.
///
/// # Errors
/// A [`SlackError`]: which one it does not, or that it cannot be reached.
pub async fn examine(config: &SlackConfig) -> Result<Me, SlackError> {
    let (port, sockets) = web::connect(config, Pulse::default())?;
    let me = Me::of(&port.call("auth.test", &json!({})).await?)?;
    match sockets {
        Some(sockets) => sockets.probe().await?,
        None => signing_secret(config).map(drop)?,
    }
    Ok(me)
}

fn signing_secret(config: &SlackConfig) -> Result<SecretString, SlackError> {
    let missing = || SlackError::Config {
        message: "there is no signing secret (slack.signing_secret, SLACK_SIGNING_SECRET)".into(),
    };
    config.signing_secret.clone().ok_or_else(missing)
}

/// The bot over a pipeline that somebody else shuts down, until `stop`; what runs then may finish.
///
/// # Errors
/// A [`BotError`] when Slack does not accept its tokens, or it cannot listen.
pub async fn serve(omni: Omni, config: &SlackConfig, stop: CancellationToken) -> Result<(), BotError> {
    serve_with(omni, config, Timing::default(), stop).await
}

/// What goes by time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timing {
    /// When a socket is dead.
    pub pulse: Pulse,
    /// What time it is, for schedules and for what is told of today.
    pub clock: Clock,
    /// How often it is looked what was answered by a process that is no more.
    pub looks: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { pulse: Pulse::default(), clock: Clock::default(), looks: LOOK_EVERY }
    }
}

impl Timing {
    /// The same with another opinion of when a socket is dead.
    #[must_use]
    pub fn with_pulse(mut self, pulse: Pulse) -> Self {
        self.pulse = pulse;
        self
    }

    /// The same with schedules by another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The same with other pauses between two looks at what a process left that is no more.
    #[must_use]
    pub fn with_looks(mut self, looks: Duration) -> Self {
        self.looks = looks;
        self
    }
}

/// The same with another sense of time.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with(
    omni: Omni,
    config: &SlackConfig,
    timing: Timing,
    stop: CancellationToken,
) -> Result<(), BotError> {
    let (port, sockets) = web::connect(config, timing.pulse)?;
    let known = stop.run_until_cancelled(Bot::timed(omni.clone(), config.clone(), port, timing.clock)).await;
    let Some(bot) = known.transpose()? else { return Ok(()) };
    match stop.run_until_cancelled(omni.start()).await {
        Some(started) => started?,
        None => return Ok(()),
    }
    if let Some(sockets) = &sockets {
        bot.hears_by(sockets);
    }
    bot.lives(timing.looks).await;
    bot.go_on_waiting().await;
    bot.keep_schedules();
    bot.keep_pages();
    let listening = async {
        match sockets {
            Some(sockets) => listen(sockets, bot.clone(), stop).await,
            None => answer_requests(config, bot.clone(), stop).await,
        }
    };
    let heard = tokio::select! {
        heard = listening => heard,
        // What would be heard could not be answered any more.
        error = bot.given_up() => Err(error.into()),
    };
    tracing::info!("the Slack bot ends; what runs may finish");
    bot.drain(DRAIN).await;
    heard
}

async fn listen(sockets: Arc<dyn EventSource>, bot: Bot, stop: CancellationToken) -> Result<(), BotError> {
    let to: Arc<dyn Intake> = Arc::new(bot);
    Ok(sockets.run(to, stop).await?)
}

async fn answer_requests(config: &SlackConfig, bot: Bot, stop: CancellationToken) -> Result<(), BotError> {
    let secret = signing_secret(config)?;
    let cannot = |error: std::io::Error| -> BotError {
        let message = format!("cannot listen at {}, port {}: {error}", config.host, config.port);
        BotError::Omni(ConfigError::Read { path: "slack.host".into(), message }.into())
    };
    let listener = TcpListener::bind((config.host.as_str(), config.port)).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    tracing::info!(%address, "the Slack bot listens at http://{address}/slack/events");
    let router = signed::router(Arc::new(bot), secret);
    Listening::new(listener).serve(router, stop).await;
    Ok(())
}
