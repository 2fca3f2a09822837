//! `omni slack`, and `omni serve --slack`.

use omni_core::{
    Config, Omni,
    config::{LoadOptions, LogFormat},
    reload::Reloader,
};
use omni_http::{DoorOptions, Metrics, Server, hangups, stop_signal};
use omni_slack::{BotError, Terminal, manifest::manifest};
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    args::{SlackArgs, SlackCommand},
    exit::Exit,
    fault::Fault,
};

impl From<BotError> for Fault {
    fn from(error: BotError) -> Self {
        match error {
            BotError::Omni(error) => error.into(),
            error if error.is_config() => Self::with_exit(error.to_string(), Exit::Config),
            error => Self::with_exit(error.to_string(), Exit::Unavailable),
        }
    }
}

/// Answers until the process is asked to end, in Slack or in the terminal, or prints the manifest.
pub(super) async fn run(app: &App, args: &SlackArgs) -> Result<Exit, Fault> {
    if let Some(SlackCommand::Manifest { http }) = &args.command {
        app.console.json(&manifest(http.as_deref()))?;
        return Ok(Exit::Success);
    }
    let options = app.load_options().with_os_user(&app.process.os_user);
    let config = app.config_by(options.clone())?;
    if args.fake {
        let (who, terminal) = (app.credential(args.act_as.as_deref()), Terminal::standard());
        omni_slack::run_fake(&config, app.registry.clone(), who, terminal, asked_to_end()).await?;
        return Ok(Exit::Success);
    }
    let format = args.log_format.map(Into::into).or(config.log_format).unwrap_or(LogFormat::Console);
    // It sends the last spans when it goes.
    let _logging = app.logging.serve(format, config.log_level.as_deref(), &app.process.env);
    let stop = asked_to_end();
    outlive_hangups(&config, &stop);
    omni_slack::run(&config, options, app.registry.clone(), stop.clone()).await?;
    Ok(Exit::Success)
}

/// Is cancelled when the process is asked to end.
fn asked_to_end() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        stop_signal().await;
        stopped.cancel();
    });
    stop
}

/// A service is not ended by what asks it to read its files again, whether or not it has some by then.
fn outlive_hangups(config: &Config, stop: &CancellationToken) {
    let is_watched = cfg!(feature = "watch") && config.dir.is_some();
    tokio::spawn(stop.clone().run_until_cancelled_owned(hangups(is_watched)));
}

/// Both doors over one pipeline, until the process is asked to end or one of them cannot go on.
pub(super) async fn beside_http(app: &App, config: &Config, options: LoadOptions) -> Result<Exit, Fault> {
    let stop = asked_to_end();
    outlive_hangups(config, &stop);
    // First: what is counted while the rest begins counts too.
    let mut door = DoorOptions::from(config.http.clone());
    door.metrics = Metrics::install();
    let omni = app.build(config).await?;
    let served = Box::pin(both(app, &omni, config, door, options, stop)).await;
    omni.shutdown().await;
    served.map(|()| Exit::Success)
}

async fn both(
    app: &App,
    omni: &Omni,
    config: &Config,
    door: DoorOptions,
    options: LoadOptions,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let mut server = Server::bind(omni.clone(), door).await?;
    // Where there are no files there is nothing to read again.
    let reloader = config.dir.is_some().then(|| Reloader::new(omni.clone(), app.registry.clone(), options));
    #[cfg(feature = "watch")]
    let _watching = reloader.clone().map(Reloader::watch).transpose()?;
    if let Some(reloader) = reloader {
        server = server.with_reloader(reloader);
    }
    let (http_stop, bot_stop) = (stop.clone(), stop.clone());
    let http = async {
        let served = server.run(http_stop.cancelled_owned()).await;
        stop.cancel();
        served
    };
    let bot = async {
        let served = omni_slack::serve(omni.clone(), &config.slack, bot_stop).await;
        stop.cancel();
        served
    };
    let (http, bot) = tokio::join!(http, bot);
    http?;
    Ok(bot?)
}
