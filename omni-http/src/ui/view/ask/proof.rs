//! Whether the ledger proves what is shown.

use omni_core::ledger::verify::Fault;
use serde::Serialize;

/// Whether the ledger proves an entry or a call.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "fault")]
pub(in crate::ui) enum Proof {
    Proved,
    /// It is older than the ledger.
    Unproved,
    /// It was sealed with a key that is not at hand: nothing is proved, and nothing disproved.
    UnknownKey(String),
    /// The record is not what the ledger wrote, or the row not what the record says.
    Broken(String),
}

/// How that is shown.
#[derive(Debug, Clone)]
pub(super) struct Seal {
    pub(super) mark: &'static str,
    pub(super) name: &'static str,
    /// What is to be said of it beside its name.
    pub(super) told: String,
}

impl Proof {
    pub(in crate::ui) fn of(fault: Option<Fault>) -> Self {
        match fault {
            None => Self::Proved,
            Some(unknown @ Fault::UnknownKey(_)) => Self::UnknownKey(unknown.to_string()),
            Some(fault) => Self::Broken(fault.to_string()),
        }
    }

    pub(super) fn seal(&self) -> Seal {
        let (mark, name, told) = match self {
            Self::Proved => ("ok", "✓ proved", "The seal fits, and the row says what its record says"),
            Self::Unproved => ("dim", "older than the ledger", "It has no record"),
            Self::UnknownKey(fault) => ("warn", "unknown key", fault.as_str()),
            Self::Broken(fault) => ("bad", "altered", fault.as_str()),
        };
        Seal { mark, name, told: told.to_owned() }
    }
}

/// The same of an entry with its calls.
pub(super) fn of_all<'a>(entry: &Proof, calls: impl Iterator<Item = &'a Proof>) -> Seal {
    let (mut unknown, mut broken) = (0_usize, 0_usize);
    calls.for_each(|proof| match proof {
        Proof::UnknownKey(_) => unknown += 1,
        Proof::Broken(_) => broken += 1,
        Proof::Proved | Proof::Unproved => {}
    });
    let (mark, name, told) = match entry {
        Proof::Broken(fault) => ("bad", "not proved", format!("The ledger does not prove this entry: {fault}.")),
        _ if broken > 0 => {
            ("bad", "not proved", format!("The ledger does not prove {broken} of its calls; their marks say why."))
        }
        Proof::UnknownKey(fault) => ("warn", "unknown key", format!("Nothing is proved of this entry: {fault}.")),
        _ if unknown > 0 => ("warn", "unknown key", format!("Nothing is proved of {unknown} of its calls.")),
        Proof::Unproved => ("dim", "older than the ledger", String::new()),
        Proof::Proved => ("ok", "✓ proved by the ledger", String::new()),
    };
    Seal { mark, name, told }
}
