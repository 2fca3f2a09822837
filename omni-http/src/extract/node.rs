//! Trees and texts become values, and what does not fit is told by its path.

use std::{fmt, vec};

use serde::{
    de::{
        self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer as _, MapAccess, SeqAccess,
        Unexpected, Visitor, value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

use crate::wire::{FieldError, Place};

/// What is not right with a request.
#[derive(Debug)]
pub(crate) struct Invalid {
    kind: &'static str,
    message: String,
    /// From the inside out.
    path: Vec<Place>,
}

impl Invalid {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), path: Vec::new() }
    }

    /// The same, seen from outside of a field.
    pub(crate) fn within(mut self, field: &str) -> Self {
        self.path.push(Place::Field(field.into()));
        self
    }

    fn at(mut self, index: usize) -> Self {
        self.path.push(Place::Index(index));
        self
    }
}

impl From<Invalid> for FieldError {
    fn from(error: Invalid) -> Self {
        let loc = error.path.into_iter().rev().collect();
        Self { loc, msg: error.message, kind: error.kind.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Invalid {}

impl de::Error for Invalid {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new("value_error", message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("type_error", format!("expected {}, found {}", wanted(expected), named(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("value_error", format!("expected {}, found {}", wanted(expected), shown(&found)))
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        Self::new("enum", format!("{found:?} is none of: {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("missing", "the field is missing").within(field)
    }
}

/// What is expected, in words of JSON: names of our types are nobody's business.
fn wanted(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.split(' ').next().unwrap_or_default() {
        "struct" | "map" => "an object".into(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "enum" | "variant" => "one of some texts".into(),
        _ => match text.as_str() {
            "a map" => "an object".into(),
            "a sequence" => "a list".into(),
            "a boolean" => "true or false".into(),
            _ => text,
        },
    }
}

/// A value that is of the right type, and not right all the same.
fn shown(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => format!("{text:?}"),
        other => named(other).into(),
    }
}

/// The JSON type; a value of a wrong type may be anything, and is not repeated.
fn named(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::StructVariant => "a string",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "null",
    }
}

/// Something to read a value from.
pub(crate) enum Node {
    /// JSON.
    Json(Value),
    /// A text that may stand for a number, or for true or false: part of a path or a query.
    Text(String),
    /// The parts of a path or a query by their names.
    Texts(Vec<(String, String)>),
}

impl Node {
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Invalid> {
        T::deserialize(self)
    }
}

/// A number or a truth, from JSON or from a text.
macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
            match self {
                Self::Text(text) => match text.parse::<$type>() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(de::Error::invalid_type(Unexpected::Str(&text), &visitor)),
                },
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node {
    type Error = Invalid;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self {
            Self::Text(text) => visitor.visit_string(text),
            Self::Texts(texts) => {
                visitor.visit_map(Entries::new(texts.into_iter().map(|(name, text)| (name, Self::Text(text)))))
            }
            Self::Json(Value::Null) => visitor.visit_unit(),
            Self::Json(Value::Bool(value)) => visitor.visit_bool(value),
            Self::Json(Value::Number(number)) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Self::Json(Value::String(text)) => visitor.visit_string(text),
            Self::Json(Value::Array(items)) => visitor.visit_seq(Items { items: items.into_iter(), next: 0 }),
            Self::Json(Value::Object(entries)) => {
                visitor.visit_map(Entries::new(entries.into_iter().map(|(name, value)| (name, Self::Json(value)))))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self {
            Self::Json(Value::Null) => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    /// A list is no object, though its items might well be taken for fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        match self {
            Self::Json(Value::Array(_)) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        match self {
            Self::Text(text) | Self::Json(Value::String(text)) => {
                let name: StrDeserializer<'_, Invalid> = text.as_str().into_deserializer();
                visitor.visit_enum(name)
            }
            other => other.deserialize_any(visitor),
        }
    }

    parsed!(
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i64 i64, deserialize_i16 visit_i64 i64,
        deserialize_i32 visit_i64 i64, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u64 u64, deserialize_u16 visit_u64 u64,
        deserialize_u32 visit_u64 u64, deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f64 f64, deserialize_f64 visit_f64 f64
    );

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items {
    items: vec::IntoIter<Value>,
    next: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Invalid;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Invalid> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let at = self.next;
        self.next += 1;
        seed.deserialize(Node::Json(item)).map(Some).map_err(|error| error.at(at))
    }
}

struct Entries<I> {
    entries: I,
    open: Option<(String, Node)>,
}

impl<I: Iterator<Item = (String, Node)>> Entries<I> {
    fn new(entries: I) -> Self {
        Self { entries, open: None }
    }
}

impl<'de, I: Iterator<Item = (String, Node)>> MapAccess<'de> for Entries<I> {
    type Error = Invalid;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Invalid> {
        self.open = self.entries.next();
        let Some((name, _)) = &self.open else { return Ok(None) };
        let name: StrDeserializer<'_, Invalid> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Invalid> {
        let (name, node) = self.open.take().unwrap_or_else(|| (String::new(), Node::Json(Value::Null)));
        seed.deserialize(node).map_err(|error| error.within(&name))
    }
}

#[cfg(test)]
mod tests;
