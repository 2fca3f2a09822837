//! Markdown written anew as Slack's mrkdwn.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::{link, table};
use crate::view::text::{BREAK, clean, defused, escape};

/// The mrkdwn of a Markdown text. Everything that the text says is escaped; tables become preformatted.
#[must_use]
pub fn mrkdwn(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let markdown = clean(markdown);
    let mut writer = Writer::default();
    for event in Parser::new_ext(&markdown, options) {
        writer.event(event);
    }
    writer.out.trim_end().to_owned()
}

#[derive(Default)]
struct Writer {
    out: String,
    quotes: usize,
    /// The next number of each list around; none for those without numbers.
    lists: Vec<Option<u64>>,
    /// Whether a paragraph follows the mark of its list at once.
    after_mark: bool,
    is_heading: bool,
    code: Option<String>,
    link: Option<Link>,
    rows: Option<Vec<Vec<String>>>,
}

struct Link {
    address: String,
    label: String,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(code) => self.inline_code(&code),
            Event::Html(html) | Event::InlineHtml(html) => self.text(&html),
            Event::InlineMath(math) | Event::DisplayMath(math) => self.text(&math),
            Event::SoftBreak | Event::HardBreak => self.text("\n"),
            Event::Rule => {
                self.block();
                self.push("———");
            }
            Event::TaskListMarker(is_done) => self.push(if is_done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(name) => self.text(&format!("[{name}]")),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.block(),
            Tag::Heading { level, .. } => {
                self.block();
                self.is_heading = true;
                self.push(heading(level));
            }
            Tag::BlockQuote(_) => {
                self.block();
                self.quotes += 1;
                self.push("> ");
                self.after_mark = true;
            }
            Tag::CodeBlock(_) => {
                self.block();
                self.code = Some(String::new());
            }
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.block();
                }
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Emphasis => self.mark("_"),
            Tag::Strong => self.mark("*"),
            Tag::Strikethrough => self.mark("~"),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } if self.link.is_none() => {
                self.link = Some(Link { address: dest_url.into_string(), label: String::new() });
            }
            Tag::Table(_) => {
                self.block();
                self.rows = Some(Vec::new());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(rows) = &mut self.rows {
                    rows.push(Vec::new());
                }
            }
            Tag::TableCell => {
                if let Some(row) = self.rows.as_mut().and_then(|rows| rows.last_mut()) {
                    row.push(String::new());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                self.is_heading = false;
                self.push(heading(level));
            }
            TagEnd::BlockQuote(_) => self.quotes = self.quotes.saturating_sub(1),
            TagEnd::CodeBlock => {
                if let Some(code) = self.code.take() {
                    self.preformatted(&code);
                }
            }
            TagEnd::List(_) => drop(self.lists.pop()),
            TagEnd::Item => self.after_mark = false,
            TagEnd::Emphasis => self.mark("_"),
            TagEnd::Strong => self.mark("*"),
            TagEnd::Strikethrough => self.mark("~"),
            TagEnd::Link | TagEnd::Image => {
                if let Some(link) = self.link.take() {
                    self.linked(&link);
                }
            }
            TagEnd::Table => {
                if let Some(rows) = self.rows.take() {
                    self.preformatted(&table::aligned(&rows));
                }
            }
            _ => {}
        }
    }

    /// A block begins: a line of its own, after a gap outside of lists.
    fn block(&mut self) {
        if std::mem::take(&mut self.after_mark) || self.out.is_empty() {
            return;
        }
        self.newline();
        if self.lists.is_empty() {
            self.newline();
        }
    }

    fn item(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") && !self.after_mark {
            self.newline();
        }
        self.after_mark = false;
        let depth = self.lists.len().saturating_sub(1);
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "• ".into(),
        };
        self.push(&format!("{}{mark}", "    ".repeat(depth)));
        self.after_mark = true;
    }

    fn text(&mut self, text: &str) {
        if let Some(code) = &mut self.code {
            code.push_str(text);
        } else if let Some(link) = &mut self.link {
            link.label.push_str(&text.replace('\n', " "));
        } else if self.rows.is_some() {
            self.cell(text);
        } else {
            self.words(text);
        }
    }

    fn words(&mut self, text: &str) {
        for (at, line) in escape(text).split('\n').enumerate() {
            if at > 0 {
                self.newline();
            }
            self.push(line);
        }
    }

    fn inline_code(&mut self, code: &str) {
        if self.rows.is_some() || self.link.is_some() {
            return self.text(code);
        }
        let code = escape_code(&code.replace('\n', " ")).replace('`', &format!("{BREAK}'"));
        self.push(&format!("`{code}`"));
    }

    fn mark(&mut self, mark: &str) {
        let is_plain = self.rows.is_some() || self.link.is_some() || (self.is_heading && mark == "*");
        if !is_plain {
            self.push(mark);
        }
    }

    fn linked(&mut self, link: &Link) {
        let label = if link.label.trim().is_empty() { &link.address } else { &link.label };
        let Some(url) = link::web(&link.address) else {
            let is_said = link.address.is_empty() || label.contains(&link.address);
            let address = if is_said { String::new() } else { format!(" ({})", link.address) };
            return self.text(&format!("{label}{address}"));
        };
        let host = if link::says_host(label, &url) { String::new() } else { format!(" ({})", link::host(&url)) };
        if self.rows.is_some() {
            return self.cell(&format!("{label}{host}"));
        }
        let address = link::address(&url).replace('&', "&amp;");
        let label = escape(label).replace('|', "¦").replace('\n', " ");
        self.push(&format!("<{address}|{label}>{host}"));
    }

    fn cell(&mut self, text: &str) {
        if let Some(cell) = self.rows.as_mut().and_then(|rows| rows.last_mut()).and_then(|row| row.last_mut()) {
            cell.push_str(&text.replace('\n', " "));
        }
    }

    fn preformatted(&mut self, text: &str) {
        let text = escape_code(text).replace("```", &format!("`{BREAK}`{BREAK}`"));
        self.push("```");
        for line in text.trim_end_matches('\n').split('\n') {
            self.newline();
            self.push(line);
        }
        self.newline();
        self.push("```");
    }

    fn newline(&mut self) {
        while self.out.ends_with(' ') {
            self.out.pop();
        }
        self.out.push('\n');
        if self.quotes > 0 {
            self.out.push_str("> ");
        }
    }

    fn push(&mut self, text: &str) {
        self.after_mark = false;
        self.out.push_str(text);
    }
}

/// What is around a heading.
fn heading(level: HeadingLevel) -> &'static str {
    if matches!(level, HeadingLevel::H5 | HeadingLevel::H6) { "_" } else { "*" }
}

/// Code keeps `@here`, which is no call there.
fn escape_code(text: &str) -> String {
    defused(text, false).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
