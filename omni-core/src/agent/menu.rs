//! The small menu that a model gets in place of a list of tools too long to read: find some, look at
//! one, call one.
//!
//! The menu is the same for everybody and every question, so that prompt caches keep hitting. What is
//! found is found among the asker's own tools. A call through the menu is a call of the real tool: it
//! is taken out of its wrapping here, before anything judges it, and nothing after that sees a menu.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::plan::{Disposition, Judge, PlannedCall, Refused, arguments};
use crate::{
    catalog::{OfferedTool, ToolDef, ToolSet, empty_schema},
    policy::Grant,
};

/// Under which server's name the menu's own tools stand in events and records.
pub(crate) const OWN: &str = "omni";

const FIND: &str = "find_tools";
const DESCRIBE: &str = "describe_tool";
const CALL: &str = "call_tool";

/// How many tools are found where the model does not say, and at most.
const FOUND: usize = 5;
const MAX_FOUND: usize = 20;
/// Most characters of a description in a list of found tools.
const MAX_SUMMARY: usize = 300;
/// Largest schema that stands in such a list, in bytes: of a larger one only names of arguments do, in as many bytes.
const MAX_SCHEMA: usize = 2_000;
/// Most bytes of what the menu says.
const MAX_TEXT: usize = 48 * 1024;

static MENU: LazyLock<Arc<ToolSet>> = LazyLock::new(|| Arc::new(ToolSet::of_own(tools())));

/// What the model gets in place of its tools.
pub(crate) fn menu() -> Arc<ToolSet> {
    MENU.clone()
}

/// What the system prompt says beside the menu.
pub(crate) const RULE: &str = "\
There are too many tools to list here. Find those that you need with find_tools, by what they should do; look at one \
with describe_tool where its arguments are not clear; then call it with call_tool. Search again in other words before \
you say that there is no tool for something.";

fn tools() -> Vec<OfferedTool> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let object = |properties: Value, required: &[&str]| json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    let find = object(
        json!({
            "query": text("What the tool should do, in a few words, with the name of the system where there is one."),
            "limit": { "type": "integer", "minimum": 1, "maximum": MAX_FOUND, "description": format!("How many; {FOUND} unless given.") },
        }),
        &["query"],
    );
    let describe = object(json!({ "tool": text("The name of a tool, as find_tools gave it.") }), &["tool"]);
    let call = object(
        json!({
            "tool": text("The name of a tool, as find_tools gave it."),
            "arguments": { "type": "object", "description": "The tool's arguments, by its input schema." },
        }),
        &["tool", "arguments"],
    );
    [
        (FIND, "Finds tools by what they do, the best first, with their arguments.", find),
        (DESCRIBE, "Tells all that is known of one tool: its whole description and its input schema.", describe),
        (CALL, "Calls a tool that find_tools found.", call),
    ]
    .into_iter()
    .map(|(name, description, schema)| own(name, description, &schema))
    .collect()
}

pub(super) fn own(name: &str, description: &str, schema: &Value) -> OfferedTool {
    let schema = to_raw_value(schema).or_else(|_| to_raw_value(&empty_schema())).unwrap_or_default();
    let def = ToolDef::new(OWN, name, schema).with_description(description);
    OfferedTool { def: Arc::new(def), llm_name: name.into() }
}

/// The arguments of `call_tool`. Those of the tool stay as they were written.
#[derive(Deserialize)]
struct Wrapped {
    tool: String,
    arguments: Box<RawValue>,
}

impl Judge<'_> {
    /// Judges a call of the menu; `false` where the name is none of it.
    pub(super) fn plan_menu(&self, call: &mut PlannedCall, name: &str) -> bool {
        let menu = menu();
        let Some(own) = menu.by_llm_name(name) else { return false };
        call.server = OWN.into();
        match fitting(own, call) {
            Err(message) => call.refuse(Refused::Arguments, message),
            Ok(arguments) => match name {
                FIND => call.disposition = Disposition::Answer { text: self.found(&arguments) },
                DESCRIBE => self.describe(call, arguments["tool"].as_str().unwrap_or_default()),
                _ => self.real(call),
            },
        }
        true
    }

    /// What `find_tools` says.
    fn found(&self, arguments: &Value) -> String {
        let query = arguments["query"].as_str().unwrap_or_default();
        let limit = arguments["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(FOUND);
        let found = self.tools.search(query, limit.clamp(1, MAX_FOUND));
        // The grants may say no by now to what the set was made for.
        let allowed = found.into_iter().filter(|tool| self.allows(&tool.def));
        let tools: Vec<Value> = allowed.map(summary).collect();
        if tools.is_empty() {
            return format!("No tool of {} shares a word with this. Search in other words.", self.tools.len());
        }
        let mut text = String::new();
        for tool in tools {
            let line = tool.to_string();
            // One that has no room takes none from those after it.
            if text.len() + line.len() < MAX_TEXT {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }

    fn describe(&self, call: &mut PlannedCall, name: &str) {
        let Some(tool) = self.named(name).filter(|tool| self.allows(&tool.def)) else {
            return self.unknown(call, name);
        };
        let text = description(tool).to_string();
        let text = match text.len() > MAX_TEXT {
            true => text[..text.floor_char_boundary(MAX_TEXT)].to_owned(),
            false => text,
        };
        call.disposition = Disposition::Answer { text };
    }

    /// Puts the tool that is meant in the place of `call_tool`.
    fn real(&self, call: &mut PlannedCall) {
        let wrapped: Wrapped = match serde_json::from_str(call.arguments.get()) {
            Ok(wrapped) => wrapped,
            Err(error) => {
                return call.refuse(Refused::Arguments, format!("The arguments do not fit the tool: {error}"));
            }
        };
        call.arguments = wrapped.arguments;
        match self.named(&wrapped.tool) {
            Some(offered) => self.judge(call, &offered.def),
            None => {
                (call.server, call.tool) = (String::new(), wrapped.tool.clone());
                self.unknown(call, &wrapped.tool);
            }
        }
    }

    /// A tool by the name that the model calls it by, or by that before people.
    fn named(&self, name: &str) -> Option<&OfferedTool> {
        let by_people = || self.tools.tools().iter().find(|tool| tool.def.full_name() == name);
        self.tools.by_llm_name(name).or_else(by_people)
    }

    fn allows(&self, def: &ToolDef) -> bool {
        self.grants.iter().all(|grant: &&Grant| grant.decide_tool(def.rule_ref(), None).is_allowed())
    }
}

/// The arguments of a call, if they fit the menu's tool.
pub(super) fn fitting(own: &OfferedTool, call: &PlannedCall) -> Result<Value, String> {
    let arguments = arguments::object(&call.arguments)?;
    match own.def.check.check(&arguments) {
        Ok(()) => Ok(arguments),
        Err(misfit) => Err(format!("The arguments do not fit the tool: {misfit}")),
    }
}

/// What a tool gets of a call as the model wrote it; `None` where that is nothing to judge by.
pub(crate) fn given(name: &str, input: &RawValue) -> Option<Value> {
    match name {
        CALL => {
            let wrapped: Wrapped = serde_json::from_str(input.get()).ok()?;
            arguments::object(&wrapped.arguments).ok()
        }
        _ => arguments::object(input).ok(),
    }
}

/// A tool in a list of found ones.
fn summary(tool: &OfferedTool) -> Value {
    let def = &tool.def;
    let description: String = def.description.chars().take(MAX_SUMMARY).collect();
    let schema = schema(def);
    let mut summary = json!({ "tool": &*tool.llm_name, "server": &*def.server, "description": description });
    if def.input_schema.get().len() <= MAX_SCHEMA {
        summary["input_schema"] = schema;
    } else {
        let arguments = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::keys);
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        summary["arguments"] = json!(listed(&arguments.map(String::as_str).collect::<Vec<_>>()));
        summary["required"] = json!(listed(&required.collect::<Vec<_>>()));
    }
    summary
}

/// As many of the names as a list has room for, and how many more there are.
fn listed(names: &[&str]) -> Vec<String> {
    let fitting = names.iter().scan(0_usize, |bytes, name| {
        *bytes += name.len();
        (*bytes <= MAX_SCHEMA).then(|| (*name).to_owned())
    });
    let mut listed: Vec<String> = fitting.collect();
    let more = names.len() - listed.len();
    if more > 0 {
        listed.push(format!("… {more} more"));
    }
    listed
}

fn description(tool: &OfferedTool) -> Value {
    let def = &tool.def;
    json!({
        "tool": &*tool.llm_name,
        "server": &*def.server,
        "title": def.title,
        "description": def.description,
        "input_schema": schema(def),
    })
}

fn schema(def: &ToolDef) -> Value {
    serde_json::from_str(def.input_schema.get()).unwrap_or_else(|_| empty_schema())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_by_the_menu_is_judged_by_what_its_tool_gets() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let arguments = Some(json!({ "db": "prod" }));
        assert_eq!(given(CALL, &raw(r#"{"tool":"db__query","arguments":{"db":"prod"}}"#)), arguments);
        assert_eq!(given("db__query", &raw(r#"{"db":"prod"}"#)), arguments);
        assert_eq!(given(CALL, &raw(r#"{"db":"prod"}"#)), None);
    }
}
