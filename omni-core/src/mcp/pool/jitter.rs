//! Times that are not the same for everybody: what failed together is not tried again together.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use crate::clock;

/// A time somewhere between 0.8 and 1.2 times this one.
pub(super) fn spread(time: Duration) -> Duration {
    // Every state has keys of its own; that is as random as this has to be.
    let random = RandomState::new().hash_one(0_u8) % 401;
    time.min(clock::FAR).mul_f64(0.8 + random as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn times_are_spread_around_what_was_meant() {
        let times: HashSet<Duration> = (0..200).map(|_| spread(Duration::from_secs(10))).collect();
        assert!(times.len() > 20, "{}", times.len());
        assert!(times.iter().all(|time| (8.0..=12.0).contains(&time.as_secs_f64())));
        assert!(spread(Duration::MAX) > clock::FAR / 2);
    }
}
