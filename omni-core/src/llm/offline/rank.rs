//! Which tool a question is for: the catalog's ranking, weighed by what the question states and the tools
//! take.

use std::collections::HashSet;

use super::{
    facts::{Facts, Is},
    fill::fill,
    param::{Kind, Param, Role, params},
};
use crate::catalog::{
    OfferedTool, ToolSet,
    search::{Asked, Hit, MAX_WORDS, sort, text::words},
};

/// What each stated argument adds to a score, and what each missing one leaves of it.
const STATED: f64 = 0.2;
const MISSING: f64 = 0.8;
/// What each thing that the question names and the tool cannot take leaves of a score.
const UNUSED: f64 = 0.3;
/// What is left of the score of a tool that changes something: most questions only want to know.
const CHANGES: f64 = 0.9;
/// How many of the best are looked at for whether the question fills their arguments.
const LOOKED_AT: usize = 24;

/// One tool of the index.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) params: Vec<Param>,
    /// Stems of its name and title.
    pub(super) name_stems: Vec<String>,
}

/// What the tools of one set take. Entries are in the order of the set.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) entries: Vec<Entry>,
}

impl Index {
    pub(super) fn build(set: &ToolSet) -> Self {
        let entry = |tool: &OfferedTool| Entry { params: params(&tool.def), name_stems: name_stems(tool) };
        Self { entries: set.tools().iter().map(entry).collect() }
    }

    /// The tools that share a word with the question, the best first.
    pub(super) fn rank(&self, set: &ToolSet, question: &str, facts: &Facts) -> Vec<Hit> {
        let mut hits = set.index().rank(&asked(facts), question);
        for hit in hits.iter_mut().take(LOOKED_AT) {
            let stated = self.weigh(hit, &set.tools()[hit.tool], facts);
            hit.coverage += STATED * stated;
        }
        sort(&mut hits);
        hits
    }

    /// Weighs a hit by how its arguments go with what the question states; returns how many are stated.
    fn weigh(&self, hit: &mut Hit, tool: &OfferedTool, facts: &Facts) -> f64 {
        let entry = &self.entries[hit.tool];
        let filled = fill(&entry.params, facts, &entry.name_stems);
        let stated = entry.params.iter().filter(|param| filled.arguments.contains_key(&param.name));
        let stated = stated.filter(|param| is_telling(&param.kind)).count().min(3) as f64;
        hit.score *= 1.0 + STATED * stated;
        hit.score *= MISSING.powf(filled.missing.len().min(3) as f64);
        hit.score *= UNUSED.powf(filled.unused.min(2) as f64);
        if tool.def.annotations.read_only_hint == Some(false) {
            hit.score *= CHANGES;
        }
        stated
    }
}

/// Arguments whose value can hardly be in a question by chance.
fn is_telling(kind: &Kind) -> bool {
    match kind {
        Kind::Text(role) => !matches!(role, Role::Free | Role::Pattern),
        Kind::Number { .. } | Kind::OneOf(_) => true,
        Kind::List(item) => is_telling(item),
        Kind::Boolean | Kind::Other => false,
    }
}

/// The words of a question, each once. What is quoted is not asked about; an address or a path is no
/// loss to a tool that does not know its words.
pub(super) fn asked(facts: &Facts) -> Vec<Asked> {
    let mut seen = HashSet::new();
    let mut asked = Vec::new();
    for token in facts.tokens.iter().filter(|token| !facts.quoted.contains(&token.text)) {
        let counts = token.is == Is::Word;
        let new = words(&token.text).into_iter().filter(|word| seen.insert(word.stem.clone()));
        asked.extend(new.map(|word| Asked { word, counts }));
    }
    asked.truncate(MAX_WORDS);
    asked
}

fn name_stems(tool: &OfferedTool) -> Vec<String> {
    let title = tool.def.title.as_deref().unwrap_or_default();
    words(&format!("{} {title}", tool.def.name)).into_iter().map(|word| word.stem).collect()
}
