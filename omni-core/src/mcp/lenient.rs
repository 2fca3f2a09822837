//! Fields that servers get wrong and that are clear all the same.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A `null` is what is not there.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list that is there: a `null` has no entries.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    or_default(deserializer).map(Some)
}

/// A number of milliseconds: one below zero is zero, fractions are cut, and what is no number says nothing.
pub(super) fn duration_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let said = Option::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(said.and_then(|raw| serde_json::from_str::<f64>(raw.get()).ok()).map(|number| number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Said {
        #[serde(default, deserialize_with = "duration_ms")]
        ms: Option<u64>,
        #[serde(default, deserialize_with = "list")]
        list: Option<Vec<u8>>,
        #[serde(default, deserialize_with = "or_default")]
        text: String,
    }

    fn said(json: &str) -> Said {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_time_is_understood_as_far_as_it_can_be() {
        for (ms, understood) in [
            ("5000", Some(5_000)),
            ("5000.9", Some(5_000)),
            ("-1", Some(0)),
            ("1e300", Some(u64::MAX)),
            ("1e400", None),
            ("null", None),
            (r#""5000""#, None),
            ("[1]", None),
            ("true", None),
        ] {
            assert_eq!(said(&format!(r#"{{"ms":{ms}}}"#)).ms, understood, "{ms}");
        }
        assert_eq!(said("{}").ms, None);
    }

    #[test]
    fn a_null_is_a_list_without_entries_and_a_text_without_letters() {
        let null = said(r#"{"list":null,"text":null}"#);
        assert_eq!((null.list, &*null.text), (Some(Vec::new()), ""));
        assert_eq!(said("{}").list, None, "one that is not there is none");
    }
}
