//! Pins: what each tool was when it was seen first, or last agreed to, so that no server changes a
//! tool behind people's backs.
//!
//! A definition that differs from its pin is a drift. What becomes of it [`PinMode`] says; until an
//! administrator agrees, a tool that is kept back is in no list and cannot be called
//! ([`Withheld`](crate::catalog::Withheld)).

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};

use crate::scan::Finding;

mod diff;
mod judge;
pub mod memory;
mod others;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
pub(crate) mod vet;

/// What becomes of tools that are new or changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PinMode {
    /// What is new is pinned. A drift that scans clean is pinned anew and recorded; one that scans
    /// suspicious is kept back.
    #[default]
    Auto,
    /// Every drift is kept back, and so is every tool that a known server has not had before, and
    /// what scans suspicious at first sight, or beside tools of other servers that came later.
    Strict,
    /// Nothing is pinned, looked at or kept back.
    Off,
}

impl PinMode {
    /// The name in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Strict => "strict",
            Self::Off => "off",
        }
    }
}

/// Why a tool is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// It changed, and `pin: strict` wants an administrator's word.
    Changed,
    /// It came to a server that was known without it, under `pin: strict`.
    New,
    /// The scan found something in it.
    Suspicious,
    /// Its pin could not be read or written.
    Unverified,
}

impl Why {
    /// The name in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::New => "new",
            Self::Suspicious => "suspicious",
            Self::Unverified => "unverified",
        }
    }

    /// In words, for administrators.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Changed => "its definition changed",
            Self::New => "the server did not have it before",
            Self::Suspicious => "its definition looks suspicious",
            Self::Unverified => "its pin cannot be read or written at the moment",
        }
    }
}

/// A definition that a tool was seen with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seen {
    /// The SHA-256 of `definition`, in hexadecimal.
    pub digest: String,
    /// The definition in its one spelling; see [`ToolDef::canonical`](crate::catalog::ToolDef::canonical).
    pub definition: String,
    /// What the scan found in it.
    pub findings: Vec<Finding>,
    /// When it was seen first.
    pub at: DateTime<Utc>,
}

impl Seen {
    /// A definition, seen now.
    #[must_use]
    pub fn now(definition: String, findings: Vec<Finding>) -> Self {
        let at = Utc::now().trunc_subsecs(6);
        Self { digest: crate::catalog::digest(&definition), definition, findings, at }
    }
}

/// What is known of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pin {
    /// The server's name in the configuration.
    pub server: String,
    /// The tool's name at the server.
    pub tool: String,
    /// How often it was written; 0 is never.
    pub revision: i64,
    /// What it is agreed to be; `None` of a tool that was kept back from the start.
    pub pinned: Option<Seen>,
    /// Who agreed; `None` where nobody was asked.
    pub pinned_by: Option<String>,
    /// What it is now, and why it is kept back for that.
    pub held: Option<(Why, Seen)>,
}

impl Pin {
    /// A tool of which nothing is known.
    #[must_use]
    pub fn new(server: impl Into<String>, tool: impl Into<String>) -> Self {
        Self { server: server.into(), tool: tool.into(), revision: 0, pinned: None, pinned_by: None, held: None }
    }

    /// Why the tool is kept back; `None` where it may be used.
    #[must_use]
    pub fn why(&self) -> Option<Why> {
        self.held.as_ref().map(|(why, _)| *why)
    }

    /// The same without the definitions.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            server: self.server.clone(),
            tool: self.tool.clone(),
            revision: self.revision,
            pinned: self.pinned.as_ref().map(|seen| (seen.digest.clone(), seen.findings.clone())),
            is_agreed: self.pinned_by.is_some(),
            held: self.held.as_ref().map(|(why, seen)| (*why, seen.digest.clone(), seen.findings.clone())),
        }
    }
}

/// A pin without its definitions: what a listing is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// How often the pin was written.
    pub revision: i64,
    /// The digest that is agreed to, and what was found in it.
    pub pinned: Option<(String, Vec<Finding>)>,
    /// Whether it is somebody who agreed to that.
    pub is_agreed: bool,
    /// Why, for which digest, and with what found in it, the tool is kept back.
    pub held: Option<(Why, String, Vec<Finding>)>,
}

/// Why pins cannot be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the tools' pins cannot be used: {message}")]
#[non_exhaustive]
pub struct PinError {
    /// What went wrong.
    pub message: String,
}

impl PinError {
    /// Something went wrong.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Keeps pins, one per server and tool.
///
/// # Contract
/// * `put` is all or nothing. A pin of revision 0 is new, any other takes the place of that revision;
///   where one of them is not as it is taken to be, nothing is written and the answer is `false`.
///   What is written has the next revision.
/// * What was put is what is read, in the order of server and tool by their bytes, to the microsecond.
/// * All methods are cancel-safe.
#[async_trait]
pub trait PinStore: Send + Sync + fmt::Debug {
    /// The marks of a server, or of all.
    ///
    /// # Errors
    /// A [`PinError`]; so for all of these.
    async fn marks(&self, server: Option<&str>) -> Result<Vec<Mark>, PinError>;

    /// The pins of a server, or of all, or of one tool.
    async fn pins(&self, server: Option<&str>, tool: Option<&str>) -> Result<Vec<Pin>, PinError>;

    /// Writes pins; whether they were as they were taken to be.
    async fn put(&self, pins: &[Pin]) -> Result<bool, PinError>;
}

#[async_trait]
impl<T: PinStore + ?Sized> PinStore for Arc<T> {
    async fn marks(&self, server: Option<&str>) -> Result<Vec<Mark>, PinError> {
        (**self).marks(server).await
    }

    async fn pins(&self, server: Option<&str>, tool: Option<&str>) -> Result<Vec<Pin>, PinError> {
        (**self).pins(server, tool).await
    }

    async fn put(&self, pins: &[Pin]) -> Result<bool, PinError> {
        (**self).put(pins).await
    }
}

#[cfg(test)]
mod tests;
