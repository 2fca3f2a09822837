//! What a model reads on with in results that are kept: a tool of omni's own.
//!
//! It is on offer in every conversation, whether anything is kept there or not, so that prompt caches keep
//! hitting. Where results of servers stand, their fence names them.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    menu,
    plan::{Disposition, Judge, PlannedCall, Refused},
};
use crate::{
    answer::{CallStatus, CallSummary},
    call::{CallEnd, Caller},
    catalog::OfferedTool,
    error::Error,
    parts::{Parts, STEP_TIMEOUT},
    policy::effective,
    results::KeptResult,
};

const READ: &str = "read_result";

/// Most bytes of one page.
const MAX_PAGE: usize = 8 * 1024;

static TOOL: LazyLock<OfferedTool> = LazyLock::new(|| {
    let number = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    let schema = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "description": "The result, as its <tool_output> names it." },
            "offset": number("At which byte to begin; 0 unless given. Each page says where the next one begins."),
            "limit": { "type": "integer", "minimum": 1, "maximum": MAX_PAGE, "description": format!("Most bytes; {MAX_PAGE} unless given.") },
        },
        "required": ["id"],
        "additionalProperties": false,
    });
    let description = "Reads a result that a tool returned earlier in this conversation, page by page: where it was cut, \
                       or is shown in short. It costs no call of the tool, and is as it was then.";
    menu::own(READ, description, &schema)
});

/// The tool.
pub(crate) fn tool() -> OfferedTool {
    TOOL.clone()
}

/// Whether a call read a kept result, or tried to.
pub(crate) fn is_own(call: &CallSummary) -> bool {
    call.unsent && call.server == menu::OWN && call.tool == READ
}

/// Which part of which result is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reading {
    /// The result.
    pub id: String,
    /// At which byte the part begins.
    #[serde(default)]
    pub offset: usize,
    /// Most bytes of it.
    #[serde(default = "whole_page")]
    pub limit: usize,
}

fn whole_page() -> usize {
    MAX_PAGE
}

impl Judge<'_> {
    /// Judges a call of it; `false` where the name is another.
    pub(super) fn plan_reading(&self, call: &mut PlannedCall, name: &str) -> bool {
        if name != READ {
            return false;
        }
        call.server = menu::OWN.into();
        let reading = menu::fitting(&TOOL, call).and_then(|arguments: Value| {
            serde_json::from_value(arguments).map_err(|error| format!("The arguments do not fit the tool: {error}"))
        });
        match reading {
            Ok(reading) => call.disposition = Disposition::Read(reading),
            Err(message) => call.refuse(Refused::Arguments, message),
        }
        true
    }
}

/// Reads a part of a result that is the asker's own and of a tool that they may use by now.
pub(crate) async fn read(parts: &Parts, caller: &Caller<'_>, reading: &Reading) -> CallEnd {
    match find(parts, caller, &reading.id).await {
        Ok(kept) => CallEnd::own(&page(&kept, reading)),
        Err(error @ (Error::NotFound { .. } | Error::Policy(_))) => {
            CallEnd::unsent(CallStatus::Error, format!("It cannot be read: {error}."))
        }
        Err(error) => {
            tracing::warn!(%error, "a kept result could not be read");
            CallEnd::unsent(CallStatus::Error, "It cannot be read at the moment.")
        }
    }
}

async fn find(parts: &Parts, caller: &Caller<'_>, id: &str) -> Result<KeptResult, Error> {
    let live = parts.live.policy();
    let late = |_| Error::Internal { message: "the policy store did not answer in time".into() };
    let grant = timeout(STEP_TIMEOUT, effective(&*live, &caller.grant.principal)).await.map_err(late)??;
    parts.result(&grant, id).await
}

/// What the model reads: where it stands, and the part.
fn page(kept: &KeptResult, reading: &Reading) -> String {
    let page = kept.page(reading.offset, reading.limit.clamp(1, MAX_PAGE));
    let (name, all) = (kept.call.full_name(), kept.text.len());
    let (from, to) = (page.offset, page.offset + page.text.len());
    let rest = match page.next {
        Some(next) => format!("the next page begins at offset {next}"),
        None if kept.call.is_cut => "nothing is kept of what came after".into(),
        None => "this is the end".into(),
    };
    format!("[{name}, bytes {from} to {to} of {all}; {rest}]\n{}", page.text)
}
