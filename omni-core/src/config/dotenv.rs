//! `.env` files: `NAME=value` lines, as a value. The process environment is neither read nor set.

use std::collections::BTreeMap;

/// The variables of a `.env` file, in order; a later line of the same name wins. Lines that are no
/// assignments are skipped, as the usual readers do.
pub(crate) fn parse(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    while !rest.is_empty() {
        let (name, after) = match name(rest) {
            Some(found) => found,
            None => {
                rest = after_line(rest);
                continue;
            }
        };
        let (value, after) = value(after);
        variables.insert(name.to_owned(), value);
        rest = after;
    }
    variables
}

/// The name before `=` on the first line, and what follows the `=`.
fn name(text: &str) -> Option<(&str, &str)> {
    let line = text.lines().next()?;
    let at = line.find('=')?;
    let name = line[..at].trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    is_name.then(|| (name, &text[at + 1..]))
}

/// The value, and the text after its line. A quoted value may span lines.
fn value(text: &str) -> (String, &str) {
    let trimmed = text.trim_start_matches([' ', '\t']);
    let quoted = match trimmed.chars().next() {
        Some('\'') => single_quoted(&trimmed[1..]),
        Some('"') => double_quoted(&trimmed[1..]),
        _ => None,
    };
    if let Some((value, rest)) = quoted {
        return (value, after_line(rest));
    }
    let line = trimmed.lines().next().unwrap_or_default();
    let end = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
    let end = if line.starts_with('#') { 0 } else { end };
    (line[..end].trim_end().to_owned(), after_line(trimmed))
}

fn single_quoted(text: &str) -> Option<(String, &str)> {
    let end = text.find('\'')?;
    Some((text[..end].to_owned(), &text[end + 1..]))
}

fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                c @ ('"' | '\\' | '$') => value.push(c),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

fn after_line(text: &str) -> &str {
    text.find('\n').map_or("", |at| &text[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn one(text: &str) -> String {
        parse(text).remove("A").unwrap_or_else(|| "(none)".into())
    }

    #[test]
    fn plain_values_end_at_a_comment_or_the_line() {
        assert_eq!(one("A=b"), "b");
        assert_eq!(one("A = b c  # note\n"), "b c");
        assert_eq!(one("A=b#c"), "b#c");
        assert_eq!(one("A=#c"), "");
        assert_eq!(one("A=\nB=x"), "");
        assert_eq!(one("A=x=y&z"), "x=y&z");
        assert_eq!(one("A=b\r\nB=c\r\n"), "b");
    }

    #[test]
    fn quotes_keep_what_is_inside() {
        assert_eq!(one("A='b # c'  # note"), "b # c");
        assert_eq!(one(r#"A="b # \"c\" \n\\d""#), "b # \"c\" \n\\d");
        assert_eq!(one(r"A='b\n'"), r"b\n");
        assert_eq!(one("A=\"two\nlines\"\nB=1"), "two\nlines");
        assert_eq!(one("A=\"open"), "\"open");
    }

    #[test]
    fn export_comments_and_noise_are_read_as_usual() {
        let variables = parse("\u{feff}# comment\n\nexport A=1\nnoise\n=x\nA B=2\nC=3\nC=4");
        assert_eq!(variables.into_iter().collect::<Vec<_>>(), [("A".into(), "1".into()), ("C".into(), "4".into())]);
    }
}
