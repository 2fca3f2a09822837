//! How long things took, by portions of time.

use std::collections::BTreeMap;

/// How many took how long, by portions that grow with the time.
#[derive(Debug, Default)]
pub(super) struct Waits(BTreeMap<u64, u64>);

impl Waits {
    /// So many more of the portion that begins there.
    pub(super) fn add(&mut self, from: u64, count: u64) {
        *self.0.entry(from).or_default() += count;
    }

    /// All of another one too.
    pub(super) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(from, count)| self.add(*from, *count));
    }

    pub(super) fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The middle of the portion in which the share lies, in milliseconds; `None` where there is nothing.
    pub(super) fn percentile(&self, percent: u64) -> Option<u64> {
        let all = self.count();
        let rank = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (from, count) in &self.0 {
            seen += count;
            if seen >= rank {
                return Some(from + width(*from) / 2);
            }
        }
        None
    }
}

/// How wide a portion is: a sixteenth of the power of two that it is in.
fn width(from: u64) -> u64 {
    match from.checked_ilog2() {
        Some(power) if power >= 5 => 1 << (power.min(19) - 4),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_portion_that_is_no_more_than_a_sixteenth_wide() {
        let mut waits = Waits::default();
        [(100, 50), (1_984, 45), (60_000, 5)].into_iter().for_each(|(from, count)| waits.add(from, count));
        assert_eq!((waits.percentile(50), waits.percentile(95)), (Some(102), Some(2_016)));
        assert_eq!(Waits::default().percentile(50), None);
        for from in [32, 100, 1_000, 50_000] {
            assert!(width(from) * 16 <= from, "{from}");
        }
    }
}
