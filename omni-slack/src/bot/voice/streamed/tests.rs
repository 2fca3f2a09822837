use std::sync::Arc;

use tokio::time::advance;

use super::*;
use crate::{
    api::wire::{Wire, limited},
    view::{
        answer::{Buttons, View},
        ids,
    },
};

const START: &str = "chat.startStream";
const APPEND: &str = "chat.appendStream";
const POST: &str = "chat.postMessage";
const DELETE: &str = "chat.delete";
const STOP: &str = "chat.stopStream";

fn voice(wire: &Arc<Wire>) -> Streamed {
    Streamed {
        api: Api::new(wire.clone()),
        to: To { channel: "C1".into(), thread: Some("1.0".into()) },
        thread: "1.0".into(),
        recipient: ("U1".into(), "T1".into()),
        question: "Where?".into(),
        spot: "C1 1.1".into(),
        button: None,
        lacks_button: false,
        doing: None,
        tasks: TaskTracker::new(),
        stopped: CancellationToken::new(),
        open: None,
        roller: Roller::new(),
        cards: Vec::new(),
        is_broken: false,
        in_vain: 0,
        told: Vec::new(),
    }
}

fn end() -> End {
    let buttons = Buttons { again: Some("ask".into()), ..Buttons::default() };
    End { view: View { markdown: "An answer.".into(), buttons, ..View::default() }, is_waiting: false }
}

/// Numbered lines.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|at| format!("This is line {at:05} of an answer.\n")).collect()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn gone() -> Option<SlackError> {
    Some(SlackError::api(APPEND, "message_not_in_streaming_state"))
}

fn pause(method: &str, seconds: u64) -> Option<SlackError> {
    Some(limited(method, Duration::from_secs(seconds)))
}

#[tokio::test]
async fn the_beginning_of_a_line_that_was_held_back_comes_where_no_stream_goes_on() {
    let wire = Arc::new(Wire::default());
    let mut voice = voice(&wire);
    wire.next(START, [None, pause(START, 60)]);
    wire.next(APPEND, [gone()]);
    let (first, second) = (format!("{}And half a", lines(0..10)), format!(" sentence.\n{}", lines(10..20)));
    voice.text(&first).await;
    assert_eq!(wire.calls(START).len(), 1);
    voice.text(&second).await;
    voice.end(&end()).await;
    assert_eq!(words(&wire.reads()), words(&format!("{first}{second}")));
    assert_eq!(wire.calls("chat.postMessage").len(), 1);
}

#[tokio::test]
async fn what_a_stream_has_taken_is_not_posted_again() {
    let wire = Arc::new(Wire::default());
    let mut voice = voice(&wire);
    wire.next(START, [None, pause(START, 60)]);
    wire.next(APPEND, [gone()]);
    let text = lines(0..250);
    voice.text(&text).await;
    voice.end(&end()).await;
    assert!(wire.calls(START)[0].is_taken && !wire.calls(START)[1].is_taken);
    assert_eq!(words(&wire.reads()), words(&text));
}

#[tokio::test(start_paused = true)]
async fn pauses_that_slack_wants_cost_no_stream_and_no_text_and_what_follows_comes_less_often() {
    let wire = Arc::new(Wire::default());
    let mut voice = voice(&wire);
    wire.next(APPEND, std::iter::repeat_with(|| pause(APPEND, 2)).take(6));
    let text = lines(0..120);
    voice.text(&lines(0..10)).await;
    for at in 10..120 {
        voice.text(&lines(at..at + 1)).await;
        voice.tick().await;
        advance(Duration::from_millis(700)).await;
    }
    voice.end(&end()).await;
    assert_eq!(words(&wire.reads()), words(&text));
    let (started, stopped) = (wire.calls(START).len(), wire.calls("chat.stopStream").len());
    assert_eq!((started, stopped, wire.early()), (1, 1, 0));
    let appended = wire.calls(APPEND).len();
    assert!((8..30).contains(&appended), "{appended} in 77 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_slack_lets_take_nothing_to_the_end_is_ended_and_its_rest_posted() {
    let wire = Arc::new(Wire::default());
    let mut voice = voice(&wire);
    wire.next(APPEND, [pause(APPEND, 600)]);
    voice.text(&lines(0..10)).await;
    voice.text(&lines(10..20)).await;
    voice.end(&end()).await;
    assert_eq!(words(&wire.reads()), words(&lines(0..20)));
    assert_eq!((wire.calls(START).len(), wire.calls("chat.stopStream").len(), wire.early()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn slack_is_away_for_ten_seconds_when_an_answer_ends_and_it_is_told_once() {
    for is_open in [true, false] {
        let wire = Arc::new(Wire::default());
        let mut voice = voice(&wire);
        let begin = if is_open { lines(0..10) } else { String::new() };
        voice.text(&begin).await;
        voice.text("And the end of it.\n").await;
        assert_eq!(wire.calls(START).len(), usize::from(is_open));
        wire.away(Duration::from_secs(10), true);
        voice.end(&end()).await;
        assert_eq!(words(&wire.reads()), words(&format!("{begin}And the end of it.")));
        assert_eq!(wire.calls(POST).iter().filter(|call| call.is_taken).count(), usize::from(!is_open));
    }
}

#[tokio::test(start_paused = true)]
async fn under_an_answer_whose_stream_ended_in_good_time_stand_its_buttons_and_no_other_word() {
    let wire = Arc::new(Wire::default());
    let mut voice = voice(&wire);
    voice.text(&lines(0..10)).await;
    advance(OPEN_FOR + Duration::from_secs(1)).await;
    voice.tick().await;
    assert_eq!(wire.calls("chat.stopStream").len(), 1);
    let told = voice.end(&end()).await;
    let posts = wire.calls("chat.postMessage");
    let blocks = posts[0].arguments["blocks"].to_string();
    assert_eq!((posts.len(), told.len()), (1, 2));
    assert!(blocks.contains(ids::AGAIN) && !blocks.contains("No answer"), "{blocks}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_refused_something_does_not_stay_open_beside_the_one_that_goes_on() {
    for (error, is_over) in [("internal_error", false), ("message_not_in_streaming_state", true)] {
        let wire = Arc::new(Wire::default());
        let mut voice = voice(&wire);
        wire.next(APPEND, [Some(SlackError::api(APPEND, error))]);
        voice.text(&lines(0..10)).await;
        voice.text(&lines(10..20)).await;
        let mut told = voice.end(&end()).await;
        voice.tasks.close();
        voice.tasks.wait().await;
        assert_eq!((wire.calls(START).len(), told.len()), (2, 2));
        let stopped = wire.calls(STOP).into_iter().map(|call| call.arguments["ts"].as_str().unwrap().to_owned());
        let mut stopped: Vec<String> = stopped.collect();
        stopped.sort();
        let mut open = told.split_off(usize::from(is_over));
        open.sort();
        assert_eq!(stopped, open, "{error}");
        assert_eq!(words(&wire.reads()), words(&lines(0..20)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_buttons_of_an_answer_are_posted_where_its_stream_did_not_take_them_and_only_there() {
    let over = "message_not_in_streaming_state";
    for (errors, posted) in [(vec!["invalid_blocks"], 1), (vec!["internal_error", over], 0), (vec![over], 1)] {
        let wire = Arc::new(Wire::default());
        let mut voice = voice(&wire);
        voice.text(&lines(0..10)).await;
        wire.next(STOP, errors.iter().map(|error| Some(SlackError::api(STOP, error))));
        voice.end(&end()).await;
        assert_eq!(wire.calls(POST).len(), posted, "{errors:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_added_to_an_answer_keeps_slacks_markup_and_is_said_once() {
    let note = "❌ *It failed*. See <https://wiki.company.com/omni|the wiki> or ask <@U0ADMIN>.";
    for (is_begun, errors) in [(true, vec![]), (true, vec!["invalid_blocks"]), (false, vec![])] {
        let wire = Arc::new(Wire::default());
        let mut voice = voice(&wire);
        if is_begun {
            voice.text(&lines(0..10)).await;
        }
        wire.next(STOP, errors.iter().map(|error| Some(SlackError::api(STOP, error))));
        let view = View { note: Some(note.into()), ..View::default() };
        voice.end(&End { view, is_waiting: false }).await;
        let is_told = |call: &crate::api::wire::Called| {
            let mut blocks = call.arguments["blocks"].as_array().into_iter().flatten();
            call.is_taken && blocks.any(|block| block["text"]["text"] == note)
        };
        let told = wire.calls(STOP).into_iter().chain(wire.calls(POST)).filter(is_told).count();
        assert_eq!(told, 1, "{is_begun} {errors:?}");
        assert!(!wire.reads().contains("failed"), "{}", wire.reads());
    }
}

/// A voice where Slack keeps no sessions.
fn without_sessions(wire: &Arc<Wire>) -> Streamed {
    const STATUS: &str = "agents.sessions.setStatus";
    wire.next(STATUS, std::iter::repeat_with(|| Some(SlackError::api(STATUS, "unknown_method"))).take(3));
    voice(wire)
}

#[tokio::test(start_paused = true)]
async fn the_button_to_stop_comes_when_its_channel_is_free_and_nothing_waits_for_it() {
    let wire = Arc::new(Wire::default());
    let (mut voice, other) = (without_sessions(&wire), Body { text: "Something else.".into(), blocks: Vec::new() });
    let (api, to) = (voice.api.clone(), voice.to.clone());
    api.post(&to, &other).await.unwrap();
    let began = Instant::now();
    voice.begin().await;
    voice.tick().await;
    assert_eq!((wire.calls(POST).len(), began.elapsed()), (1, Duration::ZERO));
    advance(Duration::from_secs(2)).await;
    voice.tick().await;
    voice.tick().await;
    assert_eq!(wire.calls(POST).len(), 2, "there is one");
    assert!(wire.calls(POST)[1].arguments.to_string().contains(ids::STOP));
}

#[tokio::test(start_paused = true)]
async fn while_slack_wants_a_pause_an_answer_goes_on_without_its_button() {
    let wire = Arc::new(Wire::default());
    let (mut voice, began) = (without_sessions(&wire), Instant::now());
    wire.next(POST, [pause(POST, 60)]);
    voice.begin().await;
    for _ in 0..30 {
        advance(Duration::from_secs(1)).await;
        voice.tick().await;
    }
    assert_eq!((wire.calls(POST).len(), wire.early(), began.elapsed()), (1, 0, Duration::from_secs(30)));
    advance(Duration::from_secs(31)).await;
    voice.tick().await;
    assert!(wire.calls(POST)[1].is_taken && voice.button.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_an_answer_does_not_wait_until_its_button_is_gone() {
    let wire = Arc::new(Wire::default());
    let mut voice = without_sessions(&wire);
    wire.next(DELETE, [pause(DELETE, 60)]);
    voice.begin().await;
    voice.text(&lines(0..10)).await;
    let ended = Instant::now();
    voice.end(&end()).await;
    assert_eq!(ended.elapsed(), Duration::ZERO);
    voice.tasks.close();
    voice.tasks.wait().await;
    let deleted = wire.calls(DELETE);
    assert_eq!((deleted.len(), deleted[1].is_taken), (2, true));
}
