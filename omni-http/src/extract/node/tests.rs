use serde::Deserialize;
use serde_json::json;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    First,
    Last,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Inner {
    count: u8,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Outer {
    name: String,
    #[serde(default)]
    inner: Vec<Inner>,
    #[serde(default)]
    order: Option<Order>,
    #[serde(default)]
    rest: Value,
}

fn read(value: Value) -> Result<Outer, Value> {
    Node::Json(value)
        .read()
        .map_err(|error: Invalid| serde_json::to_value(FieldError::from(error.within("body"))).unwrap())
}

#[test]
fn json_becomes_a_value_and_what_nobody_knows_is_left() {
    let rest = json!({ "a": [1, -1, 0.5, null, "x"] });
    let value = json!({ "name": "n", "inner": [{ "count": 7 }], "order": "last", "rest": rest, "unknown": {} });
    let expected = Outer { name: "n".into(), inner: vec![Inner { count: 7 }], order: Some(Order::Last), rest };
    assert_eq!(read(value), Ok(expected));
    assert_eq!(read(json!({ "name": "n", "order": null })).unwrap().order, None);
}

#[test]
fn what_does_not_fit_is_told_by_its_path() {
    for (value, loc, kind) in [
        (json!({}), json!(["body", "name"]), "missing"),
        (json!({ "name": 1 }), json!(["body", "name"]), "type_error"),
        (json!({ "name": "", "inner": [{ "count": 1 }, {}] }), json!(["body", "inner", 1, "count"]), "missing"),
        (json!({ "name": "", "inner": [{ "count": 256 }] }), json!(["body", "inner", 0, "count"]), "value_error"),
        (json!({ "name": "", "order": "middle" }), json!(["body", "order"]), "enum"),
        (json!(["n"]), json!(["body"]), "type_error"),
        (json!("secret"), json!(["body"]), "type_error"),
    ] {
        let told = read(value.clone()).unwrap_err();
        assert_eq!((&told["loc"], told["type"].as_str()), (&loc, Some(kind)), "{value}: {told}");
        assert!(!told.to_string().contains("secret"));
    }
}

#[test]
fn what_is_expected_is_told_in_words_of_json() {
    for (value, told) in [
        (json!("x"), "expected an object, found a string"),
        (json!({ "name": "", "inner": {} }), "expected a list, found an object"),
        (json!({ "name": "", "inner": [7] }), "expected an object, found a number"),
        (
            json!({ "name": "", "inner": [{ "count": "x" }] }),
            "expected a whole number that is not negative, found a string",
        ),
        (json!({ "name": "", "inner": [{ "count": -1 }] }), "expected a whole number that is not negative, found -1"),
        (json!({ "name": "", "order": 7 }), "expected one of some texts, found a number"),
    ] {
        assert_eq!(read(value).unwrap_err()["msg"], told);
    }
}

#[test]
fn texts_stand_for_numbers_and_truths() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Page {
        limit: u32,
        all: Option<bool>,
        order: Option<Order>,
    }
    let texts = |texts: &[(&str, &str)]| {
        let texts = texts.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        Node::Texts(texts).read::<Page>()
    };
    let page = texts(&[("limit", "7"), ("all", "true"), ("order", "first"), ("x", "y")]).unwrap();
    assert_eq!(page, Page { limit: 7, all: Some(true), order: Some(Order::First) });
    let wrong = FieldError::from(texts(&[("limit", "many")]).unwrap_err());
    assert_eq!(wrong.loc, [Place::Field("limit".into())]);
}
