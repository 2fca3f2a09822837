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
    /// It is what it was, which was pinned before there was the tool that makes it suspicious.
    Unpin,
    /// It is kept back. Whether that is already written.
    Hold { why: Why, is_written: bool },
}

/// A tool as it is listed now.
pub(super) struct Listed<'a> {
    pub(super) digest: &'a str,
    /// What is found in it by now.
    pub(super) findings: &'a [Finding],
    /// Whether its server has pins at all.
    pub(super) is_server_known: bool,
}

impl Verdict {
    /// Whether the pin is another one after it.
    pub(super) fn is_change(&self) -> bool {
        !matches!(self, Self::Known { lifted: false } | Self::Hold { is_written: true, .. })
    }

    /// Why the tool is kept back; `None` where it may be used.
    pub(super) fn why(&self) -> Option<Why> {
        match self {
            Self::Known { .. } | Self::Pin | Self::Repin => None,
            Self::Unpin => Some(Why::Suspicious),
            Self::Hold { why, .. } => Some(*why),
        }
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

/// What of a definition is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// All of it: it is new.
    Whole,
    /// What it has to do with other tools.
    Beside,
    Nothing,
}

/// `has_others` where there are other tools than when it was looked at.
pub(super) fn look(mark: Option<&Mark>, digest: &str, has_others: bool) -> Look {
    let is_held = |mark: &Mark| mark.held.as_ref().is_some_and(|(_, known, _)| known == digest);
    match mark {
        // Whoever agreed has decided about it.
        Some(mark) if mark.is_pinned(digest) && mark.is_agreed => Look::Nothing,
        Some(mark) if mark.is_pinned(digest) || is_held(mark) => match has_others {
            true => Look::Beside,
            false => Look::Nothing,
        },
        Some(_) | None => Look::Whole,
    }
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
        let became_suspicious = is_suspicious(tool.findings) && !is_suspicious(&mark.findings_of(tool.digest));
        return match is_strict && became_suspicious {
            true => Verdict::Unpin,
            false => Verdict::Known { lifted: mark.held.is_some() },
        };
    }
    if let Some((why, digest, _)) = &mark.held
        && digest == tool.digest
    {
        // What only strictness keeps back goes on where the configuration is strict no more.
        let goes_on = !is_strict && !is_suspicious(tool.findings) && *why != Why::Suspicious;
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
