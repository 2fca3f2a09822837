//! How long a server that stopped telling of changes is left alone.

use std::time::Duration;

/// At first, and at most.
const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(300);

/// A telling that lasted so long was none in vain, whatever ended it: streams are cut off on the way too.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// How long it is left alone the next time: longer and longer, unless it told for a while.
#[derive(Debug)]
pub(in crate::mcp) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Pause {
    /// After it told for so long.
    pub(in crate::mcp) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= self.0.min(LONG_ENOUGH) {
            *self = Self::default();
        }
        let pause = self.0;
        self.0 = (pause * 2).min(LAST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_tells_for_a_while_is_asked_again_soon_and_one_that_does_not_less_and_less() {
        let seconds = Duration::from_secs;
        let mut pause = Pause::default();
        let pauses = [0, 0, 0].map(|lasted| pause.after(seconds(lasted)));
        assert_eq!(pauses, [1, 2, 4].map(seconds));
        assert_eq!(pause.after(seconds(60)), FIRST, "streams are cut off after a minute there");
        for _ in 0..20 {
            pause.after(seconds(0));
        }
        assert_eq!(pause.after(seconds(5)), LAST);
        assert_eq!(pause.after(seconds(60)), FIRST, "however long it was away before");
    }
}
