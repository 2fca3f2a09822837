//! Words for people: numbers, shortened texts, and the small pictures of a terminal.

use std::fmt::Write as _;

/// A text of at most `max` characters, on one line.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// A number as people write it: `1 234 567`, `12.35`, `0.004`.
pub(crate) fn number(value: f64) -> String {
    let is_whole = value.fract() == 0.0 || value.abs() >= 1_000.0;
    if !is_whole {
        let text = if value.abs() < 0.1 { format!("{value:.4}") } else { format!("{value:.2}") };
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    if value < 0.0 && grouped != "0" { format!("-{grouped}") } else { grouped }
}

/// A number with its unit: `12.35 ms`, `1.5 GB`, `97 %`.
pub(crate) fn measure(value: f64, unit: &str) -> String {
    match unit {
        "" => number(value),
        "bytes" => bytes(value),
        "s" if value >= 7_200.0 => format!("{} h", number(rounded(value / 3_600.0, 1))),
        unit => format!("{} {unit}", number(value)),
    }
}

fn bytes(value: f64) -> String {
    let (mut value, mut unit) = (value, "bytes");
    for larger in ["KB", "MB", "GB", "TB"] {
        if value < 1_024.0 {
            break;
        }
        (value, unit) = (value / 1_024.0, larger);
    }
    format!("{} {unit}", number(rounded(value, 1)))
}

/// A number with so many digits after the point: documents do not need more.
pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    let rounded = (value * factor).round() / factor;
    if rounded.is_finite() { rounded } else { 0.0 }
}

/// A line of bars, the highest for the greatest value.
pub(crate) fn bars(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &f64| {
        let height = if most > least { (value - least) / (most - least) } else { 0.0 };
        BARS[((height * 7.0).round() as usize).min(7)]
    };
    values.iter().map(bar).collect()
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// A list under a title; nothing where it is empty.
pub(crate) fn section<T: AsRef<str>>(text: &mut String, title: &str, lines: &[T]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(text, "\n{title}\n");
    for line in lines {
        let _ = writeln!(text, "- {}", line.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded_as_people_write_them() {
        let written: Vec<String> = [0.0, 7.0, 1234.0, 1_234_567.4, 12.345, 0.5, 0.0042, -1500.0].map(number).into();
        assert_eq!(written, ["0", "7", "1 234", "1 234 567", "12.35", "0.5", "0.0042", "-1 500"]);
        assert_eq!(measure(1_572_864.0, "bytes"), "1.5 MB");
        assert_eq!(measure(97.0, "%"), "97 %");
        assert_eq!(measure(90_000.0, "s"), "25 h");
    }

    #[test]
    fn bars_stand_for_values() {
        assert_eq!(bars(&[0.0, 1.0, 7.0]), "▁▂█");
        assert_eq!(bars(&[3.0, 3.0]), "▁▁");
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("a\n b   c", 10), "a b c");
        assert_eq!(cut("äöü", 2), "äö…");
    }
}
