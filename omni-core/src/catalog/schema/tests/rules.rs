//! What vendors refuse, written down a second time, and that nothing that is offered breaks it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// The first rule of the vendor that `schema` breaks.
fn refusal(schema: &Value, dialect: Dialect) -> Option<String> {
    let Some(root) = schema.as_object() else { return Some("not an object".into()) };
    if root.get("type") != Some(&json!("object")) {
        return Some("root type is not object".into());
    }
    let banned: &[&str] = match dialect {
        Dialect::Anthropic => &["oneOf", "anyOf", "allOf", "$ref"],
        Dialect::OpenAi => &["oneOf", "anyOf", "allOf", "enum", "not", "$ref"],
    };
    if let Some(key) = banned.iter().find(|key| root.contains_key(**key)) {
        return Some(format!("{key} at the root"));
    }
    let Some(properties) = root.get("properties").and_then(Value::as_object) else {
        return Some("no properties".into());
    };
    let key_rule = |key: &String| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        (1..=64).contains(&key.chars().count()) && key.chars().all(legal)
    };
    if dialect == Dialect::Anthropic && !properties.keys().all(key_rule) {
        return Some("a property key is not legal".into());
    }
    if schema.to_string().len() > 64 * 1024 {
        return Some("too large".into());
    }
    if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
        return Some(format!("not draft 2020-12: {error}"));
    }
    refs_of(schema).into_iter().find(|reference| !reference.starts_with('#'))
}

fn refs_of(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    refs::walk_mut(&mut schema.clone(), &mut |map| {
        found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
    });
    found
}

fn clean(schema: &Value, dialect: Dialect) -> Sanitised {
    let sanitised = sanitise(&raw(schema), dialect).unwrap_or_else(|error| panic!("{schema}: {error}"));
    assert_eq!(refusal(&sanitised.schema, dialect), None, "{schema} became {}", sanitised.schema);
    sanitised
}

fn error_of(schema: &Value, dialect: Dialect) -> String {
    sanitise(&raw(schema), dialect).unwrap_err().message
}

#[test]
fn good_schema_is_left_as_it_is() {
    let schema = json!({
        "type": "object",
        "properties": { "a": { "type": "string", "enum": ["x"] }, "b": { "anyOf": [{ "type": "null" }, {}] } },
        "required": ["a"],
        "additionalProperties": false
    });
    for dialect in [Dialect::Anthropic, Dialect::OpenAi] {
        let sanitised = clean(&schema, dialect);
        assert_eq!((sanitised.schema, sanitised.notes), (schema.clone(), vec![]));
    }
}

#[test]
fn keywords_that_are_not_set_are_dropped_and_cost_no_tool() {
    let schema = json!({
        "type": "object", "description": null, "required": null, "additionalProperties": null,
        "properties": {
            "a": { "type": "string", "default": null, "enum": ["x", null], "pattern": null, "examples": { "one": {} } },
            "b": { "const": null, "properties": null, "examples": ["y"] }
        }
    });
    for dialect in [Dialect::Anthropic, Dialect::OpenAi] {
        let expected = json!({
            "type": "object",
            "properties": {
                "a": { "type": "string", "default": null, "enum": ["x", null] },
                "b": { "const": null, "examples": ["y"] }
            }
        });
        assert_eq!(clean(&schema, dialect).schema, expected);
    }
    assert_eq!(
        clean(&json!({ "type": "object", "properties": null }), Dialect::OpenAi).schema["properties"],
        json!({})
    );
}

#[test]
fn missing_type_and_properties_are_added() {
    assert_eq!(clean(&json!({}), Dialect::OpenAi).schema, json!({ "type": "object", "properties": {} }));
    let sanitised = clean(&json!({ "type": ["object", "null"] }), Dialect::Anthropic);
    assert_eq!(sanitised.schema["type"], "object");
    assert_eq!(sanitised.notes, [r#""type" at the root was set to "object""#]);
}

#[test]
fn root_alternatives_become_optional_properties() {
    let schema = json!({
        "anyOf": [
            { "properties": { "id": { "type": "integer" }, "kind": { "const": 1 } }, "required": ["id", "kind"] },
            { "properties": { "name": { "type": "string" }, "kind": { "const": 2 } }, "required": ["name", "kind"] }
        ]
    });
    let sanitised = clean(&schema, Dialect::Anthropic);
    assert_eq!(
        sanitised.schema,
        json!({
            "type": "object",
            "properties": {
                "id": { "type": "integer" },
                "name": { "type": "string" },
                "kind": { "anyOf": [{ "const": 1 }, { "const": 2 }] }
            },
            "required": ["kind"]
        })
    );
    assert_eq!(sanitised.notes, [r#""anyOf" at the root was merged into its properties"#]);
}

#[test]
fn all_branches_of_all_of_are_kept_with_what_they_require() {
    let schema = json!({
        "properties": { "a": {} },
        "additionalProperties": false,
        "allOf": [{ "$ref": "#/$defs/b" }, { "properties": { "c": {} } }],
        "$defs": { "b": { "properties": { "b": { "type": "string" } }, "required": ["b"] } }
    });
    let root = clean(&schema, Dialect::OpenAi).schema;
    assert_eq!(root["properties"], json!({ "a": {}, "b": { "type": "string" }, "c": {} }));
    assert_eq!(root["required"], json!(["b"]));
    assert_eq!(root.get("additionalProperties"), None, "b and c are not to be forbidden");
}

#[test]
fn root_reference_is_put_in_place() {
    let schema =
        json!({ "$ref": "#/definitions/In", "definitions": { "In": { "properties": { "q": { "type": "string" } } } } });
    assert_eq!(clean(&schema, Dialect::Anthropic).schema["properties"], json!({ "q": { "type": "string" } }));
}

#[test]
fn reference_that_leads_nowhere_or_outside_is_dropped_with_a_note() {
    let schema = json!({ "properties": {
        "a": { "$ref": "#/nowhere" }, "b": { "$ref": "https://example.com/b.json" }, "c": { "$ref": "#/properties/d" }, "d": {}
    } });
    let sanitised = clean(&schema, Dialect::Anthropic);
    assert_eq!(sanitised.schema["properties"], json!({ "a": {}, "b": {}, "c": { "$ref": "#/properties/d" }, "d": {} }));
    assert_eq!(sanitised.notes.len(), 2);
}

#[test]
fn odd_property_name_is_dropped_for_anthropic_unless_it_is_required() {
    let optional = json!({ "properties": { "$filter": {}, "ok": {} } });
    assert_eq!(clean(&optional, Dialect::Anthropic).schema["properties"], json!({ "ok": {} }));
    assert_eq!(clean(&optional, Dialect::OpenAi).schema["properties"], json!({ "$filter": {}, "ok": {} }));
    let required = json!({ "properties": { "$filter": {} }, "required": ["$filter"] });
    assert!(error_of(&required, Dialect::Anthropic).contains("\"$filter\""));
    clean(&required, Dialect::OpenAi);
}

#[test]
fn older_drafts_are_respelled() {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": {
            "pair": { "type": "array", "items": [{}, {}], "additionalItems": false },
            "n": { "minimum": 0, "exclusiveMinimum": true },
            "any": { "type": "any", "required": true }
        }
    });
    assert_eq!(
        clean(&schema, Dialect::Anthropic).schema["properties"],
        json!({ "pair": { "type": "array", "prefixItems": [{}, {}], "items": false }, "n": { "exclusiveMinimum": 0 }, "any": {} })
    );
}

#[test]
fn array_without_items_gets_them_for_openai() {
    let schema = json!({ "properties": { "list": { "type": ["array", "null"] } } });
    assert_eq!(clean(&schema, Dialect::OpenAi).schema["properties"]["list"]["items"], json!({}));
    assert_eq!(
        clean(&schema, Dialect::Anthropic).schema,
        json!({ "type": "object", "properties": schema["properties"] })
    );
}

#[test]
fn what_cannot_be_repaired_is_refused_with_a_reason() {
    let mut deep = json!({});
    for _ in 0..60 {
        deep = json!({ "not": deep });
    }
    let large = json!({ "description": "x".repeat(70_000) });
    for (schema, reason) in [
        (json!([]), "must be an object, not an array"),
        (json!(true), "must be an object, not a boolean"),
        (json!({ "properties": [] }), "\"properties\" must be an object, not an array"),
        (json!({ "properties": { "a": { "type": "strnig" } } }), "not valid draft 2020-12: \"/properties/a/type\""),
        (json!({ "properties": { "a": deep } }), "deeper than"),
        (large, "larger than"),
    ] {
        let message = error_of(&schema, Dialect::Anthropic);
        assert!(message.contains(reason), "{message}");
    }
}

fn keyword() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "type",
        "properties",
        "required",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "enum",
        "const",
        "$ref",
        "$defs",
        "items",
        "additionalProperties",
        "definitions",
        "$id",
        "$anchor",
        "minimum",
        "exclusiveMinimum",
        "prefixItems",
        "if",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[a-z$ ]{0,3}"]
}

fn anything() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "object",
        "string",
        "array",
        "#",
        "#/$defs/a",
        "#/properties/a",
        "#/definitions/a",
        "#x",
        "https://example.com/",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..9_i64).prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keyword(), inner.clone(), 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A schema that is mostly right, so that the repairs are reached and not only the refusals.
fn schema(depth: u32) -> BoxedStrategy<Value> {
    let reference =
        prop::sample::select(vec!["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/nowhere", "https://x.test/s"]);
    let leaf = prop_oneof![
        Just(json!({})),
        prop::sample::select(vec!["string", "array", "object", "integer"]).prop_map(|kind| json!({ "type": kind })),
        reference.prop_map(|reference| json!({ "$ref": reference })),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let name = || prop::sample::select(vec!["a", "b", "$filter", "naïve", "x y"]).prop_map(str::to_owned);
    let some = || prop::collection::btree_map(name(), schema(depth - 1), 0..3);
    let list = || prop::collection::vec(schema(depth - 1), 1..3);
    let required = prop::collection::btree_set(name(), 0..2);
    let key = prop::sample::select(vec!["allOf", "anyOf", "oneOf", "prefixItems"]);
    let object = (some(), some(), required, prop::option::of((key, list())), any::<bool>());
    let object = object.prop_map(|(properties, defs, required, combined, closed)| {
        let mut map = json!({ "properties": properties, "$defs": defs, "required": required });
        if closed {
            map["additionalProperties"] = json!(false);
        }
        if let Some((key, list)) = combined {
            map[key] = json!(list);
        }
        map
    });
    prop_oneof![1 => leaf, 4 => object].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_offered_keeps_the_vendors_rules(schema in prop_oneof![anything(), schema(3)]) {
        for dialect in [Dialect::Anthropic, Dialect::OpenAi] {
            if let Ok(sanitised) = sanitise(&raw(&schema), dialect) {
                prop_assert_eq!(refusal(&sanitised.schema, dialect), None, "{} became {}", schema, sanitised.schema);
            }
        }
    }

    #[test]
    fn repairing_a_second_time_changes_nothing(schema in schema(3)) {
        for dialect in [Dialect::Anthropic, Dialect::OpenAi] {
            if let Ok(once) = sanitise(&raw(&schema), dialect) {
                let twice = sanitise(&raw(&once.schema), dialect).unwrap();
                prop_assert_eq!(&twice.schema, &once.schema);
            }
        }
    }

    #[test]
    fn checking_never_panics_or_hangs(schema in prop_oneof![anything(), schema(3)], arguments in anything()) {
        let _ = SchemaCheck::new(&raw(&schema)).check(&arguments);
    }
}
