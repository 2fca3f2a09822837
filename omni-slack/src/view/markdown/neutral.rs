//! Markdown as it goes to Slack's own reader of it, with what is dangerous taken out: line by line, so that it can be
//! told while it is written.

use super::{cursor, fence::Fence, link};
use crate::view::text::{BREAK, clean, defused, is_call, is_control};

/// Longest beginning of a line that is held back because it may become something else, in bytes.
const MAX_HELD: usize = 2_000;
/// A line is told before it ends once it is so long, in bytes.
const MIN_TOLD: usize = 120;

/// A whole text at once.
#[must_use]
pub fn neutral(markdown: &str) -> String {
    let mut neutral = Neutral::default();
    let mut safe = neutral.feed(markdown);
    safe.push_str(&neutral.finish());
    safe
}

/// A text piece by piece: whatever the pieces are, what comes out is safe, also where it is cut.
#[derive(Debug, Clone, Default)]
pub struct Neutral {
    fence: Option<Fence>,
    held: String,
    /// Whether the beginning of this line was told already.
    in_line: bool,
}

impl Neutral {
    /// Takes a piece; gives what can be told by now.
    #[must_use]
    pub fn feed(&mut self, piece: &str) -> String {
        self.held.push_str(&clean(&piece.replace("\r\n", "\n")));
        let mut safe = String::new();
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        while let Some(end) = rest.find('\n') {
            self.line(&rest[..end], &mut safe);
            safe.push('\n');
            self.in_line = false;
            rest = &rest[end + 1..];
        }
        let told = self.early(rest);
        if told > 0 {
            self.part(&rest[..told], &mut safe);
            self.in_line = true;
        }
        self.held = rest[told..].to_owned();
        safe
    }

    /// The rest.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let mut safe = String::new();
        self.line(&held, &mut safe);
        *self = Self::default();
        safe
    }

    /// How much of a line can be told before it has ended.
    fn early(&self, line: &str) -> usize {
        if line.len() < MIN_TOLD {
            return 0;
        }
        let marks = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '\t' | '>' | '-' | '*' | '+' | '.' | ')');
        let may_be_fence = !self.in_line && line.trim_start_matches(marks).starts_with(['`', '~']);
        let seam = if may_be_fence || self.fence.is_some() { None } else { cursor::seam(line) };
        seam.unwrap_or(if line.len() > MAX_HELD { line.len() } else { 0 })
    }

    /// A line, or the end of one.
    fn line(&mut self, line: &str, safe: &mut String) {
        if self.fence.as_ref().is_some_and(|fence| !self.in_line && fence.is_left_by(line)) {
            self.fence = None;
        }
        match &self.fence {
            Some(fence) => {
                let is_closed = !self.in_line && fence.is_closed_by(line);
                code(line, safe);
                if is_closed {
                    self.fence = None;
                }
            }
            None => match Fence::opened_by(line).filter(|_| !self.in_line) {
                Some(fence) => {
                    // One that is longer than a message is cut, and what is behind the cut is no code there.
                    code(&defused(line, true), safe);
                    self.fence = Some(fence);
                }
                None => words(line, safe),
            },
        }
    }

    /// A beginning of a line, or something from its middle: what follows is not known.
    fn part(&self, part: &str, safe: &mut String) {
        if self.fence.is_some() {
            code(part, safe)
        } else {
            words(part, safe)
        }
        if part.ends_with([']', '<', '!', '[']) {
            safe.push(BREAK);
        }
    }
}

/// Code keeps its characters, save what calls people. What is code is not read alike by everybody: pictures and links
/// that lie are taken out as well.
fn code(line: &str, safe: &mut String) {
    let line = without_others(&defused(line, false));
    let (mut rest, mut has_picture) = (line.as_str(), false);
    while let Some((before, after)) = rest.split_once(']') {
        safe.push_str(before);
        safe.push(']');
        // A picture's words may have brackets of their own.
        has_picture |= before.contains("![");
        let mut brackets = before.rmatch_indices('[').map(|(at, _)| at);
        let open = brackets.find(|&at| !before[..at].ends_with('\\'));
        let address = match after.chars().next() {
            Some('(') => cursor::destination(&after[1..]).map(|(address, _)| address),
            Some(':') => after[1..].split_whitespace().next().map(str::to_owned),
            _ => None,
        };
        let is_bad = |address: String| {
            let url = link::web(&address);
            // A label that began elsewhere says nobody knows what.
            let lies = open.map_or(url.is_some(), |open| link::is_deceptive(&before[open + 1..], url.as_ref()));
            address.contains(':') && (lies || has_picture)
        };
        if address.is_some_and(is_bad) {
            safe.push(BREAK);
        }
        rest = after;
    }
    safe.push_str(rest);
}

/// Text in which addresses in angles are parted that are no web pages.
fn without_others(line: &str) -> String {
    let mut parts = line.split('<');
    let mut safe = parts.next().unwrap_or_default().to_owned();
    let mut at = safe.len();
    for part in parts {
        at += 1;
        safe.push('<');
        if opens_other(&line[at..]) {
            safe.push(BREAK);
        }
        safe.push_str(part);
        at += part.len();
    }
    safe
}

/// What is no code.
fn words(line: &str, safe: &mut String) {
    let begin = safe.len();
    let (mut at, mut before) = (0, None);
    while let Some(c) = line[at..].chars().next() {
        let next = at + c.len_utf8();
        let rest = &line[next..];
        let end = match c {
            '`' => span(&line[at..], safe).map(|taken| at + taken),
            '\\' if rest.starts_with(['[', ']', '`', '\\']) => {
                safe.push_str(&line[at..=next]);
                // An escaped bracket ends no link, for whom takes it for one.
                if rest.starts_with(']') {
                    safe.push(BREAK);
                }
                Some(next + 1)
            }
            '<' => {
                safe.push('<');
                if is_control(rest) || opens_other(rest) {
                    safe.push(BREAK);
                }
                Some(next)
            }
            ']' => bracket(rest, safe, begin).map(|taken| next + taken),
            // A picture would be fetched, and where one ends is not read alike by everybody: none begins.
            '!' if rest.starts_with('[') => {
                safe.push('!');
                safe.push(BREAK);
                Some(next)
            }
            '@' => {
                safe.push('@');
                if before.is_none_or(|c: char| !c.is_alphanumeric()) && is_call(rest) {
                    safe.push(BREAK);
                }
                Some(next)
            }
            _ => None,
        };
        at = end.unwrap_or_else(|| {
            safe.push(c);
            next
        });
        before = Some(c);
    }
}

/// Code within a line: how much of it there is.
fn span(text: &str, safe: &mut String) -> Option<usize> {
    match cursor::code(text) {
        Some((_, end)) => {
            code(&text[..end], safe);
            Some(end)
        }
        None => {
            let marks = cursor::run(text, '`');
            safe.push_str(&text[..marks]);
            Some(marks)
        }
    }
}

/// Whether what follows a `<` is an address that is no web page.
fn opens_other(rest: &str) -> bool {
    let Some((inner, _)) = rest.split_once('>') else { return false };
    let has_scheme = inner.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'))
    });
    has_scheme && !inner.contains(char::is_whitespace) && (link::web(inner).is_none() || cursor::has_entity(inner))
}

/// What follows the `]` of a label, which is the end of what is told from `begin` on: how much of it is done with.
fn bracket(rest: &str, safe: &mut String, begin: usize) -> Option<usize> {
    if rest.starts_with(':') {
        // No definition of where another link leads.
        safe.push(']');
        safe.push(BREAK);
        return Some(0);
    }
    let inner = rest.strip_prefix('(')?;
    let link = cursor::destination(inner).and_then(|found| Some((found, begin + label_begin(&safe[begin..])?)));
    let Some(((address, end), open)) = link else {
        // It leads nowhere, or its label began in another line: nobody knows what that says.
        safe.push_str("]\u{200B}(");
        return Some(1);
    };
    match link::web(&address).filter(|_| !cursor::has_entity(&address)) {
        Some(url) => {
            let label = safe[open + 1..].to_owned();
            // What would be a picture is a link; of several marks each would make one.
            let front = safe[begin..open].trim_end_matches(BREAK);
            if front.ends_with('!') {
                let kept = begin + front.trim_end_matches('!').len();
                safe.replace_range(kept..open, "");
            }
            safe.push_str(&format!("]({})", link::address(&url)));
            if !link::says_host(&label, &url) {
                safe.push_str(&format!(" ({})", link::host(&url)));
            }
        }
        None => {
            safe.push(']');
            safe.push(BREAK);
            safe.push('(');
            words(&address.replace('\n', " "), safe);
            safe.push(')');
        }
    }
    Some(1 + end)
}

/// Where the label begins that ends here.
fn label_begin(told: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in told.char_indices().rev() {
        match c {
            _ if told[..at].ends_with('\\') => {}
            ']' => depth += 1,
            '[' if depth == 0 => return Some(at),
            '[' => depth -= 1,
            _ => {}
        }
    }
    None
}
