//! Spans of time, money and moments as people read them.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

/// Milliseconds as people say them: `850 ms`, `8.3 s`, `2 min 5 s`.
#[must_use]
pub fn duration(duration_ms: u64) -> String {
    match duration_ms {
        0..1_000 => format!("{duration_ms} ms"),
        1_000..60_000 => format!("{}.{} s", duration_ms / 1_000, duration_ms % 1_000 / 100),
        _ => format!("{} min {} s", duration_ms / 60_000, duration_ms % 60_000 / 1_000),
    }
}

/// Whole seconds, rounded up: who waits for less comes too early.
#[must_use]
pub fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// Seconds to wait, rounded up to minutes and at least one: `1 minute`, `22 minutes`, `3 hours`.
#[must_use]
pub fn wait(seconds: u64) -> String {
    let minutes = seconds.div_ceil(60).max(1);
    match minutes {
        1 => "1 minute".into(),
        2..=120 => format!("{minutes} minutes"),
        _ => format!("{} hours", minutes.div_ceil(60)),
    }
}

/// Dollars: cents, and more digits where it is less.
#[must_use]
pub fn dollars(usd: f64) -> String {
    if usd == 0.0 || usd >= 1.0 { format!("${usd:.2}") } else { format!("${usd:.4}") }
}

/// A moment, shown in the time zone of whoever reads it.
#[must_use]
pub fn moment(at: DateTime<Utc>) -> String {
    let fallback = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("<!date^{}^{{date_short_pretty}} {{time}}|{fallback}>", at.timestamp())
}

/// The time of day of it.
#[must_use]
pub fn clock(at: DateTime<Utc>) -> String {
    format!("<!date^{}^{{time}}|{} UTC>", at.timestamp(), at.format("%H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sums_are_short() {
        assert_eq!([duration(850), duration(8_349), duration(125_000)], ["850 ms", "8.3 s", "2 min 5 s"]);
        assert_eq!([wait(0), wait(1_261), wait(9_000)], ["1 minute", "22 minutes", "3 hours"]);
        assert_eq!([0, 60_000, 60_001].map(|ms| seconds(Duration::from_millis(ms))), [0, 60, 61]);
        assert_eq!([dollars(0.0), dollars(0.002_1), dollars(3.5)], ["$0.00", "$0.0021", "$3.50"]);
    }
}
