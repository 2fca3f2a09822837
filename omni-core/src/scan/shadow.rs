//! Shadowing: a tool that passes for another server's, or that says how another server's is to be used.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    Finding, FindingKind, Neighbours,
    text::{MAX_TEXT, around, like_ascii},
};
use crate::catalog::ToolDef;

/// How far from a tool's name an order may stand, in bytes.
const BESIDE: usize = 60;

/// Words that direct the use of a tool, before or after its name.
static DIRECTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\b(instead of|rather than|in place of|replaces|supersedes|overrides|do not (use|call)|don't (use|call)|never (use|call)|must|always|before (using|calling|running|you)|after (using|calling|running|you)|when(ever)? (using|calling|you (use|call))|every time|each time|(is|are|was) (deprecated|disabled|broken|unsafe|insecure|obsolete|unavailable)|no longer (works|available|safe)|not (safe|secure)|blind copy|bcc|redirect)\b",
    )
    .ok()
});

/// What a name passes for.
pub(super) fn names(def: &ToolDef, neighbours: &Neighbours) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Letters of another script that pass for ASCII have no business in an identifier of ASCII.
    let is_mixed = def.name.chars().any(|c| c.is_ascii_alphabetic())
        && def.name.chars().any(|c| c.is_alphanumeric() && like_ascii(c).is_some());
    if is_mixed {
        findings.push(Finding::new(FindingKind::ConfusableName, "name", &def.name));
    }
    for (server, tool) in neighbours.alike(&def.name, &def.server).take(super::MAX_FINDINGS) {
        let kind = if *tool == *def.name { FindingKind::SameName } else { FindingKind::ConfusableName };
        findings.push(Finding::new(kind, "name", &format!("{server}.{tool}")));
    }
    findings
}

/// The place where a folded text names another server's tool beside words that direct its use.
pub(super) fn directs(def: &ToolDef, folded: &str, neighbours: &Neighbours) -> Option<String> {
    let text = &folded[..folded.len().min(MAX_TEXT)];
    let orders = DIRECTS.as_ref().filter(|orders| orders.is_match(text))?;
    let is_other = |name: &str| *name != *def.name && neighbours.mentioned(name, &def.server);
    let mut named = words(text).filter(|(start, end)| is_other(&text[*start..*end]));
    let is_directed = |(start, end): &(usize, usize)| {
        orders.is_match(&text[start.saturating_sub(BESIDE)..(end + BESIDE).min(text.len())])
    };
    let (start, end) = named.find(is_directed)?;
    Some(around(text, start, end).to_owned())
}

/// Where a text has something that may be a name.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let mut at = 0;
    text.split(move |c| !is_part(c)).map(move |word| {
        let (from, rest) = (at, word.trim_start_matches(['.', '/', '-']));
        // A folded text is ASCII: whatever parts two words is one byte.
        at += word.len() + 1;
        let start = from + word.len() - rest.len();
        (start, start + rest.trim_end_matches(['.', '/', '-']).len())
    })
}
