//! Lines of CSV (RFC 4180) for spreadsheets.

/// A line with CR and LF.
pub(crate) fn line(fields: impl Iterator<Item = String>) -> String {
    let fields: Vec<String> = fields.map(|field| quoted(&field)).collect();
    format!("{}\r\n", fields.join(","))
}

/// What a spreadsheet would take for a formula is marked as text: somebody wrote that, perhaps with
/// the spreadsheet in mind.
pub(crate) fn harmless(text: &str) -> String {
    // Some of them look past blanks and quotes, and take the wide forms of signs as the signs.
    let begins = |c: char| {
        matches!(c, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') || c.is_control()
    };
    let is_blank = |c: char| c == '"' || c == '\'' || (c.is_whitespace() && !c.is_control());
    let is_formula = text.trim_start_matches(is_blank).starts_with(begins);
    let mark = if is_formula { "'" } else { "" };
    // What steers a terminal is no text either.
    let plain = |c: char| if c.is_control() && !matches!(c, '\n' | '\r' | '\t') { '\u{fffd}' } else { c };
    mark.chars().chain(text.chars().map(plain)).collect()
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n', ';']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}
