//! What a model reads in each turn, with few tools and with many, listed and searched: what an ask really sends is
//! written as for a vendor, without one, and counted as omni counts where nobody tells it, three bytes a token. Shares
//! depend on that little.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use omni_core::{
    Ask, Omni, Principal,
    config::ToolsConfig,
    llm::{ChatRequest, anthropic::bench, scripted::Scripted},
    mcp::{CallContext, Connector, McpError, McpEvent, McpReply, McpRequest, McpTransport},
};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    args::Args,
    report::{Report, Table, figure},
};
use crate::raw;

/// What omni reckons where no vendor says.
const BYTES_A_TOKEN: f64 = 3.0;
/// So many tools, and more of them than one reads.
const SIZES: [usize; 2] = [10, 500];
/// Fewer with search, of 500 tools.
const FEWER: f64 = 0.95;
/// Cached of a thread's second question.
const CACHED: f64 = 0.9;

/// What one conversation of two questions reads.
#[derive(Debug, Clone, Serialize)]
struct Counted {
    tools: usize,
    is_searched: bool,
    /// Turns of the first question.
    turns: usize,
    /// Tokens of its first turn.
    first: f64,
    /// Tokens of all its turns.
    question: f64,
    /// The same, what a vendor has cached counted not at all.
    uncached: f64,
    /// The part of the second question's first turn that was sent before, byte for byte.
    cached_share: f64,
}

pub(super) async fn run(args: &Args) -> Result<ExitCode> {
    let mut counted = Vec::new();
    for tools in SIZES {
        for is_searched in [false, true] {
            counted.push(count(tools, is_searched).await?);
        }
    }
    let of = |tools, is_searched| counted.iter().find(|it| it.tools == tools && it.is_searched == is_searched);
    let (listed, searched) = of(SIZES[1], false).zip(of(SIZES[1], true)).context("both were counted")?;
    let fewer = 1.0 - searched.first / listed.first;
    let fewer_all = 1.0 - searched.question / listed.question;
    let least_cached = counted.iter().map(|it| it.cached_share).fold(1.0, f64::min);
    let goals = [
        ("fewer tokens a turn with search, 500 tools", fewer, FEWER),
        ("fewer tokens a question with search, 500 tools", fewer_all, FEWER),
        ("cached share of a thread's second question, the least", least_cached, CACHED),
    ];
    let is_held = goals.iter().all(|(_, measured, goal)| measured >= goal);
    let figures = json!({ "counted": counted, "fewer_a_turn": fewer, "fewer_a_question": fewer_all,
        "least_cached": least_cached, "is_held": is_held });
    let tables = vec![table(&counted), goals_table(&goals)];
    Report { name: "tokens", title: "Tokens", tables, figures }.tell(args)?;
    Ok(if is_held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Two questions of one conversation, each with a call.
async fn count(tools: usize, is_searched: bool) -> Result<Counted> {
    let tool = format!("lab__{}", name(tools / 2));
    let llm = script(script(Scripted::new(), &tool, is_searched), &tool, is_searched);
    let mut config = ToolsConfig::default();
    config.search_threshold = if is_searched { tools - 1 } else { tools };
    let omni = Omni::builder().llm(llm.clone()).server("lab", Lab(tools)).tools(config).build().await?;
    let who = Principal::email("ada@company.com");
    omni.ask(Ask::new(who.clone(), "Which invoices of March are open?").with_session("s")).await?;
    let turns = llm.requests().len();
    omni.ask(Ask::new(who, "And those of April?").with_session("s")).await?;
    omni.shutdown().await;
    let prompts = llm.requests().iter().map(prompt).collect::<Result<Vec<_>>>()?;
    let size = |text: &str| text.len() as f64 / BYTES_A_TOKEN;
    let mut uncached = size(&prompts[0]);
    for pair in prompts[..turns].windows(2) {
        uncached += size(&pair[1]) - common(&pair[0], &pair[1]);
    }
    // Each turn before the question may be in the cache; the last one is the longest.
    let cached = common(&prompts[turns - 1], &prompts[turns]);
    Ok(Counted {
        tools,
        is_searched,
        turns,
        first: size(&prompts[0]),
        question: prompts[..turns].iter().map(|prompt| size(prompt)).sum(),
        uncached,
        cached_share: cached / size(&prompts[turns]),
    })
}

/// What the model does with a question: it finds the tool, if it has to, and calls it.
fn script(llm: Scripted, tool: &str, is_searched: bool) -> Scripted {
    let arguments = json!({ "database": "books", "limit": 10 });
    let llm = match is_searched {
        true => llm
            .call(&[("find_tools", json!({ "query": "report about the database" }))])
            .call(&[("call_tool", json!({ "tool": tool, "arguments": arguments }))]),
        false => llm.call(&[(tool, arguments)]),
    };
    llm.say("Seven of them are open: 4711 to 4717.")
}

/// What a vendor reads of a request, in its order: tools, system, messages. Cache markers are no content.
fn prompt(request: &ChatRequest) -> Result<String> {
    let mut body: Value = serde_json::from_slice(&bench::body(request)?)?;
    without_markers(&mut body);
    let messages = body["messages"].as_array().context("messages")?.iter().map(Value::to_string);
    let parts = [body["tools"].to_string(), body["system"].to_string()];
    Ok(parts.into_iter().chain(messages).collect())
}

fn without_markers(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("cache_control");
            fields.values_mut().for_each(without_markers);
        }
        Value::Array(items) => items.iter_mut().for_each(without_markers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Tokens of what both begin with.
fn common(before: &str, after: &str) -> f64 {
    let same = before.bytes().zip(after.bytes()).take_while(|(before, after)| before == after).count();
    same as f64 / BYTES_A_TOKEN
}

fn table(counted: &[Counted]) -> Table {
    let head =
        ["tools", "model reads", "turns", "first turn", "question", "not cached of it", "second question, cached"];
    let mut table = Table::new("Tokens of input", &head);
    for it in counted {
        let ways = if it.is_searched { "a search" } else { "all of them" };
        let [first, question, uncached] = [it.first, it.question, it.uncached].map(figure);
        let share = format!("{:.1} %", it.cached_share * 100.0);
        table.row([it.tools.to_string(), ways.to_owned(), it.turns.to_string(), first, question, uncached, share]);
    }
    table
}

fn goals_table(goals: &[(&'static str, f64, f64)]) -> Table {
    let mut table = Table::new("Goals of tokens", &["what", "measured", "goal", "held"]);
    for (what, measured, goal) in goals {
        let held = if measured >= goal { "yes" } else { "NO" };
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        table.row([(*what).to_owned(), percent(*measured), format!("≥ {}", percent(*goal)), held.to_owned()]);
    }
    table
}

fn name(tool: usize) -> String {
    format!("get_report_{tool}")
}

/// A server of so many tools.
#[derive(Debug, Clone, Copy)]
struct Lab(usize);

impl Lab {
    fn tools(self) -> Value {
        let schema = json!({ "type": "object", "properties": {
            "database": { "type": "string", "description": "The database to look at." },
            "limit": { "type": "integer", "minimum": 1, "maximum": 100, "description": "How many rows." },
            "order": { "type": "string", "enum": ["asc", "desc"] },
        }, "required": ["database"] });
        let tool = |at: usize| {
            let about = format!("Returns report number {at} about the database, newest rows first.");
            json!({ "name": name(at), "description": about, "inputSchema": schema })
        };
        (0..self.0).map(tool).collect()
    }
}

#[async_trait::async_trait]
impl Connector for Lab {
    fn kind(&self) -> &'static str {
        "lab"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        Ok(Arc::new(*self))
    }
}

#[async_trait::async_trait]
impl McpTransport for Lab {
    async fn request(&self, request: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
        let answer: Box<RawValue> = raw(&match request.method == "tools/list" {
            true => json!({ "tools": self.tools() }),
            false => json!({ "content": [{ "type": "text", "text": "4711 open\n4712 open\n4713 open" }] }),
        });
        Ok(McpReply::Complete(answer))
    }

    fn events(&self) -> futures::stream::BoxStream<'static, McpEvent> {
        Box::pin(futures::stream::pending())
    }

    async fn close(&self) {}
}
