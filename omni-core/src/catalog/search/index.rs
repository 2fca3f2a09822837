//! BM25+ over the words of tools, with weights by field.

use std::collections::{BTreeMap, HashMap};

use super::{
    Asked,
    fields::{share, weights},
    text::{Word, synonyms},
    typed::{MIN_TYPED, Typed, shortened},
};
use crate::catalog::OfferedTool;

/// BM25's saturation and its normalisation by length, and what `+` adds: a word that is there counts
/// for something, however long the text is in which it stands.
const K1: f64 = 1.2;
const B: f64 = 0.5;
const DELTA: f64 = 0.25;
/// What a word is worth when only a word like it matches.
const SYNONYM: f64 = 0.6;
const NEAR: f64 = 0.6;
/// A catalog counts as no smaller than this: in one of two tools no word would tell anything.
const MIN_TOOLS: usize = 20;
/// Most words that one unknown word may stand for.
const MAX_NEAR: usize = 64;
/// The score of a tool that is called by its very name.
const NAMED: f64 = 1_000.0;

/// One tool's rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    /// Its place in the set.
    pub(crate) tool: usize,
    pub(crate) score: f64,
    /// How much of what the query says the tool knows, 0 to 1.
    pub(crate) coverage: f64,
}

/// The tools of one set, ready to be ranked.
#[derive(Debug)]
pub(crate) struct Index {
    tools: usize,
    /// By stem.
    terms: BTreeMap<String, Term>,
    typed: Typed,
    /// Tools by the names that nobody writes by chance.
    names: HashMap<String, Vec<usize>>,
}

/// The tools that have a stem, and how well each goes with it.
#[derive(Debug)]
struct Term {
    idf: f64,
    postings: Vec<(usize, f64)>,
}

/// What is summed up for each tool.
struct Sums {
    score: Vec<f64>,
    covered: Vec<f64>,
    /// Of the present word alone: the best match, and how much of the word's worth it covers.
    best: Vec<(f64, f64)>,
    touched: Vec<usize>,
}

impl Index {
    pub(crate) fn build(tools: &[OfferedTool]) -> Self {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        tools.iter().for_each(|tool| *counts.entry(&tool.def.server).or_default() += 1);
        let weights: Vec<BTreeMap<String, f64>> =
            tools.iter().map(|tool| weights(tool, share(counts[&*tool.def.server]))).collect();
        let lengths: Vec<f64> = weights.iter().map(|weights| weights.values().sum()).collect();
        let mean = (lengths.iter().sum::<f64>() / tools.len().max(1) as f64).max(1.0);
        let mut postings: BTreeMap<String, Vec<(usize, f64)>> = BTreeMap::new();
        for (tool, weights) in weights.into_iter().enumerate() {
            let norm = K1 * (1.0 - B + B * lengths[tool] / mean);
            for (stem, weight) in weights {
                postings.entry(stem).or_default().push((tool, DELTA + weight * (K1 + 1.0) / (weight + norm)));
            }
        }
        let term =
            |(stem, postings): (String, Vec<_>)| (stem, Term { idf: idf(tools.len(), postings.len()), postings });
        let terms: BTreeMap<String, Term> = postings.into_iter().map(term).collect();
        Self { tools: tools.len(), typed: Typed::of(terms.keys()), names: names(tools), terms }
    }

    /// The tools that share a word with the query, the best first.
    pub(crate) fn rank(&self, asked: &[Asked], query: &str) -> Vec<Hit> {
        let mut sums = Sums::new(self.tools);
        let mut total = 0.0;
        for asked in asked {
            let worth = self.terms.get(&asked.word.stem).map_or_else(|| idf(self.tools, 0), |term| term.idf);
            let is_known = self.sum_up(&asked.word, worth, &mut sums);
            if asked.counts || is_known {
                total += worth;
            }
        }
        let mut hits = sums.hits(total);
        self.honour_names(query, &mut hits);
        sort(&mut hits);
        hits
    }

    /// Adds what one word brings each tool; whether any knows it.
    fn sum_up(&self, word: &Word, worth: f64, sums: &mut Sums) -> bool {
        for (stem, factor) in self.alike(word) {
            let Some(term) = self.terms.get(&stem) else { continue };
            for (tool, fit) in &term.postings {
                sums.offer(*tool, factor * term.idf * fit, factor * worth);
            }
        }
        sums.settle()
    }

    /// The stems that a word may match, and how much such a match counts.
    fn alike(&self, word: &Word) -> Vec<(String, f64)> {
        let mut alike = vec![(word.stem.clone(), 1.0)];
        alike.extend(synonyms(word).into_iter().map(|stem| (stem, SYNONYM)));
        if !self.terms.contains_key(&word.stem) && word.stem.len() >= 3 {
            alike.extend(self.near(&word.stem).into_iter().map(|stem| (stem, NEAR)));
        }
        alike
    }

    /// The known stems that an unknown one may stand for: `env` and `environment`, `databse` and `database`.
    fn near(&self, word: &str) -> Vec<String> {
        let longer = self.terms.range(word.to_owned()..).map(|(stem, _)| stem);
        let mut near: Vec<String> = longer.take_while(|stem| stem.starts_with(word)).take(MAX_NEAR).cloned().collect();
        let beginnings = (4..word.len()).filter_map(|end| word.get(..end));
        near.extend(beginnings.filter(|start| self.terms.contains_key(*start)).map(str::to_owned));
        if word.len() >= MIN_TYPED {
            let forms = shortened(word).chain([word.to_owned()]);
            let candidates = forms.flat_map(|form| {
                let longer = self.typed.stems_of(&form).take(MAX_NEAR).cloned();
                longer.chain(self.terms.contains_key(&form).then_some(form))
            });
            let is_typed = |stem: &String| stem.len() >= MIN_TYPED && strsim::damerau_levenshtein(word, stem) == 1;
            near.extend(candidates.filter(is_typed));
        }
        near.sort();
        near.dedup();
        near.truncate(MAX_NEAR);
        near
    }

    /// A tool that is called by its very name is meant.
    fn honour_names(&self, query: &str, hits: &mut Vec<Hit>) {
        let said = query.split(|c: char| c.is_whitespace() || "`'\",?!()".contains(c));
        let mut named: Vec<usize> = said.filter_map(|word| self.names.get(word)).flatten().copied().collect();
        named.sort_unstable();
        named.dedup();
        hits.retain(|hit| !named.contains(&hit.tool));
        hits.extend(named.into_iter().map(|tool| Hit { tool, score: NAMED, coverage: 1.0 }));
    }
}

impl Sums {
    fn new(tools: usize) -> Self {
        Self { score: vec![0.0; tools], covered: vec![0.0; tools], best: vec![(0.0, 0.0); tools], touched: Vec::new() }
    }

    /// A match of the present word; of several the best counts.
    fn offer(&mut self, tool: usize, score: f64, covered: f64) {
        let best = &mut self.best[tool];
        if best.0 == 0.0 {
            self.touched.push(tool);
        }
        if score > best.0 {
            *best = (score, covered);
        }
    }

    /// The present word is done; whether any tool knows it.
    fn settle(&mut self) -> bool {
        let is_known = !self.touched.is_empty();
        for tool in self.touched.drain(..) {
            let (score, covered) = std::mem::take(&mut self.best[tool]);
            self.score[tool] += score;
            self.covered[tool] += covered;
        }
        is_known
    }

    fn hits(&self, total: f64) -> Vec<Hit> {
        let coverage = |covered: f64| if total > 0.0 { covered / total } else { 0.0 };
        let scored = self.score.iter().enumerate().filter(|(_, score)| **score > 0.0);
        scored.map(|(tool, score)| Hit { tool, score: *score, coverage: coverage(self.covered[tool]) }).collect()
    }
}

/// The best first, and of equals the one that is listed first.
pub(crate) fn sort(hits: &mut [Hit]) {
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.tool.cmp(&b.tool)));
}

/// What a word is worth that so many of the tools have.
fn idf(tools: usize, having: usize) -> f64 {
    let (n, df) = (tools.max(MIN_TOOLS) as f64, having as f64);
    (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
}

fn names(tools: &[OfferedTool]) -> HashMap<String, Vec<usize>> {
    let mut names: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, tool) in tools.iter().enumerate() {
        let own = tool.def.name.contains(['_', '-', '.']).then(|| tool.def.name.to_string());
        for name in [Some(tool.llm_name.to_string()), Some(tool.def.full_name()), own].into_iter().flatten() {
            names.entry(name).or_default().push(i);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{json, value::to_raw_value};

    use super::*;
    use crate::{
        catalog::{Catalog, NameRules, ServerView, ToolDef, ToolSet},
        policy::RuleSet,
    };

    #[test]
    fn a_server_that_floods_its_schemas_with_words_makes_no_larger_index() {
        let words: Vec<String> = (0..20_000).map(|i| format!("word{i:05}")).collect();
        let index = |count: usize| {
            let text = words[..count].join(" ");
            let schema = json!({ "properties": { "p": { "description": text, "enum": &words[..count] } } });
            let tool = |t: usize| Arc::new(ToolDef::new("flood", format!("tool_{t}"), to_raw_value(&schema).unwrap()));
            let mut view = ServerView::new("flood", "http");
            view.tools = (0..10).map(tool).collect();
            let tools = ToolSet::build(&Catalog::new(1, vec![view]), &RuleSet::allow_all(), NameRules::default());
            Index::build(tools.tools())
        };
        let (much, flood) = (index(1_000), index(20_000));
        assert_eq!(flood.terms.len(), much.terms.len());
        assert!(flood.terms.contains_key("tool") && flood.terms.contains_key("word00001"));
    }
}
