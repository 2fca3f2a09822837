//! Which tool a question is for: BM25 over what the tools say of themselves, with weights by field.

use std::collections::{BTreeMap, HashSet};

use super::{
    facts::{Facts, Is},
    fill::fill,
    param::{Kind, Param, Role, params},
    text::{Word, synonyms, words},
};
use crate::catalog::{OfferedTool, ToolSet};

/// How much a word counts by where it stands.
const IN_NAME: f64 = 3.0;
const IN_TITLE: f64 = 1.5;
const IN_SERVER: f64 = 2.0;
const IN_DESCRIPTION: f64 = 1.5;
const IN_PARAM: f64 = 0.7;
const IN_PARAM_TEXT: f64 = 0.3;
const IN_OPTION: f64 = 0.6;
/// BM25's saturation and its normalisation by length.
const K1: f64 = 1.2;
const B: f64 = 0.5;
/// What a word is worth when only a word like it matches.
const SYNONYM: f64 = 0.6;
const PREFIX: f64 = 0.6;
/// What each stated argument adds to a score, and what each missing one leaves of it.
const STATED: f64 = 0.2;
const MISSING: f64 = 0.8;
/// What each thing that the question names and the tool cannot take leaves of a score.
const UNUSED: f64 = 0.3;
/// What is left of the score of a tool that changes something: most questions only want to know.
const CHANGES: f64 = 0.9;
/// How many of the best are looked at for whether the question fills their arguments.
const LOOKED_AT: usize = 24;
/// A catalog counts as no smaller than this: in one of two tools no word would tell anything.
const MIN_TOOLS: usize = 20;
/// How many words of a question are looked up.
pub(super) const MAX_WORDS: usize = 64;

/// By tool: its score for a word, and how much of the word's worth it covers. Everything that is summed
/// up here is summed in one order: sums of fractions depend on it, and a tie must fall one way only.
type Matches = BTreeMap<usize, (f64, f64)>;

/// One tool of the index.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) params: Vec<Param>,
    /// Stems of its name and title.
    pub(super) name_stems: Vec<String>,
    length: f64,
}

/// The tools of one set, ready to be ranked. Entries are in the order of the set.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) entries: Vec<Entry>,
    /// By stem: the entries that have it, and how much it counts in each.
    postings: BTreeMap<String, Vec<(usize, f64)>>,
    mean_length: f64,
}

/// One tool's rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// Its place in the set.
    pub(super) tool: usize,
    pub(super) score: f64,
    /// How much of what the question says the tool knows, 0 to 1.
    pub(super) coverage: f64,
}

pub(super) struct Asked {
    word: Word,
    /// Whether a tool that does not know it knows less of the question.
    counts: bool,
}

impl Index {
    pub(super) fn build(set: &ToolSet) -> Self {
        let mut postings: BTreeMap<String, Vec<(usize, f64)>> = BTreeMap::new();
        let mut entries = Vec::with_capacity(set.len());
        for (i, tool) in set.tools().iter().enumerate() {
            let params = params(&tool.def);
            let weights = weights(tool, &params);
            let length = weights.values().sum();
            for (stem, weight) in weights {
                postings.entry(stem).or_default().push((i, weight));
            }
            entries.push(Entry { params, name_stems: name_stems(tool), length });
        }
        let mean_length = entries.iter().map(|entry| entry.length).sum::<f64>() / entries.len().max(1) as f64;
        Self { entries, postings, mean_length: mean_length.max(1.0) }
    }

    /// The tools that share a word with the question, the best first.
    pub(super) fn rank(&self, set: &ToolSet, question: &str, facts: &Facts) -> Vec<Hit> {
        let mut scores = Matches::new();
        let mut total = 0.0;
        for asked in asked(facts) {
            let (worth, matches) = self.matches(&asked.word);
            if asked.counts || !matches.is_empty() {
                total += worth;
            }
            for (tool, (score, covered)) in matches {
                let sum = scores.entry(tool).or_default();
                sum.0 += score;
                sum.1 += covered;
            }
        }
        let coverage = |covered: f64| if total > 0.0 { covered / total } else { 0.0 };
        let mut hits: Vec<Hit> = scores
            .into_iter()
            .map(|(tool, (score, covered))| Hit { tool, score, coverage: coverage(covered) })
            .collect();
        self.honour_names(set, question, &mut hits);
        sort(&mut hits);
        for hit in hits.iter_mut().take(LOOKED_AT) {
            let stated = self.weigh(hit, &set.tools()[hit.tool], facts);
            hit.coverage += STATED * stated;
        }
        sort(&mut hits);
        hits
    }

    /// What a word is worth at all, and per tool its score and how much of its worth is covered.
    fn matches(&self, word: &Word) -> (f64, Matches) {
        let worth = self.idf(self.postings.get(&word.stem).map_or(0, Vec::len));
        let mut best = Matches::new();
        for (stem, factor) in self.alike(word) {
            let Some(list) = self.postings.get(&stem) else { continue };
            let idf = self.idf(list.len());
            for (tool, weight) in list {
                let norm = K1 * (1.0 - B + B * self.entries[*tool].length / self.mean_length);
                let score = factor * idf * weight * (K1 + 1.0) / (weight + norm);
                let entry = best.entry(*tool).or_default();
                if score > entry.0 {
                    *entry = (score, factor * worth);
                }
            }
        }
        (worth, best)
    }

    /// The stems that a word may match, and how much such a match counts.
    fn alike(&self, word: &Word) -> Vec<(String, f64)> {
        let mut alike = vec![(word.stem.clone(), 1.0)];
        alike.extend(synonyms(word).into_iter().map(|stem| (stem, SYNONYM)));
        if !self.postings.contains_key(&word.stem) && word.stem.len() >= 3 {
            let near = self.postings.keys().filter(|known| is_near(&word.stem, known));
            alike.extend(near.map(|known| (known.clone(), PREFIX)));
        }
        alike
    }

    fn idf(&self, df: usize) -> f64 {
        let (n, df) = (self.entries.len().max(MIN_TOOLS) as f64, df as f64);
        (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
    }

    /// A tool that is called by its very name is meant.
    fn honour_names(&self, set: &ToolSet, question: &str, hits: &mut Vec<Hit>) {
        let said: Vec<&str> = question.split(|c: char| c.is_whitespace() || "`'\",?!()".contains(c)).collect();
        for (i, tool) in set.tools().iter().enumerate() {
            let is_odd = tool.def.name.contains(['_', '-', '.']);
            let named = |word: &&str| {
                (is_odd && *word == &*tool.def.name) || *word == &*tool.llm_name || *word == tool.def.full_name()
            };
            if said.iter().any(named) {
                hits.retain(|hit| hit.tool != i);
                hits.push(Hit { tool: i, score: 1_000.0, coverage: 1.0 });
            }
        }
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

fn sort(hits: &mut [Hit]) {
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.tool.cmp(&b.tool)));
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

/// `env` and `environment`, `databse` and `database`.
fn is_near(word: &str, known: &str) -> bool {
    let is_start = known.starts_with(word) || (known.len() >= 4 && word.starts_with(known));
    is_start || (word.len() >= 5 && known.len() >= 5 && strsim::damerau_levenshtein(word, known) == 1)
}

fn name_stems(tool: &OfferedTool) -> Vec<String> {
    let title = tool.def.title.as_deref().unwrap_or_default();
    words(&format!("{} {title}", tool.def.name)).into_iter().map(|word| word.stem).collect()
}

fn weights(tool: &OfferedTool, params: &[Param]) -> BTreeMap<String, f64> {
    let mut weights: BTreeMap<String, f64> = BTreeMap::new();
    let mut add = |text: &str, weight: f64| {
        for word in words(text) {
            *weights.entry(word.stem).or_default() += weight;
        }
    };
    let def = &tool.def;
    add(&def.name, IN_NAME);
    add(def.title.as_deref().unwrap_or_default(), IN_TITLE);
    add(&def.server, IN_SERVER);
    add(&def.description, IN_DESCRIPTION);
    for param in params {
        add(&param.name, IN_PARAM);
        add(&param.description, IN_PARAM_TEXT);
        if let Kind::OneOf(options) = &param.kind {
            options.iter().filter_map(|option| option.as_str()).for_each(|option| add(option, IN_OPTION));
        }
    }
    weights
}
