//! The hints of a tool, each read by itself.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::catalog::ToolAnnotations;

/// Hints of the wrong shape are no hints, nor are those that are there twice and say different things; neither takes
/// another one away. That a tool may destroy something counts wherever it is said: people are asked for it.
pub(super) fn read(raw: &RawValue) -> ToolAnnotations {
    let said: Said = serde_json::from_str(raw.get()).unwrap_or_default();
    let is_destructive = said.all::<bool>("destructiveHint").any(|hint| hint == Some(true));
    ToolAnnotations {
        title: said.one("title"),
        read_only_hint: said.one("readOnlyHint"),
        destructive_hint: if is_destructive { Some(true) } else { said.one("destructiveHint") },
        idempotent_hint: said.one("idempotentHint"),
        open_world_hint: said.one("openWorldHint"),
    }
}

/// Everything that is said, in its order, however often.
#[derive(Default)]
struct Said(Vec<(String, Box<RawValue>)>);

impl Said {
    /// Each time that something is said; `None` where it is of the wrong shape.
    fn all<T: DeserializeOwned>(&self, name: &str) -> impl Iterator<Item = Option<T>> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| serde_json::from_str(value.get()).ok())
    }

    /// What is said once, or the same each time.
    fn one<T: DeserializeOwned + PartialEq>(&self, name: &str) -> Option<T> {
        let mut all = self.all::<T>(name);
        let first = all.next()??;
        all.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the hints of a tool")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Said, A::Error> {
        let mut said = Said::default();
        while let Some((key, value)) = entries.next_entry::<Box<RawValue>, Box<RawValue>>()? {
            // A key that is no text names nothing, and ends nothing.
            if let Ok(key) = serde_json::from_str(key.get()) {
                said.0.push((key, value));
            }
        }
        Ok(said)
    }
}
