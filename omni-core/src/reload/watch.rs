//! Files that change and `SIGHUP` have the configuration read again.

use std::{path::Path, sync::Arc, time::Duration};

use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Reloader;
use crate::{Error, compose::Reload, config::ConfigError};

/// Editors and deployments touch several files, and each more than once.
const SETTLE: Duration = Duration::from_millis(300);

/// The files that are looked at; `..data` is what a mounted configuration map swaps.
const FILES: [&str; 7] = ["settings.yaml", "mcps.yaml", "users.yaml", "slack.yaml", "threading.yaml", ".env", "..data"];

/// How a reload ended.
pub type Outcome = Arc<Result<Reload, Error>>;

impl Reloader {
    /// Reloads whenever one of the files changes, and at `SIGHUP`, for as long as the result lives.
    /// A bad file is reported and changes nothing. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When there is no directory to watch, or it cannot be watched.
    pub fn watch(self) -> Result<Watching, Error> {
        let dir = self.omni.parts().config.as_ref().and_then(|config| config.dir.clone());
        let Some(dir) = dir else {
            return Err(Error::Invalid { message: "there is no configuration directory to watch".into() });
        };
        let (changed, changes) = mpsc::channel(1);
        let watcher = watcher(&dir, changed.clone()).map_err(|error| unwatched(&dir, &error))?;
        let hangups = hangups(changed).map_err(|error| unwatched(&dir, &error))?;
        let (outcomes, outcome) = watch::channel(None);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        self.omni().clone().in_background(async move {
            let work = async {
                tokio::join!(hangups, self.follow(changes, outcomes));
            };
            Box::pin(stopped.run_until_cancelled(work)).await;
            drop(watcher);
        });
        Ok(Watching { outcome, _stop: stop.drop_guard() })
    }

    async fn follow(&self, mut changes: mpsc::Receiver<()>, outcomes: watch::Sender<Option<Outcome>>) {
        while changes.recv().await.is_some() {
            sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            let outcome = self.reload().await;
            match &outcome {
                Ok(reload) => tell(reload),
                Err(error) => {
                    tracing::error!(%error, "the configuration is not reloaded; the one before stays in place")
                }
            }
            outcomes.send_replace(Some(Arc::new(outcome)));
        }
    }
}

/// Says what was reloaded. What waits for a restart would be taken for live by whoever changed it.
fn tell(reload: &Reload) {
    let Reload { servers, after_restart } = reload;
    if after_restart.is_empty() {
        return tracing::info!(?servers, "the configuration was reloaded");
    }
    let waits = after_restart.join("; ");
    tracing::warn!(?servers, ?after_restart, "the configuration was reloaded, save what waits for a restart: {waits}");
}

/// A configuration that is watched. Dropping it ends that.
#[derive(Debug)]
pub struct Watching {
    outcome: watch::Receiver<Option<Outcome>>,
    _stop: DropGuard,
}

impl Watching {
    /// How the last reload ended, and those to come.
    #[must_use]
    pub fn outcome(&self) -> watch::Receiver<Option<Outcome>> {
        self.outcome.clone()
    }
}

/// Watches the directory, not its files: editors and deployments put new files in their places.
fn watcher(dir: &Path, changed: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let of_ours = |event: &notify::Event| {
            let names = event.paths.iter().filter_map(|path| path.file_name()?.to_str());
            names.into_iter().any(|name| FILES.contains(&name))
        };
        // Reading is no change; a queue that overflowed may have been one.
        if event
            .is_ok_and(|event| event.need_rescan() || (!matches!(event.kind, EventKind::Access(_)) && of_ours(&event)))
        {
            // One that waits stands for all.
            let _ = changed.try_send(());
        }
    })?;
    watcher.watch(dir, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

#[cfg(unix)]
fn hangups(changed: mpsc::Sender<()>) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangups.recv().await.is_some() {
            let _ = changed.try_send(());
        }
    })
}

#[cfg(not(unix))]
fn hangups(changed: mpsc::Sender<()>) -> std::io::Result<impl Future<Output = ()>> {
    Ok(async move {
        let _changed = changed;
        std::future::pending().await
    })
}

fn unwatched(dir: &Path, error: &dyn std::fmt::Display) -> Error {
    ConfigError::Read { path: dir.display().to_string(), message: format!("it cannot be watched: {error}") }.into()
}
