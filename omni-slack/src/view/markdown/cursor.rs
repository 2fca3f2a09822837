//! The parts of a line of Markdown that belong together.

/// How many bytes of a text its beginning of `mark`s takes, which are one byte each.
pub(super) fn run(text: &str, mark: char) -> usize {
    text.bytes().take_while(|&b| char::from(b) == mark).count()
}

/// Code within a line that begins with its backticks: how many these are, and where it ends.
pub(super) fn code(text: &str) -> Option<(usize, usize)> {
    let marks = run(text, '`');
    let mut at = marks;
    while let Some(found) = text[at..].find('`') {
        let begin = at + found;
        let closing = run(&text[begin..], '`');
        if closing == marks {
            return Some((marks, begin + closing));
        }
        at = begin + closing;
    }
    None
}

/// Where a link leads, of what follows `](`: the address, and where the link ends.
pub(super) fn destination(text: &str) -> Option<(String, usize)> {
    let begin = text.len() - text.trim_start_matches([' ', '\t']).len();
    let (address, mut at) = match text[begin..].strip_prefix('<') {
        Some(inner) => {
            let end = inner.find(['>', '<', '\n'])?;
            (&inner[..end], inner[end..].starts_with('>').then_some(begin + end + 2)?)
        }
        None => {
            let end = bare(&text[begin..])?;
            (&text[begin..begin + end], begin + end)
        }
    };
    let after = text[at..].trim_start_matches([' ', '\t']);
    let has_gap = after.len() < text.len() - at;
    at = text.len() - after.len();
    if let Some(quote) = after.chars().next().filter(|c| has_gap && matches!(c, '"' | '\'' | '(')) {
        let close = if quote == '(' { ')' } else { quote };
        let end = after[1..].find(close)?;
        let rest = after[1 + end + 1..].trim_start_matches([' ', '\t']);
        at = text.len() - rest.len();
    }
    text[at..].starts_with(')').then(|| (plain(address), at + 1))
}

/// How long an address without angles is: its parentheses are in pairs.
fn bare(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            c if c.is_whitespace() || c.is_control() => return (depth == 0).then_some(at),
            _ => {}
        }
    }
    None
}

/// An address as it is meant: `\(` is a parenthesis, `&amp;` an ampersand.
fn plain(address: &str) -> String {
    let mut meant = String::with_capacity(address.len());
    let mut chars = address.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => meant.extend(chars.next()),
            _ => meant.push(c),
        }
    }
    meant.replace("&amp;", "&")
}

/// Whether an address has what readers of Markdown may take for an entity, so that it is not what it seems.
pub(super) fn has_entity(address: &str) -> bool {
    address.split('&').skip(1).any(|part| {
        let name = part.split(';').next().unwrap_or_default();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#');
        is_name && part.len() > name.len()
    })
}

/// The last place at which a beginning of a line can be told without its rest: after white space, outside of links,
/// code and angles, and not between a link and what says where it leads.
pub(super) fn seam(text: &str) -> Option<usize> {
    let (mut found, mut open, mut at) = (None, 0_usize, 0);
    let mut in_angles = false;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        match c {
            '`' => match code(&text[at..]) {
                Some((_, end)) => {
                    at += end;
                    continue;
                }
                None => return found,
            },
            '\\' => {
                at = next + text[next..].chars().next().filter(char::is_ascii_punctuation).map_or(0, char::len_utf8);
                continue;
            }
            '[' => open += 1,
            ']' => {
                open = open.saturating_sub(1);
                if text[next..].starts_with('(') {
                    match destination(&text[next + 1..]) {
                        Some((_, end)) => {
                            at = linked(text, next + 1 + end);
                            continue;
                        }
                        None => return found,
                    }
                }
            }
            '<' => in_angles = text[next..].starts_with(|c: char| c.is_alphabetic() || matches!(c, '!' | '@' | '#')),
            '>' if in_angles => {
                in_angles = false;
                at = linked(text, next);
                continue;
            }
            c if c.is_whitespace() && open == 0 && !in_angles => found = Some(next),
            _ => {}
        }
        at = next;
    }
    found
}

/// Where a text goes on after a link that ends at `end`: white space before a host in parentheses is none, also where
/// that may still come.
fn linked(text: &str, end: usize) -> usize {
    let rest = &text[end..];
    if rest == " " || rest.starts_with(" (") { end + 1 } else { end }
}
