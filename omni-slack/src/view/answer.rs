//! An answer: its text in as many pieces as it takes, small print, and buttons.

use serde_json::Value;

use super::{
    Message,
    block::{self, Look},
    footer::{Footer, Person},
    ids, limits,
    markdown::{mrkdwn, neutral, split},
    text,
};

/// Most text of one message, so that small print and buttons have room beside it.
pub const PAGE: usize = 9_000;
/// Most text of a section.
const PART: usize = 2_900;

/// Which of Slack's two markups is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Slack's own Markdown, in `markdown` blocks.
    #[default]
    Markdown,
    /// The same of text that is safe already: what [`neutral`] made of it.
    Neutral,
    /// mrkdwn, in sections: for where there are no such blocks.
    Mrkdwn,
}

/// What the buttons under an answer bring back; a button without a value is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buttons {
    /// The rest of it.
    pub more: Option<String>,
    /// Its table as a file.
    pub csv: Option<String>,
    /// The question once more.
    pub again: Option<String>,
    /// Another question in the same thread.
    pub follow: Option<String>,
    /// Whether it was good.
    pub feedback: Option<String>,
    /// An end of it.
    pub stop: Option<String>,
}

/// An answer as it is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// Its text, as the model wrote it.
    pub markdown: String,
    /// How it is written.
    pub style: Style,
    /// Most text of one message; [`PAGE`] where there is none. `formatting.max_message_length`.
    pub max: Option<usize>,
    /// For whom it is, where that is shown.
    pub person: Person,
    /// What is added that the model did not say, in mrkdwn of ours.
    pub note: Option<String>,
    /// What it took.
    pub footer: Footer,
    /// What can be done with it.
    pub buttons: Buttons,
}

/// A message's worth of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The text, as it stands for the blocks.
    pub text: String,
    /// The blocks.
    pub blocks: Vec<Value>,
}

/// A text in messages, the whole of it.
#[must_use]
pub fn pages(markdown: &str, style: Style, max: usize) -> Vec<Page> {
    let max = max.clamp(500, PAGE);
    let safe = match style {
        Style::Markdown => neutral(markdown),
        Style::Neutral => markdown.to_owned(),
        Style::Mrkdwn => mrkdwn(markdown),
    };
    split(&safe, max)
        .into_iter()
        .filter(|piece| !piece.text.trim().is_empty())
        .map(|piece| page(&piece.text, style))
        .collect()
}

fn page(safe: &str, style: Style) -> Page {
    let blocks = match style {
        Style::Markdown | Style::Neutral => vec![block::markdown(safe)],
        Style::Mrkdwn => {
            let parts = split(safe, PART).into_iter().filter(|part| !part.text.trim().is_empty());
            parts.map(|part| block::section(&part.text)).collect()
        }
    };
    let text = match style {
        Style::Markdown | Style::Neutral => text::mrkdwn(safe, limits::FALLBACK),
        Style::Mrkdwn => short(safe),
    };
    Page { text, blocks }
}

/// The beginning of text that is escaped already.
fn short(safe: &str) -> String {
    split(safe, limits::FALLBACK - 100).into_iter().next().map_or(String::new(), |piece| piece.text)
}

/// How many messages an answer takes.
#[must_use]
pub fn page_count(view: &View) -> usize {
    pages(&view.markdown, view.style, view.max.unwrap_or(PAGE)).len().max(1)
}

/// A message of an answer: the first one is 0. Small print and buttons are under each; whether there is "Show more" is
/// `buttons.more`, which counts only where more follows.
#[must_use]
pub fn message(view: &View, page: usize) -> Message {
    let mut pages = pages(&view.markdown, view.style, view.max.unwrap_or(PAGE));
    let is_last = page + 1 >= pages.len();
    let mut blocks: Vec<Value> = view.person.header().filter(|_| page == 0).into_iter().collect();
    let mut text = String::new();
    if page < pages.len() {
        let page = pages.swap_remove(page);
        text = page.text;
        blocks.extend(page.blocks);
    }
    if let Some(added) = view.note.as_deref().filter(|_| is_last) {
        blocks.extend(note(view));
        if text.is_empty() {
            text = limits::clamp(added, limits::FALLBACK);
        }
    }
    if blocks.is_empty() {
        blocks.push(block::section("_No answer came._"));
    }
    let mut buttons = view.buttons.clone();
    buttons.more = buttons.more.filter(|_| !is_last);
    blocks.extend(tail(&view.footer, &buttons));
    let text = if text.trim().is_empty() { "No answer came.".into() } else { text };
    Message { text, blocks: blocks.into_iter().take(limits::BLOCKS).collect() }
}

/// What is added that the model did not say.
#[must_use]
pub fn note(view: &View) -> Option<Value> {
    view.note.as_deref().map(|note| block::section(&limits::clamp(note, 1_000)))
}

/// What stands under an answer that was streamed: small print and buttons.
#[must_use]
pub fn tail(footer: &Footer, buttons: &Buttons) -> Vec<Value> {
    let mut blocks = footer.blocks();
    let row = |id: &str, label: &str, value: &Option<String>, look| {
        value.as_deref().and_then(|value| block::button(id, label, value, look))
    };
    let does = [
        row(ids::MORE, "Show more", &buttons.more, Look::Primary),
        row(ids::CSV, "Export CSV", &buttons.csv, Look::Plain),
        row(ids::AGAIN, "Run again", &buttons.again, Look::Plain),
        row(ids::FOLLOW, "Ask more", &buttons.follow, Look::Plain),
        row(ids::STOP, "Stop", &buttons.stop, Look::Danger),
    ];
    let says = [
        row(ids::FEEDBACK_GOOD, "👍", &buttons.feedback, Look::Plain),
        row(ids::FEEDBACK_BAD, "👎", &buttons.feedback, Look::Plain),
    ];
    blocks.extend(block::actions("omni:answer", does.into_iter().flatten().collect()));
    blocks.extend(block::actions("omni:feedback", says.into_iter().flatten().collect()));
    blocks
}

/// A question is being worked on, for where nothing can be streamed; `stop` is the value of its button.
#[must_use]
pub fn working(question: &str, stop: Option<&str>) -> Message {
    // Of what goes on after an agreement nobody has the question.
    let quoted = Some(text::mrkdwn_line(question, 500)).filter(|quoted| !quoted.is_empty());
    let quoted = quoted.map_or(String::new(), |quoted| format!("\n> {quoted}"));
    let mut blocks = vec![block::section(&format!("🔄 Processing your question...{quoted}"))];
    let button = stop.and_then(|stop| block::button(ids::STOP, "Stop", stop, Look::Danger));
    blocks.extend(block::actions("omni:answer", button.into_iter().collect()));
    Message::new("Processing your question...", blocks)
}
