//! Files that change and `SIGHUP` have the configuration read again.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use notify::{EventKind, RecursiveMode, Watcher as _};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Reloader;
use crate::{Error, ErrorKind, compose::Reload, config::ConfigError, metrics};

/// Editors and deployments touch several files, and each more than once.
const SETTLE: Duration = Duration::from_millis(300);

/// How often it is looked whether the path leads to another directory by now, and whether a file is another one. Of a
/// link on the way that is swapped nothing in the directory tells, and not every system tells of anything.
const LOOK: Duration = Duration::from_secs(2);

/// How often what is away is tried again, until the files are live.
const AGAIN: Duration = Duration::from_secs(5);

/// The files that are looked at; `..data` is what a mounted configuration map swaps.
const FILES: [&str; 7] = ["settings.yaml", "mcps.yaml", "users.yaml", "slack.yaml", "threading.yaml", ".env", "..data"];

/// How a reload ended.
pub type Outcome = Arc<Result<Reload, Error>>;

impl Reloader {
    /// Reloads whenever one of the files changes or their directory is replaced, and at `SIGHUP`, for as long as the
    /// result lives. A bad file is reported and changes nothing. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When there is no directory to watch, or `SIGHUP` cannot be heard.
    pub fn watch(self) -> Result<Watching, Error> {
        let dir = self.omni.parts().config.as_ref().and_then(|config| config.dir.clone());
        let Some(dir) = dir else {
            return Err(Error::Invalid { message: "there is no configuration directory to watch".into() });
        };
        let (changed, changes) = mpsc::channel(1);
        let watched = Watched::new(&dir, changed.clone());
        let hangups = hangups(changed).map_err(|error| unwatched(&dir, &error))?;
        let (outcomes, outcome) = watch::channel(None);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        self.omni().clone().in_background(async move {
            let work = async {
                tokio::join!(hangups, self.follow(watched, changes, outcomes));
            };
            Box::pin(stopped.run_until_cancelled(work)).await;
        });
        Ok(Watching { outcome, _stop: stop.drop_guard() })
    }

    async fn follow(
        &self,
        mut watched: Watched,
        mut changes: mpsc::Receiver<()>,
        outcomes: watch::Sender<Option<Outcome>>,
    ) {
        let mut was_away = false;
        loop {
            // Nobody changes the files once more because a database was away.
            let patience = if was_away { AGAIN } else { Duration::MAX };
            let _ = timeout(patience, watched.changes(&mut changes)).await;
            sleep(SETTLE).await;
            // Before the files are read: what changes meanwhile is read again.
            watched.renew().await;
            while changes.try_recv().is_ok() {}
            let outcome = if was_away { self.reload_again().await } else { self.reload().await };
            match &outcome {
                Ok(reload) => tell(reload),
                Err(error) if was_away && is_away(&outcome) => tracing::debug!(%error, "not reloaded yet"),
                Err(error) => {
                    tracing::error!(%error, "the configuration is not reloaded; the one before stays in place")
                }
            }
            was_away = is_away(&outcome);
            outcomes.send_replace(Some(Arc::new(outcome)));
        }
    }

    /// The same once more, where something was away: that it was is in the ledger already.
    async fn reload_again(&self) -> Result<Reload, Error> {
        let reloaded = self.load_and_replace().await;
        metrics::reloaded(reloaded.is_ok());
        if !is_away(&reloaded) {
            self.record(&reloaded).await?;
        }
        reloaded
    }
}

/// Whether the files may well be taken later, as they are.
fn is_away(outcome: &Result<Reload, Error>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)
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

/// The directory that a path leads to, and whatever takes its place.
struct Watched {
    dir: PathBuf,
    changed: mpsc::Sender<()>,
    place: Option<Place>,
    /// Tells of changes at once; without one they are found by looking.
    watcher: Option<notify::RecommendedWatcher>,
}

impl Watched {
    fn new(dir: &Path, changed: mpsc::Sender<()>) -> Self {
        // First: what takes its place meanwhile is another one.
        let place = place(dir);
        let watcher = watcher(dir, changed.clone()).map_err(|error| tell_unwatched(dir, &error)).ok();
        Self { dir: dir.to_path_buf(), changed, place, watcher }
    }

    /// Waits until something changed.
    async fn changes(&self, changes: &mut mpsc::Receiver<()>) {
        while timeout(LOOK, changes.recv()).await.is_err() && !self.is_elsewhere().await {}
    }

    async fn is_elsewhere(&self) -> bool {
        let dir = self.dir.clone();
        spawn_blocking(move || place(&dir)).await.is_ok_and(|place| place != self.place)
    }

    /// Watches the directory that the path leads to by now. Where there is none, the one of before stays until there is.
    async fn renew(&mut self) {
        let (dir, changed) = (self.dir.clone(), self.changed.clone());
        let Ok((place, watcher)) = spawn_blocking(move || (place(&dir), watcher(&dir, changed))).await else { return };
        self.place = place;
        match watcher {
            Ok(watcher) => drop(self.watcher.replace(watcher)),
            Err(error) => tell_unwatched(&self.dir, &error),
        }
    }
}

fn tell_unwatched(dir: &Path, error: &notify::Error) {
    let dir = dir.display();
    tracing::warn!(%dir, %error, "nothing tells of changes in {dir}; it is looked at every {} seconds", LOOK.as_secs());
}

/// What tells a directory and its files from those that stand in their places later.
#[derive(Debug, PartialEq)]
struct Place {
    /// Another one may have its number.
    number: (u64, u64),
    created: Option<SystemTime>,
    files: [Option<Stamp>; FILES.len()],
}

/// What tells a file from the same one with other text: its number, its time, its size.
type Stamp = ((u64, u64), Option<SystemTime>, u64);

fn place(dir: &Path) -> Option<Place> {
    let found = fs::metadata(dir).ok()?;
    Some(Place {
        number: number(&found),
        created: found.created().ok(),
        files: FILES.map(|name| fs::metadata(dir.join(name)).ok().as_ref().map(stamp)),
    })
}

fn stamp(file: &Metadata) -> Stamp {
    (number(file), file.modified().ok(), file.len())
}

#[cfg(unix)]
fn number(found: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// Watches the directory, not its files: editors and deployments put new files in their places.
fn watcher(dir: &Path, changed: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let own = dir.to_path_buf();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Of the directory itself it is told that it was moved away, or is no more.
        let is_ours = |path: &PathBuf| {
            *path == own || path.file_name().and_then(OsStr::to_str).is_some_and(|name| FILES.contains(&name))
        };
        let is_change =
            |event: &notify::Event| !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(is_ours);
        // Reading is no change; a queue that overflowed may have been one.
        if event.is_ok_and(|event| event.need_rescan() || is_change(&event)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_changed_file_is_found_where_nothing_tells_of_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("users.yaml"), "users: []").unwrap();
        let (changed, mut changes) = mpsc::channel(1);
        let mut watched = Watched { dir: dir.path().to_path_buf(), changed, place: place(dir.path()), watcher: None };
        assert!(!watched.is_elsewhere().await, "nothing changed");
        fs::write(dir.path().join("omni.log"), "no file of the configuration").unwrap();
        assert!(!watched.is_elsewhere().await, "nothing of it changed");
        fs::write(dir.path().join("users.yaml"), "users: [{ email: ada@company.com }]").unwrap();
        timeout(LOOK * 5, watched.changes(&mut changes)).await.unwrap();
        watched.renew().await;
        assert!(!watched.is_elsewhere().await, "it is known by now");
    }
}
