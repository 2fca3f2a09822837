//! Characters that no reader sees: a whole text can hide in them, and a model reads it.
//!
//! Scripts and emoji need some of them. So each is fine where such a script needs it, and only there:
//! joiners between letters that are not ASCII, direction marks beside letters that run from right to
//! left, selectors behind what has variants, tags in a flag.

use super::text::{around, is_invisible};

/// A flag that is spelled out begins with this, and ends with the last tag.
const BLACK_FLAG: char = '\u{1F3F4}';
const END_OF_TAGS: char = '\u{E007F}';
/// Most tags of a flag that is spelled out.
const MAX_FLAG: usize = 6;

/// The text around the first hidden character that nothing excuses; of tags, what they spell.
pub(super) fn find(text: &str) -> Option<String> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let has_rtl = chars.iter().any(|(_, c)| is_rtl(*c));
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at].1;
        if c == BLACK_FLAG {
            at += 1 + flag(&chars[at + 1..]);
            continue;
        }
        if is_hidden(&chars, at, has_rtl) {
            let end = chars[at].0 + c.len_utf8();
            let spelled = spelled(&chars[at..]);
            let excerpt = around(text, chars[at].0, end);
            return Some(if spelled.is_empty() { excerpt.to_owned() } else { format!("{spelled} (in tags)") });
        }
        at += 1;
    }
    None
}

/// How many tags make a flag at the beginning; 0 where they make none.
fn flag(rest: &[(usize, char)]) -> usize {
    let is_letter = |c: char| matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}');
    let letters = rest.iter().take_while(|(_, c)| is_letter(*c)).count();
    let is_whole = (1..=MAX_FLAG).contains(&letters) && rest.get(letters).is_some_and(|(_, c)| *c == END_OF_TAGS);
    if is_whole { letters + 1 } else { 0 }
}

fn is_hidden(chars: &[(usize, char)], at: usize, has_rtl: bool) -> bool {
    let c = chars[at].1;
    let before = at.checked_sub(1).map(|i| chars[i].1);
    let after = chars.get(at + 1).map(|(_, c)| *c);
    match c {
        '\n' | '\r' | '\t' => false,
        // A mark of the order of bytes may begin a text.
        '\u{FEFF}' => at != 0,
        '\u{200E}' | '\u{200F}' | '\u{61C}' => !has_rtl,
        '\u{FE0E}' | '\u{FE0F}' => {
            let is_keycap = before.is_some_and(|c| matches!(c, '0'..='9' | '#' | '*')) && after == Some('\u{20E3}');
            !is_keycap && !is_foreign(before)
        }
        // Only Han and Mongolian letters have more variants than two.
        '\u{E0100}'..='\u{E01EF}' => {
            !before.is_some_and(|c| matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}'))
        }
        '\u{180B}'..='\u{180F}' => !before.is_some_and(|c| matches!(c, '\u{1820}'..='\u{18AA}')),
        '\u{200B}' | '\u{200C}' | '\u{200D}' => !is_joined(before, after),
        c => c.is_control() || is_invisible(c),
    }
}

/// Whether a joiner has something to do between these: emoji and many scripts join and part letters with them, one at a
/// time; an emoji may have its variant chosen before it is joined.
pub(crate) fn is_joined(before: Option<char>, after: Option<char>) -> bool {
    (is_foreign(before) || before == Some('\u{FE0F}')) && is_foreign(after)
}

/// Whether there is a letter or a sign beyond ASCII.
fn is_foreign(c: Option<char>) -> bool {
    c.is_some_and(|c| !c.is_ascii() && !is_invisible(c))
}

fn is_rtl(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10800}'..='\u{10FFF}')
}

/// What a run of tags says.
fn spelled(rest: &[(usize, char)]) -> String {
    let ascii = |c: char| u32::from(c).checked_sub(0xE0000).and_then(char::from_u32).filter(|c| c.is_ascii());
    rest.iter().map_while(|(_, c)| ascii(*c)).filter(|c| !c.is_control()).collect()
}
