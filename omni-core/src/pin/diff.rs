//! What changed between two definitions, for people who decide about it.

use serde_json::Value;

use super::{Pin, Seen};
use crate::scan::shown;

/// Most lines of a definition that are compared: what is longer is shown as a whole.
const MAX_LINES: usize = 1_500;

impl Pin {
    /// What the tool was and what it is, line by line: `-` went, `+` came. What no reader would see is
    /// written out. `None` where nothing is kept back.
    #[must_use]
    pub fn diff(&self) -> Option<String> {
        let (_, held) = self.held.as_ref()?;
        let old = self.pinned.as_ref().map_or_else(Vec::new, lines);
        Some(diff(&old, &lines(held)))
    }
}

/// A definition as people read it.
fn lines(seen: &Seen) -> Vec<String> {
    let json: Result<Value, _> = serde_json::from_str(&seen.definition);
    let pretty = json.ok().and_then(|json| serde_json::to_string_pretty(&json).ok());
    // Long texts are broken where they break themselves, so that a change within one is seen.
    let text = pretty.unwrap_or_else(|| seen.definition.clone()).replace("\\n", "\\n\n");
    text.lines().map(shown).collect()
}

fn diff(old: &[String], new: &[String]) -> String {
    if old.len() > MAX_LINES || new.len() > MAX_LINES {
        return old.iter().map(|line| row('-', line)).chain(new.iter().map(|line| row('+', line))).collect();
    }
    let common = common(old, new);
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        let same = i < old.len() && j < new.len() && old[i] == new[j];
        if same {
            text.push_str(&row(' ', &old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            text.push_str(&row('-', &old[i]));
            i += 1;
        } else {
            text.push_str(&row('+', &new[j]));
            j += 1;
        }
    }
    text
}

fn row(mark: char, line: &str) -> String {
    format!("{mark} {line}\n")
}

/// How many lines the ends of both have in common, from each line of one and of the other on.
fn common(old: &[String], new: &[String]) -> Vec<Vec<u32>> {
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pin::Why;

    #[test]
    fn a_change_is_shown_line_by_line_with_what_hides_in_it() {
        let seen = |definition: &str| Seen::now(definition.into(), Vec::new());
        let mut pin = Pin::new("s", "t");
        assert_eq!(pin.diff(), None);
        pin.pinned = Some(seen(r#"{"description":"Adds.\nMore.","name":"t"}"#));
        pin.held = Some((Why::Changed, seen("{\"description\":\"Adds.\\nLess.\u{E0041}\",\"name\":\"t\"}")));
        let diff = pin.diff().unwrap();
        let expected =
            "  {\n    \"description\": \"Adds.\\n\n- More.\",\n+ Less.\\u{e0041}\",\n    \"name\": \"t\"\n  }\n";
        assert_eq!(diff, expected);
    }
}
