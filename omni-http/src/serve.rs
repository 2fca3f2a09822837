//! Listening, and ending well.

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use omni_core::{
    Config, Error, Omni, Registry,
    config::{HttpConfig, LoadOptions, SecurityMode},
    reload::Reloader,
};
use tokio::{
    net::{TcpListener, lookup_host},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{DoorOptions, Metrics, router, state::App};

mod connections;

use connections::Connections;

/// How often samples are put into their buckets.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// How long finding the address of a name may take.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);

/// A door that listens, and serves nobody yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    omni: Omni,
    options: DoorOptions,
}

impl Server {
    /// Listens at the configuration's address; port 0 takes a free one.
    ///
    /// # Errors
    /// An [`Error`] when the address is no address or taken, or when a service that trusts this machine
    /// would be reached from others.
    pub async fn bind(omni: Omni, options: impl Into<DoorOptions>) -> Result<Self, Error> {
        let options = options.into();
        let config = &options.config;
        let addresses = resolve(config).await?;
        for address in &addresses {
            config.check_address(address.ip())?;
        }
        let listener = TcpListener::bind(&*addresses).await.map_err(|error| config.cannot_listen(&error))?;
        Ok(Self { listener, omni, options })
    }

    /// Lets administrators have the configuration read again.
    #[must_use]
    pub fn with_reloader(mut self, reloader: Reloader) -> Self {
        self.options.reloader = Some(reloader);
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not know it any more.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(|error| self.options.config.cannot_listen(&error).into())
    }

    /// Serves until `stop`: then nobody new is let in, what runs has as long as the configuration says
    /// to finish, and the ledger is written. Before anybody is let in, the servers are connected to
    /// without which it is not to start.
    ///
    /// # Errors
    /// When the system does not know the address any more, or such a server cannot be used.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let address = self.address()?;
        let mut stop = pin!(stop);
        tokio::select! {
            started = self.omni.start() => started?,
            () = &mut stop => return Ok(()),
        }
        tracing::info!(%address, "omni listens at http://{address}");
        self.hint().await;
        let app = App::new(self.omni, self.options);
        let drain = app.config.drain;
        let connections = Connections::new(&app.config);
        let counting = CancellationToken::new();
        let work = keep_counting(app.metrics.clone());
        let chores = tokio::spawn(counting.clone().run_until_cancelled_owned(work));
        connections.accept(self.listener, router::of(&app), stop).await;
        tracing::info!("omni ends; what runs may finish");
        counting.cancel();
        #[cfg(feature = "dashboard")]
        app.ui.end();
        let ends = async {
            app.omni.shutdown_within(drain).await;
            app.mcp.end().await;
        };
        tokio::join!(connections.drain(drain), ends);
        app.streams.end().await;
        let _ = chores.await;
        Ok(())
    }

    /// Whoever runs this for the first time learns how to let somebody in.
    async fn hint(&self) {
        if self.options.config.mode != SecurityMode::Keys {
            return;
        }
        match self.omni.has_keys().await {
            Ok(false) => tracing::warn!(
                "there is no API key yet, so nobody is let in; `omni keys create --user you@company.com --scope ask` \
                 makes one"
            ),
            Ok(true) => {}
            Err(error) => tracing::warn!(%error, "API keys cannot be looked up"),
        }
    }
}

async fn resolve(config: &HttpConfig) -> Result<Vec<SocketAddr>, Error> {
    let found = timeout(RESOLVE_WITHIN, lookup_host((config.host.as_str(), config.port))).await;
    let found = found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    Ok(found.map_err(|error| config.cannot_listen(&error))?.collect())
}

/// What is counted takes no more memory the more of it there is, also when nobody reads it.
async fn keep_counting(metrics: Option<Metrics>) {
    let Some(metrics) = metrics else { return };
    loop {
        sleep(UPKEEP_EVERY).await;
        metrics.upkeep();
    }
}

/// Ends with the first signal that asks this process to end: `SIGTERM`, or Ctrl-C.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
            tracing::error!("signals cannot be waited for; the process ends without a last word");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}

/// Takes `SIGHUP` from the moment of this call on, which otherwise ends a process. `is_watched` is whether somebody else
/// hears it too and reads files again. Must be called within a Tokio runtime.
pub fn hangups(is_watched: bool) -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    let heard = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
    async move {
        #[cfg(unix)]
        if let Ok(mut heard) = heard {
            while heard.recv().await.is_some() {
                if !is_watched {
                    tracing::info!("SIGHUP was heard, and there are no files to read again");
                }
            }
        }
        #[cfg(not(unix))]
        let _ = is_watched;
    }
}

/// The whole service: what the configuration describes, kept up to date with the files that it was
/// loaded from by `options`, until the process is asked to end.
///
/// # Errors
/// An [`Error`] when it cannot be built, or cannot listen.
pub async fn run(config: &Config, options: LoadOptions, registry: Arc<Registry>) -> Result<(), Error> {
    // First: what is counted while the rest begins counts too.
    let door = DoorOptions { metrics: Metrics::install(), ..config.http.clone().into() };
    let files = config.dir.is_some().then_some(options);
    run_door(config, door, files, registry).await
}

/// Serves nothing but MCP, at `/mcp`, until the process is asked to end.
///
/// # Errors
/// As [`run`].
pub async fn run_mcp(config: &Config, registry: Arc<Registry>) -> Result<(), Error> {
    run_door(config, DoorOptions::from(config.http.clone()).with_mcp_only(), None, registry).await
}

async fn run_door(
    config: &Config,
    door: DoorOptions,
    files: Option<LoadOptions>,
    registry: Arc<Registry>,
) -> Result<(), Error> {
    // A signal that comes while all of this is built counts too.
    let stop = CancellationToken::new();
    let (stopped, guard) = (stop.clone(), stop.clone().drop_guard());
    let signals = tokio::spawn(async move {
        stopped.clone().run_until_cancelled(stop_signal()).await;
        stopped.cancel();
    });
    let is_watched = cfg!(feature = "watch") && files.is_some();
    let hangups = tokio::spawn(stop.clone().run_until_cancelled_owned(hangups(is_watched)));
    let omni = Omni::from_config(config, &registry).await?;
    let served = serve(&omni, door, files, registry, stop).await;
    omni.shutdown().await;
    drop(guard);
    let _ = tokio::join!(signals, hangups);
    served
}

async fn serve(
    omni: &Omni,
    door: DoorOptions,
    files: Option<LoadOptions>,
    registry: Arc<Registry>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let server = Server::bind(omni.clone(), door).await?;
    // Where there are no files there is nothing to read again.
    let Some(files) = files else { return server.run(stop.cancelled_owned()).await };
    let reloader = Reloader::new(omni.clone(), registry, files);
    #[cfg(feature = "watch")]
    let _watching = reloader.clone().watch()?;
    let server = server.with_reloader(reloader);
    server.run(stop.cancelled_owned()).await
}
