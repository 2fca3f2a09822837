//! Lists: what is on offer, in the words of the servers.

use rmcp::model::{ListToolsResult, Prompt, Resource, ResourceTemplate, Tool};
use serde::{Deserialize as _, de::DeserializeOwned};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use crate::{
    catalog::{OfferedTool, ToolDef, ToolSet},
    omni::Offer,
};

/// What a tool does without, where rmcp cannot read it.
const OPTIONAL: [&str; 3] = ["icons", "_meta", "outputSchema"];

/// All tools of a set. One that rmcp cannot read is left out, with a warning.
pub(super) fn tools(set: &ToolSet) -> ListToolsResult {
    let tool = |offered: &OfferedTool| tool(&offered.def, &offered.llm_name);
    ListToolsResult::with_all_items(set.tools().iter().filter_map(tool).collect())
}

/// A tool in the words of its server, with the schema and the hints that omni itself goes by.
fn tool(def: &ToolDef, name: &str) -> Option<Tool> {
    let left_out = |error: &serde_json::Error| {
        tracing::warn!(%error, server = %def.server, tool = %def.name, "a tool is left out: it cannot be read");
    };
    let mut fields: Map<String, Value> = serde_json::from_str(def.definition().get()).inspect_err(left_out).ok()?;
    fields.insert("name".into(), name.into());
    if !fields.get("inputSchema").is_some_and(Value::is_object) {
        let schema = serde_json::from_str(def.input_schema.get()).inspect_err(left_out).ok()?;
        fields.insert("inputSchema".into(), schema);
    }
    if let Some(hints) = fields.get_mut("annotations") {
        *hints = serde_json::to_value(&def.annotations).inspect_err(left_out).ok()?;
    }
    let tool = Tool::deserialize(&fields).or_else(|error| reduced(&fields).ok_or(error));
    tool.inspect_err(left_out).ok()
}

/// The tool without what rmcp cannot read of it: one thing, or all that a tool does without.
fn reduced(fields: &Map<String, Value>) -> Option<Tool> {
    let ways = OPTIONAL.iter().map(std::slice::from_ref).chain([&OPTIONAL[..]]);
    ways.filter_map(|left_out| {
        let mut fields = fields.clone();
        fields.retain(|name, _| !left_out.contains(&name.as_str()));
        Tool::deserialize(&fields).ok()
    })
    .next()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(definition: &Value, hint: Option<bool>) -> Option<Value> {
        let schema = to_raw_value(&json!({ "type": "object" })).unwrap();
        let mut def = ToolDef::new("lab", "t", schema).with_definition(to_raw_value(definition).unwrap());
        def.annotations.read_only_hint = hint;
        tool(&def, "lab__t").map(|tool| serde_json::to_value(tool).unwrap())
    }

    #[test]
    fn a_tool_is_on_offer_with_what_is_understood_of_it() {
        let schema = json!({ "type": "object" });
        for odd in [
            json!({ "name": "t" }),
            json!({ "name": "t", "inputSchema": null }),
            json!({ "name": "t", "inputSchema": schema, "annotations": { "readOnlyHint": "yes" } }),
            json!({ "name": "t", "inputSchema": schema, "annotations": "odd" }),
            json!({ "name": "t", "inputSchema": schema, "icons": [{ "src": "a", "sizes": "any" }] }),
            json!({ "name": "t", "inputSchema": schema, "icons": 1, "_meta": 1, "outputSchema": true }),
        ] {
            let shown = shown(&odd, None).unwrap_or_else(|| panic!("{odd} is left out"));
            assert_eq!((&shown["name"], &shown["inputSchema"]), (&json!("lab__t"), &schema), "{odd}");
            assert!(shown["annotations"].get("readOnlyHint").is_none() && shown.get("icons").is_none(), "{odd}");
        }
    }

    #[test]
    fn a_client_is_told_the_hints_that_omni_goes_by_and_all_else_that_its_server_says() {
        let said = json!({
            "name": "t", "title": "T", "inputSchema": { "type": "object", "x": 1 }, "outputSchema": { "type": "object" },
            "annotations": { "readOnlyHint": "yes" }, "icons": [{ "src": "a" }], "_meta": { "example.com/own": 1 },
        });
        let shown = shown(&said, Some(true)).unwrap();
        for field in ["title", "inputSchema", "outputSchema", "icons", "_meta"] {
            assert_eq!(shown[field], said[field]);
        }
        assert_eq!(shown["annotations"], json!({ "readOnlyHint": true }));
    }
}
