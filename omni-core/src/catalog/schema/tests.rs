use serde_json::{Value, json, value::RawValue};

use super::*;

mod rules;

fn raw(schema: &Value) -> Box<RawValue> {
    RawValue::from_string(schema.to_string()).unwrap()
}

fn check(schema: &Value, arguments: &Value) -> Result<(), String> {
    SchemaCheck::new(&raw(schema)).check(arguments).map_err(|error| error.message)
}

#[test]
fn every_misfit_is_named_with_its_place() {
    let schema = json!({
        "type": "object",
        "properties": { "zone": { "type": "string" }, "city": { "type": "string" } },
        "required": ["city"]
    });
    assert_eq!(
        check(&schema, &json!({ "zone": 5 })).unwrap_err(),
        r#"missing required property "city"; "/zone": 5 is not of type "string""#
    );
    assert_eq!(check(&schema, &json!({ "city": "Rome" })), Ok(()));
}

#[test]
fn misfits_say_the_way_to_what_does_not_fit_or_is_missing() {
    let schema = json!({
        "properties": { "to": { "type": "array", "items": { "required": ["a/b"] } } }, "required": ["city"]
    });
    let misfits = SchemaCheck::new(&raw(&schema)).misfits(&json!({ "to": [{ "a/b": 1 }, {}] }));
    let ways: Vec<Vec<&str>> = misfits.iter().map(|misfit| misfit.at.iter().map(String::as_str).collect()).collect();
    assert!(ways.len() == 2 && ways.contains(&vec!["city"]) && ways.contains(&vec!["to", "1", "a/b"]), "{ways:?}");
}

#[test]
fn unknown_property_error_lists_the_known_ones() {
    let schema = json!({ "properties": { "a": {}, "b": {} }, "additionalProperties": false });
    assert_eq!(check(&schema, &json!({ "c": 1 })).unwrap_err(), r#"unknown property "c" (known: "a", "b")"#);
}

#[test]
fn arguments_that_are_no_object_are_refused_whatever_the_schema_says() {
    for schema in [json!({}), json!({ "type": "array" }), json!({ "$ref": "https://example.com/s.json" })] {
        assert_eq!(check(&schema, &json!([1])).unwrap_err(), "the arguments must be a JSON object, not an array");
    }
}

#[test]
fn misfits_are_capped_in_count_and_length() {
    let schema = json!({ "additionalProperties": { "type": "integer" } });
    let many: serde_json::Map<String, Value> = (0..50).map(|i| (format!("k{i}"), json!("x".repeat(5_000)))).collect();
    let message = check(&schema, &Value::Object(many)).unwrap_err();
    assert!(message.ends_with("; and more"), "{message}");
    assert!(message.chars().count() < (MAX_MISFITS + 1) * (MAX_MISFIT_CHARS + 10), "{}", message.len());
}

#[test]
fn schema_that_cannot_be_compiled_lets_objects_pass() {
    for schema in [
        json!({ "type": 7 }),
        json!({ "$ref": "https://example.com/schema.json" }),
        json!({ "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
        json!({ "properties": { "a": { "pattern": "(" } } }),
    ] {
        assert_eq!(check(&schema, &json!({ "a": 1 })), Ok(()), "{schema}");
    }
}

#[test]
fn reference_that_chases_itself_does_not_hang_the_check() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "not": { "$ref": "#/$defs/a" } } } }),
        json!({ "properties": { "a": { "$id": "https://example.com/x", "$ref": "#" } } }),
    ] {
        assert_eq!(check(&schema, &json!({ "a": 1 })), Ok(()), "{schema}");
    }
}

#[test]
fn references_that_multiply_do_not_stall_the_check() {
    let mut defs = serde_json::Map::new();
    for i in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/d{}", i + 1) });
        defs.insert(format!("d{i}"), json!({ "allOf": [next, next] }));
    }
    defs.insert("d40".into(), json!({}));
    let schema = json!({ "$ref": "#/$defs/d0", "$defs": defs });
    assert!(refs::is_unsafe(&schema));
    assert_eq!(check(&schema, &json!({})), Ok(()));
}

/// An object that may be of two kinds, and what lies in it by the same schema.
fn one_of_two(below: &str) -> Value {
    let kind =
        |kind: &str| json!({ "properties": { "t": { "const": kind }, "c": { "$ref": below } }, "required": ["t"] });
    json!({ "anyOf": [kind("and"), kind("or")] })
}

/// Objects that lie in one another so deep, of which the innermost is of neither kind.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({ "t": "nor" }), |inner, _| json!({ "t": "and", "c": inner }))
}

#[test]
fn references_that_multiply_on_the_way_down_do_not_stall_the_check() {
    let mut defs: serde_json::Map<String, Value> =
        (0..60).map(|i| (format!("d{i}"), one_of_two(&format!("#/$defs/d{}", i + 1)))).collect();
    defs.insert("d60".into(), json!({ "properties": { "t": { "const": "and" } } }));
    let schema = json!({ "properties": { "f": { "$ref": "#/$defs/d0" } }, "$defs": defs });
    assert!(check(&schema, &json!({ "f": nested(2) })).is_err(), "what lies near is checked");
    assert_eq!(check(&schema, &json!({ "f": nested(60) })), Ok(()), "the server judges");
}

#[test]
fn a_misfit_deep_in_a_recursive_union_is_explained_at_once() {
    let schema = json!({ "properties": { "f": { "$ref": "#/$defs/n" } }, "$defs": { "n": one_of_two("#/$defs/n") } });
    let near = check(&schema, &json!({ "f": nested(2) })).unwrap_err();
    assert!(near.starts_with("\"/f\": "), "{near}");
    let deep = json!({ "f": nested(50) });
    assert_eq!(check(&schema, &deep).unwrap_err(), UNTOLD);
    assert_eq!(SchemaCheck::new(&raw(&schema)).misfits(&deep), []);
}

#[test]
fn of_too_many_misfits_those_of_the_outermost_object_are_told() {
    let schema = json!({
        "properties": { "list": { "items": { "type": "string" } }, "zone": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false
    });
    let arguments = json!({ "list": vec![1; 200_000], "zone": 5, "far": 1 });
    let message = check(&schema, &arguments).unwrap_err();
    for misfit in ["missing required property \"city\"", "unknown property \"far\"", "\"/zone\": 5 is not of type"] {
        assert!(message.contains(misfit), "{misfit} in {message}");
    }
    assert_eq!(SchemaCheck::new(&raw(&schema)).misfits(&arguments).len(), 3);
}

#[test]
fn recursive_schema_is_checked_at_every_level() {
    let schema = json!({ "properties": { "child": { "$ref": "#" }, "n": { "type": "integer" } } });
    assert_eq!(check(&schema, &json!({ "child": { "child": { "n": 1 } } })), Ok(()));
    let message = check(&schema, &json!({ "child": { "child": { "n": "x" } } })).unwrap_err();
    assert_eq!(message, r#""/child/child/n": "x" is not of type "integer""#);
}

#[test]
fn draft_of_the_schema_decides() {
    let tuple = |draft: &str| json!({ "$schema": draft, "properties": { "a": { "items": [{ "type": "string" }] } } });
    let seventh = tuple("http://json-schema.org/draft-07/schema#");
    assert!(check(&seventh, &json!({ "a": [1] })).is_err());
    let exclusive = json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": { "a": { "minimum": 3, "exclusiveMinimum": true } }
    });
    assert!(check(&exclusive, &json!({ "a": 3 })).is_err());
    assert_eq!(check(&exclusive, &json!({ "a": 4 })), Ok(()));
}

#[test]
fn patterns_that_look_around_are_held_against_one_text_and_not_against_thousands_of_names() {
    let email = json!({ "type": "string", "pattern": r"^(?!\.)[a-z.]+@[a-z.]+$" });
    let schema = json!({ "properties": { "email": email } });
    assert_eq!(check(&schema, &json!({ "email": "ann@x.org" })), Ok(()));
    assert!(check(&schema, &json!({ "email": ".ann@x.org" })).is_err());
    let patterns: Map<String, Value> = (0..300).map(|i| (format!("^(?=(.*a.*)+b){i}"), json!({}))).collect();
    let schema = json!({ "patternProperties": patterns, "required": ["x"] });
    let names: Map<String, Value> = (0..3_000).map(|n| (format!("{}{n}", "a".repeat(40)), json!(1))).collect();
    assert!(check(&schema, &json!({ "y": 1 })).is_err());
    assert_eq!(check(&schema, &Value::Object(names)), Ok(()), "the server judges");
}

#[test]
fn long_texts_are_not_held_against_hundreds_of_patterns() {
    let many: Vec<Value> = (0..300).map(|i| json!({ "pattern": format!("a{i}b") })).collect();
    let schema = json!({ "properties": { "text": { "anyOf": many } } });
    assert!(check(&schema, &json!({ "text": "c".repeat(1_000) })).is_err());
    assert_eq!(check(&schema, &json!({ "text": "c".repeat(1_000_000) })), Ok(()), "the server judges");
}
