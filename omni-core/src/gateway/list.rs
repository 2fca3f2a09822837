//! Lists: what is on offer, in the words of the servers.

use rmcp::model::{ListToolsResult, Tool, ToolAnnotations};
use serde_json::{Map, Value};

use crate::catalog::{OfferedTool, ToolSet};

/// All tools of a set.
pub(super) fn tools(set: &ToolSet) -> ListToolsResult {
    ListToolsResult::with_all_items(set.tools().iter().map(tool).collect())
}

/// A tool as its server defined it, under the name by which it is called here.
fn tool(offered: &OfferedTool) -> Tool {
    let def = &offered.def;
    let schema = |raw: &serde_json::value::RawValue| serde_json::from_str::<Map<String, Value>>(raw.get()).ok();
    let mut tool = Tool::default();
    tool.name = offered.llm_name.to_string().into();
    tool.title.clone_from(&def.title);
    tool.description = Some(def.description.clone().into()).filter(|_| !def.description.is_empty());
    tool.input_schema = schema(&def.input_schema).unwrap_or_default().into();
    tool.output_schema = def.output_schema.as_deref().and_then(schema).map(Into::into);
    let hints = &def.annotations;
    let annotations = ToolAnnotations::from_raw(
        hints.title.clone(),
        hints.read_only_hint,
        hints.destructive_hint,
        hints.idempotent_hint,
        hints.open_world_hint,
    );
    tool.annotations = Some(annotations).filter(|annotations| *annotations != ToolAnnotations::default());
    tool
}
