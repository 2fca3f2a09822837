//! `allowed_mcps` as rows of `user_mcp_permissions`, and back.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::spec::{AllowedMcps, BesideSpec, McpAccess, McpAccessSpec, McpMode};

/// The name that stands for every server.
const EVERY: &str = "*";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Permission {
    pub(super) server: String,
    pub(super) mode: McpMode,
    pub(super) allowed: Vec<String>,
    pub(super) denied: Vec<String>,
    /// What it says of prompts and resources.
    pub(super) beside: BesideSpec,
}

impl Permission {
    fn new(server: &str, mode: McpMode) -> Self {
        let (server, beside) = (server.into(), BesideSpec::default());
        Self { server, mode, allowed: Vec::new(), denied: Vec::new(), beside }
    }
}

/// The rows that mean the same; none is every server as the role says.
pub(super) fn to_rows(allowed: Option<&AllowedMcps>) -> Vec<Permission> {
    let rows: Vec<Permission> = match allowed {
        None => return Vec::new(),
        Some(AllowedMcps::Word(word)) if word == EVERY => vec![Permission::new(EVERY, McpMode::All)],
        Some(AllowedMcps::Word(name)) => vec![Permission::new(name, McpMode::Inherit)],
        Some(AllowedMcps::Names(names)) => {
            // A list may name a server twice, which says no more than once.
            let mut known = BTreeSet::new();
            let names = names.iter().filter(|name| known.insert(name.as_str()));
            names.map(|name| Permission::new(name, McpMode::Inherit)).collect()
        }
        Some(AllowedMcps::Map(map)) => map.iter().map(|(name, access)| of_access(name, access)).collect(),
    };
    if rows.is_empty() { vec![Permission::new(EVERY, McpMode::None)] } else { rows }
}

fn of_access(name: &str, access: &McpAccess) -> Permission {
    let rules = match access {
        McpAccess::Word(word) if word == EVERY => return Permission::new(name, McpMode::All),
        McpAccess::Word(_) => return Permission::new(name, McpMode::None),
        McpAccess::Rules(rules) => rules,
    };
    let both = |one: &[String], other: &[String]| one.iter().chain(other).cloned().collect();
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    Permission {
        server: name.into(),
        mode: rules.mode,
        allowed: both(&list(&rules.tools), &list(&rules.allowed_tools)),
        denied: both(&rules.deny, &rules.denied_tools),
        beside: rules.beside.clone(),
    }
}

/// What the rows mean.
pub(super) fn of_rows(rows: Vec<Permission>) -> Option<AllowedMcps> {
    if rows.is_empty() {
        return None;
    }
    if rows == [Permission::new(EVERY, McpMode::All)] {
        return Some(AllowedMcps::Word(EVERY.into()));
    }
    let entry = |row: Permission| {
        let tools = (row.mode == McpMode::Custom).then_some(row.allowed);
        let (mode, deny, beside) = (row.mode, row.denied, row.beside);
        let rules = McpAccessSpec { mode, tools, deny, beside, ..McpAccessSpec::default() };
        (row.server, McpAccess::Rules(rules))
    };
    Some(AllowedMcps::Map(rows.into_iter().map(entry).collect::<BTreeMap<_, _>>()))
}

/// The mode's name in the table.
pub(super) fn mode_name(mode: McpMode) -> &'static str {
    match mode {
        McpMode::Inherit => "inherit",
        McpMode::Custom => "custom",
        McpMode::All => "all",
        McpMode::None => "none",
    }
}

/// A mode by its name; one that nobody knows gives nothing.
pub(super) fn mode_of(name: &str) -> McpMode {
    match name {
        "inherit" => McpMode::Inherit,
        "custom" => McpMode::Custom,
        "all" => McpMode::All,
        _ => McpMode::None,
    }
}
