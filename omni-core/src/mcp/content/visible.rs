//! Texts of servers without what a terminal obeys and without what no reader can see.

use std::{iter::Peekable, str::Chars};

use crate::scan::is_joined;

/// Text without escape sequences, control characters (but line ends and tabs) and what no reader can see, at most
/// `max` characters of it. Whatever ends a line is a line feed. Letters and emoji that need a joiner keep it.
pub(crate) fn clean(text: &str, max: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(max));
    let (mut chars, mut count, mut has_joiners) = (text.chars().peekable(), 0, false);
    while count < max {
        let Some(c) = chars.next() else { break };
        let c = match c {
            '\u{1b}' => {
                skip_sequence(&mut chars);
                continue;
            }
            '\r' => {
                let _ = chars.next_if_eq(&'\n');
                '\n'
            }
            c => c,
        };
        let joins = is_joiner(c);
        if joins || is_visible(c) {
            has_joiners |= joins;
            kept.push(c);
            count += 1;
        }
    }
    if has_joiners { without_idle_joiners(&kept) } else { kept }
}

/// Takes off what follows `ESC` of its sequence. One that never ends goes no further than its line.
fn skip_sequence(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            let _ = chars.next();
            while chars.next_if(|&c| matches!(c, ' '..='?')).is_some() {}
            let _ = chars.next_if(|&c| matches!(c, '@'..='~'));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(chars),
        _ => {
            while chars.next_if(|&c| matches!(c, ' '..='/')).is_some() {}
            let _ = chars.next_if(|&c| matches!(c, '0'..='~'));
        }
    }
}

/// Takes off a string for the terminal up to its end. An escape sequence ends it too, and is a sequence of its own.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|&c| !matches!(c, '\n' | '\r' | '\u{1b}')) {
        if matches!(c, '\u{7}' | '\u{18}' | '\u{1a}' | '\u{9c}') {
            return;
        }
    }
}

/// Joiners stay between what they join; elsewhere they are only hidden.
fn without_idle_joiners(text: &str) -> String {
    let (mut before, mut chars) = (None, text.chars().peekable());
    let mut kept = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        if !is_joiner(c) || is_joined(before, chars.peek().copied()) {
            kept.push(c);
        }
        before = Some(c);
    }
    kept
}

/// Characters that join letters and emoji, or part letters.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

fn is_visible(c: char) -> bool {
    if c.is_control() {
        return matches!(c, '\n' | '\t');
    }
    !matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{FEFF}'
        | '\u{200B}'..='\u{200F}'   // zero width, direction marks
        | '\u{202A}'..='\u{202E}'   // direction overrides
        | '\u{2060}'..='\u{206F}'   // joiners, direction isolates, deprecated format characters
        | '\u{FFF9}'..='\u{FFFB}'   // interlinear annotation
        | '\u{E0000}'..='\u{E007F}' // tags: a whole hidden alphabet
        | '\u{E0100}'..='\u{E01EF}' // variation selectors: another one
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> String {
        clean(text, usize::MAX)
    }

    #[test]
    fn control_characters_and_hidden_text_are_stripped() {
        let hidden = "a\u{1b}[31m\tb\r\nc\u{0}\u{200B}\u{202E}\u{E0041}\u{FEFF}\u{2066}d\u{9b}";
        assert_eq!(whole(hidden), "a\tb\ncd");
        assert_eq!(clean("\u{0}ab\u{1b}[1mcd", 3), "abc");
    }

    #[test]
    fn escape_sequences_are_taken_out_whole() {
        for (dirty, clean) in [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;https://x.example\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}Pq#0;2\u{1b}\\text", "text"),
            ("\u{1b}(Ba\u{1b}7b\u{1b}c", "ab"),
            ("\u{1b}]0;never ends\nnext line", "\nnext line"),
            ("\u{1b}]\u{1b}]\u{1b}[2Jtext\u{1b}", "text"),
            ("\u{1b}[31\u{1b}[0mü", "ü"),
        ] {
            assert_eq!(whole(dirty), clean, "{dirty:?}");
        }
        assert_eq!(whole(&"\u{1b}]".repeat(100_000)), "");
    }

    #[test]
    fn whatever_ends_a_line_is_a_line_feed() {
        assert_eq!(whole("10 %\r20 %\r\ndone\r"), "10 %\n20 %\ndone\n");
    }

    #[test]
    fn joiners_stay_where_a_script_or_an_emoji_needs_them() {
        for needed in ["می\u{200C}خواهم", "क्\u{200D}ष", "👩\u{200D}💻", "❤\u{FE0F}\u{200D}🔥"] {
            assert_eq!(whole(needed), needed);
        }
        for (idle, clean) in [
            ("a\u{200D}b", "ab"),
            ("\u{200C}ü\u{200D}", "ü"),
            ("ü\u{200D}\u{200C}ü", "üü"),
            ("ü\u{200D}\u{80}a", "üa"),
            ("ü\u{200B}ü", "üü"),
        ] {
            assert_eq!(whole(idle), clean, "{idle:?}");
        }
    }
}
