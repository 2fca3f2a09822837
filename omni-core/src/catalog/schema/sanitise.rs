//! A server's schema made fit for a vendor. One schema that a vendor refuses fails the whole
//! request, so each tool is repaired or left out alone.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json, value::RawValue};

use super::{SchemaError, kind_of, refs, shorten};

mod merge;

/// Largest schema that is offered to a vendor, in bytes of JSON.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// Deepest nesting of arrays and objects.
const MAX_DEPTH: usize = 48;
/// Most repairs that are told.
const MAX_NOTES: usize = 16;
/// Longest property name that Anthropic takes.
const MAX_KEY: usize = 64;

/// Whose rules a schema must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's Chat Completions API and those that are compatible with it.
    OpenAi,
}

/// A schema that the vendor takes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sanitised {
    /// The schema: an object schema of draft 2020-12.
    pub schema: Value,
    /// What was repaired, for the operator; empty when nothing but the draft's spelling changed.
    pub notes: Vec<String>,
}

/// Repairs a schema that `dialect`'s vendor would refuse. Repairs only ever widen it: what the
/// server's own schema accepts stays sayable, and arguments are checked against that one anyway.
///
/// # Errors
/// A [`SchemaError`] when it cannot be repaired: the tool is to be left out alone.
pub fn sanitise(schema: &RawValue, dialect: Dialect) -> Result<Sanitised, SchemaError> {
    let mut schema = parse(schema)?;
    let mut notes = Notes::default();
    modernise(&mut schema, &mut notes);
    drop_dangling(&mut schema, &mut notes);
    let root = as_object(&schema, &mut notes)?;
    let mut schema = Value::Object(match dialect {
        Dialect::Anthropic => drop_odd_keys(root, &mut notes)?,
        Dialect::OpenAi => root,
    });
    if dialect == Dialect::OpenAi {
        refs::walk_mut(&mut schema, &mut |map| add_items(map));
    }
    // What was merged or cut away may have been the target of a reference.
    drop_dangling(&mut schema, &mut notes);
    judge(&schema)?;
    Ok(Sanitised { schema, notes: notes.0 })
}

#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn add(&mut self, note: impl AsRef<str>) {
        let note = shorten(note.as_ref(), 200);
        if self.0.len() < MAX_NOTES && !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}

fn parse(schema: &RawValue) -> Result<Value, SchemaError> {
    if schema.get().len() > MAX_SCHEMA_BYTES {
        return Err(too_large());
    }
    let schema: Value = serde_json::from_str(schema.get())
        .map_err(|error| SchemaError::new(format!("the schema is not usable JSON: {error}")))?;
    if !schema.is_object() {
        return Err(SchemaError::new(format!("the schema must be an object, not {}", kind_of(&schema))));
    }
    Ok(schema)
}

fn too_large() -> SchemaError {
    SchemaError::new(format!("the schema is larger than {MAX_SCHEMA_BYTES} bytes"))
}

/// The last word: whatever was repaired, this is what a vendor would check.
fn judge(schema: &Value) -> Result<(), SchemaError> {
    if depth(schema) > MAX_DEPTH {
        return Err(SchemaError::new(format!("the schema is nested deeper than {MAX_DEPTH} levels")));
    }
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(too_large());
    }
    jsonschema::draft202012::meta::validate(schema).map_err(|error| {
        let text = shorten(&error.to_string(), 200);
        SchemaError::new(format!("the schema is not valid draft 2020-12: {:?}: {text}", error.instance_path().as_str()))
    })
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Spellings of older drafts in those of 2020-12.
fn modernise(schema: &mut Value, notes: &mut Notes) {
    if let Value::Object(root) = schema {
        root.remove("$schema");
    }
    refs::walk_mut(schema, &mut |map| {
        drop_empty(map);
        tuples(map);
        exclusive_bound(map, "exclusiveMinimum", "minimum");
        exclusive_bound(map, "exclusiveMaximum", "maximum");
        if map.get("type").is_some_and(|kind| kind == "any") {
            map.remove("type");
        }
        if map.get("required").is_some_and(Value::is_boolean) {
            map.remove("required");
            notes.add("a \"required\" that is no list was dropped");
        }
    });
}

/// Some generators write a keyword that is not set as `null`, and `examples` as a map as `OpenAPI` has it.
fn drop_empty(map: &mut Map<String, Value>) {
    map.retain(|key, value| match key.as_str() {
        "default" | "const" | "enum" => true,
        "examples" => value.is_array(),
        _ => !value.is_null(),
    });
}

/// `items: [..]` and `additionalItems`, until draft 2019-09, are `prefixItems` and `items`.
fn tuples(map: &mut Map<String, Value>) {
    if !map.get("items").is_some_and(Value::is_array) {
        return;
    }
    if let Some(items) = map.remove("items").filter(|items| items != &json!([])) {
        map.insert("prefixItems".into(), items);
    }
    if let Some(rest) = map.remove("additionalItems") {
        map.insert("items".into(), rest);
    }
}

/// `exclusiveMinimum: true`, in draft 4, makes `minimum` exclusive.
fn exclusive_bound(map: &mut Map<String, Value>, exclusive: &str, bound: &str) {
    let Some(Value::Bool(is_exclusive)) = map.get(exclusive).cloned() else { return };
    map.remove(exclusive);
    if let Some(limit) = map.remove(bound) {
        map.insert(if is_exclusive { exclusive } else { bound }.into(), limit);
    }
}

/// Takes out references that lead nowhere or outside: nothing is ever fetched.
fn drop_dangling(schema: &mut Value, notes: &mut Notes) {
    let root = schema.clone();
    let own_id = root.get("$id").and_then(Value::as_str).unwrap_or_default().trim_end_matches('#').to_owned();
    refs::walk_mut(schema, &mut |map| {
        map.remove("$id");
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(reference) = map.get(key).and_then(Value::as_str) else { continue };
            let local = reference.strip_prefix(own_id.as_str()).filter(|rest| rest.starts_with('#'));
            let local = local.unwrap_or(reference).to_owned();
            if refs::resolve(&root, &local).is_some() {
                map.insert(key.into(), Value::String(local));
            } else {
                notes.add(format!("the reference {:?} leads nowhere and was dropped", shorten(reference, 80)));
                map.remove(key);
            }
        }
    });
}

/// A root that is an object schema by itself, without keywords that vendors refuse there.
fn as_object(schema: &Value, notes: &mut Notes) -> Result<Map<String, Value>, SchemaError> {
    let mut root = merge::flatten(schema, notes);
    for key in ["enum", "const", "not"] {
        if root.remove(key).is_some() {
            notes.add(format!("{key:?} at the root was dropped"));
        }
    }
    if root.get("type").is_some_and(|kind| kind != "object") {
        notes.add("\"type\" at the root was set to \"object\"");
    }
    root.insert("type".into(), "object".into());
    match root.get("properties") {
        None => {
            root.insert("properties".into(), json!({}));
        }
        Some(Value::Object(_)) => {}
        Some(other) => {
            return Err(SchemaError::new(format!("\"properties\" must be an object, not {}", kind_of(other))));
        }
    }
    Ok(root)
}

/// Anthropic takes only property names of `^[a-zA-Z0-9_.-]{1,64}$`.
fn drop_odd_keys(mut root: Map<String, Value>, notes: &mut Notes) -> Result<Map<String, Value>, SchemaError> {
    let required: BTreeSet<String> = required_of(&root);
    let Some(Value::Object(properties)) = root.get_mut("properties") else { return Ok(root) };
    let odd: Vec<String> = properties.keys().filter(|key| !is_plain_key(key)).cloned().collect();
    if let Some(key) = odd.iter().find(|key| required.contains(*key)) {
        let key = shorten(key, 80);
        return Err(SchemaError::new(format!("the required property {key:?} has a name that Anthropic does not take")));
    }
    for key in odd {
        properties.remove(&key);
        notes.add(format!("the property {:?} was dropped: Anthropic does not take its name", shorten(&key, 80)));
    }
    Ok(root)
}

fn is_plain_key(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// OpenAI refuses an array schema that does not say what its items are.
fn add_items(map: &mut Map<String, Value>) {
    let is_array = match map.get("type") {
        Some(Value::String(kind)) => kind == "array",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "array"),
        _ => false,
    };
    if is_array && !map.contains_key("items") {
        map.insert("items".into(), json!({}));
    }
}

fn required_of(map: &Map<String, Value>) -> BTreeSet<String> {
    let list = map.get("required").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
