//! What tools are agreed to be.

use chrono::{DateTime, Utc};
use omni_core::{
    pin::{Pin, Seen},
    scan::Finding,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Whose tools are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListPins {
    /// A server's name. Absent: all of them.
    #[serde(default)]
    pub(crate) server: Option<String>,
    /// A tool's name. Absent: all of them.
    #[serde(default)]
    pub(crate) tool: Option<String>,
    /// Only those that are kept back.
    #[serde(default)]
    pub(crate) held: bool,
}

/// Which tools are agreed to.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ApproveTools {
    /// The server.
    pub(crate) server: String,
    /// The tool.
    #[serde(default)]
    pub(crate) tool: Option<String>,
    /// Only if this is what the tool has become: the digest, or its beginning.
    #[serde(default)]
    pub(crate) digest: Option<String>,
    /// Without a tool: all of the server that are kept back.
    #[serde(default)]
    pub(crate) all: bool,
}

/// What is known of a tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PinEntry {
    /// The server.
    pub(crate) server: String,
    /// The tool.
    pub(crate) tool: String,
    /// What it is agreed to be; `null` of one that was kept back from the start.
    pub(crate) pinned: Option<SeenDefinition>,
    /// Who agreed; `null` where nobody was asked.
    pub(crate) pinned_by: Option<String>,
    /// Why it is kept back: `changed`, `new`, `suspicious`, `unverified`; `null` where it may be used.
    pub(crate) held_why: Option<&'static str>,
    /// What it has become, where it is kept back.
    pub(crate) held: Option<SeenDefinition>,
    /// What changed, line by line.
    pub(crate) diff: Option<String>,
}

/// A definition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeenDefinition {
    /// Its SHA-256 in hexadecimal.
    pub(crate) digest: String,
    /// The definition as JSON with sorted keys.
    pub(crate) definition: String,
    /// When it was seen first.
    pub(crate) at: DateTime<Utc>,
    /// What looks suspicious in it.
    pub(crate) findings: Vec<ToolFinding>,
}

/// Something that looks suspicious.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolFinding {
    /// `hidden_text`, `instruction`, `encoded_instruction`, `confusable_name`, `directs_other_tool`, `unread`,
    /// `same_name`.
    pub(crate) kind: &'static str,
    /// Where it stands in the definition.
    pub(crate) at: String,
    /// The text around it.
    pub(crate) excerpt: String,
}

impl From<Pin> for PinEntry {
    fn from(pin: Pin) -> Self {
        let diff = pin.diff();
        let (held_why, held) = pin.held.map(|(why, seen)| (why.as_str(), seen)).unzip();
        Self {
            server: pin.server,
            tool: pin.tool,
            pinned: pin.pinned.map(Into::into),
            pinned_by: pin.pinned_by,
            held_why,
            held: held.map(Into::into),
            diff,
        }
    }
}

impl From<Seen> for SeenDefinition {
    fn from(seen: Seen) -> Self {
        let findings = seen.findings.iter().map(Into::into).collect();
        Self { digest: seen.digest, definition: seen.definition, at: seen.at, findings }
    }
}

impl From<&Finding> for ToolFinding {
    fn from(finding: &Finding) -> Self {
        Self { kind: finding.kind.as_str(), at: finding.at.clone(), excerpt: finding.excerpt.clone() }
    }
}
