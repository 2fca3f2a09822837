//! The tools of all servers by name, for whatever another server says of them.

use std::collections::HashMap;

use super::text::{fold, skeleton};

/// Shortest name that means a tool where it stands alone, in bytes.
const MIN_NAME: usize = 6;

/// The tools of all servers by name.
#[derive(Debug, Clone, Default)]
pub struct Neighbours {
    tools: Vec<(String, String)>,
    /// By what texts call them.
    by_mention: HashMap<String, Vec<usize>>,
    /// By what their names look like.
    by_skeleton: HashMap<String, Vec<usize>>,
}

impl Neighbours {
    /// Tools as pairs of server and name; those of a scanned tool's own server are passed over.
    pub fn new(tools: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut tools: Vec<_> = tools.into_iter().collect();
        tools.sort_unstable();
        tools.dedup();
        let (mut by_mention, mut by_skeleton) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (i, (server, tool)) in tools.iter().enumerate() {
            mentions(server, tool).for_each(|name| by_mention.entry(name).or_default().push(i));
            by_skeleton.entry(skeleton(tool)).or_default().push(i);
        }
        Self { tools, by_mention, by_skeleton }
    }

    /// Tools of other servers that a folded text calls by this name, and that the server has not itself.
    pub(super) fn mentioned(&self, name: &str, server: &str) -> bool {
        let places = self.by_mention.get(name).map_or(&[][..], Vec::as_slice);
        let is_own = |place: &usize| self.tools[*place].0 == server;
        !places.is_empty() && !places.iter().any(is_own)
    }

    /// Tools of other servers whose names look like this one.
    pub(super) fn alike(&self, name: &str, server: &str) -> impl Iterator<Item = (&str, &str)> {
        let places = self.by_skeleton.get(&skeleton(name)).into_iter().flatten();
        let tools = places.map(|place| (self.tools[*place].0.as_str(), self.tools[*place].1.as_str()));
        tools.filter(move |(other, _)| *other != server)
    }
}

/// What a folded text calls a tool: its name alone where that is no plain word, else together with its
/// server.
fn mentions(server: &str, tool: &str) -> impl Iterator<Item = String> {
    let (server, tool) = (fold(server), fold(tool));
    let full = [".", "__", "/"].map(|between| format!("{server}{between}{tool}"));
    let alone = tool.len() >= MIN_NAME && tool.contains(['_', '-', '.']);
    full.into_iter().chain(alone.then_some(tool))
}
