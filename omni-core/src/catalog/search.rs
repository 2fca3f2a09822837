//! Finding tools by words, where there are too many to read.
//!
//! A [`ToolSet`] is what one rule set may use, so whoever searches it finds nothing else: policy comes
//! before ranking, never after. The index is made at most once per set and kept with it.

use std::{collections::HashSet, sync::Arc};

use super::{OfferedTool, ToolSet};

mod fields;
mod index;
pub(crate) mod text;
mod typed;

pub(crate) use index::{Hit, Index, sort};
use text::{Word, words};

/// Most characters of a query that are read.
const MAX_QUERY_CHARS: usize = 2_000;
/// Most words of a query that are looked up.
pub(crate) const MAX_WORDS: usize = 64;

/// A word that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) word: Word,
    /// Whether a tool that does not know it knows less of the query.
    pub(crate) counts: bool,
}

impl ToolSet {
    /// The index of these tools.
    pub(crate) fn index(&self) -> &Arc<Index> {
        self.index.get_or_init(|| Arc::new(Index::build(self.tools())))
    }

    /// The tools that fit a query best, the best first: `limit` at most, and none that shares no word
    /// with it.
    #[must_use]
    pub fn search(&self, query: &str, limit: usize) -> Vec<&OfferedTool> {
        let query: String = query.chars().take(MAX_QUERY_CHARS).collect();
        let hits = self.index().rank(&asked(&query), &query);
        hits.into_iter().take(limit).map(|hit| &self.tools()[hit.tool]).collect()
    }
}

/// The words of a query, each once.
fn asked(query: &str) -> Vec<Asked> {
    let mut seen = HashSet::new();
    let new = words(query).into_iter().filter(|word| seen.insert(word.stem.clone()));
    new.take(MAX_WORDS).map(|word| Asked { word, counts: true }).collect()
}

#[cfg(test)]
mod tests;
