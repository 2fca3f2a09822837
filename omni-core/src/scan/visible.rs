//! What people read before they agree to it.

/// JSON that somebody is to agree to: what does not show is written as JSON writes it, so that nothing is agreed to
/// unseen. Line feeds, which lay out, stay.
#[must_use]
pub fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !(c.is_control() || is_unseen(c)) {
            shown.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        }
    }
    shown
}

/// Characters that take no room, reorder what is read, end a line, or pass for a space.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_written_out() {
        let hidden = "{\n  \"a\": \"ü🚫 \u{7f}\u{9b}\u{200b}\u{202e}\u{feff}\u{e0041}\t\"\n}";
        let shown = "{\n  \"a\": \"ü🚫 \\u007f\\u009b\\u200b\\u202e\\ufeff\\udb40\\udc41\\u0009\"\n}";
        assert_eq!(visible_json(hidden), shown);
        assert_eq!(visible_json(shown), shown);
    }
}
