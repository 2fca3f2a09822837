//! What of a tool is indexed, and how much each part of it counts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text::words;
use crate::catalog::OfferedTool;

/// How much a word counts by where it stands.
const IN_NAME: f64 = 3.0;
const IN_TITLE: f64 = 1.5;
const IN_SERVER: f64 = 2.0;
const IN_DESCRIPTION: f64 = 1.5;
const IN_PARAM: f64 = 0.7;
const IN_PARAM_TEXT: f64 = 0.3;
const IN_OPTION: f64 = 0.6;

/// Most words that are read of one server's tools, together, and of one tool.
const MAX_WORDS: usize = 100_000;
const MAX_TOOL_WORDS: usize = 1_000;
/// So many are read of each tool, however many its server has: its name is among them.
const MIN_TOOL_WORDS: usize = 10;
/// As long as words are taken to be where there is too much text, in bytes.
const WORD_BYTES: usize = 64;

/// How many words are read of each tool of a server that has so many.
pub(super) fn share(tools: usize) -> usize {
    (MAX_WORDS / tools.max(1)).clamp(MIN_TOOL_WORDS, MAX_TOOL_WORDS)
}

/// The stems of a tool's first `most` words, those of its name before all, and how much each counts.
/// Everything that is summed up here is summed in one order: sums of fractions depend on it, and a tie
/// must fall one way only.
pub(super) fn weights(tool: &OfferedTool, most: usize) -> BTreeMap<String, f64> {
    let (mut weights, mut left): (BTreeMap<String, f64>, usize) = (BTreeMap::new(), most);
    let mut add = |text: &str, weight: f64| {
        let text = &text[..text.floor_char_boundary(left * WORD_BYTES)];
        for word in words(text).into_iter().take(left) {
            left -= 1;
            *weights.entry(word.stem).or_default() += weight;
        }
    };
    let def = &tool.def;
    add(&def.name, IN_NAME);
    add(def.title.as_deref().unwrap_or_default(), IN_TITLE);
    add(&def.server, IN_SERVER);
    add(&def.description, IN_DESCRIPTION);
    let schema: Value = serde_json::from_str(def.input_schema.get()).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, param) in properties.into_iter().flatten() {
        add(name, IN_PARAM);
        add(param.get("description").and_then(Value::as_str).unwrap_or_default(), IN_PARAM_TEXT);
        let options = param.get("enum").and_then(Value::as_array).into_iter().flatten();
        options.filter_map(Value::as_str).for_each(|option| add(option, IN_OPTION));
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_tools_a_server_has_no_more_words_of_it_are_read() {
        assert_eq!(share(50), MAX_TOOL_WORDS);
        assert!((1..=10_000).all(|tools| tools * share(tools) <= MAX_WORDS));
    }
}
