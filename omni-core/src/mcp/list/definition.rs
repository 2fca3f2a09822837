//! Entries of lists, read and checked.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Entry, Page, hints};
use crate::{
    catalog::{MAX_DESCRIPTION_CHARS, PromptDef, ResourceDef, ResourceTemplateDef, ToolDef, empty_schema},
    mcp::content::clean,
};

/// Largest schema of a tool, in bytes.
pub(super) const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// Largest definition that is kept whole, in bytes; of a larger one what omni knows is kept.
const MAX_DEFINITION_BYTES: usize = 256 * 1024;

/// Longest name, in characters.
pub(super) const MAX_NAME_CHARS: usize = 256;

/// Longest address of a resource, in characters.
const MAX_URI_CHARS: usize = 4_096;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTool {
    name: String,
    title: Option<String>,
    description: Option<String>,
    input_schema: Option<Box<RawValue>>,
    output_schema: Option<Box<RawValue>>,
    annotations: Option<Box<RawValue>>,
    execution: Option<Box<RawValue>>,
}

/// How a tool runs (2025-11-25).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    task_support: Option<String>,
}

/// The fields of everything else that is listed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: String,
    title: Option<String>,
    description: Option<String>,
    uri: Option<String>,
    uri_template: Option<String>,
    mime_type: Option<String>,
}

impl Entry for ToolDef {
    const METHOD: &'static str = "tools/list";
    const WORD: &'static str = "tool";

    fn of_page(page: &mut Page) -> Option<Vec<Box<RawValue>>> {
        page.tools.take()
    }

    fn read(server: &Arc<str>, raw: Box<RawValue>) -> Result<Self, String> {
        let wire: WireTool = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
        let name = usable(&wire.name, "a tool", MAX_NAME_CHARS)?;
        let schema = match wire.input_schema {
            Some(schema) => schema,
            None => to_raw_value(&empty_schema()).map_err(|error| error.to_string())?,
        };
        if schema.get().len() > MAX_SCHEMA_BYTES {
            return Err(format!("the schema of {name:?} has more than {MAX_SCHEMA_BYTES} bytes"));
        }
        if !schema.get().starts_with('{') {
            return Err(format!("the schema of {name:?} is not an object"));
        }
        let mut tool =
            Self::new(server.clone(), name, schema).with_description(&description(wire.description.as_deref()));
        tool.annotations = wire.annotations.as_deref().map(hints::read).unwrap_or_default();
        let execution = wire.execution.and_then(|raw| serde_json::from_str::<Execution>(raw.get()).ok());
        tool.needs_task = execution.and_then(|execution| execution.task_support).as_deref() == Some("required");
        tool.annotations.title = tool.annotations.title.as_deref().map(label);
        tool.title = wire.title.as_deref().map(label).or_else(|| tool.annotations.title.clone());
        tool.output_schema = wire.output_schema.filter(|schema| schema.get().len() <= MAX_SCHEMA_BYTES);
        Ok(if raw.get().len() <= MAX_DEFINITION_BYTES { tool.with_definition(raw) } else { tool })
    }
}

impl Entry for PromptDef {
    const METHOD: &'static str = "prompts/list";
    const WORD: &'static str = "prompt";

    fn of_page(page: &mut Page) -> Option<Vec<Box<RawValue>>> {
        page.prompts.take()
    }

    fn read(server: &Arc<str>, raw: Box<RawValue>) -> Result<Self, String> {
        let wire = wire(&raw)?;
        let mut prompt = Self::new(server.clone(), usable(&wire.name, "a prompt", MAX_NAME_CHARS)?, raw);
        (prompt.title, prompt.description) =
            (wire.title.as_deref().map(label), description(wire.description.as_deref()));
        Ok(prompt)
    }
}

impl Entry for ResourceDef {
    const METHOD: &'static str = "resources/list";
    const WORD: &'static str = "resource";

    fn of_page(page: &mut Page) -> Option<Vec<Box<RawValue>>> {
        page.resources.take()
    }

    fn read(server: &Arc<str>, raw: Box<RawValue>) -> Result<Self, String> {
        let wire = wire(&raw)?;
        let uri = wire.uri.ok_or("a resource without uri")?;
        let mut resource = Self::new(server.clone(), usable(&uri, "a resource", MAX_URI_CHARS)?, raw);
        (resource.name, resource.description) = (label(&wire.name), description(wire.description.as_deref()));
        resource.mime = wire.mime_type.as_deref().map(label);
        Ok(resource)
    }
}

impl Entry for ResourceTemplateDef {
    const METHOD: &'static str = "resources/templates/list";
    const WORD: &'static str = "family of resources";

    fn of_page(page: &mut Page) -> Option<Vec<Box<RawValue>>> {
        page.resource_templates.take()
    }

    fn read(server: &Arc<str>, raw: Box<RawValue>) -> Result<Self, String> {
        let wire = wire(&raw)?;
        let template = wire.uri_template.ok_or("a family of resources without uriTemplate")?;
        let mut family = Self::new(server.clone(), usable(&template, "a family of resources", MAX_URI_CHARS)?, raw);
        family.name = label(&wire.name);
        Ok(family)
    }
}

fn wire(raw: &RawValue) -> Result<Wire, String> {
    if raw.get().len() > MAX_DEFINITION_BYTES {
        return Err(format!("a definition of more than {MAX_DEFINITION_BYTES} bytes"));
    }
    serde_json::from_str(raw.get()).map_err(|error| error.to_string())
}

fn label(text: &str) -> String {
    clean(text, MAX_NAME_CHARS)
}

fn description(text: Option<&str>) -> String {
    clean(text.unwrap_or_default(), MAX_DESCRIPTION_CHARS)
}

/// A name is an identifier: one that hides characters would pass for another.
fn usable<'a>(name: &'a str, what: &str, max: usize) -> Result<&'a str, String> {
    let fits = !name.is_empty() && name.chars().count() <= max;
    if fits && clean(name, usize::MAX) == name && !name.contains(['\n', '\t']) {
        Ok(name)
    } else {
        Err(format!("{:?} is no name for {what}", clean(name, MAX_NAME_CHARS)))
    }
}
