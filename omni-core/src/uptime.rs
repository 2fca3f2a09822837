//! How servers did over time, whether or not anybody called them.
//!
//! A service finds out how its servers are by connecting to them, listing their tools and asking whether they
//! live. It keeps that as [`Spell`]s: from when until when it found a server up, or away. While nothing changes a spell
//! grows with every heartbeat; where nobody watched, there is nothing. [`portions`] makes of them what pages show.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

pub mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use watch::Watch;

/// How often spells grow that go on.
pub const HEARTBEAT: Duration = Duration::from_secs(60);
/// How many days of them are kept at most.
pub const MAX_DAYS: u32 = 90;
/// Most characters of why a server was away.
pub const MAX_REASON: usize = 500;
/// Most spells that are read, the latest.
pub const MAX_READ: u64 = 20_000;
/// Most spells that one sweep removes.
pub const SWEPT_AT_ONCE: u64 = 1_000;

/// The least that a spell counts for: what was seen in passing was seen.
const LEAST: TimeDelta = TimeDelta::seconds(1);

/// Spells could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("how servers did cannot be read or written: {message}")]
#[non_exhaustive]
pub struct UptimeError {
    /// What went wrong.
    pub message: String,
}

impl UptimeError {
    /// It could not be done.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// A while in which one watcher found a server up, or away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Spell {
    /// The server's name.
    pub server: Arc<str>,
    /// Who watched: a process has one of its own.
    #[serde(skip)]
    pub watcher: Uuid,
    /// Since when.
    pub began_at: DateTime<Utc>,
    /// Until when, as far as was seen.
    pub last_at: DateTime<Utc>,
    /// Whether it answered.
    pub is_up: bool,
    /// Why it was away, fit for people.
    pub reason: Option<String>,
}

impl Spell {
    /// One that has just begun; with a reason the server is away.
    #[must_use]
    pub fn new(server: impl Into<Arc<str>>, watcher: Uuid, at: DateTime<Utc>, reason: Option<String>) -> Self {
        let reason = reason.map(|reason| fit(&reason));
        Self { server: server.into(), watcher, began_at: at, last_at: at, is_up: reason.is_none(), reason }
    }
}

/// As much of a reason as is kept.
fn fit(reason: &str) -> String {
    reason.chars().take(MAX_REASON).collect()
}

/// Where spells are kept.
///
/// # Contract
/// * `keep` is idempotent on server, watcher and beginning: a spell that goes on comes with every heartbeat, each time
///   with a later end. A process keeps one batch at a time; several share a store, each as a watcher of its own.
/// * A batch that was not kept comes again, with what was seen since: that part of it is there does no harm.
/// * `since` gives the latest first, by their ends.
/// * Times are the watchers' own, in microseconds; a store goes by no clock of its own.
/// * **Cancel-safe**: keeping and sweeping are dropped after half a minute, and the last keeping, when a process ends,
///   after three seconds.
/// * No ask waits for it. What fails is logged, and tried again with the next heartbeat or sweep; only pages are told.
#[async_trait]
pub trait UptimeStore: Send + Sync + fmt::Debug {
    /// Keeps spells. One of the same server, watcher and beginning takes the place of what there was of it.
    ///
    /// # Errors
    /// An [`UptimeError`], as of all others.
    async fn keep(&self, spells: &[Spell]) -> Result<(), UptimeError>;

    /// What was seen at `since` or later, of one server or of all: the latest first, at most [`MAX_READ`]. How far back
    /// that is, [`complete_since`] says.
    async fn since(&self, since: DateTime<Utc>, server: Option<&str>) -> Result<Vec<Spell>, UptimeError>;

    /// Removes what was last seen before a time, at most [`SWEPT_AT_ONCE`]; how many there were.
    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, UptimeError>;
}

#[async_trait]
impl<T: UptimeStore + ?Sized> UptimeStore for Arc<T> {
    async fn keep(&self, spells: &[Spell]) -> Result<(), UptimeError> {
        (**self).keep(spells).await
    }

    async fn since(&self, since: DateTime<Utc>, server: Option<&str>) -> Result<Vec<Spell>, UptimeError> {
        (**self).since(since, server).await
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, UptimeError> {
        (**self).sweep(before).await
    }
}

/// How a server did in a portion of time, summed up over those who watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Portion {
    /// When it begins.
    pub begins: DateTime<Utc>,
    /// How long it was watched, in milliseconds.
    pub watched_ms: u64,
    /// How long of that it was away.
    pub away_ms: u64,
}

/// How a server did in portions of time that begin one after the other; the last one ends `now`.
#[must_use]
pub fn portions(spells: &[Spell], server: &str, begins: &[DateTime<Utc>], now: DateTime<Utc>) -> Vec<Portion> {
    let ends = begins.iter().skip(1).copied().chain([now]);
    let own: Vec<&Spell> = spells.iter().filter(|spell| *spell.server == *server).collect();
    let portion = |(from, to): (&DateTime<Utc>, DateTime<Utc>)| {
        let mut portion = Portion { begins: *from, ..Portion::default() };
        for spell in &own {
            let shared = shared_ms(spell, *from, to);
            portion.watched_ms += shared;
            portion.away_ms += if spell.is_up { 0 } else { shared };
        }
        portion
    };
    begins.iter().zip(ends).map(portion).collect()
}

/// When a server was away, the latest first, at most `most` times: what several watchers saw of one absence is one, with
/// the reason of whoever saw it last.
#[must_use]
pub fn absences(spells: &[Spell], server: &str, most: usize) -> Vec<Spell> {
    let mut away: Vec<&Spell> = spells.iter().filter(|spell| !spell.is_up && *spell.server == *server).collect();
    away.sort_by_key(|spell| spell.began_at);
    let mut absences: Vec<Spell> = Vec::new();
    for spell in away {
        match absences.last_mut() {
            // Watchers look once a heartbeat: one sees the end of it later than another its beginning.
            Some(last) if spell.began_at <= last.last_at + HEARTBEAT && spell.watcher != last.watcher => {
                if spell.last_at >= last.last_at {
                    (last.last_at, last.watcher) = (spell.last_at, spell.watcher);
                    last.reason.clone_from(&spell.reason);
                }
            }
            _ => absences.push(spell.clone()),
        }
    }
    absences.reverse();
    absences.truncate(most);
    absences
}

/// Since when spells, the latest first, tell all that was seen; `None`: as far back as was asked. Of [`MAX_READ`] nobody
/// knows whether there is more before them.
#[must_use]
pub fn complete_since(spells: &[Spell]) -> Option<DateTime<Utc>> {
    cut_at(spells, MAX_READ)
}

fn cut_at(spells: &[Spell], most: u64) -> Option<DateTime<Utc>> {
    let earliest = spells.last()?;
    (spells.len() as u64 >= most).then_some(earliest.last_at)
}

/// How much of a spell is between two moments.
fn shared_ms(spell: &Spell, from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    let end = spell.last_at.max(spell.began_at + LEAST);
    u64::try_from((end.min(to) - spell.began_at.max(from)).num_milliseconds()).unwrap_or(0)
}
