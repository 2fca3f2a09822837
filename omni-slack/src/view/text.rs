//! Text of people, models and servers, made fit for Slack.

use super::limits::{CUT, clamp, width};

/// Takes no room, and keeps Slack from reading what it parts as one thing.
pub const BREAK: char = '\u{200B}';
/// Names by which Slack calls many people at once.
const CALLS: [&str; 4] = ["channel", "everyone", "here", "group"];

/// Text without control characters (but line ends and tabs) and without what hides or turns text.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().filter(|&c| !is_hidden(c)).collect()
}

/// Whether a character cannot be seen, or changes how others are. What joins emoji is left.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    if c.is_control() {
        return !matches!(c, '\n' | '\t');
    }
    matches!(c,
        '\u{061C}' | '\u{180E}' | '\u{FEFF}' | '\u{200E}' | '\u{200F}'
        | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Prose with what cannot be seen written out.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) || c == BREAK { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

/// One line of it.
#[must_use]
pub fn line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text that Slack shows as it is: nothing in it is a mention, a link or an entity.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in defused(&clean(text), true).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The same, at most `max` of it as it is sent.
#[must_use]
pub fn mrkdwn(text: &str, max: usize) -> String {
    cut_escaped(&escape(text), max)
}

/// The same on one line.
#[must_use]
pub fn mrkdwn_line(text: &str, max: usize) -> String {
    mrkdwn(&line(text), max)
}

/// For plain text objects, which know no markup: mentions are parted nonetheless.
#[must_use]
pub fn plain(text: &str, max: usize) -> String {
    clamp(&defused(&clean(text), true), max)
}

/// The same on one line.
#[must_use]
pub fn plain_line(text: &str, max: usize) -> String {
    plain(&line(text), max)
}

/// A name as code within a line, with its backticks; at most `max` of it.
#[must_use]
pub fn code(text: &str, max: usize) -> String {
    let inner = mrkdwn(&line(text).replace('`', "'"), max.saturating_sub(2));
    if inner.is_empty() { "` `".into() } else { format!("`{inner}`") }
}

/// A block of preformatted text that its content cannot end; at most `max` of it.
#[must_use]
pub fn preformatted(text: &str, max: usize) -> String {
    let parted = defused(&visible(text), true).replace("```", &format!("`{BREAK}`{BREAK}`"));
    let inner = cut_escaped(&escape_only(&parted), max.saturating_sub(8));
    format!("```\n{inner}\n```")
}

fn escape_only(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Cuts escaped text, no entity in two.
fn cut_escaped(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let cut = clamp(text, max);
    let kept = cut.strip_suffix(CUT).unwrap_or(&cut);
    let kept = match kept.rfind('&') {
        Some(at) if !kept[at..].contains(';') => &kept[..at],
        _ => kept,
    };
    if max == 0 { String::new() } else { format!("{kept}{CUT}") }
}

/// Text in which Slack's control sequences are parted; `@here` and its like only where `calls` is set.
#[must_use]
pub fn defused(text: &str, calls: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = None;
    for (at, c) in text.char_indices() {
        safe.push(c);
        let rest = &text[at + c.len_utf8()..];
        let is_control = match c {
            '<' => is_control(rest),
            '@' => calls && before.is_none_or(|c: char| !c.is_alphanumeric()) && is_call(rest),
            _ => false,
        };
        if is_control {
            safe.push(BREAK);
        }
        before = Some(c);
    }
    safe
}

/// Whether what follows a `<` makes Slack read it as something else than text. The end counts: more may come.
pub(super) fn is_control(rest: &str) -> bool {
    let mut chars = rest.chars();
    match chars.next() {
        None => true,
        Some('!') => {
            let is_doctype = rest.get(1..8).is_some_and(|name| name.eq_ignore_ascii_case("doctype"));
            !is_doctype && chars.next().is_none_or(char::is_alphanumeric)
        }
        Some('@' | '#') => chars.next().is_none_or(char::is_alphanumeric),
        Some(c) if c.is_ascii_alphabetic() => {
            let inner = rest.split_once('>').map_or(rest, |(inner, _)| inner);
            let is_link = inner.split_once(':').is_some_and(|(scheme, _)| {
                scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'))
            });
            is_link && inner.contains('|')
        }
        Some(_) => false,
    }
}

/// Whether what follows an `@` calls many people, or may once it is cut or goes on.
pub(super) fn is_call(rest: &str) -> bool {
    let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    let word = rest[..end].to_lowercase();
    CALLS.iter().any(|call| word.starts_with(call) || (end == rest.len() && call.starts_with(&word)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::check;

    #[test]
    fn nobody_is_called_and_nothing_is_hidden() {
        assert_eq!(escape("<!channel> & <@U1>"), format!("&lt;{BREAK}!channel&gt; &amp; &lt;{BREAK}@U1&gt;"));
        assert_eq!(escape("@here a@here.com @ann"), format!("@{BREAK}here a@here.com @ann"));
        assert_eq!(clean("a\u{202E}b\u{7}\n👩\u{200D}💻"), "ab\n👩\u{200D}💻");
        assert_eq!(visible("a\u{202E}b"), "a\\u{202e}b");
        assert_eq!(defused("<!DOCTYPE html><a href>", true), "<!DOCTYPE html><a href>");
    }

    #[test]
    fn what_is_preformatted_stays_in_its_block() {
        assert_eq!(preformatted("a```b", 100), format!("```\na`{BREAK}`{BREAK}`b\n```"));
        assert_eq!(code("a`b\nc", 20), "`a'b c`");
    }

    proptest! {
        #[test]
        fn escaped_text_fits_and_has_no_control_sequence(text in check::hostile(), max in 1_usize..200) {
            for shown in [mrkdwn(&text, max), plain(&text, max), code(&text, max.max(4)), preformatted(&text, max.max(20))] {
                prop_assert!(width(&shown) <= max.max(20), "{shown:?}");
                prop_assert!(check::control(&shown).is_none(), "{shown:?}");
            }
            prop_assert!(!mrkdwn(&text, max).contains(['<', '>']));
        }
    }
}
