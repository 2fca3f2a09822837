//! As many lines of a file as fit.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{client::MAX_FILE, error::Error, text::thousands};

/// Most bytes of text at once: what omni puts before a model of one result, and room for a heading.
const MAX_TEXT: usize = 40_000;
/// How far it is looked for a zero, which text has none of; as far as git looks.
const LOOKED_AT: usize = 8_000;

/// Which lines of a file are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Lines {
    /// The first of them, counted from 1; 0 in a file without lines.
    pub(super) start: u64,
    /// The last of them.
    pub(super) end: u64,
    /// How many the file has; absent where it was too large to be read whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    /// With which `start_line` to read on, if there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<u64>,
    /// Whether the last line is itself too long, and only its beginning is here.
    pub(super) is_line_cut: bool,
}

/// # Errors
/// [`Error::Argument`] when lines are named that no file has.
pub(super) fn check(first: Option<u64>, last: Option<u64>) -> Result<(), Error> {
    let none = |argument, problem: &str| Err(Error::Argument { argument, problem: problem.into() });
    match (first, last) {
        (Some(0), _) => none("start_line", "counts from 1"),
        (_, Some(0)) => none("end_line", "counts from 1"),
        (first, Some(last)) if last < first.unwrap_or(1) => none("end_line", "is before `start_line`"),
        _ => Ok(()),
    }
}

/// The text of a file, or of its beginning, if it is text.
pub(super) fn text_of(mut bytes: Vec<u8>, is_cut: bool) -> Option<String> {
    if bytes[..bytes.len().min(LOOKED_AT)].contains(&0) {
        return None;
    }
    if is_cut {
        let whole = match std::str::from_utf8(&bytes) {
            Ok(_) => bytes.len(),
            // A character was cut in two.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return None,
        };
        bytes.truncate(whole);
    }
    String::from_utf8(bytes).ok()
}

/// The lines from `first` to `last`, as many of them as fit.
///
/// # Errors
/// [`Error::Lines`] when the file ends before `first`.
pub(super) fn window(text: &str, is_cut: bool, first: Option<u64>, last: Option<u64>) -> Result<(Lines, &str), Error> {
    let count = text.split_inclusive('\n').count() as u64;
    let total = (!is_cut).then_some(count);
    let first = first.unwrap_or(1);
    if first > count.max(1) {
        let problem = match total {
            Some(total) => format!("is {first}, and the file has {} lines", thousands(total)),
            None => format!(
                "is {first}, which is beyond the first {} bytes of the file, and no more are read",
                thousands(MAX_FILE as u64)
            ),
        };
        return Err(Error::Lines { problem });
    }
    let skipped = usize::try_from(first - 1).unwrap_or(usize::MAX);
    let begin: usize = text.split_inclusive('\n').take(skipped).map(str::len).sum();
    let rest = &text[begin..];
    let (mut len, mut end, mut is_line_cut) = (0, first - 1, false);
    for line in rest.split_inclusive('\n').take(usize::try_from(last.unwrap_or(count) - end).unwrap_or(usize::MAX)) {
        if len + line.len() > MAX_TEXT {
            if len == 0 {
                (len, end, is_line_cut) = (line.floor_char_boundary(MAX_TEXT), end + 1, true);
            }
            break;
        }
        (len, end) = (len + line.len(), end + 1);
    }
    let next = (end < count).then_some(end + 1);
    let start = if count == 0 { 0 } else { first };
    Ok((Lines { start, end, total, next, is_line_cut }, &rest[..len]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str, first: Option<u64>, last: Option<u64>) -> (Lines, &str) {
        window(text, false, first, last).unwrap()
    }

    proptest! {
        #[test]
        fn reading_on_gives_the_whole_file(sizes in prop::collection::vec(0_usize..9_000, 0..30), ends in any::<bool>()) {
            let lines: Vec<String> = sizes.iter().map(|size| "aä\r".repeat(size / 4)).collect();
            let text = lines.join("\n") + if ends { "\n" } else { "" };
            let (mut read, mut next) = (String::new(), Some(1));
            while let Some(first) = next {
                let (lines, shown) = whole(&text, Some(first), None);
                prop_assert!(shown.len() <= MAX_TEXT && !lines.is_line_cut);
                read.push_str(shown);
                next = lines.next;
            }
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn the_lines_that_are_asked_for_are_shown() {
        let text = "one\ntwo\r\nthree\nfour";
        assert_eq!(whole(text, Some(2), Some(3)).1, "two\r\nthree\n");
        let (lines, shown) = whole(text, Some(4), Some(90));
        assert_eq!(
            (lines, shown),
            (Lines { start: 4, end: 4, total: Some(4), next: None, is_line_cut: false }, "four")
        );
        assert_eq!(whole("", None, None).0, Lines { start: 0, end: 0, total: Some(0), next: None, is_line_cut: false });
        assert!(window(text, false, Some(5), None).unwrap_err().to_string().contains("has 4 lines"));
    }

    #[test]
    fn a_line_that_is_too_long_by_itself_is_cut_and_passed() {
        let text = format!("{}\nafter", "ä".repeat(MAX_TEXT));
        let (lines, shown) = whole(&text, None, None);
        assert_eq!((shown.len(), lines.next, lines.is_line_cut), (MAX_TEXT, Some(2), true));
        assert_eq!(whole(&text, Some(2), None).1, "after");
    }

    #[test]
    fn lines_that_no_file_has_are_refused() {
        for (first, last) in [(Some(0), None), (None, Some(0)), (Some(5), Some(4))] {
            assert!(check(first, last).is_err(), "{first:?} {last:?}");
        }
        assert!(check(Some(5), Some(5)).is_ok() && check(None, Some(1)).is_ok());
    }

    #[test]
    fn what_is_no_text_is_none() {
        assert_eq!(text_of(b"\x89PNG\r\n\x1a\n\0".to_vec(), false), None);
        assert_eq!(text_of(b"caf\xe9".to_vec(), false), None);
        assert_eq!(text_of("café".into(), false).as_deref(), Some("café"));
        // Cut in the middle of a character.
        assert_eq!(text_of(b"caf\xc3".to_vec(), true).as_deref(), Some("caf"));
        assert_eq!(text_of(b"caf\xc3".to_vec(), false), None);
        assert_eq!(text_of(b"c\xe9fe".to_vec(), true), None);
    }
}
