//! What becomes of one tool: its pin, its mode and what was found in it decide, without I/O.

use super::{Mark, PinMode, Why};
use crate::scan::{Finding, is_suspicious};

/// What is to be done with a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is what it was; a drift that was kept back is gone again where `lifted`.
    Known { lifted: bool },
    /// It is seen for the first time, and is pinned.
    Pin,
    /// It changed, and is pinned anew.
    Repin,
    /// It is kept back. Whether that is already written.
    Hold { why: Why, is_written: bool },
}

/// A tool as it is listed now.
pub(super) struct Listed<'a> {
    pub(super) digest: &'a str,
    /// What was found in it; empty where nobody looked, see [`needs_look`].
    pub(super) findings: &'a [Finding],
    /// Whether its server has pins at all.
    pub(super) is_server_known: bool,
}

impl Verdict {
    /// Whether the pin is another one after it.
    pub(super) fn is_change(&self) -> bool {
        !matches!(self, Self::Known { lifted: false } | Self::Hold { is_written: true, .. })
    }
}

impl Mark {
    /// Whether a digest is the one that is agreed to.
    pub(super) fn is_pinned(&self, digest: &str) -> bool {
        self.pinned.as_ref().is_some_and(|(known, _)| known == digest)
    }

    /// What was found in the definition of a digest; nothing where it is not known.
    pub(super) fn findings_of(&self, digest: &str) -> Vec<Finding> {
        let pinned = self.pinned.as_ref().filter(|(known, _)| known == digest).map(|(_, findings)| findings);
        let held = self.held.as_ref().filter(|(_, known, _)| known == digest).map(|(_, _, findings)| findings);
        pinned.or(held).cloned().unwrap_or_default()
    }
}

/// Whether a definition is new, so that it has to be looked at.
pub(super) fn needs_look(mark: Option<&Mark>, digest: &str) -> bool {
    let is_held = |mark: &Mark| mark.held.as_ref().is_some_and(|(_, known, _)| known == digest);
    !mark.is_some_and(|mark| mark.is_pinned(digest) || is_held(mark))
}

/// Decides. `mode` is never [`PinMode::Off`] here.
pub(super) fn judge(mode: PinMode, mark: Option<&Mark>, tool: &Listed<'_>) -> Verdict {
    let is_strict = mode == PinMode::Strict;
    let Some(mark) = mark else {
        return match (is_strict, tool.is_server_known) {
            (true, _) if is_suspicious(tool.findings) => hold(Why::Suspicious),
            (true, true) => hold(Why::New),
            (true, false) | (false, _) => Verdict::Pin,
        };
    };
    if mark.is_pinned(tool.digest) {
        return Verdict::Known { lifted: mark.held.is_some() };
    }
    if let Some((why, digest, findings)) = &mark.held
        && digest == tool.digest
    {
        // What only strictness keeps back goes on where the configuration is strict no more.
        let goes_on = !is_strict && !is_suspicious(findings) && *why != Why::Suspicious;
        return if goes_on { taken_over(mark) } else { Verdict::Hold { why: *why, is_written: true } };
    }
    match is_strict {
        // That somebody agreed to what it was says nothing of what it is.
        _ if is_suspicious(tool.findings) => hold(Why::Suspicious),
        true if mark.pinned.is_none() => hold(Why::New),
        true => hold(Why::Changed),
        false => taken_over(mark),
    }
}

fn hold(why: Why) -> Verdict {
    Verdict::Hold { why, is_written: false }
}

fn taken_over(mark: &Mark) -> Verdict {
    if mark.pinned.is_none() { Verdict::Pin } else { Verdict::Repin }
}
