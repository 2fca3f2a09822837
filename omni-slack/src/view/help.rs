//! `/omni-help`: the servers that somebody may use, and their tools. The menu stays on top while tools are looked at.

use serde_json::{Value, json};

use super::{
    Message,
    block::{self, Look},
    ids, limits, text,
};

/// Most servers with a button each; more are in a menu.
pub const BUTTONS: usize = 20;
/// Most servers of the menu.
const LISTED: usize = 400;
/// Most text of the menu's options.
const MENU: usize = 5_000;
/// No option is cut shorter than this.
const SHORTEST: usize = 12;
/// Tools of one page.
pub const PAGE: usize = 10;

/// What there is in threads, where Slack takes no slash commands.
#[must_use]
pub fn in_threads() -> Message {
    Message::of("In threads I know `!help`, `!status`, `!stop`, `!retry` and `!private &lt;question&gt;`.")
}

/// How a server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dot {
    /// It answers.
    Healthy,
    /// It does not.
    Away,
    /// Nobody asked yet.
    #[default]
    Unknown,
    /// It is switched off.
    Off,
}

impl Dot {
    /// As people see it.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Healthy => "🟢",
            Self::Away => "🔴",
            Self::Unknown => "⚪",
            Self::Off => "⚫",
        }
    }

    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Away => "away",
            Self::Unknown => "not asked yet",
            Self::Off => "switched off",
        }
    }
}

impl From<&omni_core::catalog::Health> for Dot {
    fn from(health: &omni_core::catalog::Health) -> Self {
        use omni_core::catalog::Health;
        match health {
            Health::Healthy => Self::Healthy,
            Health::Unhealthy { .. } => Self::Away,
            Health::Disabled => Self::Off,
            _ => Self::Unknown,
        }
    }
}

/// A server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// What it is called.
    pub display_name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How it is doing.
    pub dot: Dot,
    /// How many of its tools the person may use.
    pub tools: usize,
}

/// A tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does, in its server's words.
    pub description: Option<String>,
    /// Whether it says that it only reads.
    pub is_read_only: bool,
    /// Whether it may destroy something.
    pub is_destructive: bool,
    /// Whether somebody has to agree before.
    pub needs_approval: bool,
}

/// What is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Menu {
    /// The person's role.
    pub role: Option<String>,
    /// The servers that they may use.
    pub servers: Vec<Server>,
    /// The server whose tools are shown, by its name.
    pub open: Option<String>,
    /// Its tools that the person may use.
    pub tools: Vec<Tool>,
    /// Which page of them, from 0.
    pub page: usize,
    /// What stands instead of the tools where they cannot be told, in mrkdwn of ours.
    pub problem: Option<String>,
    /// The text of `templates.help`, filled in.
    pub introduction: Option<String>,
}

/// What a button under tools is about.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// A page of a server's tools.
    Page {
        /// The server.
        server: String,
        /// The page, from 0.
        page: usize,
    },
    /// A tool.
    Tool {
        /// The server.
        server: String,
        /// The tool.
        tool: String,
    },
}

impl Target {
    /// As the value of a button.
    #[must_use]
    pub fn value(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Of the value of a button.
    #[must_use]
    pub fn read(value: &str) -> Option<Self> {
        serde_json::from_str(value).ok()
    }
}

/// The menu, with the tools of the server that is looked at.
#[must_use]
pub fn menu(menu: &Menu) -> Message {
    let mut blocks = vec![block::header("🤖 OMNI2 Help - Available MCPs")];
    if let Some(introduction) = &menu.introduction {
        blocks.push(block::section(introduction));
    }
    if let Some(role) = &menu.role {
        blocks.push(block::context(&format!("Your role: *{}*", super::footer::title(role))));
    }
    if menu.servers.is_empty() {
        blocks.push(block::section("⚠️ _No MCPs available. Contact your administrator for access._"));
        return Message::new("OMNI2 Help", blocks);
    }
    blocks.push(block::section("*Click to explore tools:*"));
    blocks.extend(block::actions("omni:help:servers", servers(&menu.servers)));
    match menu.open.as_deref().and_then(|open| menu.servers.iter().find(|server| server.name == open)) {
        Some(server) => blocks.extend(opened(menu, server)),
        None => blocks.extend(overview(&menu.servers)),
    }
    blocks.push(block::context(
        "💡 Ask in plain words: `/omni &lt;your question&gt;`, or mention me. `/omni-status` shows your limits.",
    ));
    Message::new("OMNI2 Help - Available MCPs", blocks)
}

fn servers(servers: &[Server]) -> Vec<Value> {
    let label = |server: &Server| format!("{} {}", server.dot.sign(), called(server));
    if servers.len() <= BUTTONS {
        let button = |server: &Server| {
            let id = format!("{}{}", ids::EXPLORE, server.name);
            block::button(&id, &label(server), &server.name, Look::Plain)
        };
        return servers.iter().filter_map(button).collect();
    }
    // All labels together are text of the message.
    let room = (MENU / servers.len()).clamp(SHORTEST, limits::OPTION);
    let short = |server: &Server| limits::clamp(&label(server), room);
    let options = servers.iter().take(LISTED).filter_map(|server| block::option(&short(server), &server.name));
    let options: Vec<Value> = options.collect();
    if options.is_empty() {
        return Vec::new();
    }
    let mut select = json!({ "type": "static_select", "action_id": ids::HELP_SELECT,
        "placeholder": block::plain_text("Choose a server", limits::PLACEHOLDER) });
    block::put_options(&mut select, options);
    vec![select]
}

/// What the first servers are for, where none is looked at.
fn overview(servers: &[Server]) -> Vec<Value> {
    let described = servers.iter().take(BUTTONS).map(|server| {
        let about =
            server.description.as_deref().map_or(String::new(), |about| format!("\n{}", text::mrkdwn_line(about, 200)));
        block::section(&format!("{} *{}*{about}", server.dot.sign(), text::mrkdwn_line(called(server), 100)))
    });
    let mut blocks: Vec<Value> = described.collect();
    if servers.len() > BUTTONS {
        blocks.push(block::context(&format!("_… and {} more in the menu._", servers.len() - BUTTONS)));
    }
    blocks
}

fn opened(menu: &Menu, server: &Server) -> Vec<Value> {
    let about =
        server.description.as_deref().map_or(String::new(), |about| format!("\n_{}_", text::mrkdwn_line(about, 500)));
    let name = text::mrkdwn_line(called(server), 100);
    let mut blocks = vec![
        block::divider(),
        block::section(&format!("*🔍 {name}* {} {}{about}", server.dot.sign(), server.dot.word())),
    ];
    let pages = menu.tools.len().div_ceil(PAGE).max(1);
    let page = menu.page.min(pages - 1);
    if let Some(problem) = &menu.problem {
        blocks.push(block::section(&format!("⚠️ {problem}")));
    } else if menu.tools.is_empty() {
        blocks.push(block::section("_No tools available for your role._"));
    } else {
        blocks.push(block::section(&format!("*Your Available Tools ({}):*", menu.tools.len())));
        blocks.extend(menu.tools.iter().skip(page * PAGE).take(PAGE).map(|tool| line(server, tool)));
    }
    let turn = |label: &str, page: usize| {
        let target = Target::Page { server: server.name.clone(), page };
        // Two buttons of one row are told apart by their ids.
        let id = format!("{}:{page}", ids::HELP_PAGE);
        block::button(&id, label, &target.value(), Look::Plain)
    };
    let before = (page > 0).then(|| turn("◀ Previous", page.saturating_sub(1))).flatten();
    let after = (page + 1 < pages).then(|| turn("Next ▶", page + 1)).flatten();
    let back = block::button(ids::HELP_BACK, "All servers", "", Look::Plain);
    blocks.extend(block::actions("omni:help:turn", [before, after, back].into_iter().flatten().collect()));
    if pages > 1 {
        blocks.push(block::context(&format!("Page {} of {pages}", page + 1)));
    }
    blocks
}

fn line(server: &Server, tool: &Tool) -> Value {
    let about =
        tool.description.as_deref().map_or(String::new(), |about| format!("\n_{}_", text::mrkdwn_line(about, 200)));
    let line = format!("• {}{}{about}", text::code(&tool.name, 100), badges(tool));
    let target = Target::Tool { server: server.name.clone(), tool: tool.name.clone() };
    match block::button(ids::HELP_TRY, "Try it", &target.value(), Look::Plain) {
        Some(button) => block::section_with(&line, button),
        None => block::section(&line),
    }
}

fn badges(tool: &Tool) -> String {
    let all = [
        (tool.is_read_only && !tool.is_destructive, "  🔒 read-only"),
        (tool.is_destructive, "  ⚠️ destructive"),
        (tool.needs_approval, "  ✋ needs approval"),
    ];
    all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, badge)| badge).collect()
}

/// The question that "Try it" asks.
#[must_use]
pub fn sample(server: &str, tool: &str) -> String {
    let (server, tool) = (text::plain_line(server, 100), text::plain_line(tool, 100));
    format!("Use {server} to {}. If you need to know something first, ask me.", tool.replace('_', " "))
}

fn called(server: &Server) -> &str {
    if server.display_name.trim().is_empty() { &server.name } else { &server.display_name }
}
