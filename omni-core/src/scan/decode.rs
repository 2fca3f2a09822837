//! Decode, then confirm: text in an encoding is a finding only where what it says is one.

use super::{
    phrases,
    text::{MAX_TEXT, fold, shown},
};

/// Shortest run that is worth decoding, in characters.
const MIN_RUN: usize = 20;
/// Shortest text that an order can be in, in characters.
const MIN_TEXT: usize = 12;
/// Encodings within encodings.
const MAX_DEPTH: usize = 3;
/// Most runs of one text that decode to something.
const MAX_RUNS: usize = 64;
/// Most bytes of what stands for one character, between its mark and its end: `&#x10FFFF;`, `\u{10FFFF}`.
const MAX_ENTITY: usize = 12;

/// What came of decoding a text.
pub(super) struct Decoded {
    /// The decoded text around an order, if there is one.
    pub(super) order: Option<String>,
    /// Whether there is more to decode than is decoded.
    pub(super) is_cut: bool,
}

/// Looks for an order in what a text says in encodings.
pub(super) fn find(text: &str) -> Decoded {
    let mut is_cut = false;
    let order = within(text, 0, &mut is_cut);
    Decoded { order, is_cut }
}

fn within(text: &str, depth: usize, is_cut: &mut bool) -> Option<String> {
    if depth >= MAX_DEPTH {
        return None;
    }
    let mut runs = runs(text);
    let first: Vec<String> = runs.by_ref().take(MAX_RUNS).collect();
    *is_cut |= runs.next().is_some();
    // Turned round twice, a text is what it was.
    let turned = (depth == 0).then(|| rot13(text));
    let decoded = first.into_iter().chain(whole(text)).chain(turned);
    decoded.filter(|decoded| decoded.chars().count() >= MIN_TEXT).find_map(|decoded| {
        let said = phrases::find(&fold(&decoded)).map(|said| shown(&said));
        said.or_else(|| within(&decoded, depth + 1, is_cut))
    })
}

/// Runs of base64 and of hexadecimal digits, decoded.
fn runs(text: &str) -> impl Iterator<Item = String> + '_ {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=');
    let runs = text.split(move |c| !is_part(c)).filter(|run| (MIN_RUN..=MAX_TEXT).contains(&run.len()));
    runs.flat_map(|run| [base64(run), hexadecimal(run)].into_iter().flatten())
}

/// The whole text with its escapes resolved, where it has any.
fn whole(text: &str) -> impl Iterator<Item = String> + '_ {
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    [percent(text), entities(text), escapes(text)].into_iter().flatten()
}

fn base64(run: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(run.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for c in run.trim_end_matches('=').bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    readable(bytes)
}

fn hexadecimal(run: &str) -> Option<String> {
    let digits: Option<Vec<u32>> = run.chars().map(|c| c.to_digit(16)).collect();
    readable(digits?.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

/// Text, if it is one that people write.
fn readable(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(|c| c.is_control() && !c.is_whitespace()))
}

fn percent(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).filter(|_| *first == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    changed(text, String::from_utf8_lossy(&bytes).into_owned())
}

/// `&#105;`, `&#x69;`, and those with names that matter here.
fn entities(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let found = end(rest, b';').and_then(|end| Some((entity(&rest[..end])?, end)));
        match found {
            Some((c, end)) => {
                decoded.push(c);
                rest = &rest[end + 1..];
            }
            None => decoded.push('&'),
        }
    }
    decoded.push_str(rest);
    changed(text, decoded)
}

/// Where what stands for one character ends. Only so far is looked, since a text may be full of beginnings.
fn end(text: &str, mark: u8) -> Option<usize> {
    text.bytes().take(MAX_ENTITY + 1).position(|byte| byte == mark)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => number.parse().ok(),
            };
            code.and_then(char::from_u32)
        }
    }
}

/// `\u0069`, `\u{69}` and `\x69`, as they stand in a text that was escaped twice.
fn escapes(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match escape(rest) {
            Some((c, len)) => {
                decoded.push(c);
                rest = &rest[len..];
            }
            None => decoded.push('\\'),
        }
    }
    decoded.push_str(rest);
    changed(text, decoded)
}

fn escape(rest: &str) -> Option<(char, usize)> {
    let digits = match rest.as_bytes() {
        [b'u', b'{', ..] => 2..end(rest, b'}')?,
        [b'u', ..] => 1..5,
        [b'x', ..] => 1..3,
        _ => return None,
    };
    let c = u32::from_str_radix(rest.get(digits.clone())?, 16).ok().and_then(char::from_u32)?;
    Some((c, if rest.as_bytes().get(1) == Some(&b'{') { digits.end + 1 } else { digits.end }))
}

fn rot13(text: &str) -> String {
    let turned = |c: char| match c {
        'a'..='z' => char::from((c as u8 - b'a' + 13) % 26 + b'a'),
        'A'..='Z' => char::from((c as u8 - b'A' + 13) % 26 + b'A'),
        other => other,
    };
    text.chars().map(turned).collect()
}

fn changed(before: &str, after: String) -> Option<String> {
    (before != after).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_character_is_read_up_to_a_length() {
        assert_eq!(entities("a &#x10FFFF; &#0000000105;&é; b").as_deref(), Some("a \u{10FFFF} i&é; b"));
        assert_eq!(entities("&#00000000000105; & &;"), None, "longer than any is");
        assert_eq!(escapes("\\u{10FFFF} \\u{} \\u{69").as_deref(), Some("\u{10FFFF} \\u{} \\u{69"));
        assert_eq!(escapes("\\u{00000000000069}"), None);
    }
}
