//! Who may decide, and how long they have.

use std::time::Duration;

use super::Confirmation;
use crate::{
    agent::plan::arguments,
    catalog::Catalog,
    error::Error,
    policy::{Grant, ToolRef},
};

/// How long somebody has to decide, where nobody says otherwise.
const EXPIRY: Duration = Duration::from_secs(15 * 60);
/// The longest while that a call waits.
pub const MAX_EXPIRY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What holds for calls that need a human.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApprovalRules {
    /// How long a call waits; then the answer is no.
    pub expiry: Duration,
    /// The roles of those who may decide; empty: the asker.
    pub approvers: Vec<String>,
    /// Whether it must be somebody else than the asker.
    pub four_eyes: bool,
}

impl Default for ApprovalRules {
    fn default() -> Self {
        Self { expiry: EXPIRY, approvers: Vec::new(), four_eyes: false }
    }
}

impl ApprovalRules {
    /// Whether somebody may agree to a call of their own, as one does at a prompt.
    ///
    /// # Errors
    /// Why they may not.
    pub fn may_agree_alone(&self, grant: &Grant) -> Result<(), String> {
        if self.four_eyes {
            return Err("it takes the agreement of somebody else".into());
        }
        if !self.is_approver(grant) {
            return Err(format!("it takes the agreement of somebody with the role {}", self.approvers.join(" or ")));
        }
        Ok(())
    }

    /// Whether a call may be made that somebody agreed to some time ago. Of whoever decided for somebody else only the
    /// name is known.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn still_agreed(&self, one: &Confirmation, asker: &Grant) -> Result<(), String> {
        let by = one.decided_by.as_deref();
        if by == Some(one.subject.as_str()) {
            return self.may_agree_alone(asker);
        }
        if self.four_eyes && by.is_some() && by == one.actor.as_deref() {
            return Err("it takes the agreement of somebody else".into());
        }
        if self.approvers.is_empty() {
            return Err("it takes the asker's own agreement by now".into());
        }
        Ok(())
    }

    /// Whether somebody has one of the roles of those who may decide, and came with a credential that is worth it;
    /// where none is named, everybody has.
    #[must_use]
    pub fn is_approver(&self, grant: &Grant) -> bool {
        self.approvers.is_empty() || grant.role.is_one_of(&self.approvers)
    }

    /// Whether somebody may see a confirmation at all: the asker, by a credential that may make the call itself, and
    /// those who may decide for others. These the configuration names for calls that need not be theirs to make.
    #[must_use]
    pub fn may_see(&self, confirmation: &Confirmation, grant: &Grant, catalog: &Catalog) -> bool {
        if is_asker(confirmation, grant) {
            return may_make(confirmation, grant, catalog);
        }
        confirmation.tenant == grant.principal.tenant && self.decides_for_others(grant)
    }

    /// Whether somebody may decide on what others asked.
    #[must_use]
    pub fn decides_for_others(&self, grant: &Grant) -> bool {
        !self.approvers.is_empty() && self.is_approver(grant)
    }

    /// Whether somebody who may see it may agree to it.
    ///
    /// # Errors
    /// [`Error::Denied`], with the reason.
    pub fn may_agree(&self, confirmation: &Confirmation, grant: &Grant) -> Result<(), Error> {
        if self.four_eyes && has_a_hand_in(confirmation, grant) {
            let message = "nobody may agree to a call of their own (approvals.four_eyes)".into();
            return Err(Error::Denied { message });
        }
        if !self.is_approver(grant) {
            let message = format!("this takes the agreement of somebody with the role {}", self.approvers.join(" or "));
            return Err(Error::Denied { message });
        }
        Ok(())
    }
}

/// Whether it is somebody's own call.
pub(crate) fn is_asker(confirmation: &Confirmation, grant: &Grant) -> bool {
    confirmation.tenant == grant.principal.tenant && confirmation.subject == grant.principal.subject
}

/// Whether somebody may make such a call themselves by now: a lesser credential of the asker's brings no right that it
/// has not. A tool that is not known to be what it was counts as one that may destroy something.
pub(crate) fn may_make(confirmation: &Confirmation, grant: &Grant, catalog: &Catalog) -> bool {
    let Confirmation { server, tool: name, .. } = confirmation;
    let Ok(arguments) = arguments::object(&confirmation.arguments) else { return false };
    let known = catalog.tool(server, name).filter(|def| def.digest() == confirmation.tool_digest);
    let is_destructive = known.is_none_or(|def| def.rule_ref().is_destructive);
    grant.decide_tool(ToolRef { server, name, is_destructive }, Some(&arguments)).is_allowed()
}

/// Whether asker and decider, or those who act for them, are the same person.
fn has_a_hand_in(confirmation: &Confirmation, grant: &Grant) -> bool {
    let decider = [Some(grant.principal.subject.as_str()), grant.principal.actor.as_deref()];
    let asker = [Some(confirmation.subject.as_str()), confirmation.actor.as_deref()];
    decider.into_iter().flatten().any(|one| asker.into_iter().flatten().any(|other| one == other))
}
