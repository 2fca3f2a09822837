//! The JSON documents of commands: `omni.ask/1` of an ask, also when it failed, `omni.dry-run/1`,
//! `omni.call/1`, and that of a failure.
//!
//! Their JSON Schemas are in `schema` beside this crate's sources; a test holds both together.

use omni_core::{
    Answer,
    answer::{
        Status,
        json::{AnswerJson, CallJson, DenialJson, ErrorJson, UsageJson, WarningJson},
    },
    omni::{CallReply, Preview},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Ending, told};
use crate::exit::Exit;

/// The name of the form, in every document.
pub const ASK_SCHEMA: &str = "omni.ask/1";
/// The name of a dry run's form.
pub const DRY_RUN_SCHEMA: &str = "omni.dry-run/1";
/// The name of a direct call's form.
pub const CALL_SCHEMA: &str = "omni.call/1";

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AskDocument {
    /// Always `omni.ask/1`.
    pub schema: String,
    /// Whether the exit code is 0.
    pub ok: bool,
    /// How it ended; `denied` also when an answer had to do without a call that was refused.
    pub status: Status,
    /// The exit code.
    pub exit_code: u8,
    /// The answer's text; of a failed ask, what there was.
    pub answer: String,
    /// Structured data that was asked for; `null` where none was.
    pub data: Option<Value>,
    /// The session; `null` where none is kept.
    pub session_id: Option<String>,
    /// Identifies the ask in logs and ledger; nil if it never began.
    pub request_id: Uuid,
    /// Whose rights counted; empty if it never came so far.
    pub user: String,
    /// Their role.
    pub role: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Why the model stopped.
    pub stop_reason: Option<String>,
    /// Every tool call, refused ones too, in order.
    pub tool_calls: Vec<CallJson>,
    /// Every refusal, in order.
    pub denials: Vec<DenialJson>,
    /// Tokens and cost.
    pub usage: UsageJson,
    /// Model turns.
    pub iterations: u32,
    /// How long it took.
    pub duration_ms: u64,
    /// What the asker should know.
    pub warnings: Vec<WarningJson>,
    /// Why it failed.
    pub error: Option<ErrorJson>,
}

impl AskDocument {
    /// Of an ask that ended.
    pub(crate) fn of(ending: &Ending) -> Self {
        let error = ending.result.as_ref().err().map(|failure| told(&failure.error));
        Self::of_fault(ending.answer(), error, ending.exit)
    }

    pub(crate) fn of_fault(answer: &Answer, error: Option<ErrorJson>, exit: Exit) -> Self {
        let json = AnswerJson::from(answer);
        Self {
            schema: ASK_SCHEMA.into(),
            ok: exit == Exit::Success,
            status: if exit == Exit::Denied { Status::Denied } else { json.status },
            exit_code: exit.code(),
            answer: json.answer,
            data: None,
            session_id: json.thread_id,
            request_id: json.request_id,
            user: json.user,
            role: json.role,
            model: json.model,
            stop_reason: json.stop_reason,
            tool_calls: json.calls,
            denials: json.denials,
            usage: json.usage,
            iterations: json.iterations,
            duration_ms: json.duration_ms,
            warnings: json.warnings,
            error,
        }
    }
}

/// A command other than `ask` that failed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct FaultDocument {
    /// Always `false`.
    pub ok: bool,
    /// The exit code.
    pub exit_code: u8,
    /// Why.
    pub error: Option<ErrorJson>,
}

impl FaultDocument {
    pub(crate) fn new(error: Option<ErrorJson>, exit: Exit) -> Self {
        Self { ok: false, exit_code: exit.code(), error }
    }
}

/// What an ask would be given: `ask --dry-run --json`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct DryRunDocument {
    /// Always `omni.dry-run/1`.
    pub schema: String,
    /// Always `true`.
    pub ok: bool,
    /// Always 0.
    pub exit_code: u8,
    /// The model.
    pub model: String,
    /// Whose model it is.
    pub provider: String,
    /// Whose rights would count.
    pub user: String,
    /// Their role.
    pub role: String,
    /// The tools on offer, as `server.tool`.
    pub tools: Vec<String>,
    /// The system prompt.
    pub system: String,
}

impl DryRunDocument {
    pub(crate) fn of(preview: &Preview) -> Self {
        Self {
            schema: DRY_RUN_SCHEMA.into(),
            ok: true,
            exit_code: Exit::Success.code(),
            model: preview.model.id.clone(),
            provider: preview.model.provider.to_string(),
            user: preview.grant.principal.subject.clone(),
            role: preview.grant.role.name.to_string(),
            tools: preview.tools.tools().iter().map(|tool| tool.def.full_name()).collect(),
            system: preview.system.clone(),
        }
    }
}

/// What a tool returned: `tools call -o json`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct CallDocument {
    /// Always `omni.call/1`.
    pub schema: String,
    /// Whether the exit code is 0.
    pub ok: bool,
    /// The exit code.
    pub exit_code: u8,
    /// The call.
    pub call: CallJson,
    /// The parts of the result, as MCP has them.
    pub content: Vec<Value>,
    /// Its structured form, if it has one.
    pub structured: Option<Value>,
    /// Whether something was cut.
    pub truncated: bool,
}

impl CallDocument {
    pub(crate) fn new(reply: &CallReply, exit: Exit) -> serde_json::Result<Self> {
        let CallReply { summary, output, .. } = reply;
        Ok(Self {
            schema: CALL_SCHEMA.into(),
            ok: exit == Exit::Success,
            exit_code: exit.code(),
            call: CallJson::from(summary),
            content: output.content.iter().map(serde_json::to_value).collect::<Result<_, _>>()?,
            structured: output.structured.clone(),
            truncated: output.truncated,
        })
    }
}

/// JSON Schema of [`AskDocument`].
#[must_use]
pub fn ask_schema() -> Value {
    schema::<AskDocument>(ASK_SCHEMA)
}

/// JSON Schema of [`DryRunDocument`].
#[must_use]
pub fn dry_run_schema() -> Value {
    schema::<DryRunDocument>(DRY_RUN_SCHEMA)
}

/// JSON Schema of [`CallDocument`].
#[must_use]
pub fn call_schema() -> Value {
    schema::<CallDocument>(CALL_SCHEMA)
}

/// JSON Schema of [`FaultDocument`].
#[must_use]
pub fn fault_schema() -> Value {
    schemars::schema_for!(FaultDocument).to_value()
}

fn schema<T: JsonSchema>(name: &str) -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    schema["properties"]["schema"]["const"] = name.into();
    schema
}
