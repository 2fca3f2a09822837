//! Names of servers and tools as labels: those that the catalog has or had, and so many at most.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use super::UNKNOWN;
use crate::catalog::Catalog;

/// Most tools of one server that are counted by name: a server may list others every time it is asked.
const MAX_TOOLS: usize = 500;

/// What calls were counted under until now, by server.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<HashMap<Arc<str>, HashSet<Arc<str>>>>);

impl Names {
    /// Server and tool, as a call of them is counted. A server that is away keeps the names that it had.
    pub(super) fn of(&self, catalog: &Catalog, server: &str, tool: &str) -> [Arc<str>; 2] {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((server, tools)) = known.get_key_value(server)
            && let Some(tool) = tools.get(tool)
        {
            return [server.clone(), tool.clone()];
        }
        let Some(view) = catalog.servers.iter().find(|view| *view.name == *server) else {
            return [UNKNOWN.into(), UNKNOWN.into()];
        };
        let tools = known.entry(view.name.clone()).or_default();
        let listed = view.tools.iter().find(|def| *def.name == *tool).filter(|_| tools.len() < MAX_TOOLS);
        let Some(def) = listed else { return [view.name.clone(), UNKNOWN.into()] };
        tools.insert(def.name.clone());
        [view.name.clone(), def.name.clone()]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::catalog::{ServerView, ToolDef};

    fn catalog(tools: &[&str]) -> Catalog {
        let mut view = ServerView::new("db", "http");
        let def = |tool: &&str| Arc::new(ToolDef::new("db", *tool, RawValue::from_string("{}".into()).unwrap()));
        view.tools = tools.iter().map(def).collect();
        Catalog::new(1, vec![view])
    }

    fn told(names: &Names, catalog: &Catalog, server: &str, tool: &str) -> String {
        names.of(catalog, server, tool).join(".")
    }

    #[test]
    fn what_the_catalog_does_not_have_is_unknown_and_what_it_had_keeps_its_name() {
        let names = Names::default();
        let listed = catalog(&["get"]);
        assert_eq!(told(&names, &listed, "db", "get"), "db.get");
        assert_eq!(told(&names, &listed, "db", "made_up"), "db.unknown");
        assert_eq!(told(&names, &listed, "made_up", "get"), "unknown.unknown");
        assert_eq!(told(&names, &catalog(&[]), "db", "get"), "db.get");
    }

    #[test]
    fn a_server_that_lists_other_tools_all_the_time_fills_no_memory() {
        let names = Names::default();
        let counted = |n: usize| {
            let tool = format!("tool_{n}");
            told(&names, &catalog(&[&tool]), "db", &tool)
        };
        let unknown = (0..MAX_TOOLS + 10).filter(|n| counted(*n) == "db.unknown").count();
        assert_eq!(unknown, 10);
        assert_eq!(counted(0), "db.tool_0");
    }
}
