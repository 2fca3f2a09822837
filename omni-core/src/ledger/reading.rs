//! Records read back from what was sealed.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{Event, Party, Record};

/// What every record begins with.
#[derive(Deserialize)]
struct Head<'a> {
    request_id: Uuid,
    at: DateTime<Utc>,
    #[serde(default)]
    party: Option<Party>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

impl Record {
    /// The record of sealed bytes. Most kinds are read in two passes over plain fields: as one value, everything would be
    /// kept aside first until it is known what it is.
    ///
    /// # Errors
    /// They hold none that this build knows.
    pub(crate) fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        let Head { request_id, at, party, kind } = serde_json::from_slice(bytes)?;
        let event = match &*kind {
            "started" => Event::Started(serde_json::from_slice(bytes)?),
            "tool_call" => Event::ToolCall(serde_json::from_slice(bytes)?),
            "direct_call" => Event::DirectCall(serde_json::from_slice(bytes)?),
            "ask" => Event::Ask(Box::new(serde_json::from_slice(bytes)?)),
            _ => return serde_json::from_slice(bytes),
        };
        Ok(Self { request_id, at, party, event })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        Principal, Source,
        identity::Via,
        ledger::{CallRecord, Outcome},
    };

    #[test]
    fn a_record_is_read_as_the_value_that_it_is() {
        let call = || CallRecord {
            error: Some("no \u{e9} \"quote\"".into()),
            bytes: Some(7),
            ..CallRecord::new("db", "get", json!({ "kind": "x", "at": [1] }), Outcome::Error)
        };
        let ask = json!({
            "question": "Who?", "answer": "Ada.", "outcome": "success", "model": "m", "iterations": 2, "tools_used": ["db.get"],
            "servers_used": ["db"], "usage": { "input": 3, "output": 4 }, "cost": 5, "duration_ms": 6,
        });
        let events = [
            Event::Started(call()),
            Event::ToolCall(call()),
            Event::DirectCall(call()),
            Event::Ask(Box::new(serde_json::from_value(ask).unwrap())),
            Event::AskStarted { question: "Who?".into() },
            Event::Gap { count: 3 },
        ];
        let party = Party::new(&Principal::new("ada", Via::ApiKey), Source::Mcp);
        for event in events {
            for party in [Some(party.clone()), None] {
                let record = Record::new(Uuid::now_v7(), party, event.clone());
                let bytes = super::super::canonical::canonical(&record).unwrap();
                assert_eq!(Record::read(&bytes).unwrap(), serde_json::from_slice(&bytes).unwrap());
                assert_eq!(Record::read(&bytes).unwrap(), record);
            }
        }
        for bad in [&b"{}"[..], b"[]", br#"{"kind":"started"}"#, br#"{"kind":"later"}"#] {
            assert!(Record::read(bad).is_err());
        }
    }
}
