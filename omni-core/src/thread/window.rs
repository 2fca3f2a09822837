//! Which turns of a conversation an ask brings along.

use super::{KeptTurn, Most};

/// How many bytes of what is kept are reckoned as a token: fewer than vendors count for text.
pub(crate) const BYTES_A_TOKEN: u64 = 3;

/// A bound on what was said before the question.
///
/// Trimming is in blocks: when a bound is passed, the oldest turns go until about half of it is left. So
/// the beginning of the conversation stays the same for many turns, and a vendor's prompt cache hits.
/// Where the beginning is follows from numbers and sizes of the turns alone, so that every instance finds
/// the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Window {
    /// Most texts of people and the model. Half a turn at the cut is dropped.
    pub max_messages: u32,
    /// Most tokens, estimated.
    pub max_tokens: u64,
}

impl Window {
    /// A window.
    #[must_use]
    pub fn new(max_messages: u32, max_tokens: u64) -> Self {
        Self { max_messages, max_tokens }
    }

    /// What has to be read to fill it.
    #[must_use]
    pub fn most(&self) -> Most {
        Most::new(self.turns(), self.bytes())
    }

    /// The turns within it, of the newest ones of a conversation, oldest first.
    #[must_use]
    pub fn of(&self, mut kept: Vec<KeptTurn>) -> Vec<KeptTurn> {
        let begin = self.begin(&kept);
        kept.retain(|turn| turn.number >= begin);
        kept
    }

    /// What is no more within it of `kept`, turns in a row, oldest first, if the last of them made its
    /// beginning move; else nothing.
    pub(crate) fn left_behind<'a>(&self, kept: &'a [KeptTurn]) -> &'a [KeptTurn] {
        let Some((last, before)) = kept.split_last() else { return &[] };
        let (now, was) = (self.begin(kept), if before.is_empty() { last.number } else { self.begin(before) });
        match now > was {
            true => &kept[..kept.partition_point(|turn| turn.number < now)],
            false => &[],
        }
    }

    /// The number of the first turn within it; where none of `kept` is, of the one to come.
    fn begin(&self, kept: &[KeptTurn]) -> u64 {
        let Some(last) = kept.last() else { return 0 };
        let (gone, mut begin) = (self.turns_before(last.number), self.bytes_before(last.begins + last.bytes));
        if last.bytes <= self.bytes() {
            // A long one that fits by itself is what the question is about.
            begin = begin.min(last.begins);
        }
        let first = kept.iter().find(|turn| turn.number > gone && turn.begins >= begin);
        first.map_or(last.number + 1, |turn| turn.number)
    }

    /// A question and an answer are a turn.
    fn turns(&self) -> u64 {
        u64::from(self.max_messages / 2)
    }

    fn bytes(&self) -> u64 {
        self.max_tokens.saturating_mul(BYTES_A_TOKEN)
    }

    /// How many of `all` turns are no more within it.
    fn turns_before(&self, all: u64) -> u64 {
        let most = self.turns();
        if most == 0 {
            return all;
        }
        let left = (most / 2).max(1);
        let block = most + 1 - left;
        all.saturating_sub(left) / block * block
    }

    /// From which of `all` bytes on turns are within it.
    fn bytes_before(&self, all: u64) -> u64 {
        let most = self.bytes();
        let block = (most / 2).max(1);
        all.saturating_sub(most).div_ceil(block).saturating_mul(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{llm::Message, thread::Turn};

    /// A conversation of turns of these sizes.
    fn talk(sizes: &[u64]) -> Vec<KeptTurn> {
        let mut begins = 0;
        let turns = (1..).zip(sizes).map(|(number, &bytes)| {
            let turn = Turn::new("ada", vec![Message::user(number.to_string())]);
            let kept = KeptTurn { number, begins, bytes, at: chrono::Utc::now(), turn };
            begins += bytes;
            kept
        });
        turns.collect()
    }

    /// The numbers of the turns within a window, of a store that gives no more than is asked for.
    fn within(window: Window, sizes: &[u64]) -> Vec<u64> {
        let (all, most) = (talk(sizes), window.most());
        let total: u64 = sizes.iter().sum();
        let skipped = all.len().saturating_sub(usize::try_from(most.turns).unwrap());
        let read = all.into_iter().skip(skipped).filter(|turn| turn.begins + most.bytes >= total).collect();
        window.of(read).iter().map(|turn| turn.number).collect()
    }

    #[test]
    fn half_a_turn_at_the_cut_is_dropped_and_none_is_none() {
        let sizes = [10; 4];
        assert_eq!(within(Window::new(3, 10_000), &sizes), [4]);
        assert_eq!(within(Window::new(2, 10_000), &sizes), [4]);
        assert_eq!(within(Window::new(1, 10_000), &sizes), [0; 0]);
        assert_eq!(within(Window::new(0, 10_000), &sizes), [0; 0]);
        assert_eq!(within(Window::new(3, 10_000), &[]), [0; 0]);
    }

    #[test]
    fn the_beginning_stays_between_trims_and_the_newest_turn_is_always_there() {
        for max_messages in 2..30 {
            let window = Window::new(max_messages, 1_000_000);
            let (mut trims, mut first) = (0, 1);
            for count in 1..200_u64 {
                let turns = within(window, &vec![7; usize::try_from(count).unwrap()]);
                assert!(turns.len() as u64 * 2 <= u64::from(max_messages), "{max_messages}: {turns:?}");
                assert_eq!(turns.last(), Some(&count));
                assert!(turns.windows(2).all(|pair| pair[0] + 1 == pair[1]), "there is no gap");
                trims += u64::from(turns[0] != first);
                first = turns[0];
            }
            let most = u64::from(max_messages / 2);
            assert!(trims <= 200 / (most - (most / 2).max(1) + 1), "{max_messages}: {trims} trims");
        }
    }

    #[test]
    fn what_is_too_much_goes_oldest_first_and_in_whole_turns() {
        let window = Window::new(1_000, 100);
        assert_eq!(within(window, &[100, 100, 100]), [1, 2, 3]);
        assert_eq!(within(window, &[100, 100, 100, 10]), [3, 4], "down to about half");
        assert_eq!(within(window, &[100, 100, 100, 10, 50]), [3, 4, 5], "and the same beginning after that");
        assert_eq!(within(window, &[100, 301]), [0; 0], "not even half of one that does not fit");
    }

    #[test]
    fn the_newest_turn_stays_where_it_fits_by_itself() {
        let window = Window::new(1_000, 100);
        assert_eq!(within(window, &[100, 290]), [2]);
        assert_eq!(within(window, &[100, 300]), [2], "as much as there may be");
        assert_eq!(within(window, &[100, 290, 10]), [3], "until another one comes");
    }

    #[test]
    fn by_size_too_the_beginning_moves_seldom() {
        let window = Window::new(1_000, 1_000);
        let mut moves = 0;
        let mut first = 1;
        for count in 1..=150 {
            let turns = within(window, &vec![100; count]);
            assert!(turns.len() <= 30 && !turns.is_empty());
            moves += u64::from(turns[0] != first);
            first = turns[0];
        }
        assert!(moves <= 9, "{moves} moves in 150 turns");
    }
}
