//! What was seen of the servers, where it outlives the process: a file for whoever wants to know
//! without asking them, and the database's tables.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use std::collections::BTreeSet;
use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::{Health, ServerView, ToolDef, stored};
use crate::parts::Parts;

/// Keeps what changed since the last time.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// Also keeps two from writing at once.
    last: Mutex<Last>,
}

/// What was kept.
#[derive(Debug, Default)]
struct Last {
    servers: HashMap<Arc<str>, Kept>,
    /// Beside which servers all others were switched off.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    beside: Option<BTreeSet<Arc<str>>>,
}

/// What was kept of a server.
#[derive(Debug)]
struct Kept {
    at: Option<DateTime<Utc>>,
    is_disabled: bool,
    tools: Vec<Arc<ToolDef>>,
}

impl Keeper {
    /// Keeps what servers answered since the last time, and which ones are switched off or gone. What
    /// cannot be kept is tried again with the next answer; nobody is told, because nothing is decided with it.
    pub(crate) async fn keep(&self, parts: &Parts) {
        let Some(config) = &parts.config else { return };
        let catalog = parts.pool.catalog();
        let mut last = self.last.lock().await;
        let new: Vec<&ServerView> = catalog.servers.iter().filter(|view| last.is_new(view)).collect();
        if !new.is_empty() {
            stored::keep(config, &catalog).await;
        }
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        if let Some(tables) = &parts.tables {
            let names = catalog.servers.iter().map(|view| view.name.clone()).collect();
            if let Err(error) = write(tables, &new, names, &mut last, config).await {
                return tracing::debug!(%error, "what is known of the servers is not in the database yet");
            }
        }
        for view in new {
            let (at, is_disabled) = (view.checked_at, view.health == Health::Disabled);
            last.servers.insert(view.name.clone(), Kept { at, is_disabled, tools: view.tools.clone() });
        }
    }
}

impl Last {
    /// Whether a server answered, or was switched off, since.
    fn is_new(&self, view: &ServerView) -> bool {
        let is_disabled = view.health == Health::Disabled;
        let is_same = |kept: &Kept| kept.at == view.checked_at && kept.is_disabled == is_disabled;
        (view.checked_at.is_some() || is_disabled) && !self.servers.get(&view.name).is_some_and(is_same)
    }
}

/// Writes what is new, and switches off what is not among `names` any more.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn write(
    tables: &crate::people::Tables,
    new: &[&ServerView],
    names: BTreeSet<Arc<str>>,
    last: &mut Last,
    config: &crate::Config,
) -> Result<(), crate::db::DbError> {
    if !new.is_empty() {
        let seen: Vec<super::rows::Seen<'_>> = new.iter().map(|view| seen(view, last, config)).collect();
        super::rows::keep(tables, &seen).await?;
    }
    if last.beside.as_ref() != Some(&names) {
        super::rows::disable_others(tables, &names).await?;
        last.beside = Some(names);
    }
    Ok(())
}

/// What is to be written of a server: its tools only where they are others than before.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn seen<'a>(view: &'a ServerView, last: &Last, config: &crate::Config) -> super::rows::Seen<'a> {
    let place = config.servers.iter().find(|server| *server.name == *view.name).map(|server| server.place());
    let is_same = |kept: &Kept| {
        kept.tools.len() == view.tools.len() && kept.tools.iter().zip(&view.tools).all(|(a, b)| Arc::ptr_eq(a, b))
    };
    // Of a server that is away the tools that it had stay.
    let has_others = view.health.is_healthy() && !last.servers.get(&view.name).is_some_and(is_same);
    super::rows::Seen { view, place: place.unwrap_or_default(), tools: has_others.then_some(&view.tools) }
}
