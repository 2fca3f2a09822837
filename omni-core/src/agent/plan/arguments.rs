//! The arguments of a call, read in the one way that they can be read.
//!
//! What is judged is a value, what a server gets are the bytes, and JSON does not say which of two equal
//! keys counts. So that both are the same call, such arguments are no arguments; and no key has a
//! meaning of its own, as some have when a [`Value`] is read.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, map::Entry, value::RawValue};

/// The arguments, if they are an object that can be read in one way only; else what is wrong, in words
/// that the model can act on.
pub(crate) fn object(raw: &RawValue) -> Result<Value, String> {
    let invalid = |error| format!("The arguments are not valid JSON ({error}). Send a JSON object.");
    match value(raw.get()) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(Value::String(text)) => match value(&text) {
            Err(error) => Err(invalid(error)),
            Ok(_) => Err("The arguments must be a JSON object, not a string.".into()),
        },
        Ok(_) => Err("The arguments must be a JSON object.".into()),
        Err(error) => Err(invalid(error)),
    }
}

/// A value without equal keys in any of its objects.
pub(crate) fn value(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).map(|Distinct(value)| value)
}

/// Whether a JSON text can be read in one way only.
///
/// # Errors
/// Why it cannot.
pub(crate) fn distinct(text: &str) -> Result<(), serde_json::Error> {
    value(text).map(drop)
}

struct Distinct(Value);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Distinct(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            match map.entry(key) {
                Entry::Occupied(twice) => return Err(A::Error::custom(format!("the key {:?} is twice", twice.key()))),
                Entry::Vacant(free) => free.insert(entries.next_value::<Distinct>()?.0),
            };
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,4}", inner, 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    /// An object whose key is there twice, `depth` objects and lists deep.
    fn twice(key: &str, values: (&Value, &Value), depth: usize) -> String {
        let key = json!(key);
        let object = format!("{{{key}:{},\"between\":0,{key}:{}}}", values.0, values.1);
        (0..depth).fold(
            object,
            |inner, at| {
                if at % 2 == 0 { format!("[0,{inner}]") } else { format!("{{\"in\":{inner}}}") }
            },
        )
    }

    proptest! {
        #[test]
        fn what_has_no_key_twice_is_read_as_it_is(value in json_value()) {
            prop_assert_eq!(super::value(&value.to_string()).unwrap(), value);
        }

        #[test]
        fn a_key_that_is_there_twice_is_no_argument_however_deep(
            key in "[a-z\"\\\\é]{1,4}",
            one in json_value(),
            two in json_value(),
            depth in 0_usize..6,
        ) {
            let raw = RawValue::from_string(format!("{{\"a b\":{}}}", twice(&key, (&one, &two), depth))).unwrap();
            let refused = object(&raw).unwrap_err();
            prop_assert!(refused.contains("is twice"), "{refused}");
        }
    }

    #[test]
    fn a_key_that_is_written_in_two_ways_is_one_key() {
        let raw = RawValue::from_string(r#"{"database":"secret","d\u0061tabase":"ok"}"#.into()).unwrap();
        assert!(object(&raw).unwrap_err().contains(r#"the key "database" is twice"#));
    }

    #[test]
    fn no_key_makes_something_else_of_the_arguments() {
        let raw = r#"{"$serde_json::private::RawValue":"{\"database\":\"ok\"}"}"#;
        let read = object(&RawValue::from_string(raw.into()).unwrap()).unwrap();
        assert_eq!(read["database"], Value::Null, "{read}");
        assert_eq!(read.to_string(), raw);
    }
}
