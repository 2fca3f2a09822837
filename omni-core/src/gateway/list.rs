//! Lists: what is on offer, in the words of the servers.

use rmcp::model::{ListToolsResult, Prompt, Resource, ResourceTemplate, Tool};
use serde::de::DeserializeOwned;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use crate::{catalog::ToolSet, omni::Offer};

/// All tools of a set. One that rmcp cannot read is left out, with a warning.
pub(super) fn tools(set: &ToolSet) -> ListToolsResult {
    let tool = |offered: &crate::catalog::OfferedTool| read::<Tool>(&offered.def.definition(), &offered.llm_name);
    ListToolsResult::with_all_items(set.tools().iter().filter_map(tool).collect())
}

pub(super) fn prompts(offer: &Offer<'_>) -> Vec<Prompt> {
    offer.prompts.iter().filter_map(|(name, def)| read(&def.raw, name)).collect()
}

pub(super) fn resources(offer: &Offer<'_>) -> Vec<Resource> {
    offer.resources.iter().filter_map(|def| as_it_is(&def.raw)).collect()
}

pub(super) fn templates(offer: &Offer<'_>) -> Vec<ResourceTemplate> {
    offer.templates.iter().filter_map(|def| as_it_is(&def.raw)).collect()
}

/// A definition as its server wrote it, under the name by which it is called here.
fn read<T: DeserializeOwned>(raw: &RawValue, name: &str) -> Option<T> {
    let mut fields: Map<String, Value> = serde_json::from_str(raw.get()).ok()?;
    fields.insert("name".into(), name.into());
    as_it_is(&to_raw_value(&fields).ok()?)
}

fn as_it_is<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    let read = serde_json::from_str(raw.get());
    read.inspect_err(|error| tracing::warn!(%error, "a definition is left out: it is not as the protocol has it")).ok()
}
