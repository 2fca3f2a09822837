//! The texts of a definition, and texts made comparable.

use serde_json::Value;

use crate::catalog::ToolDef;

/// Most bytes of a definition that are looked at.
const MAX_BYTES: usize = 512 * 1024;
/// Most texts of a definition that are looked at.
const MAX_TEXTS: usize = 4_000;
/// Most bytes of one text that are decoded, and in which other tools are looked for.
pub(super) const MAX_TEXT: usize = 64 * 1024;
/// How deep a schema is looked into.
const MAX_DEPTH: usize = 48;

/// Everything in a definition that a model may read, and where it stands.
pub(super) fn texts(def: &ToolDef) -> Texts {
    let mut texts = Texts { found: Vec::new(), unread: None, bytes: 0 };
    // What is nested too deep to be read at all has no fields here.
    if serde_json::from_str::<Value>(def.definition().get()).is_err() {
        texts.passed_over("definition");
    }
    for (key, value) in def.pinned_fields() {
        texts.walk(&key, &value, 0);
    }
    texts
}

/// The texts of a definition, each behind the place where it stands.
pub(super) struct Texts {
    pub(super) found: Vec<(String, String)>,
    /// Where the first one stands that is left out, or is not looked at whole.
    pub(super) unread: Option<String>,
    bytes: usize,
}

impl Texts {
    fn add(&mut self, at: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.found.len() >= MAX_TEXTS || self.bytes > MAX_BYTES {
            return self.passed_over(at);
        }
        if text.len() > MAX_TEXT {
            self.passed_over(at);
        }
        self.bytes += text.len();
        self.found.push((at.to_owned(), text.to_owned()));
    }

    fn passed_over(&mut self, at: &str) {
        if self.unread.is_none() {
            self.unread = Some(at.to_owned());
        }
    }

    fn walk(&mut self, at: &str, value: &Value, depth: usize) {
        if depth > MAX_DEPTH {
            return self.passed_over(at);
        }
        match value {
            Value::String(text) => self.add(at, text),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| self.walk(&format!("{at}[{i}]"), item, depth + 1));
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    // The names of parameters are read as well.
                    self.add(&format!("{at} (name)"), key);
                    self.walk(&format!("{at}.{key}"), value, depth + 1);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// A text as phrases are looked for in it: what cannot be seen is left out, look-alikes are the letters
/// that they look like, all in lower case with single spaces. ASCII only.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !is_invisible(*c)) {
        let c = like_ascii(c).unwrap_or(c);
        let c = if c.is_whitespace() { ' ' } else { c.to_ascii_lowercase() };
        if c == ' ' && folded.ends_with(' ') {
            continue;
        }
        folded.push(if c.is_ascii() { c } else { '~' });
    }
    folded
}

/// A name as the eye takes it: what looks alike is alike.
pub(super) fn skeleton(name: &str) -> String {
    let letter = |c: char| match like_ascii(c).unwrap_or(c) {
        'I' | '1' | '|' => 'l',
        'O' | '0' => 'o',
        other => other,
    };
    name.chars().filter(|c| !is_invisible(*c)).map(letter).collect()
}

/// Whether nothing is drawn for a character.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// The ASCII character that another one passes for.
pub(super) fn like_ascii(c: char) -> Option<char> {
    /// Cyrillic, Greek and other letters, each before the one that it looks like.
    const ALIKE: &str = "аaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwвbкkмmнhтtАAВBЕEКKМMНHОOРPСCТTУYХXІIЈJЅSαaοoρpνvιiκkτtυuΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXɑaɡgıiʟlǀlℓlℐIѵvց9ոnօoսuց9";
    let code = u32::from(c);
    let offset = |from: u32, to: char| char::from_u32(u32::from(to) + code - from);
    match code {
        0..=0x7F => None,
        // Full-width forms.
        0xFF01..=0xFF5E => offset(0xFF01, '!'),
        // Letters of formulas: bold, italic, script, … each alphabet 26 capitals and 26 small ones.
        0x1D400..=0x1D6A3 => {
            let at = (code - 0x1D400) % 52;
            char::from_u32(if at < 26 { u32::from('A') + at } else { u32::from('a') + at - 26 })
        }
        0x1D7CE..=0x1D7FF => char::from_u32(u32::from('0') + (code - 0x1D7CE) % 10),
        // Letters in circles.
        0x24B6..=0x24CF => offset(0x24B6, 'A'),
        0x24D0..=0x24E9 => offset(0x24D0, 'a'),
        // Dashes and quotes that editors put in.
        0x2010..=0x2015 => Some('-'),
        0x2018 | 0x2019 | 0x201B => Some('\''),
        0x201C | 0x201D => Some('"'),
        0xA0 | 0x2000..=0x200A | 0x202F | 0x205F | 0x3000 => Some(' '),
        _ => {
            let mut alike = ALIKE.chars();
            while let (Some(from), Some(to)) = (alike.next(), alike.next()) {
                if from == c {
                    return Some(to);
                }
            }
            None
        }
    }
}

/// A text for people: what cannot be seen is written out.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' | '\r' => shown.push(' '),
            c if c.is_control() || is_invisible(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// The characters around a place, on the borders of characters.
pub(super) fn around(text: &str, start: usize, end: usize) -> &str {
    const BESIDE: usize = 30;
    let from = text.floor_char_boundary(start.saturating_sub(BESIDE));
    let to = text.ceil_char_boundary((end + BESIDE).min(text.len()));
    text[from..to].trim()
}
