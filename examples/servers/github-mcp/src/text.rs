//! Foreign words within a sentence, and numbers as people write them.

use std::time::Duration;

/// Foreign text on one line: no control characters, single spaces, at most `most` characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most { line } else { line.chars().take(most).chain(['…']).collect() }
}

/// `12345` as `12,345`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `45 s`, `12 min`, `12 min 5 s`.
pub(crate) fn span(time: Duration) -> String {
    // Whoever comes back a moment too early is refused once more.
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(line("a\r\n\u{1b}[31mb\tc  d", 100), "a [31mb c d");
        assert_eq!(line("ääääää", 3), "äää…");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1_000, 1_234_567].map(thousands).each_ref().map(|s| &**s)
        );
        assert_eq!((count(1, "line", "lines"), count(0, "line", "lines")), ("1 line".into(), "0 lines".into()));
        let spans = [0, 999, 60_000, 725_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["0 s", "1 s", "1 min", "12 min 5 s"]);
    }
}
