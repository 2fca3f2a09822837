//! One tool, the form of its arguments, and what came of a call.

use askama::Template;
use omni_core::{
    answer::CallStatus,
    catalog::{ToolAnnotations, ToolDef},
    omni::{CallReply, OfferedServer},
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    error::ApiError,
    ui::{
        answer::Frame,
        fields::{Fields, link},
        form::{self, Field, Kind},
        show,
    },
    wire::ToolFinding,
};

/// Most characters of a result that a page shows.
const MAX_SHOWN: usize = 100_000;

#[derive(Debug, Template, Serialize)]
#[template(path = "tool.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    server: String,
    tool: String,
    title: String,
    description: String,
    input_schema: Value,
    /// Why it is kept back.
    held: Option<&'static str>,
    findings: Vec<ToolFinding>,
    fields: Vec<Field>,
    /// What came of the call that was just made.
    tried: Option<Tried>,
    #[serde(skip)]
    raw: String,
    #[serde(skip)]
    hints: Vec<(&'static str, &'static str)>,
    #[serde(skip)]
    schema_text: String,
    #[serde(skip)]
    back: String,
}

/// What came of a call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::ui) enum Tried {
    /// It was not made, or came to nothing.
    Refused(Vec<String>),
    Answered {
        request_id: Uuid,
        is_error: bool,
        text: String,
        duration_ms: u64,
    },
}

impl Tried {
    pub(in crate::ui) fn answered(request_id: Uuid, reply: &CallReply) -> Self {
        Self::Answered {
            request_id,
            is_error: reply.summary.status != CallStatus::Ok,
            text: shortened(&reply.text()),
            duration_ms: reply.summary.duration_ms,
        }
    }
}

/// As much of a result as a page shows, and how much it leaves out.
fn shortened(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(MAX_SHOWN) else { return text.to_owned() };
    format!("{}\n… [cut: {MAX_SHOWN} of {} characters]", &text[..end], text.chars().count())
}

impl View {
    fn took(duration_ms: &u64) -> String {
        show::duration(*duration_ms)
    }

    fn trace(request_id: &Uuid) -> String {
        link("ask", &[("id", &request_id.to_string())])
    }

    fn is_long(field: &Field) -> bool {
        field.kind == Kind::Json || field.value.contains('\n')
    }
}

/// What a server says of a tool in a word each, and how grave it is.
pub(in crate::ui) fn hints(hints: &ToolAnnotations) -> Vec<(&'static str, &'static str)> {
    let all = [
        ("read only", "ok", hints.read_only_hint == Some(true)),
        ("destructive", "bad", hints.destructive_hint == Some(true)),
        ("idempotent", "dim", hints.idempotent_hint == Some(true)),
        ("open world", "dim", hints.open_world_hint == Some(true)),
    ];
    all.into_iter().filter(|(.., holds)| *holds).map(|(name, mark, _)| (name, mark)).collect()
}

/// A tool of a server, and why it is kept back if it is.
fn found<'a>(offered: &'a OfferedServer, tool: &str) -> Result<(&'a ToolDef, Option<&'static str>), ApiError> {
    let view = &offered.view;
    let usable = view.tools.iter().map(|def| (&**def, None));
    let held = view.withheld.iter().map(|held| (&*held.def, Some(held.why.told())));
    let found = usable.chain(held).find(|(def, _)| *def.name == *tool);
    found.ok_or_else(|| ApiError::not_found(format!("{} has no tool {tool:?}", view.name)))
}

/// The schema of a tool's arguments.
///
/// # Errors
/// There is no such tool.
pub(in crate::ui) fn schema(offered: &OfferedServer, tool: &str) -> Result<Value, ApiError> {
    Ok(serde_json::from_str(found(offered, tool)?.0.input_schema.get()).unwrap_or_default())
}

/// # Errors
/// There is no such tool.
pub(in crate::ui) fn of(
    frame: Frame,
    offered: &OfferedServer,
    tool: &str,
    written: &Fields,
    tried: Option<Tried>,
) -> Result<View, ApiError> {
    let (def, held) = found(offered, tool)?;
    let (view, schema) = (&offered.view, schema(offered, tool)?);
    let withheld = view.withheld.iter().find(|held| held.def.name == def.name).map(|held| &*held.findings);
    let findings = withheld.or_else(|| view.flagged.get(&def.name).map(|found| &**found)).unwrap_or_default();
    Ok(View {
        frame: frame.titled(def.full_name()),
        server: view.name.to_string(),
        tool: def.name.to_string(),
        title: def.title.clone().or_else(|| def.annotations.title.clone()).unwrap_or_default(),
        description: def.description.clone(),
        held,
        findings: findings.iter().map(ToolFinding::from).collect(),
        fields: form::of(&schema, written),
        tried,
        raw: written.text("raw"),
        hints: hints(&def.annotations),
        schema_text: show::json(&schema),
        input_schema: schema,
        back: link("server", &[("name", &view.name)]),
    })
}
