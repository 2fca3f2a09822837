//! A look at a tool's definition for what is written in it to steer a model behind people's backs.
//!
//! Deterministic, without I/O, and bounded: the same definition beside the same other tools has the
//! same findings everywhere. It looks for
//!
//! * **hidden text** (`hidden`): characters that no reader sees and every model reads;
//! * **instructions** (`phrases`): sentences that order the model about instead of describing the tool;
//! * **encoded instructions** (`decode`): the same, found only after decoding. What decodes to
//!   anything else is no finding;
//! * **shadowing** (`shadow`): names that pass for another server's tool, and descriptions that name
//!   one to direct its use;
//! * **what is too large to be looked at** (`text`), or has too much to be decoded: behind it anything could stand.
//!
//! A scan that finds nothing proves nothing: it raises the price of the known tricks. What it finds
//! is shown to administrators, and keeps a changed definition from being taken over by itself.

use serde::{Deserialize, Serialize};

use crate::catalog::ToolDef;

mod decode;
mod hidden;
mod neighbours;
mod phrases;
mod shadow;
mod text;
mod visible;

pub(crate) use hidden::is_joined;
pub use neighbours::Neighbours;
pub(crate) use text::shown;
pub use visible::visible_json;

#[cfg(test)]
mod tests;

/// Most findings of one tool.
pub const MAX_FINDINGS: usize = 16;
/// Most characters of an excerpt.
const MAX_EXCERPT: usize = 120;
/// The excerpt of what was not looked at.
const UNREAD: &str = "from here on there is more than a scan looks at";

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Characters that no reader sees.
    HiddenText,
    /// Text that orders the model about.
    Instruction,
    /// The same, in an encoding.
    EncodedInstruction,
    /// A name that looks like another one.
    ConfusableName,
    /// It directs how another server's tool is used.
    DirectsOtherTool,
    /// It is too large, too deep or has too much in encodings to be looked at whole.
    Unread,
    /// Another server has a tool of this name. Common among honest servers, so it raises no suspicion.
    SameName,
}

impl FindingKind {
    /// The name in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HiddenText => "hidden_text",
            Self::Instruction => "instruction",
            Self::EncodedInstruction => "encoded_instruction",
            Self::ConfusableName => "confusable_name",
            Self::DirectsOtherTool => "directs_other_tool",
            Self::Unread => "unread",
            Self::SameName => "same_name",
        }
    }

    /// Whether it depends on which other tools there are.
    fn is_of_neighbours(self) -> bool {
        match self {
            Self::ConfusableName | Self::DirectsOtherTool | Self::SameName => true,
            Self::HiddenText | Self::Instruction | Self::EncodedInstruction | Self::Unread => false,
        }
    }

    /// Whether a definition with it is suspicious.
    #[must_use]
    pub fn is_suspicious(self) -> bool {
        match self {
            Self::HiddenText
            | Self::Instruction
            | Self::EncodedInstruction
            | Self::ConfusableName
            | Self::DirectsOtherTool
            | Self::Unread => true,
            Self::SameName => false,
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// Where: `name`, `description`, `inputSchema.properties.path.description`, …
    pub at: String,
    /// The text around it, with what cannot be seen written out, cut to a cap.
    pub excerpt: String,
}

impl Finding {
    fn new(kind: FindingKind, at: &str, excerpt: &str) -> Self {
        Self { kind, at: cut(&text::shown(at)), excerpt: cut(&text::shown(excerpt)) }
    }
}

/// Whether any of these makes a definition suspicious.
#[must_use]
pub fn is_suspicious(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.kind.is_suspicious())
}

/// Looks at one tool beside all others.
#[must_use]
pub fn scan(def: &ToolDef, neighbours: &Neighbours) -> Vec<Finding> {
    let texts = text::texts(def);
    let mut findings = shadow::names(def, neighbours);
    let mut unread = texts.unread;
    for (at, text) in &texts.found {
        findings.extend(hidden::find(text).map(|excerpt| Finding::new(FindingKind::HiddenText, at, &excerpt)));
        let folded = text::fold(text);
        if let Some(excerpt) = phrases::find(&folded) {
            findings.push(Finding::new(FindingKind::Instruction, at, &excerpt));
        } else {
            let decoded = decode::find(text);
            findings.extend(decoded.order.map(|excerpt| Finding::new(FindingKind::EncodedInstruction, at, &excerpt)));
            unread = unread.or_else(|| decoded.is_cut.then(|| at.clone()));
        }
        findings.extend(directs(def, at, &folded, neighbours));
    }
    findings.extend(unread.map(|at| Finding::new(FindingKind::Unread, &at, UNREAD)));
    gravest(findings)
}

/// Looks at a tool again that is the same, beside others: `known` is what was found in it before.
#[must_use]
pub(crate) fn rescan(def: &ToolDef, neighbours: &Neighbours, known: &[Finding]) -> Vec<Finding> {
    let mut findings = shadow::names(def, neighbours);
    findings.extend(known.iter().filter(|finding| !finding.kind.is_of_neighbours()).cloned());
    for (at, text) in &text::texts(def).found {
        findings.extend(directs(def, at, &text::fold(text), neighbours));
    }
    gravest(findings)
}

fn directs(def: &ToolDef, at: &str, folded: &str, neighbours: &Neighbours) -> Option<Finding> {
    let excerpt = shadow::directs(def, folded, neighbours)?;
    Some(Finding::new(FindingKind::DirectsOtherTool, at, &excerpt))
}

/// The gravest stay where there are too many. What is found in whichever order is in one order.
fn gravest(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (!finding.kind.is_suspicious(), finding.kind));
    findings.truncate(MAX_FINDINGS);
    findings
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
