//! Schedules, and how far they are, where all who share a database see them.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use omni_core::{Error, kept::Kept};
use serde_json::Value;

use super::{Progress, Schedule};

/// Before the owner and the id of what somebody made.
const OWN: &str = "schedule/";
/// Before the id of what a file says.
const FIXED: &str = "fixed/";
/// Most schedules of a workspace.
const MOST: usize = 900;
/// How often a change is tried that others come before.
const TRIES: u32 = 10;
/// How long it is known who sees to a time: longer than anybody makes up for it.
const SEEN_TO: Duration = Duration::from_secs(24 * 60 * 60);
/// How long somebody may be about to make one.
const MAKING: Duration = Duration::from_secs(30);

/// All of a workspace.
#[derive(Debug, Clone)]
pub(crate) struct Store(Kept);

/// The key of something that somebody made.
pub(crate) fn key(owner: &str, id: &str) -> String {
    format!("{OWN}{owner}/{id}")
}

/// The key of something that a file says.
pub(crate) fn fixed_key(id: &str) -> String {
    format!("{FIXED}{id}")
}

/// What came of making one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It is kept.
    New,
    /// It was kept before.
    Known,
    /// Its owner has too many.
    TooMany,
    /// All have too many.
    Full,
    /// Its owner makes another one at this moment.
    Busy,
}

impl Store {
    pub(crate) fn new(kept: Kept) -> Self {
        Self(kept)
    }

    /// Somebody's, by their ids.
    pub(crate) async fn of(&self, owner: &str) -> Result<Vec<(String, Schedule)>, Error> {
        let prefix = key(owner, "");
        let rows = self.0.list(&prefix).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(key, row)| Some((key.strip_prefix(&prefix)?.to_owned(), read(row)?)))
            .collect())
    }

    /// Everybody's, by owner and key.
    pub(crate) async fn all(&self) -> Result<Vec<(String, String, Schedule)>, Error> {
        let one = |(key, row): (String, Value)| {
            let (owner, _) = key.strip_prefix(OWN)?.split_once('/')?;
            Some((owner.to_owned(), key.clone(), read(row)?))
        };
        Ok(self.0.list(OWN).await?.into_iter().filter_map(one).collect())
    }

    /// Keeps a new one of somebody who may have `most`.
    pub(crate) async fn add(&self, owner: &str, id: &str, schedule: &Schedule, most: usize) -> Result<Made, Error> {
        let making = format!("making/{owner}");
        if !self.0.claim(&making, MAKING).await? {
            return Ok(Made::Busy);
        }
        let made = self.add_alone(owner, id, schedule, most).await;
        self.0.release(&making).await?;
        made
    }

    async fn add_alone(&self, owner: &str, id: &str, schedule: &Schedule, most: usize) -> Result<Made, Error> {
        let theirs = self.of(owner).await?;
        if theirs.iter().any(|(known, _)| known == id) {
            return Ok(Made::Known);
        }
        if theirs.len() >= most {
            return Ok(Made::TooMany);
        }
        if self.0.list(OWN).await?.len() >= MOST {
            return Ok(Made::Full);
        }
        let row = written(schedule)?;
        Ok(if self.0.replace(&key(owner, id), None, &row).await? { Made::New } else { Made::Known })
    }

    /// Whether there was one; it is no more.
    pub(crate) async fn remove(&self, key: &str) -> Result<bool, Error> {
        self.0.remove(key).await
    }

    /// Changes how far one is, and says what `change` says; `None` where there is none.
    pub(crate) async fn change<T>(
        &self,
        key: &str,
        change: impl Fn(&mut Progress) -> T + Send,
    ) -> Result<Option<T>, Error> {
        for _ in 0..TRIES {
            let Some(old) = self.0.get(key).await? else { return Ok(None) };
            let Some(mut progress) = progress(&old) else { return Ok(None) };
            let told = change(&mut progress);
            let mut new = old.clone();
            new["progress"] = written(&progress)?;
            if new == old || self.0.replace(key, Some(&old), &new).await? {
                return Ok(Some(told));
            }
        }
        Err(Error::Internal { message: format!("{key} is changed by too many at once") })
    }

    /// How far those are that files say, by their keys.
    pub(crate) async fn fixed(&self) -> Result<HashMap<String, Progress>, Error> {
        let rows = self.0.list(FIXED).await?;
        Ok(rows.into_iter().filter_map(|(key, row)| Some((key, progress(&row)?))).collect())
    }

    /// One that a file says begins, if it did not before.
    pub(crate) async fn begin_fixed(&self, key: &str, now: DateTime<Utc>) -> Result<Progress, Error> {
        let progress = Progress::from(now);
        self.0.replace(key, None, &serde_json::json!({ "progress": written(&progress)? })).await?;
        Ok(progress)
    }

    /// Whether nobody sees to a time yet: from now on the caller does.
    pub(crate) async fn claims(&self, key: &str, at: DateTime<Utc>) -> Result<bool, Error> {
        self.0.claim(&format!("fire/{key}/{}", at.timestamp()), SEEN_TO).await
    }
}

fn read(row: Value) -> Option<Schedule> {
    let read = serde_json::from_value(row);
    read.inspect_err(|error| tracing::warn!(%error, "a schedule that is kept cannot be read")).ok()
}

fn progress(row: &Value) -> Option<Progress> {
    let read = serde_json::from_value(row["progress"].clone());
    read.inspect_err(|error| tracing::warn!(%error, "it cannot be read how far a schedule is")).ok()
}

fn written(value: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Internal { message: error.to_string() })
}
