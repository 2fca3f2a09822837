//! Numbers and times as people read them.

use chrono::{DateTime, TimeDelta, Utc};
use omni_core::scan::visible_json;

/// Nothing to show.
pub(super) const NONE: &str = "–";

/// Dollars, with as many digits as tell something.
pub(super) fn usd(dollars: f64) -> String {
    match dollars {
        0.0 => "$0".into(),
        small if small.abs() < 0.01 => format!("${small:.4}"),
        large if large.abs() >= 1_000.0 => format!("${}", grouped(large.round() as i64)),
        some => format!("${some:.2}"),
    }
}

/// Dollars, and whether they are reckoned and not by the vendor's word.
pub(super) fn cost(dollars: f64, is_estimated: bool) -> String {
    if is_estimated { format!("about {}", usd(dollars)) } else { usd(dollars) }
}

/// Nano-dollars.
pub(super) fn nano_usd(nano: i64) -> String {
    usd(nano as f64 / 1e9)
}

/// A number with a space between thousands.
pub(super) fn count(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A stretch of time.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        60_000..3_600_000 => both(ms / 60_000, "min", ms / 1_000 % 60, "s"),
        3_600_000..86_400_000 => both(ms / 3_600_000, "h", ms / 60_000 % 60, "min"),
        _ => both(ms / 86_400_000, "d", ms / 3_600_000 % 24, "h"),
    }
}

/// So many of a unit, and of a smaller one where there are any.
fn both(many: u64, unit: &str, rest: u64, smaller: &str) -> String {
    if rest == 0 { format!("{many} {unit}") } else { format!("{many} {unit} {rest} {smaller}") }
}

/// The same of what may not be known.
pub(super) fn duration_or_none(ms: Option<u64>) -> String {
    ms.map_or_else(|| NONE.into(), duration)
}

/// A size.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A moment, of UTC.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// How long ago something was, or how long it is until then; within a second of it, that it is now.
pub(super) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let passed = now - at;
    match passed.num_seconds() {
        0 => "now".into(),
        ..0 => format!("in {}", rough(-passed)),
        _ => format!("{} ago", rough(passed)),
    }
}

fn rough(time: TimeDelta) -> String {
    match time.num_seconds() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A share of a whole, in percent.
pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NONE.into();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    if percent > 0.0 && percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// How much more or less than before, in percent; nothing where there was nothing.
pub(super) fn change(now: f64, before: f64) -> Option<String> {
    let percent = ((now - before) * 100.0 / before).round();
    (before > 0.0).then(|| match percent {
        more if more > 0.0 => format!("{more:.0} % more than before"),
        less if less < 0.0 => format!("{:.0} % less than before", -less),
        _ => "as before".into(),
    })
}

/// JSON for people, with what cannot be seen written out.
pub(super) fn json(value: &serde_json::Value) -> String {
    visible_json(&serde_json::to_string_pretty(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_hide_nothing() {
        let hidden = serde_json::json!({ "table": "ü\u{202e}users\u{200b}\u{e0041}" });
        assert_eq!(json(&hidden), "{\n  \"table\": \"ü\\u202eusers\\u200b\\udb40\\udc41\"\n}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json(&hidden)).unwrap(), hidden);
    }

    #[test]
    fn numbers_have_as_many_digits_as_tell_something() {
        assert_eq!([usd(0.0), usd(0.001_23), usd(3.456), usd(12_345.6)], ["$0", "$0.0012", "$3.46", "$12\u{202f}346"]);
        assert_eq!([count(7), count(1_234_567)], ["7", "1\u{202f}234\u{202f}567"]);
        assert_eq!([share(1, 1_000), share(1, 3), share(0, 0)], ["0.1 %", "33 %", "–"]);
        assert_eq!(change(1.0, 2.0).as_deref(), Some("50 % less than before"));
        assert_eq!([change(3.0, 2.0), change(1.0, 0.0)], [Some("50 % more than before".into()), None]);
        assert_eq!([duration(950), duration(1_500), duration(61_000)], ["950 ms", "1.5 s", "1 min 1 s"]);
    }

    #[test]
    fn a_moment_is_told_by_how_far_it_is_and_one_that_has_come_is_now() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(3);
        let told = |ms| ago(now + TimeDelta::milliseconds(ms), now);
        assert_eq!(
            [told(-300_000), told(9_000), told(-1_000), told(1_000)],
            ["5 min ago", "in 9 s", "1 s ago", "in 1 s"]
        );
        assert_eq!([told(-999), told(0), told(999)], ["now"; 3]);
    }
}
