//! Takes terminal control out of text from outside.
//!
//! What models and tools say is not trusted: an escape sequence in it could rewrite the screen, set
//! the clipboard or forge a prompt. Line feeds and tabs stay; so does everything that prints.

use anstream::adapter::{StripStr, strip_str};

/// Cleans text that comes in pieces; a sequence may be cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Cleaner(StripStr);

impl Cleaner {
    /// Cleans the next piece.
    pub(crate) fn next(&mut self, piece: &str) -> String {
        self.0.strip_next(piece).flat_map(str::chars).filter(|&c| is_harmless(c)).collect()
    }

    /// Cleans a whole text.
    pub(crate) fn all(text: &str) -> String {
        strip_str(text).flat_map(str::chars).filter(|&c| is_harmless(c)).collect()
    }
}

/// Controls move the cursor, and marks of direction reorder what is read.
fn is_harmless(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        c => !c.is_control(),
    }
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
        ] {
            assert_eq!(Cleaner::all(dirty), clean, "{dirty:?}");
        }
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
