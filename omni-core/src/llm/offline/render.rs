//! What the offline provider says. Each answer begins by saying that no model speaks.

use std::fmt::Write;

use super::param::{Kind, Param};
use crate::{
    agent::prompt::unfence,
    catalog::{OfferedTool, ToolSet, search::Hit},
    llm::{Block, Message, ResultPart},
};

/// Most servers, and most tools of each, in a list of what can be done.
const MAX_SERVERS: usize = 12;
const MAX_TOOLS: usize = 6;
/// Longest description in that list, in characters.
const MAX_CHARS: usize = 100;

/// What the tools said, as they said it.
pub(super) fn results(results: &[Block], earlier: &[Message], tools: &ToolSet) -> String {
    let parts: Vec<String> = results.iter().filter_map(|block| result(block, earlier, tools)).collect();
    parts.join("\n\n")
}

fn result(block: &Block, earlier: &[Message], tools: &ToolSet) -> Option<String> {
    let Block::ToolResult { id, content, is_error } = block else { return None };
    let name = called(id, earlier, tools).unwrap_or_else(|| "a tool".into());
    let what = if *is_error { format!("`{name}` failed") } else { format!("this is the output of `{name}`") };
    let mut text = format!("(offline: no language model is configured; {what})\n");
    let parts = unfence(content);
    // What is said in words already is not said to a person in JSON once more.
    let in_words = parts.iter().any(|part| matches!(part, ResultPart::Text { text } if !is_document(text)));
    for (at, part) in parts.iter().enumerate() {
        match part {
            ResultPart::Text { text: part } if at > 0 && in_words && is_document(part) => continue,
            ResultPart::Text { text: part } => write!(text, "\n{part}"),
            ResultPart::Image { mime, data } => write!(text, "\n[{mime}, {} bytes]", data.len() / 4 * 3),
        }
        .ok()?;
    }
    Some(text)
}

/// Whether a text is a JSON object: what a model reads beside the words.
fn is_document(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
}

/// The full name of the tool of a call.
fn called(id: &str, earlier: &[Message], tools: &ToolSet) -> Option<String> {
    let blocks = earlier.iter().rev().flat_map(|message| &message.blocks);
    let name = blocks.into_iter().find_map(|block| match block {
        Block::ToolUse { id: other, name, .. } if other == id => Some(name),
        _ => None,
    })?;
    Some(tools.by_llm_name(name).map_or_else(|| name.clone(), |tool| tool.def.full_name()))
}

/// What a tool still needs, and how to say it.
pub(super) fn missing(tool: &OfferedTool, missing: &[&Param]) -> String {
    let name = tool.def.full_name();
    let mut text = format!(
        "(offline: no language model is configured; nothing was called)\n\n`{name}` seems to fit, but needs:\n"
    );
    for param in missing {
        let _ = writeln!(text, "- `{}`{}", param.name, about(param));
    }
    let example: Vec<String> = missing.iter().map(|param| format!("{}={}", param.name, sample(param))).collect();
    let _ = write!(text, "\nAsk again with it, for example by adding `{}`.", example.join(" "));
    text
}

fn about(param: &Param) -> String {
    let options = match &param.kind {
        Kind::OneOf(options) => {
            let options: Vec<String> = options.iter().take(12).map(ToString::to_string).collect();
            format!(" (one of {})", options.join(", "))
        }
        _ => String::new(),
    };
    let description = shorten(&param.description);
    if description.is_empty() { options } else { format!(": {description}{options}") }
}

fn sample(param: &Param) -> String {
    match &param.kind {
        Kind::OneOf(options) => options.first().and_then(|option| option.as_str()).unwrap_or("…").to_owned(),
        Kind::Boolean => "true".into(),
        Kind::Number { .. } => "1".into(),
        Kind::Text(_) | Kind::List(_) | Kind::Other => "…".into(),
    }
}

/// What the offline provider is, and what can be asked of it: the nearest tools first.
pub(super) fn abilities(tools: &ToolSet, hits: &[Hit], why: &str) -> String {
    let mut text = format!("(offline: no language model is configured; {why})\n\n");
    if tools.is_empty() {
        text.push_str(
            "There is no tool to answer with: no MCP server is configured, or none offers a tool that you may use.",
        );
        return text;
    }
    text.push_str(
        "Without a model, a question is answered by the one tool whose name and description fit its words:\n",
    );
    let servers = by_server(tools, hits);
    for (server, offered) in servers.iter().take(MAX_SERVERS) {
        let _ = writeln!(text, "\n**{server}**");
        for tool in offered.iter().take(MAX_TOOLS) {
            let _ = writeln!(text, "- `{}`{}", tool.def.name, described(tool));
        }
        if offered.len() > MAX_TOOLS {
            let _ = writeln!(text, "- and {} more", offered.len() - MAX_TOOLS);
        }
    }
    if servers.len() > MAX_SERVERS {
        let _ = writeln!(text, "\nand {} more servers", servers.len() - MAX_SERVERS);
    }
    text.trim_end().to_owned()
}

fn by_server<'a>(tools: &'a ToolSet, hits: &[Hit]) -> Vec<(&'a str, Vec<&'a OfferedTool>)> {
    let near = hits.iter().filter_map(|hit| tools.tools().get(hit.tool));
    let is_near = |tool: &OfferedTool| hits.iter().any(|hit| tools.tools()[hit.tool].llm_name == tool.llm_name);
    let rest = tools.tools().iter().filter(|tool| !is_near(tool));
    let mut servers: Vec<(&str, Vec<&OfferedTool>)> = Vec::new();
    for tool in near.chain(rest) {
        match servers.iter_mut().find(|(server, _)| *server == &*tool.def.server) {
            Some((_, list)) => list.push(tool),
            None => servers.push((&tool.def.server, vec![tool])),
        }
    }
    servers
}

fn described(tool: &OfferedTool) -> String {
    let text = shorten(&tool.def.description);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// The first line, cut.
fn shorten(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
