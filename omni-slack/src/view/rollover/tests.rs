use proptest::prelude::*;
use serde_json::json;

use super::{super::check, *};

/// Streams as Slack would have them: the text of each.
#[derive(Default)]
struct Streams {
    all: Vec<String>,
    cards: Vec<String>,
    is_open: bool,
}

impl Streams {
    fn take(&mut self, batch: &Batch) {
        if !self.is_open {
            self.all.push(String::new());
            self.is_open = true;
        }
        for chunk in &batch.chunks {
            check::chunk(chunk);
            match chunk["type"].as_str() {
                Some("markdown_text") => self.all.last_mut().unwrap().push_str(chunk["text"].as_str().unwrap()),
                _ => {
                    self.cards.push(format!("{}:{}", chunk["id"].as_str().unwrap(), chunk["status"].as_str().unwrap()))
                }
            }
        }
        self.is_open = !batch.rolls;
    }

    fn drain(&mut self, roller: &mut Roller) {
        for _ in 0..10_000 {
            let Some(batch) = roller.batch() else { return };
            self.take(&batch);
            roller.sent();
        }
        panic!("it never ends");
    }
}

#[test]
fn a_long_answer_goes_through_as_many_streams_as_it_takes() {
    let text = "A line of an answer that goes on.\n".repeat(1_000);
    let (mut roller, mut streams) = (Roller::new(), Streams::default());
    for piece in text.as_bytes().chunks(57) {
        roller.text(std::str::from_utf8(piece).unwrap());
        if roller.waiting() > 256 {
            streams.drain(&mut roller);
        }
    }
    roller.finish();
    streams.drain(&mut roller);
    assert_eq!(streams.all.concat(), text);
    assert!(streams.all.len() == 4 && streams.all.iter().all(|stream| stream.len() <= FULL), "{}", streams.all.len());
}

#[test]
fn what_a_dead_stream_did_not_take_comes_again_with_its_code_opened() {
    let (mut roller, mut streams) = (Roller::new(), Streams::default());
    roller.text("```sql\nSELECT 1;\n");
    streams.drain(&mut roller);
    roller.text("SELECT 2;\n");
    let batch = roller.batch().unwrap();
    assert_eq!(roller.batch().unwrap(), batch);
    roller.text("SELECT 3;\n```\nDone.\n");
    roller.lost();
    streams.is_open = false;
    streams.drain(&mut roller);
    assert_eq!(streams.all, ["```sql\nSELECT 1;\n", "```sql\nSELECT 2;\nSELECT 3;\n```\nDone.\n"]);
}

#[test]
fn a_stream_that_is_too_old_is_closed_and_the_next_one_goes_on() {
    let (mut roller, mut streams) = (Roller::new(), Streams::default());
    roller.text("```\na\n");
    streams.drain(&mut roller);
    assert_eq!(roller.roll(), Some(json!({ "type": "markdown_text", "text": "```" })));
    streams.is_open = false;
    roller.text("b\n```\n");
    roller.finish();
    streams.drain(&mut roller);
    assert_eq!(streams.all, ["```\na\n", "```\nb\n```\n"]);
}

#[test]
fn of_a_call_that_came_and_went_in_between_only_the_end_is_told() {
    let (mut roller, mut streams) = (Roller::new(), Streams::default());
    roller.card(Card::started("1", "db", "health", &json!({ "database": "x" })));
    roller.card(Card::stopped("1", "db", "health"));
    roller.card(Card::started("2", "db", "health", &json!({})));
    streams.drain(&mut roller);
    roller.card(Card::stopped("2", "db", "health"));
    streams.drain(&mut roller);
    assert_eq!(streams.cards, ["1:error", "2:in_progress", "2:error"]);
}

#[test]
fn what_slack_has_not_taken_is_given_back_with_what_was_held_and_nothing_else() {
    let (mut roller, mut streams) = (Roller::new(), Streams::default());
    roller.text("Taken.\n```sql\nSELECT 1;\nSELECT");
    streams.drain(&mut roller);
    roller.card(Card::started("1", "db", "health", &json!({})));
    roller.text(" 2;\n");
    assert!(roller.batch().is_some());
    roller.text("```\nAnd <!here> half a sen");
    assert_eq!(streams.all, ["Taken.\n```sql\nSELECT 1;\n"]);
    assert_eq!(roller.rest(), "```sql\nSELECT 2;\n```\nAnd <\u{200B}!here> half a sen");
    assert!(!roller.is_waiting() && roller.batch().is_none() && roller.rest().is_empty());
}

#[test]
fn what_slack_wants_later_goes_with_what_came_meanwhile() {
    let (mut roller, mut streams) = (Roller::new(), Streams::default());
    roller.text("One.\n");
    streams.drain(&mut roller);
    roller.text("Two.\n");
    assert!(roller.batch().is_some());
    roller.postponed();
    roller.text("Three.\n");
    assert_eq!(roller.batch().unwrap().chunks, [json!({ "type": "markdown_text", "text": "Two.\nThree.\n" })]);
}

proptest! {
    #[test]
    fn no_byte_is_lost_whatever_slack_refuses(
        text in check::hostile(),
        fails in prop::collection::vec(any::<bool>(), 60),
        cards in 0_usize..40,
    ) {
        // In code `@here` stays, which is nobody there.
        let text = if text.contains(['`', '~']) { text.replace('@', "") } else { text };
        let (mut roller, mut streams) = (Roller::new(), Streams::default());
        for card in 0..cards {
            roller.card(Card::started(&card.to_string(), "server", &"tool ".repeat(40), &json!({ "a": "b".repeat(500) })));
        }
        roller.text(&text);
        roller.finish();
        let mut fails = fails.into_iter();
        while let Some(batch) = roller.batch() {
            if fails.next() == Some(true) {
                roller.lost();
                streams.is_open = false;
            } else {
                streams.take(&batch);
                roller.sent();
            }
        }
        prop_assert_eq!(streams.cards.len(), cards);
        for stream in &streams.all {
            prop_assert!(stream.len() <= FULL + CLOSING, "{}", stream.len());
        }
        let all: String = streams.all.concat();
        let safe = crate::view::markdown::neutral(&text);
        // Beside what opens and closes at seams, every letter is there, in order.
        let mut rest = all.chars();
        for c in safe.chars().filter(|c| c.is_alphanumeric()) {
            prop_assert!(rest.any(|other| other == c), "{c} of {safe:?} in {all:?}");
        }
    }
}
