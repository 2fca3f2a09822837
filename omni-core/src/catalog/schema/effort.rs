//! How much it takes to judge arguments by a schema, worked out before it is done.
//!
//! References that multiply on the way down into the arguments take more with each level: what judges a
//! value forty levels deep could be a billion schemas.

use std::{collections::HashMap, iter::successors};

use serde_json::{Map, Value};

use super::refs;

/// Most keywords that are looked at to tell whether arguments fit.
const MAX_CHECKED: u64 = 20_000_000;
/// Most keywords of which it is told why they do not fit: each that does not is an error, and all are made
/// before the first is read.
const MAX_EXPLAINED: u64 = 100_000;
/// So many bytes of a text, or of a name, take as long to look at as a value.
const BYTES_A_VALUE: usize = 16;
/// Deepest nesting of arguments that can be read.
const MAX_DEPTH: usize = 128;

/// Most keywords of a schema that judge one value, by how deep it lies; the last number holds from there on.
pub(super) struct Effort {
    /// To tell whether it fits. The validator remembers that of a schema which comes back to itself.
    checked: Vec<u64>,
    /// To tell why not, where it remembers nothing.
    explained: Vec<u64>,
}

impl Effort {
    /// Of a schema that is safe by [`refs::is_unsafe`], where a pattern takes as long as so many keywords.
    pub(super) fn of(schema: &Value, pattern: u64) -> Self {
        let checked = Graph::of(schema, pattern).checked();
        // A pattern that does not match is one error.
        Self { checked, explained: Graph::of(schema, 1).levels(&[0], true) }
    }

    /// Whether it can be told if arguments fit.
    pub(super) fn can_check(&self, arguments: &Value) -> bool {
        total(&self.checked, arguments, BYTES_A_VALUE) <= MAX_CHECKED
    }

    /// Whether it can be told everywhere why they do not.
    pub(super) fn can_explain(&self, arguments: &Value) -> bool {
        total(&self.explained, arguments, usize::MAX) <= MAX_EXPLAINED
    }
}

/// How many keywords judge the values in `arguments`, all together.
fn total(levels: &[u64], arguments: &Value, bytes_a_value: usize) -> u64 {
    let mut counts = Vec::new();
    count(arguments, 0, bytes_a_value, &mut counts);
    let judged = counts.iter().enumerate().map(|(depth, count)| at(levels, depth).saturating_mul(*count));
    judged.fold(0, u64::saturating_add)
}

fn at(levels: &[u64], depth: usize) -> u64 {
    levels.get(depth).or(levels.last()).copied().unwrap_or(0)
}

/// How many values lie at each depth; of texts, and of names of what lies there, so many bytes are one more.
fn count(value: &Value, depth: usize, bytes_a_value: usize, counts: &mut Vec<u64>) {
    if counts.len() <= depth {
        counts.resize(depth + 1, 0);
    }
    let more = |text: &str| (text.len() / bytes_a_value) as u64;
    counts[depth] += 1;
    match value {
        Value::Array(items) => items.iter().for_each(|item| count(item, depth + 1, bytes_a_value, counts)),
        Value::Object(fields) => {
            for (name, field) in fields {
                count(field, depth + 1, bytes_a_value, counts);
                counts[depth + 1] += more(name);
            }
        }
        Value::String(text) => counts[depth] += more(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The schemas in a schema; the first is the whole.
struct Graph {
    nodes: Vec<Node>,
    /// Each behind those that judge the same value as it does.
    order: Vec<usize>,
}

struct Node {
    /// As how many keywords it counts by itself.
    keywords: u64,
    /// The schemas that judge the same value.
    same: Vec<usize>,
    /// Those of them that it lies in: it comes back to them.
    returns: Vec<usize>,
    /// The schemas that judge what lies in the value; of each group one at a time.
    below: Vec<Vec<usize>>,
}

impl Graph {
    fn of(root: &Value, pattern: u64) -> Self {
        let mut schemas = Vec::new();
        collect(root, None, &mut schemas);
        let ids = schemas.iter().enumerate().map(|(at, (schema, _))| (std::ptr::from_ref::<Value>(schema), at));
        let ids: HashMap<*const Value, usize> = ids.collect();
        let id = |schema: &&Value| ids.get(&std::ptr::from_ref::<Value>(schema)).copied();
        let is_in = |at: usize, outer: usize| successors(Some(at), |at| schemas[*at].1).any(|above| above == outer);
        let node = |(at, (schema, _)): (usize, &(&Value, Option<usize>))| {
            let same = refs::same_value(root, schema);
            let (returns, mut same): (Vec<usize>, Vec<usize>) =
                same.iter().filter_map(id).partition(|other| is_in(at, *other));
            // What is left over is found by judging once more.
            if ["unevaluatedItems", "unevaluatedProperties"].iter().any(|key| schema.get(key).is_some()) {
                same.extend_from_within(..);
            }
            let groups = refs::below(schema);
            let below = groups.iter().map(|group| group.iter().filter_map(id).collect());
            // Each name below is held against each pattern of names.
            let names = schema.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
            let below = below.chain(std::iter::repeat_n(vec![schemas.len()], names)).collect();
            Node { keywords: keywords(schema, pattern), same, returns, below }
        };
        let of_a_name = Node { keywords: pattern, same: Vec::new(), returns: Vec::new(), below: Vec::new() };
        let nodes: Vec<Node> = schemas.iter().enumerate().map(node).chain([of_a_name]).collect();
        Self { order: order(&nodes), nodes }
    }

    /// What a schema comes back to is asked once about each value, so each value is a beginning for it; and a value is
    /// judged by what began at any that it lies in.
    fn checked(&self) -> Vec<u64> {
        let mut starts: Vec<usize> = self.nodes.iter().flat_map(|node| node.returns.iter().copied()).collect();
        starts.sort_unstable();
        starts.dedup();
        let (once, again) = (self.levels(&[0], false), self.levels(&starts, false));
        let mut sum = 0_u64;
        let level = |depth: usize| {
            sum = sum.saturating_add(at(&again, depth));
            sum.saturating_add(at(&once, depth))
        };
        (0..once.len().max(again.len())).map(level).collect()
    }

    /// How many keywords judge one value by how deep it lies under what `starts` judge.
    fn levels(&self, starts: &[usize], with_returns: bool) -> Vec<u64> {
        let (mut levels, mut above): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        while levels.len() <= MAX_DEPTH {
            let level = self.level(&above, with_returns);
            let all = starts.iter().filter_map(|start| level.get(*start)).copied().fold(0, u64::saturating_add);
            levels.push(all);
            if all > MAX_CHECKED || level.iter().all(|keywords| *keywords == 0) {
                break;
            }
            above = level;
        }
        levels
    }

    /// The same for each schema, at one depth; `above` are those of the depth before, of which the first has none.
    fn level(&self, above: &[u64], with_returns: bool) -> Vec<u64> {
        let most = |group: &Vec<usize>| group.iter().map(|at| above[*at]).max().unwrap_or(0);
        let mut level = vec![0_u64; self.nodes.len()];
        for at in &self.order {
            let node = &self.nodes[*at];
            let own = match above.is_empty() {
                true => node.keywords,
                false => node.below.iter().map(most).fold(0, u64::saturating_add),
            };
            let returns: &[usize] = if with_returns { &node.returns } else { &[] };
            level[*at] = node.same.iter().chain(returns).fold(own, |sum, other| sum.saturating_add(level[*other]));
        }
        level
    }
}

/// Every object and boolean in `value`, itself first, and in which object it lies.
fn collect<'a>(value: &'a Value, outer: Option<usize>, into: &mut Vec<(&'a Value, Option<usize>)>) {
    match value {
        Value::Object(map) => {
            let own = Some(into.len());
            into.push((value, outer));
            map.values().for_each(|child| collect(child, own, into));
        }
        Value::Array(list) => list.iter().for_each(|child| collect(child, outer, into)),
        Value::Bool(_) => into.push((value, outer)),
        Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

fn order(nodes: &[Node]) -> Vec<usize> {
    let mut order = Vec::with_capacity(nodes.len());
    let mut is_seen = vec![false; nodes.len()];
    let mut stack: Vec<(usize, bool)> = (0..nodes.len()).map(|at| (at, false)).collect();
    while let Some((at, is_leaving)) = stack.pop() {
        if is_leaving {
            order.push(at);
        } else if !std::mem::replace(&mut is_seen[at], true) {
            stack.push((at, true));
            stack.extend(nodes[at].same.iter().chain(&nodes[at].returns).map(|other| (*other, false)));
        }
    }
    order
}

/// How many errors a schema may bring by itself.
fn keywords(schema: &Value, pattern: u64) -> u64 {
    let names = |value: &Value| value.as_array().map_or(1, |names| names.len() as u64);
    match schema {
        Value::Bool(false) => 1,
        Value::Object(map) => {
            let errors = map.iter().map(|(key, value)| match (key.as_str(), value) {
                ("required", _) => names(value),
                ("pattern", _) => pattern,
                ("dependencies" | "dependentRequired", Value::Object(lists)) => lists.values().map(names).sum(),
                _ => 1,
            });
            errors.sum()
        }
        _ => 0,
    }
}
