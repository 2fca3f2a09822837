//! What a log writes for people: one line for each event, and nothing in it that a terminal obeys.

use std::{
    borrow::Cow,
    io::{self, Write},
};

/// The styles that a log gives its own words.
const STYLES: [&str; 9] = [
    "\u{1b}[0m",
    "\u{1b}[1m",
    "\u{1b}[2m",
    "\u{1b}[3m",
    "\u{1b}[31m",
    "\u{1b}[32m",
    "\u{1b}[33m",
    "\u{1b}[34m",
    "\u{1b}[35m",
];

/// Where a log writes its lines, one at a time.
///
/// A line may tell the words of a server or of a vendor, as they came. Control characters are taken out of it, all but
/// tabs and the styles of the log itself, and what would end it before its end is a blank.
#[derive(Debug)]
pub struct LogLines<W> {
    to: W,
    color: bool,
}

impl<W: Write> LogLines<W> {
    /// Lines that go `to` a stream, which shows styles or does not.
    pub fn new(to: W, color: bool) -> Self {
        Self { to, color }
    }
}

impl<W: Write> Write for LogLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.to.write_all(harmless(&text, self.color).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn harmless(line: &str, color: bool) -> Cow<'_, str> {
    let (mut rest, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
    if !rest.contains(is_obeyed) {
        return line.into();
    }
    let mut kept = String::with_capacity(line.len());
    while let Some(at) = rest.find(is_obeyed) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(style) = STYLES.iter().find(|style| color && rest.starts_with(**style)) {
            kept.push_str(style);
            rest = &rest[style.len()..];
            continue;
        }
        let mut chars = rest.chars();
        if chars.next().is_some_and(char::is_whitespace) {
            kept.push(' ');
        }
        rest = chars.as_str();
    }
    kept.push_str(rest);
    kept.push_str(end);
    kept.into()
}

/// Controls, ends of lines, and marks that reorder what is read.
fn is_obeyed(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str, color: bool) -> String {
        let mut lines = LogLines::new(Vec::new(), color);
        lines.write_all(line.as_bytes()).unwrap();
        String::from_utf8(lines.to).unwrap()
    }

    #[test]
    fn what_others_say_in_a_line_neither_ends_it_nor_moves_the_cursor() {
        let told =
            "WARN it failed error=(500): bo\u{1b}[31mom\u{1b}]0;pwn\u{7}\r\nERROR forged\u{9b}2J\u{2028}\u{202e}\tü\n";
        let plain = "WARN it failed error=(500): bo[31mom]0;pwn  ERROR forged2J \tü\n";
        assert_eq!(written(told, false), plain);
        assert_eq!(written("nothing to take out\n", false), "nothing to take out\n");
    }

    #[test]
    fn a_log_with_colours_keeps_its_own_and_no_others() {
        let own = "\u{1b}[2m12:00\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m \u{1b}[3merror\u{1b}[0m=x\n";
        assert_eq!(written(own, true), own);
        assert_eq!(written(own, false), "[2m12:00[0m [33m WARN[0m [3merror[0m=x\n");
        assert_eq!(written("a\u{1b}[8mb\u{1b}[1;1Hc\u{1b}\n", true), "a[8mb[1;1Hc\n");
    }
}
