//! JSON text becomes a tree that can be read in one way only, and is not too deep.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::node::Invalid;

/// The tree of a text.
///
/// # Errors
/// [`Invalid`]: it is no JSON, it is deeper than `depth`, or an object has a key twice.
pub(crate) fn parse(text: &[u8], depth: usize) -> Result<Value, Invalid> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let parsed = Tree { depth }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error| {
        let place = format!("the body is no JSON that omni reads: {error}");
        Invalid::new("json_invalid", place)
    })
}

/// What may still follow below.
#[derive(Clone, Copy)]
struct Tree {
    depth: usize,
}

impl Tree {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("it is too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
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

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (below, mut list) = (self.below()?, Vec::new());
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (below, mut object) = (self.below()?, Map::new());
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(below)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} is there twice")));
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_as_it_is() {
        let value = json!({ "a": [1, -2, 0.5, true, null, "x\n"], "b": { "c": u64::MAX } });
        assert_eq!(parse(value.to_string().as_bytes(), 2).unwrap(), value);
        assert_eq!(parse(b"1", 0).unwrap(), 1);
    }

    #[test]
    fn what_is_too_deep_ambiguous_or_no_json_is_refused() {
        for (text, why) in [
            ("[[1]]", "too deep"),
            (r#"{"a":1,"a":2}"#, "twice"),
            ("[1] 2", "trailing"),
            ("", "EOF"),
            ("[1e999]", "range"),
        ] {
            let error = format!("{:?}", parse(text.as_bytes(), 1).unwrap_err());
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
