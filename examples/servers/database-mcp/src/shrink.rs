//! Answers that are not too long: lists end sooner, and texts too.

use serde_json::Value;

/// Fewest items that a list is cut to while another one is longer.
const LEAST: usize = 1;

/// Halves the longest lists of a document until it fits; returns whether anything was left out.
pub(crate) fn document(value: &mut Value, max_bytes: usize) -> bool {
    let mut was_cut = false;
    while size(value) > max_bytes {
        let longest = longest(value);
        if longest <= LEAST {
            break;
        }
        halve(value, longest);
        was_cut = true;
    }
    was_cut
}

fn size(value: &Value) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

fn longest(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest).max().unwrap_or(0).max(items.len()),
        Value::Object(entries) => entries.values().map(longest).max().unwrap_or(0),
        _ => 0,
    }
}

fn halve(value: &mut Value, len: usize) {
    match value {
        Value::Array(items) => {
            if items.len() == len {
                items.truncate(len / 2);
            }
            items.iter_mut().for_each(|item| halve(item, len));
        }
        Value::Object(entries) => entries.values_mut().for_each(|entry| halve(entry, len)),
        _ => {}
    }
}

/// A text of at most so many bytes, which says when there was more.
pub(crate) fn text(mut text: String, max_bytes: usize) -> String {
    const MORE: &str = "\n… (the rest was left out)\n";
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes.saturating_sub(MORE.len())));
        text.push_str(MORE);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_lists_are_cut_first() {
        let mut value = json!({ "long": vec!["0123456789"; 100], "short": ["a", "b"] });
        assert!(document(&mut value, 400));
        assert!(size(&value) <= 400);
        assert_eq!(value["short"], json!(["a", "b"]));
        let mut small = json!({ "a": [1, 2] });
        assert!(!document(&mut small, 400));
    }

    #[test]
    fn a_text_is_cut_at_a_character_and_says_so() {
        let cut = text("ä".repeat(100), 60);
        assert!(cut.len() <= 60 && cut.ends_with("left out)\n"), "{cut}");
    }
}
