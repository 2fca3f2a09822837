//! What names of people look like, wherever they come from.

use super::normalise;

/// Longest name, in bytes: as long as the columns for it are.
const MAX_SUBJECT: usize = 255;

/// Whether something can name somebody: it is short enough, and nothing in it is invisible.
pub(crate) fn is_subject(text: &str) -> bool {
    let text = normalise(text);
    let is_plain = !text.chars().any(|char| char.is_whitespace() || char.is_control());
    !text.is_empty() && text.len() <= MAX_SUBJECT && is_plain
}

/// Whether something can be an e-mail address: such a name, with one `@` and something on either side of it.
#[cfg(any(test, feature = "sqlite", feature = "postgres"))]
pub(crate) fn is_address(text: &str) -> bool {
    let has_both = |(name, host): (&str, &str)| !name.is_empty() && !host.is_empty() && !host.contains('@');
    is_subject(text) && text.trim().split_once('@').is_some_and(has_both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_at_and_nothing_that_cannot_be_seen() {
        let longest = format!("{}@x.org", "a".repeat(249));
        for text in ["a@b", " Ann@X.org ", "änn@x.org", &longest] {
            assert!(is_address(text), "{text:?}");
        }
        let long = format!("a{longest}");
        for text in ["", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\nc", "a@b\0c", "a@b\u{a0}c", "ann", &long] {
            assert!(!is_address(text), "{text:?}");
        }
        assert!(is_subject("ann") && is_subject("local:root") && !is_subject("a\0") && !is_subject(" "));
    }
}
