//! What was seen of the servers, where it outlives the process: a file for whoever wants to know
//! without asking them, and the database's tables.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use std::collections::BTreeSet;
use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::sync::Mutex;

use super::{Health, ServerView, ToolDef, stored};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::config::ServerConfig;
use crate::{config::Config, parts::Parts, pin::Why};

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
    withheld: Vec<(Arc<str>, Why)>,
    /// Its tools as they were written last; `None` where they never were.
    tools: Option<Vec<Arc<ToolDef>>>,
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
            if let Err(error) = write(tables, &new, names, &mut last, &config.servers).await {
                return tracing::debug!(%error, "what is known of the servers is not in the database yet");
            }
        }
        for view in new {
            last.remember(view);
        }
    }

    /// Notes that somebody agreed to tools of a server, for it may be long until it is asked again.
    pub(crate) async fn let_in(&self, config: &Config, server: &str, tools: &[&str]) {
        let _one_at_a_time = self.last.lock().await;
        stored::let_in(config, server, tools).await;
    }
}

impl Last {
    /// Whether a server answered, was switched off, or has other tools kept back, since.
    fn is_new(&self, view: &ServerView) -> bool {
        let is_disabled = view.health == Health::Disabled;
        let is_same = |kept: &Kept| {
            kept.at == view.checked_at && kept.is_disabled == is_disabled && kept.withheld == withheld(view)
        };
        (view.checked_at.is_some() || is_disabled) && !self.servers.get(&view.name).is_some_and(is_same)
    }

    /// A server is kept as it is; of one that is away, the tools that were written before.
    fn remember(&mut self, view: &ServerView) {
        let tools = match view.health.is_healthy() {
            true => Some(view.tools.clone()),
            false => self.servers.remove(&view.name).and_then(|kept| kept.tools),
        };
        let is_disabled = view.health == Health::Disabled;
        let kept = Kept { at: view.checked_at, is_disabled, withheld: withheld(view), tools };
        self.servers.insert(view.name.clone(), kept);
    }
}

fn withheld(view: &ServerView) -> Vec<(Arc<str>, Why)> {
    view.withheld.iter().map(|held| (held.def.name.clone(), held.why)).collect()
}

/// Writes what is new, and switches off what is not among `names` any more.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn write(
    tables: &crate::people::Tables,
    new: &[&ServerView],
    names: BTreeSet<Arc<str>>,
    last: &mut Last,
    servers: &[ServerConfig],
) -> Result<(), crate::db::DbError> {
    if !new.is_empty() {
        let seen: Vec<super::rows::Seen<'_>> = new.iter().map(|view| seen(view, last, servers)).collect();
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
fn seen<'a>(view: &'a ServerView, last: &Last, servers: &[ServerConfig]) -> super::rows::Seen<'a> {
    let place = servers.iter().find(|server| *server.name == *view.name).map(|server| server.place());
    let are_these = |tools: &[Arc<ToolDef>]| {
        tools.len() == view.tools.len() && tools.iter().zip(&view.tools).all(|(a, b)| Arc::ptr_eq(a, b))
    };
    let is_same = |kept: &Kept| kept.tools.as_deref().is_some_and(are_these);
    // Of a server that is away the tools that it had stay.
    let has_others = view.health.is_healthy() && !last.servers.get(&view.name).is_some_and(is_same);
    super::rows::Seen { view, place: place.unwrap_or_default(), tools: has_others.then_some(&view.tools) }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;
    use crate::{catalog::Withheld, people::Tables};

    fn view(health: Health, tools: &[Arc<ToolDef>]) -> ServerView {
        let mut view = ServerView::new("db", "http");
        view.checked_at = Some(Utc::now());
        (view.health, view.tools) = (health, tools.to_vec());
        view
    }

    fn tool(name: &str) -> Arc<ToolDef> {
        Arc::new(ToolDef::new("db", name, to_raw_value(&json!({})).unwrap()))
    }

    /// Keeps a server, and says which tools the database has then.
    async fn kept(tables: &Tables, last: &mut Last, view: &ServerView) -> Vec<String> {
        write(tables, &[view], BTreeSet::from([view.name.clone()]), last, &[]).await.unwrap();
        last.remember(view);
        let rows = tables.db().await.unwrap().fetch_all("SELECT name FROM mcp_tools ORDER BY name", &[]).await.unwrap();
        rows.iter().map(|row| row.text("name").unwrap()).collect()
    }

    #[test]
    fn that_a_tool_is_kept_back_or_let_in_is_news_though_nobody_asked_its_server() {
        let (mut last, mut seen) = (Last::default(), view(Health::Healthy, &[tool("get")]));
        last.remember(&seen);
        assert!(!last.is_new(&seen));
        seen.withheld.push(Withheld { def: tool("list"), why: Why::Changed, findings: Vec::new() });
        assert!(last.is_new(&seen));
        last.remember(&seen);
        assert!(!last.is_new(&seen));
        seen.withheld.clear();
        assert!(last.is_new(&seen));
    }

    #[tokio::test]
    async fn tools_that_could_not_be_written_are_written_when_their_server_is_back() {
        let (tables, away) = (Tables::at("sqlite::memory:"), || Health::Unhealthy { reason: "away".into() });
        let (old, new) = ([tool("get")], [tool("list")]);
        let mut last = Last::default();
        assert_eq!(kept(&tables, &mut last, &view(Health::Healthy, &old)).await, ["get"]);
        assert_eq!(kept(&tables, &mut last, &view(away(), &new)).await, ["get"]);
        assert_eq!(kept(&tables, &mut last, &view(Health::Healthy, &new)).await, ["list"]);

        let mut of_the_next_process = Last::default();
        assert_eq!(kept(&tables, &mut of_the_next_process, &view(away(), &[])).await, ["list"]);
        assert!(kept(&tables, &mut of_the_next_process, &view(Health::Healthy, &[])).await.is_empty());
    }
}
