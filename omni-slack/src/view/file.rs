//! Files that people attach, which nobody reads here: what they are told of that, and what the model is.

use super::{Message, limits, text};

/// Most files that are named, and the longest name.
const NAMED: usize = 5;
const NAME: usize = 80;

/// To the model, by the names of what is attached to a message.
#[must_use]
pub fn attached(names: &[String]) -> String {
    format!("Attached, and not readable here: {}", listed(names))
}

/// To whoever attached them.
#[must_use]
pub fn unread(names: &[String]) -> Message {
    let names = text::escape(&listed(names));
    Message::of(&format!("📎 I cannot read files: {names}. Please paste what I should know of them as text."))
}

fn listed(names: &[String]) -> String {
    let mut named: Vec<String> = names.iter().take(NAMED).map(|name| shown(name)).collect();
    if names.len() > NAMED {
        named.push(format!("and {} more", names.len() - NAMED));
    }
    named.join(", ")
}

fn shown(name: &str) -> String {
    let name = limits::clamp(&text::line(name), NAME);
    if name.is_empty() { "a file".into() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::check;

    #[test]
    fn files_are_named_as_far_as_there_is_room() {
        let names: Vec<String> = ["a.csv", "", "b\n\u{202E}c.txt"].map(str::to_owned).into();
        assert_eq!(attached(&names), "Attached, and not readable here: a.csv, a file, b c.txt");
        let many: Vec<String> = (0..7).map(|at| format!("{at}{}", "x".repeat(200))).collect();
        let told = attached(&many);
        assert!(told.ends_with("…, and 2 more") && told.len() < 500, "{told}");
    }

    proptest! {
        #[test]
        fn whatever_a_file_is_called_its_owner_can_be_told(names in prop::collection::vec(check::hostile(), 1..9)) {
            check::message(&unread(&names));
        }
    }
}
