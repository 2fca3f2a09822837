//! What was seen of the servers, where it outlives the process: a file for whoever wants to know
//! without asking them, and the database's tables.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::{ServerView, ToolDef, stored};
use crate::parts::Parts;

/// Keeps what changed since the last time.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// Also keeps two from writing at once.
    last: Mutex<HashMap<Arc<str>, Kept>>,
}

/// What was kept of a server.
#[derive(Debug)]
struct Kept {
    at: Option<DateTime<Utc>>,
    tools: Vec<Arc<ToolDef>>,
}

impl Keeper {
    /// Keeps what servers answered since the last time. What cannot be kept is tried again with the
    /// next answer; nobody is told, because nothing is decided with it.
    pub(crate) async fn keep(&self, parts: &Parts) {
        let Some(config) = &parts.config else { return };
        let catalog = parts.pool.catalog();
        let mut last = self.last.lock().await;
        let is_new = |view: &&ServerView| {
            view.checked_at.is_some() && last.get(&view.name).is_none_or(|kept| kept.at != view.checked_at)
        };
        let new: Vec<&ServerView> = catalog.servers.iter().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        stored::keep(config, &catalog).await;
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        if let Some(tables) = &parts.tables {
            let seen: Vec<super::rows::Seen<'_>> = new.iter().map(|view| seen(view, &last, config)).collect();
            if let Err(error) = super::rows::keep(tables, &seen).await {
                return tracing::debug!(%error, "what the servers answered is not in the database yet");
            }
        }
        for view in new {
            last.insert(view.name.clone(), Kept { at: view.checked_at, tools: view.tools.clone() });
        }
    }
}

/// What is to be written of a server: its tools only where they are others than before.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn seen<'a>(view: &'a ServerView, last: &HashMap<Arc<str>, Kept>, config: &crate::Config) -> super::rows::Seen<'a> {
    let place = config.servers.iter().find(|server| *server.name == *view.name).map(|server| server.place());
    let is_same = |kept: &Kept| {
        kept.tools.len() == view.tools.len() && kept.tools.iter().zip(&view.tools).all(|(a, b)| Arc::ptr_eq(a, b))
    };
    // Of a server that is away the tools that it had stay.
    let has_others = view.health.is_healthy() && !last.get(&view.name).is_some_and(is_same);
    super::rows::Seen { view, place: place.unwrap_or_default(), tools: has_others.then_some(&view.tools) }
}
