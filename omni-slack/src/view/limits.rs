//! What Slack takes, and how text is cut so that it fits.
//!
//! Lengths are counted in UTF-16 units, the longest way in which Slack may count characters.

/// Most blocks of a message.
pub const BLOCKS: usize = 50;
/// Most blocks of a modal or a home tab.
pub const VIEW_BLOCKS: usize = 100;
/// Longest text of a section.
pub const SECTION: usize = 3_000;
/// Most fields of a section.
pub const FIELDS: usize = 10;
/// Longest text of a field.
pub const FIELD: usize = 2_000;
/// Longest header.
pub const HEADER: usize = 150;
/// Most elements of a row of buttons.
pub const ACTIONS: usize = 25;
/// Most elements of a context.
pub const CONTEXT: usize = 10;
/// Longest text of a Markdown block, and of all of a message together; also of one piece of a stream.
pub const MARKDOWN: usize = 12_000;
/// Most text of all blocks of a message; a bit more is said to be refused, which Slack does not document.
pub const MESSAGE: usize = 13_000;
/// Longest text of a button.
pub const BUTTON: usize = 75;
/// Longest value of a button.
pub const VALUE: usize = 2_000;
/// Longest address of a button.
pub const URL: usize = 3_000;
/// Longest title of a question that a button asks back.
pub const CONFIRM_TITLE: usize = 100;
/// Longest text of it.
pub const CONFIRM_TEXT: usize = 300;
/// Longest text of its buttons.
pub const CONFIRM_BUTTON: usize = 30;
/// Longest text, and description, of an option.
pub const OPTION: usize = 75;
/// Longest value of an option.
pub const OPTION_VALUE: usize = 150;
/// Most options of a menu, or of a group of one.
pub const OPTIONS: usize = 100;
/// Most groups of a menu.
pub const OPTION_GROUPS: usize = 100;
/// Most check boxes and radio buttons.
pub const CHOICES: usize = 10;
/// Longest id of an action, a block or a modal.
pub const ID: usize = 255;
/// Longest label and hint of an input.
pub const LABEL: usize = 2_000;
/// Longest placeholder.
pub const PLACEHOLDER: usize = 150;
/// Longest text that can be typed.
pub const INPUT: usize = 3_000;
/// Longest title and button of a modal.
pub const MODAL_TITLE: usize = 24;
/// Longest metadata of a modal.
pub const METADATA: usize = 3_000;
/// Most bytes of a modal or a home tab.
pub const VIEW_BYTES: usize = 250_000;
/// Longest plain text that a message can be changed to.
pub const UPDATE: usize = 4_000;
/// Longest text that stands for the blocks of a message in notifications.
pub const FALLBACK: usize = 3_000;
/// Most rows of a table.
pub const TABLE_ROWS: usize = 100;
/// Most columns of a table.
pub const TABLE_COLUMNS: usize = 20;
/// Longest title, details and output of a task card.
pub const TASK: usize = 256;
/// Most prompts that are suggested.
pub const PROMPTS: usize = 4;

/// The sign that something is cut.
pub const CUT: char = '…';

/// How long a text is for Slack.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The text, or as much of its beginning as fits with a sign that there is more.
#[must_use]
pub fn clamp(text: &str, max: usize) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mut cut = text[..prefix(text, max.saturating_sub(1))].to_owned();
    if max > 0 {
        cut.push(CUT);
    }
    cut
}

/// At which byte the longest beginning ends that is no longer than `max`.
#[must_use]
pub fn prefix(text: &str, max: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.len_utf16();
        if used > max {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_cut_fits_and_says_so(text in ".{0,60}", max in 0_usize..40) {
            let cut = clamp(&text, max);
            prop_assert!(width(&cut) <= max);
            prop_assert_eq!(cut == text, width(&text) <= max);
            prop_assert!(text.starts_with(cut.trim_end_matches(CUT)));
        }
    }

    #[test]
    fn no_character_is_cut_in_two() {
        assert_eq!(clamp("🦀🦀🦀", 4), "🦀…");
        assert_eq!(clamp("🦀🦀", 4), "🦀🦀");
    }
}
