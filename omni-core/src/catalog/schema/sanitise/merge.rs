//! A root of `allOf`, `anyOf`, `oneOf` and `$ref` made into one plain object schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Notes, refs, required_of};

/// Most schemas that are merged into one root; beyond it the rest is left out.
const MAX_MERGED: usize = 128;
/// Longest chain of references and combinators.
const MAX_HOPS: usize = 8;
/// What vendors refuse at the root.
const COMBINATORS: [&str; 5] = ["$ref", "$dynamicRef", "allOf", "anyOf", "oneOf"];

/// The properties that an object may have, and those that it must have.
#[derive(Default)]
struct View {
    properties: Map<String, Value>,
    required: BTreeSet<String>,
}

/// The root without combinators. Everything that one of their branches allows is allowed.
pub(super) fn flatten(schema: &Value, notes: &mut Notes) -> Map<String, Value> {
    let Value::Object(mut root) = schema.clone() else { return Map::new() };
    let combined: Vec<&str> = COMBINATORS.into_iter().filter(|key| root.contains_key(*key)).collect();
    if combined.is_empty() {
        return root;
    }
    let mut budget = MAX_MERGED;
    let view = view(&root, schema, MAX_HOPS, &mut budget);
    for key in combined {
        root.remove(key);
        notes.add(format!("{key:?} at the root was merged into its properties"));
    }
    let before = root.insert("properties".into(), Value::Object(view.properties));
    if view.required.is_empty() {
        root.remove("required");
    } else {
        root.insert("required".into(), view.required.into_iter().collect());
    }
    if before.as_ref() == root.get("properties") {
        return root;
    }
    // Branches named properties that the root alone would forbid.
    for key in ["additionalProperties", "unevaluatedProperties"] {
        if root.get(key).is_some_and(|value| value == &json!(false)) {
            root.remove(key);
        }
    }
    root
}

fn view(schema: &Map<String, Value>, root: &Value, hops: usize, budget: &mut usize) -> View {
    let mut own = View {
        properties: schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default(),
        required: required_of(schema),
    };
    if hops == 0 || *budget == 0 {
        return own;
    }
    *budget -= 1;
    for key in ["$ref", "$dynamicRef"] {
        let target = schema.get(key).and_then(Value::as_str).and_then(|reference| refs::resolve(root, reference));
        if let Some(Value::Object(target)) = target {
            own = both(own, view(target, root, hops - 1, budget));
        }
    }
    for branch in branches(schema, "allOf") {
        own = both(own, view(branch, root, hops - 1, budget));
    }
    for key in ["anyOf", "oneOf"] {
        let views = branches(schema, key).map(|branch| view(branch, root, hops - 1, budget)).collect();
        own = both(own, either(views));
    }
    own
}

fn branches<'a>(schema: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// What must fit both.
fn both(mut a: View, b: View) -> View {
    for (key, schema) in b.properties {
        join(&mut a.properties, key, schema, "allOf");
    }
    a.required.extend(b.required);
    a
}

/// What must fit one of them.
fn either(views: Vec<View>) -> View {
    let mut views = views.into_iter();
    let Some(mut all) = views.next() else { return View::default() };
    for view in views {
        for (key, schema) in view.properties {
            join(&mut all.properties, key, schema, "anyOf");
        }
        all.required = all.required.intersection(&view.required).cloned().collect();
    }
    all
}

/// Adds a property; two different schemas of one name become a combination of both.
fn join(properties: &mut Map<String, Value>, key: String, schema: Value, how: &str) {
    let Some(present) = properties.get_mut(&key) else {
        properties.insert(key, schema);
        return;
    };
    if *present == schema {
        return;
    }
    let is_combination = present.as_object().is_some_and(|map| map.len() == 1);
    if let Some(Value::Array(list)) = present.get_mut(how).filter(|_| is_combination) {
        list.push(schema);
        return;
    }
    *present = json!({ how: [present.take(), schema] });
}
