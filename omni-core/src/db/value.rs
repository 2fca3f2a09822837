//! Values on their way into a statement.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde_json::Value;

use super::Dialect;

/// A value to bind. Each kind may be missing, and keeps its type then.
#[derive(Debug, Clone, PartialEq)]
pub enum Val<'a> {
    /// Text.
    Text(Option<Cow<'a, str>>),
    /// A whole number.
    Int(Option<i64>),
    /// A number.
    Float(Option<f64>),
    /// Yes or no.
    Bool(Option<bool>),
    /// Bytes.
    Bytes(Option<Cow<'a, [u8]>>),
    /// A moment: `timestamptz`, or SQLite's own text for it, so that texts compare as times.
    Time(Option<DateTime<Utc>>),
    /// JSON: `jsonb`, or text.
    Json(Option<Cow<'a, Value>>),
    /// An address: `inet`, or text.
    Address(Option<IpAddr>),
    /// A list of texts: `text[]`, or a JSON array as text.
    Texts(Cow<'a, [String]>),
}

impl Val<'_> {
    /// What stands for it in a statement.
    pub(super) fn placeholder(&self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Address(_), Dialect::Postgres) => "CAST(? AS inet)",
            _ => "?",
        }
    }

    /// About how many bytes it is on its way to PostgreSQL.
    pub(super) fn weight(&self) -> usize {
        let own = match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len()),
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len()),
            Self::Json(json) => json.as_ref().map_or(0, |json| json.to_string().len()),
            Self::Texts(texts) => texts.iter().map(|text| text.len() + 4).sum(),
            Self::Address(_) => 40,
            Self::Int(_) | Self::Float(_) | Self::Time(_) => 8,
            Self::Bool(_) => 1,
        };
        // Its length and its format.
        own + 6
    }

    /// A value as PostgreSQL has it: `jsonb` refuses the character 0, which JSON writes as `\u0000`. Keys that differ
    /// in nothing else are one then.
    pub(crate) fn jsonb(value: &Value) -> Value {
        match value {
            Value::String(text) => text.replace('\0', "\u{fffd}").into(),
            Value::Array(items) => items.iter().map(Self::jsonb).collect(),
            Value::Object(map) => {
                map.iter().map(|(key, value)| (key.replace('\0', "\u{fffd}"), Self::jsonb(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// A time as SQLite's tables hold it.
#[must_use]
pub(super) fn stamp(at: DateTime<Utc>) -> Arc<str> {
    let (year, micros) = (at.year(), at.timestamp_subsec_micros());
    if !(0..=9_999).contains(&year) || micros >= 1_000_000 {
        return at.format("%Y-%m-%d %H:%M:%S%.6f").to_string().into();
    }
    // The same, without reading the pattern each time.
    let mut text = *b"0000-00-00 00:00:00.000000";
    let parts = [
        (0..4, year.unsigned_abs()),
        (5..7, at.month()),
        (8..10, at.day()),
        (11..13, at.hour()),
        (14..16, at.minute()),
        (17..19, at.second()),
        (20..26, micros),
    ];
    for (place, mut number) in parts {
        for digit in text[place].iter_mut().rev() {
            *digit = b"0123456789"[(number % 10) as usize];
            number /= 10;
        }
    }
    std::str::from_utf8(&text).unwrap_or_default().into()
}

/// Texts and times, of which rows have most, go as what the driver keeps: of a `String` it makes one more piece of memory.
#[cfg(feature = "sqlite")]
pub(super) fn sqlite(values: &[Val<'_>]) -> Result<sqlx::sqlite::SqliteArguments, super::DbError> {
    use sqlx::Arguments as _;
    let mut arguments = sqlx::sqlite::SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Val::Text(text) => arguments.add(text.as_deref().map(Arc::<str>::from)),
            Val::Int(number) => arguments.add(*number),
            Val::Float(number) => arguments.add(*number),
            Val::Bool(yes) => arguments.add(*yes),
            Val::Bytes(bytes) => arguments.add(bytes.as_deref().map(<[u8]>::to_vec)),
            Val::Time(at) => arguments.add(at.map(stamp)),
            Val::Json(json) => arguments.add(json.as_ref().map(|json| json.to_string())),
            Val::Address(address) => arguments.add(address.map(|address| address.to_string())),
            Val::Texts(texts) => arguments.add(serde_json::to_string(&**texts).unwrap_or_default()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

#[cfg(feature = "postgres")]
pub(super) fn postgres(values: &[Val<'_>]) -> Result<sqlx::postgres::PgArguments, super::DbError> {
    use sqlx::Arguments as _;
    let mut arguments = sqlx::postgres::PgArguments::default();
    for value in values {
        match value {
            // PostgreSQL has no character 0 in texts.
            Val::Text(text) => arguments.add(text.as_deref().map(|text| text.replace('\0', "\u{fffd}"))),
            Val::Int(number) => arguments.add(*number),
            Val::Float(number) => arguments.add(*number),
            Val::Bool(yes) => arguments.add(*yes),
            Val::Bytes(bytes) => arguments.add(bytes.as_deref().map(<[u8]>::to_vec)),
            Val::Time(at) => arguments.add(*at),
            Val::Json(json) => arguments.add(json.as_deref().map(Val::jsonb)),
            Val::Address(address) => arguments.add(address.map(|address| address.to_string())),
            Val::Texts(texts) => {
                arguments.add(texts.iter().map(|text| text.replace('\0', "\u{fffd}")).collect::<Vec<_>>())
            }
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

impl<'a> From<&'a str> for Val<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl<'a> From<&'a String> for Val<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(text.as_str().into()))
    }
}

impl From<String> for Val<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl<'a> From<Option<&'a str>> for Val<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Into::into))
    }
}

impl<'a> From<&'a Option<String>> for Val<'a> {
    fn from(text: &'a Option<String>) -> Self {
        Self::Text(text.as_deref().map(Into::into))
    }
}

impl From<Option<String>> for Val<'_> {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Into::into))
    }
}

impl From<i64> for Val<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<u32> for Val<'_> {
    fn from(number: u32) -> Self {
        Self::Int(Some(number.into()))
    }
}

/// The databases' numbers are signed; what is beyond is as much as they can say.
impl From<u64> for Val<'_> {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<Option<u64>> for Val<'_> {
    fn from(number: Option<u64>) -> Self {
        Self::Int(number.map(|number| i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<Option<i64>> for Val<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<Option<f64>> for Val<'_> {
    fn from(number: Option<f64>) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Val<'_> {
    fn from(yes: bool) -> Self {
        Self::Bool(Some(yes))
    }
}

impl<'a> From<&'a [u8]> for Val<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Some(bytes.into()))
    }
}

impl From<DateTime<Utc>> for Val<'_> {
    fn from(at: DateTime<Utc>) -> Self {
        Self::Time(Some(at))
    }
}

impl From<Option<DateTime<Utc>>> for Val<'_> {
    fn from(at: Option<DateTime<Utc>>) -> Self {
        Self::Time(at)
    }
}

impl<'a> From<&'a Value> for Val<'a> {
    fn from(json: &'a Value) -> Self {
        Self::Json(Some(Cow::Borrowed(json)))
    }
}

impl<'a> From<&'a Option<Value>> for Val<'a> {
    fn from(json: &'a Option<Value>) -> Self {
        Self::Json(json.as_ref().map(Cow::Borrowed))
    }
}

impl From<Value> for Val<'_> {
    fn from(json: Value) -> Self {
        Some(json).into()
    }
}

impl From<Option<Value>> for Val<'_> {
    fn from(json: Option<Value>) -> Self {
        Self::Json(json.map(Cow::Owned))
    }
}

impl<'a> From<&'a [String]> for Val<'a> {
    fn from(texts: &'a [String]) -> Self {
        Self::Texts(texts.into())
    }
}

impl From<Vec<String>> for Val<'_> {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts.into())
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_written_as_its_pattern_says(seconds in -62_167_219_200_i64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
            let at = DateTime::from_timestamp(seconds, nanos).unwrap();
            prop_assert_eq!(&*stamp(at), at.format("%Y-%m-%d %H:%M:%S%.6f").to_string());
        }
    }
}
