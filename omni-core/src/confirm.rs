//! Step 8, confirm: a call that needs a human.
//!
//! A call whose decision says `confirm` does not run until a person who may decide agrees. Where
//! nobody can be asked the answer is no.
//!
//! There are two ways to ask. Where a person is at hand, an [`Approver`] asks them and the call waits in
//! memory. A door that can come back later ([`Ask::with_parking`](crate::Ask::with_parking)) lets the run
//! be parked: it is stored with a [`Confirmation`] for every call that waits, and
//! [`Omni::confirm`](crate::Omni::confirm) goes on with it, on whatever instance and after however many
//! restarts. What was agreed to is that very call: see [`Bound`].

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::policy::Rule;

mod bound;
mod confirmation;
pub mod memory;
mod rules;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
mod store;

pub(crate) use bound::digest;
pub use bound::{Bound, Broken};
pub use confirmation::{Confirmation, State};
pub use rules::{ApprovalRules, MAX_EXPIRY};
pub(crate) use rules::{is_asker, may_make};
pub use store::{Change, GRACE, KEPT, LEFT, ParkedRun, RunError, RunStore, TOO_LATE, Whose};

/// Most bytes of a parked run, as it is stored.
pub const MAX_RUN_BYTES: usize = 4 * 1024 * 1024;
/// Most characters of the reason of a decision.
pub const MAX_REASON: usize = 500;
/// Most calls of one person that wait at the same time.
pub const MAX_PENDING: usize = 100;
/// Most confirmations of one list.
pub const MAX_LISTED: usize = 500;

/// A call that waits for a human.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConfirmRequest {
    /// Identifies the question.
    pub id: Uuid,
    /// The server's name.
    pub server: String,
    /// The tool's name.
    pub tool: String,
    /// The exact bytes that would be sent.
    pub arguments: Box<RawValue>,
    /// The rule that asks for a human.
    pub rule: Rule,
}

impl ConfirmRequest {
    /// A question.
    #[must_use]
    pub fn new(server: &str, tool: &str, arguments: Box<RawValue>, rule: Rule) -> Self {
        Self { id: Uuid::now_v7(), server: server.into(), tool: tool.into(), arguments, rule }
    }
}

/// What the human said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Run it, as it is.
    Approve,
    /// Do not run it.
    Decline {
        /// Why, for the model and the ledger.
        reason: String,
    },
}

/// Asks the human at the door.
///
/// # Contract
/// * `decide` is asked once at most for a call that needs a human and that the asker may agree to alone
///   ([`ApprovalRules::may_agree_alone`]), and never in an ask that can be parked. Calls of one answer run at the same
///   time, and so do their questions.
/// * **Cancel-safe**: at the call's deadline, and when the ask is stopped, the future is dropped. That is a no; what
///   the human says later is for nobody, and is not to be taken for the answer to another question.
/// * It has no errors: whoever cannot ask declines. The reason is told to the model and kept in the ledger.
/// * To approve is no promise that the call is sent: the tool may be another one by then, the policy may forbid it, or
///   the ledger may be unable to take it. That somebody agreed is in the ledger before the call is sent.
/// * Arguments may be a model's words, with whatever it has read: whoever shows them lets nothing in them take effect.
#[async_trait]
pub trait Approver: Send + Sync + std::fmt::Debug {
    /// Asks, and waits; the caller's deadline ends the wait with a no.
    async fn decide(&self, request: &ConfirmRequest) -> Verdict;
}

#[async_trait]
impl<T: Approver + ?Sized> Approver for Arc<T> {
    async fn decide(&self, request: &ConfirmRequest) -> Verdict {
        (**self).decide(request).await
    }
}

/// Nobody can be asked: everything that needs a human is declined.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unattended;

#[async_trait]
impl Approver for Unattended {
    async fn decide(&self, _: &ConfirmRequest) -> Verdict {
        Verdict::Decline { reason: "nobody is there to approve it".into() }
    }
}

#[cfg(test)]
mod tests;
