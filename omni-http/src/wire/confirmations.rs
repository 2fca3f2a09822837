//! Calls that wait for a human.

use chrono::{DateTime, Utc};
use omni_core::{
    Answer,
    answer::{PendingCall, json::AnswerJson},
    omni::ConfirmationView,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::router::Mount;

/// The calls that wait and that one may decide on, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Confirmations {
    pub(crate) confirmations: Vec<Confirmation>,
}

/// A call that waits for a human, or waited for one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Confirmation {
    /// Its id.
    pub(crate) id: Uuid,
    /// The ask that it is of.
    pub(crate) request_id: Uuid,
    /// Who asked.
    pub(crate) user: String,
    /// The conversation that the ask belongs to.
    pub(crate) thread_id: Option<String>,
    /// The server.
    pub(crate) mcp: String,
    /// The tool.
    pub(crate) tool: String,
    /// The arguments, without secrets.
    pub(crate) arguments: Value,
    /// The rule that asks for a human; for administrators.
    pub(crate) rule: Option<String>,
    /// `pending`, `approved`, `denied`, `expired`, `void`, `running`, `done`, `unknown_outcome`.
    pub(crate) state: &'static str,
    /// When it was asked.
    pub(crate) created_at: DateTime<Utc>,
    /// Until when somebody may decide; then the answer is no.
    pub(crate) expires_at: DateTime<Utc>,
    /// Whether you may agree to it.
    pub(crate) may_approve: bool,
    /// Who decided.
    pub(crate) decided_by: Option<String>,
    /// When.
    pub(crate) decided_at: Option<DateTime<Utc>>,
    /// Why it was denied, or is void.
    pub(crate) reason: Option<String>,
    /// How the ask ended that went on: the last event of its stream, `done` or `error`. For whoever asked.
    pub(crate) result: Option<Value>,
}

impl From<ConfirmationView> for Confirmation {
    fn from(view: ConfirmationView) -> Self {
        let one = view.confirmation;
        Self {
            id: one.id,
            request_id: one.run,
            user: one.subject,
            thread_id: one.thread,
            mcp: one.server,
            tool: one.tool,
            arguments: view.arguments,
            rule: Some(one.rule).filter(|rule| !rule.is_empty()),
            state: one.state.as_str(),
            created_at: one.created_at,
            expires_at: one.expires_at,
            may_approve: view.may_approve,
            decided_by: one.decided_by,
            decided_at: one.decided_at,
            reason: one.reason,
            result: view.result,
        }
    }
}

/// What a human says of a call that waits.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Decision {
    /// Whether it is to run.
    pub(crate) approve: bool,
    /// Why not; the model is told.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// Whether what servers ask in the middle of a call is told and answered (`POST /elicitations/{id}`), where you are
    /// the asker; streams only.
    #[serde(default)]
    pub(crate) elicitation: bool,
    /// Who says so: an e-mail address. Absent: the key's owner; anybody else takes a key with the scope `act_as`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
}

/// For whom calls that wait are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Viewer {
    /// An e-mail address. Absent: the key's owner; anybody else takes a key with the scope `act_as`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
}

/// An ask that waits for a human.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// Always `waiting`.
    pub(crate) status: &'static str,
    /// Identifies the question in the ledger.
    pub(crate) request_id: Uuid,
    /// The conversation that it belongs to, as the question named it.
    pub(crate) thread_id: Option<String>,
    /// What was said so far.
    pub(crate) answer: String,
    /// Calls of tools so far.
    pub(crate) tools_used: Vec<String>,
    /// The calls that wait. The ask goes on when all of them are decided.
    pub(crate) confirmations: Vec<WaitingCall>,
}

/// A call that an ask waits for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingCall {
    /// Its id.
    pub(crate) id: Uuid,
    /// The path to look at it, and to decide on it by `POST`.
    pub(crate) url: String,
    /// The server.
    pub(crate) mcp: String,
    /// The tool.
    pub(crate) tool: String,
    /// The arguments, without secrets.
    pub(crate) arguments: Value,
    /// Until when somebody may agree.
    pub(crate) expires_at: DateTime<Utc>,
}

impl Waiting {
    /// What an ask waits for, at a door that is mounted somewhere.
    pub(crate) fn new(answer: &Answer, mount: &Mount) -> Self {
        let json = AnswerJson::from(answer);
        Self {
            status: "waiting",
            request_id: answer.request_id,
            thread_id: json.thread_id,
            answer: answer.text.clone(),
            tools_used: json.tools_used,
            confirmations: answer.pending.iter().map(|call| WaitingCall::new(call, mount)).collect(),
        }
    }
}

impl WaitingCall {
    fn new(call: &PendingCall, mount: &Mount) -> Self {
        Self {
            id: call.id,
            url: mount.path(&format!("/confirmations/{}", call.id)),
            mcp: call.server.clone(),
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
            expires_at: call.expires_at,
        }
    }
}
