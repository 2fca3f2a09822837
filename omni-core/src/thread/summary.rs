//! What stands for the older turns of a conversation, where that is wanted.
//!
//! It is made of questions and answers alone: of what everybody has read who is in the conversation. What
//! tools returned is no part of it, so that it is for whoever asks.

use chrono::{DateTime, Utc};

use super::{BYTES_A_TOKEN, KeptTurn, SummaryRules, ThreadError, Window};

/// Most bytes of a summary.
pub const MAX_SUMMARY_BYTES: usize = 32 * 1024;

/// What was said in the older turns of a conversation, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// In the words of a model. They are data, like all that was said.
    pub text: String,
    /// The newest turn that it tells of, by its number.
    pub through: u64,
    /// When that turn was kept: another conversation under the same name has another one.
    pub at: DateTime<Utc>,
}

impl Summary {
    /// What tells of a turn and of all before it.
    #[must_use]
    pub fn new(text: impl Into<String>, newest: &KeptTurn) -> Self {
        Self::stored(text, newest.number, newest.at)
    }

    /// One that a store kept, as it is.
    #[must_use]
    pub fn stored(text: impl Into<String>, through: u64, at: DateTime<Utc>) -> Self {
        Self { text: text.into(), through, at }
    }

    /// The text as databases keep it, with every character that it has.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn encode(&self) -> Result<String, ThreadError> {
        self.check()?;
        serde_json::to_string(&self.text).map_err(|error| ThreadError::new(error.to_string()))
    }

    /// The text that a database kept.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn decode(text: &str) -> Result<String, ThreadError> {
        serde_json::from_str(text).map_err(|error| ThreadError::new(format!("a summary cannot be read: {error}")))
    }

    /// # Errors
    /// When it has more than [`MAX_SUMMARY_BYTES`].
    pub(super) fn check(&self) -> Result<(), ThreadError> {
        match self.text.len() {
            0..=MAX_SUMMARY_BYTES => Ok(()),
            bytes => Err(ThreadError::new(format!("a summary of {bytes} bytes is too long to be kept"))),
        }
    }
}

/// The turns that a summary has to tell of by now, oldest first: of `kept`, the turns that none tells of yet,
/// those that no question brings along any more because of the last one. Nothing where they are too few, or
/// where the window's beginning has not moved: it stays the same between trims, and so does what stands before
/// it.
pub(crate) fn due<'a>(kept: &'a [KeptTurn], window: &Window, rules: &SummaryRules) -> &'a [KeptTurn] {
    let gone = window.left_behind(kept);
    match gone.iter().map(|turn| turn.bytes).sum::<u64>() > u64::from(rules.above_tokens).saturating_mul(BYTES_A_TOKEN)
    {
        true => gone,
        false => &[],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        llm::Message,
        thread::{Most, Turn},
    };

    /// A conversation of turns of these sizes.
    fn talk(sizes: &[u64]) -> Vec<KeptTurn> {
        let mut begins = 0;
        let turns = (1..).zip(sizes).map(|(number, &bytes)| {
            let turn = Turn::new("ada", vec![Message::user("Hi")]);
            let kept = KeptTurn { number, begins, bytes, at: chrono::DateTime::UNIX_EPOCH, turn };
            begins += bytes;
            kept
        });
        turns.collect()
    }

    fn numbers(turns: &[KeptTurn]) -> Vec<u64> {
        turns.iter().map(|turn| turn.number).collect()
    }

    fn above(tokens: u32) -> SummaryRules {
        SummaryRules { above_tokens: tokens, ..SummaryRules::default() }
    }

    /// The first turn that a question brings along after the last of `all`; where none is, the one to come.
    fn first(window: Window, all: &[KeptTurn]) -> u64 {
        let Some(last) = all.last() else { return 1 };
        let Most { turns, bytes } = window.most();
        let (gone, begin) = (last.number.saturating_sub(turns), (last.begins + last.bytes).saturating_sub(bytes));
        let read = all.iter().filter(|turn| turn.number > gone && turn.begins >= begin).cloned().collect();
        window.of(read).first().map_or(last.number + 1, |turn| turn.number)
    }

    #[test]
    fn what_goes_is_due_when_it_goes_and_not_before_or_after() {
        let window = Window::new(8, 1_000_000);
        let all = talk(&[300; 9]);
        let due_after = |count: usize, told: usize, rules| numbers(due(&all[told..count], &window, &rules));
        assert_eq!(due_after(4, 0, above(0)), [0; 0], "all of it is brought along");
        assert_eq!(due_after(5, 0, above(0)), [1, 2, 3], "down to two turns");
        assert_eq!(due_after(6, 0, above(0)), [0; 0], "where that did not work, it is left until the next trim");
        assert_eq!(due_after(8, 0, above(0)), [1, 2, 3, 4, 5, 6]);
        assert_eq!(due_after(8, 3, above(0)), [4, 5, 6], "what is told already is not told twice");
        assert_eq!(due_after(5, 0, above(300)), [0; 0], "three hundred tokens may go without");
        assert_eq!(due_after(8, 0, above(300)), [1, 2, 3, 4, 5, 6], "six hundred may not");
    }

    #[test]
    fn a_turn_that_is_too_long_to_be_brought_along_is_due_at_once() {
        let window = Window::new(100, 100);
        let all = talk(&[50, 301, 50]);
        assert_eq!(numbers(due(&all[..2], &window, &above(0))), [1, 2]);
        assert_eq!(numbers(due(&all[1..2], &window, &above(0))), [2], "also where it is the only one");
        assert_eq!(numbers(due(&all[2..], &window, &above(0))), [0; 0]);
    }

    proptest! {
        #[test]
        fn between_what_is_told_and_what_is_brought_along_is_no_gap_but_what_may_go_without(
            sizes in prop::collection::vec(1_u64..400, 1..60),
            max_messages in 1_u32..14,
            max_tokens in 1_u64..300,
            above_tokens in 0_u32..200,
        ) {
            let (all, window) = (talk(&sizes), Window::new(max_messages, max_tokens));
            let (mut told, mut was) = (0_u64, 1);
            for count in 1..=all.len() {
                let kept = &all[usize::try_from(told).unwrap()..count];
                let due = numbers(due(kept, &window, &above(above_tokens)));
                let now = first(window, &all[..count]);
                prop_assert!(due.is_empty() || now > was, "nothing is due while the beginning stays");
                if let Some(last) = due.last() {
                    prop_assert_eq!(&due, &(told + 1..now).collect::<Vec<_>>(), "each turn once, and in order");
                    told = *last;
                }
                let without = all[..count].iter().filter(|turn| turn.number > told && turn.number < now);
                prop_assert!(without.map(|turn| turn.bytes).sum::<u64>() <= u64::from(above_tokens) * BYTES_A_TOKEN);
                was = now;
            }
        }
    }
}
