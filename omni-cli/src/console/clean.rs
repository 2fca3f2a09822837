//! Takes terminal control out of text from outside.
//!
//! What models and tools say is not trusted: an escape sequence in it could rewrite the screen, set
//! the clipboard or forge a prompt. Line feeds and tabs stay; so does everything that prints.

use std::borrow::Cow;

use anstyle_parse::{DefaultCharAccumulator, Parser, Perform};

/// Cleans text that comes in pieces; a sequence may be cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Cleaner(Parser<DefaultCharAccumulator>);

impl Cleaner {
    /// Cleans the next piece.
    pub(crate) fn next(&mut self, piece: &str) -> String {
        let mut printed = Printed(String::with_capacity(piece.len()));
        for byte in piece.bytes() {
            if byte == b'\n' {
                // No sequence spans lines; one that never ends must not swallow the rest of the text.
                *self = Self::default();
            }
            self.0.advance(&mut printed, byte);
        }
        printed.0
    }

    /// Cleans a whole text.
    pub(crate) fn all(text: &str) -> String {
        Self::default().next(text)
    }
}

/// What is left of a text: what prints, and the controls that lay out.
struct Printed(String);

impl Perform for Printed {
    fn print(&mut self, c: char) {
        if is_harmless(c) {
            self.0.push(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        if matches!(byte, b'\n' | b'\t') {
            self.0.push(char::from(byte));
        }
    }
}

/// Some characters print and still are controls: the upper range moves the cursor on some terminals,
/// and marks of direction reorder what is read.
fn is_harmless(c: char) -> bool {
    !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') && !c.is_control()
}

/// JSON with those controls escaped that JSON itself lets stand; they can only be within strings.
pub(crate) fn escape(json: &str) -> Cow<'_, str> {
    let stands = |c: char| matches!(c, '\u{7f}'..='\u{9f}');
    if !json.contains(stands) {
        return json.into();
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if stands(c) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_taken_out_and_text_stays() {
        for (dirty, clean) in [
            ("plain ünïcödé 🚫\n\tx", "plain ünïcödé 🚫\n\tx"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]52;c;ZXZpbA==\x07text", "text"),
            ("a\x1b[2Jb", "ab"),
            ("good\rbad", "goodbad"),
            ("a\u{9b}31mb", "a31mb"),
            ("a\x08\x7fb", "ab"),
            ("a\u{202e}b", "ab"),
            ("\x1b]0;never ends\nnext line", "\nnext line"),
            ("\x1bPq#0;2\x1b\\text", "text"),
        ] {
            assert_eq!(Cleaner::all(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn json_keeps_its_meaning_and_holds_no_control() {
        let value = serde_json::json!("a\u{9b}31m\u{7f}ü");
        let text = escape(&value.to_string()).into_owned();
        assert!(!text.contains(['\u{9b}', '\u{7f}']), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_sequence_that_is_cut_anywhere_is_taken_out() {
        let dirty = "one \x1b[1;31mtwo\x1b[0m three";
        for at in (0..dirty.len()).filter(|&at| dirty.is_char_boundary(at)) {
            let mut cleaner = Cleaner::default();
            let cleaned = cleaner.next(&dirty[..at]) + &cleaner.next(&dirty[at..]);
            assert_eq!(cleaned, "one two three", "cut at {at}");
        }
    }
}
