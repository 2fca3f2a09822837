//! What the stand-in's model says: scenarios by the newest text of the user.
//!
//! | text holds | the model |
//! |---|---|
//! | nothing of these | repeats the question, or tells what the tools returned |
//! | `#plain TEXT` | says TEXT |
//! | `#tool [NAME] [{json}]` | calls one tool, then tells what it returned; NAME is the first tool on offer |
//! | `#parallel [N {j} ;; N {j} …]` | calls several tools in one turn; three by default |
//! | `#loop K [NAME] [{json}]` | K turns of one call; `$n` in the arguments is the number of the turn |
//! | `#same [NAME] [{json}]` | the same call in every turn, for ever |
//! | `#notoffered` | calls a tool that was not offered |
//! | `#badargs [NAME]` | calls with arguments that are no JSON |
//! | `#schemaargs [NAME] {json}` | calls with arguments that break the schema; after an error with these |
//! | `#thinktool [NAME] [{json}]` | thinks (signed) and calls; the thought must come back as and where it was |
//! | `#max_tokens` `#refusal` `#pause` `#context` `#empty` `#unicode` | as named |
//! | `#max_tokens_tool [NAME]` | calls, and meets the output limit before the first argument |
//! | `#pause_tool` | pauses in a tool of the vendor's own; the turn must come back as it was |
//! | `#429 [n=1] [retry=1]` `#529 [n=1]` `#500 [n=1]` | refuses the first n attempts |
//! | `#401` `#quota` | refuses |
//! | `#cut` `#malformed` `#streamerror` `#hang` | breaks off, sends rubbish, sends an error, falls silent in the stream |
//! | `#slow [ms=50]` | pauses before every frame |
//! | `#usage in= out= cache=` | answers with this usage, in the vendor's own meaning of `in` |

use std::collections::HashMap;

use serde_json::Value;

use super::check::Refusal;

/// What goes wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    /// The connection breaks in the middle.
    Cut,
    /// A frame that is no JSON, and then the end.
    Malformed,
    /// An error event in the middle.
    StreamError,
    /// A pause before every frame.
    Slow {
        /// How long.
        pause_ms: u64,
    },
    /// Nothing more comes, and the connection stays open.
    Hang,
    /// Pieces that cut through characters and lines.
    Split,
}

/// A part of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(String),
    /// A signed thought; dropped where the vendor has none.
    Thought(String),
    /// A call of a tool of the vendor's own; dropped where the vendor has none.
    Vendors,
    /// A call: name and arguments, as written.
    Call(String, String),
}

/// One turn of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it says, in order.
    pub parts: Vec<Part>,
    /// Why it stops, in Anthropic's words.
    pub stop: &'static str,
    /// What goes wrong.
    pub mischief: Option<Mischief>,
    /// Tokens in, out and read from the cache; `None` is an estimate.
    pub usage: Option<(u64, u64, u64)>,
}

impl Plan {
    /// A turn that says something.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())], stop: "end_turn", mischief: None, usage: None }
    }

    /// A turn that calls tools.
    #[must_use]
    pub fn calls(calls: Vec<(String, String)>) -> Self {
        let parts = calls.into_iter().map(|(name, arguments)| Part::Call(name, arguments)).collect();
        Self { parts, stop: "tool_use", mischief: None, usage: None }
    }

    /// The same turn with another reason to stop.
    #[must_use]
    pub fn stopping(mut self, stop: &'static str) -> Self {
        self.stop = stop;
        self
    }

    /// The same turn with a fault.
    #[must_use]
    pub fn with_mischief(mut self, mischief: Mischief) -> Self {
        self.mischief = Some(mischief);
        self
    }

    /// The same turn with this usage: tokens in, out and read from the cache.
    #[must_use]
    pub fn with_usage(mut self, input: u64, output: u64, cached: u64) -> Self {
        self.usage = Some((input, output, cached));
        self
    }

    fn after(mut self, part: Part) -> Self {
        self.parts.insert(0, part);
        self
    }
}

/// A conversation, whatever its dialect.
#[derive(Debug)]
pub(super) struct Asked {
    /// The newest text of the user.
    pub(super) text: String,
    /// Turns of the model since.
    pub(super) rounds: u64,
    /// What tools returned since, and whether it is an error.
    pub(super) results: Vec<(String, bool)>,
    /// The tools on offer.
    pub(super) offered: Vec<String>,
    /// The messages: tells conversations apart.
    pub(super) key: String,
}

/// The first scenario that the text names, and what stands behind it.
fn scenario(text: &str) -> (&str, &str) {
    const KNOWN: &[&str] = &[
        "plain",
        "tool",
        "parallel",
        "loop",
        "same",
        "notoffered",
        "badargs",
        "schemaargs",
        "thinktool",
        "max_tokens",
        "max_tokens_tool",
        "refusal",
        "pause",
        "pause_tool",
        "context",
        "empty",
        "unicode",
        "429",
        "529",
        "500",
        "401",
        "quota",
        "cut",
        "malformed",
        "streamerror",
        "hang",
        "slow",
        "usage",
    ];
    for (at, _) in text.match_indices('#') {
        let rest = &text[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if KNOWN.contains(&&rest[..end]) {
            return (&rest[..end], rest[end..].lines().next().unwrap_or_default().trim());
        }
    }
    ("", "")
}

fn number(arguments: &str, name: &str, default: u64) -> u64 {
    let value = arguments.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).unwrap_or(default)
}

pub(super) fn plan(asked: &Asked, attempts: &mut HashMap<String, u32>) -> Result<Plan, Refusal> {
    let (name, arguments) = scenario(&asked.text);
    match name {
        "429" | "529" | "500" | "401" | "quota" => trouble(name, arguments, asked, attempts),
        "cut" => Ok(long().with_mischief(Mischief::Cut)),
        "malformed" => Ok(long().with_mischief(Mischief::Malformed)),
        "streamerror" => Ok(long().with_mischief(Mischief::StreamError)),
        "hang" => Ok(long().with_mischief(Mischief::Hang)),
        "slow" => Ok(long().with_mischief(Mischief::Slow { pause_ms: number(arguments, "ms", 50) })),
        "unicode" => {
            Ok(Plan::text("žluťoučký kůň 🐎 – 漢字, \"quotes\" \\ and\nnew lines ✅").with_mischief(Mischief::Split))
        }
        "max_tokens" => Ok(Plan::text("This answer is cut off in the mid").stopping("max_tokens")),
        "context" => Ok(Plan::text("The window is full").stopping("model_context_window_exceeded")),
        "refusal" => Ok(Plan { parts: Vec::new(), ..Plan::text("").stopping("refusal") }),
        "empty" => Ok(Plan { parts: Vec::new(), ..Plan::text("") }),
        "pause" => Ok(Plan::text("Still working.").stopping("pause_turn")),
        "pause_tool" if asked.rounds == 0 => {
            Ok(Plan { parts: vec![Part::Vendors], ..Plan::text("").stopping("pause_turn") })
        }
        "pause_tool" => Ok(Plan::text("Done after the pause.")),
        "plain" => Ok(Plan::text(arguments)),
        "usage" => {
            let of = |name| number(arguments, name, 0);
            Ok(Plan::text("Counted.").with_usage(of("in"), of("out"), of("cache")))
        }
        _ => Ok(tools(name, arguments, asked)),
    }
}

fn long() -> Plan {
    Plan::text("A few words before anything happens, enough of them for some more frames.")
}

fn trouble(name: &str, arguments: &str, asked: &Asked, attempts: &mut HashMap<String, u32>) -> Result<Plan, Refusal> {
    let attempt = attempts.entry(asked.key.clone()).or_default();
    *attempt += 1;
    let is_over = u64::from(*attempt) > number(arguments, "n", 1);
    let retry_after = Some(number(arguments, "retry", 1));
    match name {
        "401" => Err(Refusal::new(401, "authentication_error", "invalid x-api-key")),
        "quota" => Err(Refusal::new(429, "insufficient_quota", "You exceeded your current quota")),
        _ if is_over => Ok(Plan::text(format!("Recovered after {name}."))),
        "429" => Err(Refusal {
            retry_after,
            ..Refusal::new(429, "rate_limit_error", "This request would exceed your organization's rate limit.")
        }),
        "529" => Err(Refusal::new(529, "overloaded_error", "Overloaded")),
        _ => Err(Refusal::new(500, "api_error", "Internal server error")),
    }
}

fn tools(name: &str, arguments: &str, asked: &Asked) -> Plan {
    let first = asked.rounds == 0;
    let one = || call(arguments, asked, 0);
    match name {
        "tool" if first => Plan::calls(vec![one()]).after(Part::Text("Let me look.".into())),
        "thinktool" if first => Plan::calls(vec![one()]).after(Part::Thought("I should call a tool.".into())),
        "same" => Plan::calls(vec![one()]),
        "max_tokens_tool" if first => Plan::calls(vec![(one().0, String::new())]).stopping("max_tokens"),
        "notoffered" if first => Plan::calls(vec![("no_such_tool".into(), "{}".into())]),
        "badargs" if first => Plan::calls(vec![(one().0, "{\"text\": \"unfinis".into())]),
        "schemaargs" if first => Plan::calls(vec![(one().0, r#"{"__unexpected__":[1,2,3]}"#.into())]),
        "schemaargs" if asked.results.last().is_some_and(|(_, is_error)| *is_error) && asked.rounds < 3 => {
            Plan::calls(vec![one()])
        }
        "parallel" if first => parallel(arguments, asked),
        "loop" => {
            let (times, rest) = arguments.split_once(' ').unwrap_or((arguments, ""));
            match times.parse::<u64>() {
                Ok(times) if asked.rounds < times => Plan::calls(vec![call(rest, asked, 0)]),
                _ => Plan::text(summary(asked)),
            }
        }
        _ => Plan::text(summary(asked)),
    }
}

fn parallel(arguments: &str, asked: &Asked) -> Plan {
    let calls = match arguments.contains(";;") {
        true => arguments.split(";;").map(|part| call(part, asked, 0)).collect(),
        false => (0..3).map(|n| call(arguments, asked, n)).collect(),
    };
    Plan::calls(calls).after(Part::Text("Let me look at several things.".into()))
}

/// `NAME {json}`: without a name the nth tool on offer, without arguments none.
fn call(text: &str, asked: &Asked, n: usize) -> (String, String) {
    let text = text.trim();
    let (name, arguments) = text.split_at(text.find('{').unwrap_or(text.len()));
    // The scenario may stand in the middle of a longer text.
    let arguments = serde_json::Deserializer::from_str(arguments).into_iter::<Value>().next();
    let arguments = arguments.and_then(Result::ok).map_or_else(|| "{}".into(), |value| value.to_string());
    let offered = || asked.offered.get(n % asked.offered.len().max(1)).cloned();
    let named = name.split_whitespace().next().map(str::to_owned).filter(|name| asked.offered.contains(name));
    let name = named.or_else(|| name.split_whitespace().next().map(str::to_owned)).or_else(offered);
    (name.unwrap_or_else(|| "no_such_tool".into()), arguments.replace("$n", &asked.rounds.to_string()))
}

fn summary(asked: &Asked) -> String {
    if asked.results.is_empty() {
        return format!("You said: {}", asked.text.trim());
    }
    let results =
        asked.results.iter().map(|(text, is_error)| if *is_error { format!("ERROR {text}") } else { text.clone() });
    format!("Tool results: {}", results.collect::<Vec<_>>().join(" | "))
}
