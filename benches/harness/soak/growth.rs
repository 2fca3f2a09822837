//! What grew while nothing more was asked.

use serde::Serialize;

/// What was seen at one moment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) calls: u64,
    pub(super) failed: usize,
    pub(super) resident: u64,
    pub(super) descriptors: usize,
    pub(super) threads: usize,
    pub(super) processes: usize,
    pub(super) backlog: u64,
}

/// One figure of a sample, by how much it may be more at the end: a part of it, and so many beside. A killed server
/// takes its connections along and gets new ones, and threads that wait for files come and go. When the machine stands
/// still for a moment, calls wait for each other, and each gets a connection of its own: those are kept for as long as
/// any idle one, half a minute, which may be the whole last quarter of a short run.
struct Kind {
    what: &'static str,
    of: fn(&Sample) -> f64,
    part: f64,
    beside: f64,
}

const KINDS: [Kind; 4] = [
    Kind { what: "memory (MB)", of: |sample| sample.resident as f64 / 1e6, part: 0.2, beside: 16.0 },
    Kind { what: "descriptors", of: |sample| sample.descriptors as f64, part: 0.2, beside: 150.0 },
    Kind { what: "threads", of: |sample| sample.threads as f64, part: 0.0, beside: 16.0 },
    Kind { what: "processes", of: |sample| sample.processes as f64, part: 0.0, beside: 1.0 },
];

/// Memory that every call leaves behind is a small part of all in a run that is long enough to tell it from what comes
/// and goes: most bytes a call, where so many calls lie between.
const MOST_A_CALL: f64 = 16.0;
const CALLS_THAT_TELL: u64 = 250_000;

/// What is more in the last quarter of the time, at its least, than in the middle of the second one: the first quarter is
/// for caches and pools to fill, and what goes again by itself has not grown. In words, for people.
pub(super) fn growth(samples: &[Sample]) -> Vec<String> {
    let quarter = samples.len() / 4;
    if quarter == 0 {
        return Vec::new();
    }
    let (early, late) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let grown = |kind: &Kind| {
        let (before, after) = (middle(early, kind.of), least(late, kind.of));
        (after > before * (1.0 + kind.part) + kind.beside).then(|| format!("{}: {before} → {after}", kind.what))
    };
    KINDS.iter().filter_map(grown).chain(left_by_calls(early, late)).collect()
}

/// Whether calls leave memory behind.
fn left_by_calls(early: &[Sample], late: &[Sample]) -> Option<String> {
    let resident = |sample: &Sample| sample.resident as f64;
    let calls = late.first()?.calls.saturating_sub(early.get(early.len() / 2)?.calls);
    let each = (least(late, resident) - middle(early, resident)) / calls.max(1) as f64;
    (calls >= CALLS_THAT_TELL && each > MOST_A_CALL)
        .then(|| format!("memory: {each:.0} bytes with each of {calls} calls"))
}

fn middle(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn least(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    samples.iter().map(of).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: impl Fn(u64) -> Sample) -> Vec<Sample> {
        (0..24).map(of).collect()
    }

    fn steady(at: u64) -> Sample {
        Sample {
            seconds: at as f64,
            calls: 100 * at,
            failed: 0,
            resident: 30_000_000 + at % 3 * 1_000_000,
            descriptors: 90 + (at % 20) as usize,
            threads: 8 + (at % 4) as usize,
            processes: 4,
            backlog: at % 7,
        }
    }

    #[test]
    fn what_goes_up_and_down_has_not_grown() {
        assert_eq!(growth(&samples(steady)), Vec::<String>::new());
    }

    #[test]
    fn what_fills_at_the_beginning_has_not_grown() {
        let filling = |at: u64| Sample { resident: 10_000_000 + at.min(5) * 20_000_000, ..steady(at) };
        assert_eq!(growth(&samples(filling)), Vec::<String>::new());
    }

    #[test]
    fn what_a_moment_of_standing_still_left_has_not_grown() {
        let still = |at: u64| Sample { descriptors: if at < 17 { 174 } else { 285 }, ..steady(at) };
        assert_eq!(growth(&samples(still)), Vec::<String>::new());
    }

    #[test]
    fn what_each_call_leaves_behind_has_grown_however_little_it_is() {
        let busy =
            |left: u64| move |at: u64| Sample { calls: 40_000 * at, resident: 70_000_000 + left * at, ..steady(at) };
        let grown = growth(&samples(busy(40_000 * 30)));
        assert_eq!(grown, ["memory: 30 bytes with each of 360000 calls"]);
        assert_eq!(growth(&samples(busy(40_000 * 5))), Vec::<String>::new());
    }

    #[test]
    fn each_figure_that_only_goes_up_has_grown() {
        let leaking = |at: u64| Sample {
            resident: 30_000_000 + at * 4_000_000,
            descriptors: 90 + 40 * at as usize,
            threads: 8 + 3 * at as usize,
            processes: 4 + at as usize / 2,
            ..steady(at)
        };
        let grown = growth(&samples(leaking));
        let words: Vec<&str> = grown.iter().map(|grown| grown.split_once(':').unwrap().0).collect();
        assert_eq!(words, ["memory (MB)", "descriptors", "threads", "processes"]);
    }
}
