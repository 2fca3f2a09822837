//! Why a call needs a human.

use serde::{Deserialize, Serialize};

use super::rule_text;
use crate::{confirm, policy::Decision};

/// Changes when the same rules get another digest.
const FORM: &str = "omni-rule-1";
/// In the place of a rule.
const DESTRUCTIVE: &str = "the tool says of itself that it may destroy something (destructiveHint)";

/// Why a call needs a human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Asking {
    /// The rule that asks for a human, in words.
    pub rule: String,
    /// The digest of what decided: the rule that allows the call, and the one that asks. Where a rule stands is
    /// not part of it.
    pub digest: String,
}

/// What the grants say, one after the other.
#[derive(Debug)]
pub(crate) struct Hearing {
    rule: Option<String>,
    is_destructive: bool,
    texts: Vec<String>,
}

impl Asking {
    pub(crate) fn begin(is_destructive: bool) -> Hearing {
        Hearing { rule: None, is_destructive, texts: Vec::new() }
    }

    /// Why one decision needs a human; `None` where it does not.
    pub(crate) fn of(decision: &Decision, is_destructive: bool) -> Option<Self> {
        let mut hearing = Self::begin(is_destructive);
        hearing.hear(decision);
        hearing.end()
    }
}

impl Hearing {
    pub(crate) fn hear(&mut self, decision: &Decision) {
        self.texts.push(decision.rule.text.clone());
        let asking = decision.confirm_rule.as_ref().filter(|_| decision.confirm);
        self.texts.push(asking.map(|rule| rule.text.clone()).unwrap_or_default());
        if let (None, Some(rule)) = (&self.rule, asking) {
            self.rule = Some(rule_text(rule));
        }
        self.is_destructive |= decision.confirm && asking.is_none();
    }

    pub(crate) fn end(self) -> Option<Asking> {
        if self.rule.is_none() && !self.is_destructive {
            return None;
        }
        let mut parts = vec![FORM, if self.is_destructive { "destructive" } else { "" }];
        parts.extend(self.texts.iter().map(String::as_str));
        let digest = confirm::digest(&parts);
        Some(Asking { rule: self.rule.unwrap_or_else(|| DESTRUCTIVE.into()), digest })
    }
}
