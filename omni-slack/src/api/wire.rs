//! A Slack for tests beside the code: it notes what it is asked for, and refuses what it is told to.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::port::{SlackError, SlackPort};

const MINUTE: Duration = Duration::from_secs(60);

/// A call, and whether it was made.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) method: String,
    pub(crate) arguments: Value,
    pub(crate) is_taken: bool,
}

#[derive(Debug, Default)]
struct Noted {
    calls: Vec<Called>,
    planned: Vec<(&'static str, Option<SlackError>)>,
    taken: HashMap<String, Vec<Instant>>,
    resting: HashMap<String, Instant>,
    early: usize,
    /// Until when nothing is answered, and whether callers know that nothing was taken.
    away: Option<(Instant, bool)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    per_minute: HashMap<&'static str, usize>,
    noted: Mutex<Noted>,
}

impl Wire {
    /// One that takes a method so often a minute.
    pub(crate) fn limited(method: &'static str, per_minute: usize) -> Self {
        Self { per_minute: HashMap::from([(method, per_minute)]), ..Self::default() }
    }

    /// How the next calls of a method end.
    pub(crate) fn next(&self, method: &'static str, ends: impl IntoIterator<Item = Option<SlackError>>) {
        self.noted().planned.extend(ends.into_iter().map(|end| (method, end)));
    }

    /// Nothing is answered for so long; whether callers know that nothing was taken.
    pub(crate) fn away(&self, time: Duration, is_untaken: bool) {
        self.noted().away = Some((Instant::now() + time, is_untaken));
    }

    /// The calls of a method, those that were refused as well.
    pub(crate) fn calls(&self, method: &str) -> Vec<Called> {
        self.noted().calls.iter().filter(|call| call.method == method).cloned().collect()
    }

    /// How many calls came before a pause was over.
    pub(crate) fn early(&self) -> usize {
        self.noted().early
    }

    /// All Markdown that people read, in the order in which it came.
    pub(crate) fn reads(&self) -> String {
        let noted = self.noted();
        let pieces = noted.calls.iter().filter(|call| call.is_taken).flat_map(|call| {
            let all = [&call.arguments["chunks"], &call.arguments["blocks"]].into_iter().filter_map(Value::as_array);
            all.flatten().filter(|piece| matches!(piece["type"].as_str(), Some("markdown" | "markdown_text")))
        });
        pieces.map(|piece| piece["text"].as_str().unwrap().to_owned()).collect()
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    /// Why a call is refused now, if it is.
    fn refusal(&mut self, method: &str, per_minute: usize) -> Option<SlackError> {
        if let Some((_, is_untaken)) = self.away.filter(|(until, _)| *until > Instant::now()) {
            return Some(SlackError::Away { method: method.into(), message: "nobody is there".into(), is_untaken });
        }
        if let Some(at) = self.planned.iter().position(|(planned, _)| *planned == method) {
            return self.planned.remove(at).1;
        }
        let (taken, now) = (self.taken.entry(method.to_owned()).or_default(), Instant::now());
        taken.retain(|at| *at + MINUTE > now);
        if taken.len() < per_minute {
            taken.push(now);
            return None;
        }
        Some(limited(method, (taken[0] + MINUTE).duration_since(now)))
    }
}

pub(crate) fn limited(method: &str, retry_after: Duration) -> SlackError {
    SlackError::Limited { method: method.into(), retry_after }
}

#[async_trait]
impl SlackPort for Wire {
    async fn call(&self, method: &str, arguments: &Value) -> Result<Value, SlackError> {
        let mut noted = self.noted();
        let now = Instant::now();
        noted.early += usize::from(noted.resting.get(method).is_some_and(|until| *until > now));
        let refusal = noted.refusal(method, self.per_minute.get(method).copied().unwrap_or(usize::MAX));
        if let Some(SlackError::Limited { retry_after, .. }) = &refusal {
            noted.resting.insert(method.to_owned(), now + *retry_after);
        }
        let is_taken = refusal.is_none();
        noted.calls.push(Called { method: method.to_owned(), arguments: arguments.clone(), is_taken });
        let ts = format!("{}.0", noted.calls.len());
        refusal.map_or_else(|| Ok(json!({ "ts": ts })), Err)
    }

    async fn respond(&self, _: &str, _: &Value) -> Result<(), SlackError> {
        Ok(())
    }

    async fn upload(&self, _: &str, _: &[u8]) -> Result<(), SlackError> {
        Ok(())
    }
}
