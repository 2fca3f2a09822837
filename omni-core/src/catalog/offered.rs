//! What a model gets of a tool set.

use std::sync::Arc;

use super::{OfferedTool, ToolSet};
use crate::agent::{menu, reading};

impl ToolSet {
    /// The same set, in which a model searches where there are more tools than `threshold`.
    #[must_use]
    pub fn with_menu_above(mut self, threshold: usize) -> Self {
        self.has_menu = self.tools.len() > threshold;
        self
    }

    /// Whether a model gets a small menu in place of these tools, with which it finds and calls them.
    #[must_use]
    pub fn has_menu(&self) -> bool {
        self.has_menu
    }

    /// The same set, with which a model may read on in results that are kept. Without tools there are none.
    #[must_use]
    pub fn with_results(mut self, reads_results: bool) -> Self {
        self.reads_results = reads_results && !self.tools.is_empty();
        self
    }

    /// Whether a model may read on in results that are kept.
    #[must_use]
    pub fn reads_results(&self) -> bool {
        self.reads_results
    }

    /// What a model gets: these tools, or the menu by which it finds them, and what it reads results with.
    #[must_use]
    pub fn offered(self: &Arc<Self>) -> Arc<Self> {
        match (self.has_menu, self.reads_results) {
            (false, false) => self.clone(),
            (true, false) => menu::menu(),
            (true, true) => self.offered.get_or_init(|| Arc::new(menu::menu().and(reading::tool()))).clone(),
            (false, true) => self.offered.get_or_init(|| Arc::new(self.and(reading::tool()))).clone(),
        }
    }

    /// These tools and one more.
    fn and(&self, tool: OfferedTool) -> Self {
        let tools = self.tools.iter().cloned().chain([tool]).collect();
        Self::from_tools(self.catalog_version, self.fingerprint.clone(), tools)
    }
}
