//! References inside a schema: walked, resolved and judged without any I/O.

use std::collections::{HashMap, hash_map::Entry};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Keywords whose value is one schema.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// Keywords whose value is a map of schemas.
const MAP: [&str; 6] = ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];
/// Keywords that judge the very value that their own schema judges.
const SAME_VALUE: [&str; 9] =
    ["allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then"];
/// Most schemas that may judge one value.
const MAX_COST: u64 = 10_000;

/// Calls `visit` with every object schema in `schema`, the outer before the inner; never with data
/// such as an `enum` or a `default`.
pub(super) fn walk_mut(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(map) = schema else { return };
    visit(map);
    for (key, value) in map.iter_mut() {
        let key = key.as_str();
        match value {
            Value::Object(children) if MAP.contains(&key) => children.values_mut().for_each(|c| walk_mut(c, visit)),
            Value::Array(children) if LIST.contains(&key) => children.iter_mut().for_each(|c| walk_mut(c, visit)),
            Value::Object(_) if ONE.contains(&key) => walk_mut(value, visit),
            _ => {}
        }
    }
}

/// The schema that a reference inside `root` points at; `None` for one that leads nowhere or outside.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = reference.strip_prefix('#')?;
    if fragment.is_empty() {
        return Some(root);
    }
    if !fragment.starts_with('/') {
        return by_anchor(root, fragment);
    }
    root.pointer(&percent_decode_str(fragment).decode_utf8_lossy())
        .filter(|target| target.is_object() || target.is_boolean())
}

fn by_anchor<'a>(value: &'a Value, anchor: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => {
            let named = ["$anchor", "$dynamicAnchor"].iter().any(|key| map.get(*key).is_some_and(|v| v == anchor));
            if named { Some(value) } else { map.values().find_map(|child| by_anchor(child, anchor)) }
        }
        Value::Array(list) => list.iter().find_map(|child| by_anchor(child, anchor)),
        _ => None,
    }
}

/// Whether validating against `root` could run away: a reference that comes back to itself without
/// going down into the value, references that multiply, or ones whose target only a full resolver
/// could tell.
pub(super) fn is_unsafe(root: &Value) -> bool {
    let mut schemas = Vec::new();
    collect(root, &mut schemas);
    let has_refs = schemas.iter().any(|schema| references(schema).next().is_some());
    if !has_refs {
        return false;
    }
    let is_foreign = |schema: &&Value| references(schema).any(|reference| !reference.starts_with('#'));
    let has_own_base = |schema: &&Value| schema.get("$id").or_else(|| schema.get("id")).is_some_and(Value::is_string);
    let mut costs = HashMap::new();
    schemas.iter().any(is_foreign)
        || schemas.iter().skip(1).any(has_own_base)
        || schemas.into_iter().any(|schema| cost(root, schema, &mut costs).is_none_or(|cost| cost > MAX_COST))
}

fn references(schema: &Value) -> impl Iterator<Item = &str> {
    ["$ref", "$dynamicRef", "$recursiveRef"].into_iter().filter_map(|key| schema.get(key)?.as_str())
}

/// Every object in `value`, itself first.
fn collect<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            into.push(value);
            map.values().for_each(|child| collect(child, into));
        }
        Value::Array(list) => list.iter().for_each(|child| collect(child, into)),
        _ => {}
    }
}

/// How many schemas judge one and the same value when `start` judges it; `None` when without end.
/// `costs` holds `None` for the schemas on the way down.
fn cost<'a>(root: &'a Value, start: &'a Value, costs: &mut HashMap<*const Value, Option<u64>>) -> Option<u64> {
    let mut stack = vec![(start, false)];
    while let Some((schema, is_leaving)) = stack.pop() {
        let id: *const Value = schema;
        if is_leaving {
            let below = same_value(root, schema).into_iter().filter_map(|child| costs.get(&ptr(child)).copied()?);
            let total = below.fold(1_u64, u64::saturating_add);
            costs.insert(id, Some(total));
        } else if let Entry::Vacant(unseen) = costs.entry(id) {
            unseen.insert(None);
            stack.push((schema, true));
            for child in same_value(root, schema) {
                match costs.get(&ptr(child)) {
                    Some(None) => return None,
                    Some(Some(_)) => {}
                    None => stack.push((child, false)),
                }
            }
        }
    }
    costs.get(&ptr(start)).copied().flatten()
}

fn ptr(value: &Value) -> *const Value {
    value
}

/// The schemas that judge the very value that `schema` judges.
pub(super) fn same_value<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let Value::Object(map) = schema else { return Vec::new() };
    let mut found: Vec<&Value> = references(schema).filter_map(|reference| resolve(root, reference)).collect();
    for key in SAME_VALUE {
        match map.get(key) {
            Some(Value::Array(list)) => found.extend(list),
            Some(Value::Object(children)) if key.starts_with("depend") => found.extend(children.values()),
            Some(child) => found.push(child),
            None => {}
        }
    }
    found.retain(|child| child.is_object());
    found
}

/// The schemas that judge what lies in the value that `schema` judges, in groups: of one group only one judges
/// the same.
pub(super) fn below(schema: &Value) -> Vec<Vec<&Value>> {
    let Value::Object(map) = schema else { return Vec::new() };
    let (mut named, mut listed, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in map {
        match (key.as_str(), value) {
            ("properties", Value::Object(children)) => named.extend(children.values()),
            ("additionalProperties" | "unevaluatedProperties", child) => named.push(child),
            ("items" | "prefixItems", Value::Array(children)) => listed.extend(children),
            ("additionalItems" | "items" | "unevaluatedItems", child) => listed.push(child),
            ("patternProperties", Value::Object(children)) => groups.extend(children.values().map(|child| vec![child])),
            ("contains" | "propertyNames", child) => groups.push(vec![child]),
            _ => {}
        }
    }
    groups.extend([named, listed]);
    groups
}
