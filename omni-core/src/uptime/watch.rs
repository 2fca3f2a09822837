//! What one process sees of its servers, on its way to where it is kept.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{HEARTBEAT, Spell, UptimeError, UptimeStore, fit};
use crate::{
    catalog::{Catalog, Health},
    redact::Redactor,
};

/// Most spells that are over and wait for a store that is away; when there are more, the oldest are forgotten.
const MAX_WAITING: usize = 1_000;
/// A spell that did not grow for so many heartbeats is over: the process stood still, and saw nothing.
const MISSED: u32 = 3;

/// Watches servers.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Also keeps two from writing at once.
    seen: Mutex<Seen>,
}

/// What was seen.
#[derive(Debug)]
struct Seen {
    watcher: Uuid,
    /// What goes on.
    now: HashMap<Arc<str>, Spell>,
    /// What is over and not kept yet.
    over: VecDeque<Spell>,
    /// Whether something is another than what is kept.
    has_changed: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self { watcher: Uuid::now_v7(), now: HashMap::new(), over: VecDeque::new(), has_changed: false }
    }
}

impl Watch {
    /// Sees how servers are, and keeps that where it changed; with a heartbeat also that it did not. What cannot be kept
    /// is tried again the next time.
    pub(crate) async fn keep(
        &self,
        store: &dyn UptimeStore,
        catalog: &Catalog,
        redactor: &Redactor,
        is_heartbeat: bool,
        at: DateTime<Utc>,
    ) -> Result<(), UptimeError> {
        let mut seen = self.seen.lock().await;
        seen.see(catalog, redactor, at.trunc_subsecs(6));
        if !is_heartbeat && !seen.has_changed {
            return Ok(());
        }
        let spells: Vec<Spell> = seen.over.iter().chain(seen.now.values()).cloned().collect();
        if !spells.is_empty() {
            store.keep(&spells).await?;
        }
        seen.over.clear();
        seen.has_changed = false;
        Ok(())
    }
}

impl Seen {
    fn see(&mut self, catalog: &Catalog, redactor: &Redactor, at: DateTime<Utc>) {
        let is_there = |name: &str| catalog.servers.iter().any(|view| *view.name == *name);
        let gone: Vec<Arc<str>> = self.now.keys().filter(|name| !is_there(name)).cloned().collect();
        gone.iter().for_each(|name| self.end(name, at));
        for view in &catalog.servers {
            match &view.health {
                Health::Healthy => self.found(&view.name, None, at),
                Health::Unhealthy { reason } => self.found(&view.name, Some(redactor.text(reason)), at),
                Health::Unknown | Health::Disabled => self.end(&view.name, at),
            }
        }
    }

    /// A server is up, or away for a reason.
    fn found(&mut self, server: &Arc<str>, away: Option<String>, at: DateTime<Utc>) {
        if let Some(spell) = self.now.get_mut(server) {
            if spell.is_up == away.is_none() && !is_stale(spell, at) {
                spell.last_at = at.max(spell.last_at);
                let reason = away.map(|reason| fit(&reason));
                if spell.reason != reason {
                    spell.reason = reason;
                    self.has_changed = true;
                }
                return;
            }
            self.end(server, at);
        }
        self.has_changed = true;
        self.now.insert(server.clone(), Spell::new(server.clone(), self.watcher, at, away));
    }

    /// What goes on with a server is over.
    fn end(&mut self, server: &Arc<str>, at: DateTime<Utc>) {
        let Some(mut spell) = self.now.remove(server) else { return };
        if !is_stale(&spell, at) {
            spell.last_at = at.max(spell.last_at);
        }
        self.has_changed = true;
        self.over.push_back(spell);
        while self.over.len() > MAX_WAITING {
            self.over.pop_front();
        }
    }
}

/// Whether nobody saw how a server is for so long that it cannot be said how it was.
fn is_stale(spell: &Spell, at: DateTime<Utc>) -> bool {
    let most: Duration = HEARTBEAT * MISSED;
    at - spell.last_at > TimeDelta::from_std(most).unwrap_or(TimeDelta::MAX)
}
