//! What holds for tools, whatever server they are of.

use super::{
    Severity,
    load::{Findings, Source},
    spec::{OnError, PinSpec},
};
use crate::pin::PinMode;

/// With more tools than this a model reads no list of them.
const SEARCH_THRESHOLD: usize = 60;

/// What holds for tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolsConfig {
    /// What becomes of tools that are new or changed, where their server does not say.
    pub pin: PinMode,
    /// Whether tools may be used whose pins cannot be read or written.
    pub pin_fail_open: bool,
    /// With more tools than this for one person, the model finds tools by searching.
    pub search_threshold: usize,
}

impl Default for ToolsConfig {
    fn default() -> Self {
        Self { pin: PinMode::default(), pin_fail_open: false, search_threshold: SEARCH_THRESHOLD }
    }
}

/// What the file says. `has_database` tells whether pins outlive the process.
pub(super) fn build(source: &Source<'_>, has_database: bool, findings: &mut Findings) -> ToolsConfig {
    let spec = &source.settings.tools;
    let is_strict = |pin: Option<PinSpec>| pin == Some(PinSpec::Strict);
    if is_strict(Some(spec.pin)) || source.mcps.mcps.iter().any(|server| is_strict(server.pin)) {
        check_strict(source, has_database, findings);
    }
    let threshold = spec.search_threshold.map(|tools| usize::try_from(tools).unwrap_or(usize::MAX));
    ToolsConfig {
        pin: spec.pin.into(),
        pin_fail_open: spec.pin_on_error == OnError::Allow,
        search_threshold: threshold.unwrap_or(SEARCH_THRESHOLD),
    }
}

fn check_strict(source: &Source<'_>, has_database: bool, findings: &mut Findings) {
    let lines = source.settings_lines;
    if !has_database {
        let message = "the ledger is in no database, so what tools were is forgotten when the process ends: a change \
                       between two runs goes unnoticed";
        findings.all.push(lines.finding(Severity::Warning, "tools.pin", message));
    }
    if source.settings.tools.pin_on_error == OnError::Allow {
        let message = "tools that nobody agreed to may be used while the database is away; `deny` keeps them back";
        findings.all.push(lines.finding(Severity::Warning, "tools.pin_on_error", message));
    }
}
