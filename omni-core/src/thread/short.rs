//! A turn in short: what is kept of it for the questions that follow.
//!
//! What is short enough is kept as the model read it, so that the next request begins with the same bytes
//! and a vendor's prompt cache hits. What the model thought is not kept: its vendor takes it back only behind the very
//! text that it came after, which is another one for the next question.

use std::{borrow::Cow, collections::HashSet};

use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{MAX_TURN_BYTES, Turn};
use crate::{
    agent::prompt,
    llm::{Block, Message, ResultPart, Speaker},
    redact::Redactor,
};

/// Most characters of one text.
const MAX_TEXT: usize = 16_000;
/// Most characters of the question and of the answer where a turn is too long all the same.
const MAX_LAST_TEXT: usize = 4_000;
/// Most characters of what one call returned.
const MAX_RESULT: usize = 4_000;
/// Most bytes of a call's arguments.
const MAX_ARGUMENTS: usize = 4_000;

/// What stands where something was cut: it is gone.
const LOST: &str = "the rest is not kept";
/// The same where a model can read on.
const READ_ON: &str = "read_result reads the rest";

/// The turn without secrets, and without what is too long to be kept.
pub(crate) fn shorten(mut turn: Turn, redactor: &Redactor) -> Turn {
    let answer = turn.answer();
    let mut short = Shortener { redactor, changed: HashSet::new() };
    for message in &mut turn.messages {
        message.blocks.retain_mut(|block| short.keeps(block));
    }
    turn.messages.retain(|message| !message.blocks.is_empty());
    for call in &mut turn.calls {
        call.is_whole &= !short.changed.contains(&call.id);
    }
    let fits = serde_json::to_string(&turn).is_ok_and(|text| text.len() <= MAX_TURN_BYTES);
    if fits { turn } else { short.only_said(turn, &answer) }
}

struct Shortener<'a> {
    redactor: &'a Redactor,
    /// Calls whose arguments are not kept as they were.
    changed: HashSet<String>,
}

impl Shortener<'_> {
    /// Makes a block short; whether anything of it is kept.
    fn keeps(&mut self, block: &mut Block) -> bool {
        match block {
            Block::Text { text } => *text = self.text(text, MAX_TEXT),
            Block::ToolResult { content, .. } => self.result(content),
            Block::ToolUse { id, input, .. } => self.arguments(id, input),
            Block::Opaque { .. } => return false,
        }
        true
    }

    fn arguments(&mut self, id: &str, input: &mut Box<RawValue>) {
        let kept = if input.get().len() > MAX_ARGUMENTS {
            serde_json::json!({ "omitted": format!("{} bytes", input.get().len()) })
        } else {
            let said: Value = serde_json::from_str(input.get()).unwrap_or_default();
            let kept = self.redactor.json(&said);
            if kept == said {
                return;
            }
            kept
        };
        *input = to_raw_value(&kept).unwrap_or_default();
        self.changed.insert(id.to_owned());
    }

    fn text(&self, text: &str, most: usize) -> String {
        let text = self.redactor.text(text);
        cut(&text, most, LOST).into_owned()
    }

    /// The parts within the fence; the fence stays.
    fn result(&self, content: &mut [ResultPart]) {
        let inner = prompt::unfence(content).len();
        let first = (content.len() - inner) / 2;
        let rest = if prompt::names_kept(content) { READ_ON } else { LOST };
        let mut left = MAX_RESULT;
        for part in &mut content[first..first + inner] {
            let text = match part {
                ResultPart::Text { text } => cut(&self.redactor.text(text), left, rest).into_owned(),
                ResultPart::Image { mime, .. } => format!("[a picture ({mime}) that is not kept]"),
            };
            left = left.saturating_sub(text.chars().count());
            *part = ResultPart::Text { text };
        }
    }

    /// The question and the answer, where what stood between them is too long.
    fn only_said(&self, turn: Turn, answer: &str) -> Turn {
        let question = Message::user(self.text(turn.question(), MAX_LAST_TEXT));
        let answer =
            Message { speaker: Speaker::Assistant, blocks: vec![Block::text(self.text(answer, MAX_LAST_TEXT))] };
        Turn { messages: vec![question, answer], calls: Vec::new(), ..turn }
    }
}

fn cut<'a>(text: &'a str, most: usize, rest: &str) -> Cow<'a, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}\n[cut: {rest}]", &text[..at])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::Called;

    fn call(id: &str, input: &str) -> Message {
        let input = RawValue::from_string(input.to_owned()).unwrap();
        Message::assistant(vec![Block::ToolUse { id: id.into(), name: "lab__echo".into(), input }])
    }

    fn thought(text: &str) -> Block {
        let raw = to_raw_value(&serde_json::json!({ "type": "thinking", "thinking": text, "signature": "x+/" }));
        Block::Opaque { provider: "anthropic".into(), model: "m".into(), raw: raw.unwrap() }
    }

    fn result(id: &str, parts: Vec<ResultPart>) -> Message {
        let content = prompt::fence("lab", "echo", parts);
        let blocks = vec![Block::ToolResult { id: id.into(), content, is_error: false }];
        Message { speaker: Speaker::User, blocks }
    }

    fn text(text: &str) -> ResultPart {
        ResultPart::Text { text: text.into() }
    }

    fn turn(middle: Vec<Message>) -> Turn {
        let last = Message::assistant(vec![Block::text("Done.")]);
        let messages = std::iter::once(Message::user("Do it.")).chain(middle).chain([last]).collect();
        let mut turn = Turn::new("ada", messages);
        turn.calls.push(Called::new("a", "lab", "echo"));
        turn
    }

    fn parts(turn: &Turn) -> &[ResultPart] {
        let mut blocks = turn.messages.iter().flat_map(|message| &message.blocks);
        let found =
            blocks.find_map(|block| if let Block::ToolResult { content, .. } = block { Some(content) } else { None });
        found.unwrap()
    }

    #[test]
    fn what_is_short_is_kept_byte_for_byte() {
        let before = turn(vec![call("a", r#"{ "b" : 1,  "a":2 }"#), result("a", vec![text("é\0")])]);
        let after = shorten(before.clone(), &Redactor::new());
        assert_eq!(after.encode().unwrap(), before.encode().unwrap());
        assert_eq!(Turn::decode(&after.encode().unwrap()).unwrap().encode().unwrap(), before.encode().unwrap());
    }

    #[test]
    fn long_results_are_cut_within_their_fence_and_pictures_are_told_of() {
        let picture = ResultPart::Image { mime: "image/png".into(), data: "AAAA".repeat(9_000) };
        let long = "x".repeat(3_000);
        let after = shorten(
            turn(vec![call("a", "{}"), result("a", vec![text(&long), picture, text(&long)])]),
            &Redactor::new(),
        );
        let [first, .., last] = parts(&after) else { panic!("{after:?}") };
        assert_eq!((first, last), (&text(r#"<tool_output server="lab" tool="echo">"#), &text("</tool_output>")));
        let inner = prompt::unfence(parts(&after));
        assert_eq!((&inner[0], &inner[1]), (&text(&long), &text("[a picture (image/png) that is not kept]")));
        let ResultPart::Text { text } = &inner[2] else { panic!("{inner:?}") };
        assert!(text.len() < 1_100 && text.ends_with("[cut: the rest is not kept]"), "{}", text.len());
        assert!(after.calls[0].is_whole);
    }

    #[test]
    fn secrets_and_long_arguments_are_not_kept_and_what_changed_is_known() {
        let redactor = Redactor::new().with_value("hunter22");
        let after =
            shorten(turn(vec![call("a", r#"{"q":"hunter22"}"#), result("a", vec![text("it is hunter22")])]), &redactor);
        assert!(!after.encode().unwrap().contains("hunter22") && !after.calls[0].is_whole);
        let long = format!(r#"{{"q":"{}"}}"#, "x".repeat(5_000));
        let after = shorten(turn(vec![call("a", &long)]), &redactor);
        assert!(after.encode().unwrap().len() < 1_000 && !after.calls[0].is_whole);
    }

    #[test]
    fn what_the_model_thought_is_not_kept_and_the_calls_that_it_led_to_are() {
        let mut called = call("a", "{}");
        called.blocks.insert(0, thought("they said hunter22"));
        let only_thought = Message::assistant(vec![thought("nothing of note")]);
        let middle = vec![called, result("a", vec![text("fine")]), only_thought];
        let after = shorten(turn(middle), &Redactor::new().with_value("hunter22"));
        let without = turn(vec![call("a", "{}"), result("a", vec![text("fine")])]);
        assert_eq!(after.encode().unwrap(), without.encode().unwrap());
    }

    #[test]
    fn a_turn_that_is_too_long_is_kept_as_question_and_answer() {
        let many = (0..40)
            .flat_map(|n| [call(&format!("c{n}"), "{}"), result(&format!("c{n}"), vec![text(&"y".repeat(9_000))])]);
        let after = shorten(turn(many.collect()), &Redactor::new());
        assert_eq!((after.messages.len(), after.calls.len()), (2, 0));
        assert_eq!((after.question(), after.answer().as_str()), ("Do it.", "Done."));
        let worst = "\u{1}".repeat(90_000);
        let said = Turn::new("ada", vec![Message::user(&*worst), Message::assistant(vec![Block::text(&*worst)])]);
        assert!(shorten(said, &Redactor::new()).encode().is_ok());
    }
}
