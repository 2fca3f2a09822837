use serde_json::{json, value::RawValue};

use super::*;
use crate::agent::Disposition;

fn raw(value: &serde_json::Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn planned(id: &str, name: &str, input: &RawValue) -> PlannedCall {
    serde_json::from_value(json!({
        "id": id, "server": "s", "tool": name, "arguments": serde_json::from_str::<serde_json::Value>(input.get()).unwrap(),
        "disposition": "run", "rule": "",
    }))
    .unwrap()
}

fn calls(ids: &[&str]) -> ModelTurn {
    let blocks = ids.iter().map(|id| Block::ToolUse {
        id: (*id).into(),
        name: "echo".into(),
        input: raw(&json!({ "message": id })),
    });
    ModelTurn::new(blocks.collect(), Usage::new(10, 5), StopReason::ToolUse)
}

fn says(text: &str) -> ModelTurn {
    ModelTurn::new(vec![Block::text(text)], Usage::new(10, 5), StopReason::EndTurn)
}

fn run(max_turns: u32) -> Run {
    Run::new(vec![Message::user("q")], RunLimits::turns(max_turns))
}

fn ok() -> CallOutcome {
    CallOutcome::ok(vec![ResultPart::Text { text: "r".into() }])
}

fn dispatched(run: &Run) -> Vec<PlannedCall> {
    match run.step() {
        Step::Dispatch(calls) => calls,
        other => panic!("expected a dispatch, got {other:?}"),
    }
}

#[test]
fn an_answer_without_calls_ends_the_run() {
    let mut run = run(10);
    run.model_answered(says("done"), planned);
    assert!(matches!(run.step(), Step::Done(Finish::Model(StopReason::EndTurn))));
}

#[test]
fn results_come_back_in_the_order_of_the_calls_whatever_order_they_end_in() {
    let mut run = run(10);
    run.model_answered(calls(&["a", "b", "c"]), planned);
    for id in ["c", "a", "b"] {
        assert!(dispatched(&run).iter().any(|call| call.id == id));
        run.call_finished(id, ok());
    }
    let ids = run.messages().last().unwrap().blocks.iter().map(|block| match block {
        Block::ToolResult { id, .. } => id.clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(matches!(run.step(), Step::CallModel { .. }));
}

#[test]
fn the_bound_on_turns_ends_the_run_with_every_call_answered() {
    let mut run = run(1);
    run.model_answered(calls(&["a"]), planned);
    run.call_finished("a", ok());
    assert!(matches!(run.step(), Step::Done(Finish::MaxTurns)));
    assert!(matches!(run.messages().last().unwrap().blocks[0], Block::ToolResult { .. }));
}

#[test]
fn the_bound_on_tokens_ends_the_run() {
    let mut run = Run::new(vec![Message::user("q")], RunLimits { max_turns: 10, max_tokens: Some(12) });
    run.model_answered(calls(&["a"]), planned);
    run.call_finished("a", ok());
    assert!(matches!(run.step(), Step::Done(Finish::MaxTokens)));
}

#[test]
fn the_fourth_identical_call_is_refused_and_a_fifth_ends_the_run() {
    let mut run = run(20);
    for round in 1..=3 {
        run.model_answered(calls(&["same"]), planned);
        assert_eq!(dispatched(&run)[0].disposition, Disposition::Run, "round {round}");
        run.call_finished("same", ok());
    }
    run.model_answered(calls(&["same"]), planned);
    assert!(matches!(dispatched(&run)[0].disposition, Disposition::Refuse { reason: Refused::Repeated, .. }));
    run.call_finished("same", CallOutcome::error("again"));
    run.model_answered(calls(&["same"]), planned);
    assert!(matches!(run.step(), Step::Done(Finish::ToolLoop)));
    assert!(matches!(run.messages().last().unwrap().blocks[0], Block::ToolResult { is_error: true, .. }));
}

#[test]
fn a_paused_turn_goes_on_with_the_conversation_as_it_is() {
    let mut run = run(10);
    run.model_answered(ModelTurn::new(vec![Block::text("so far")], Usage::new(1, 1), StopReason::PauseTurn), planned);
    let Step::CallModel { messages, .. } = run.step() else { panic!("expected a model turn") };
    assert_eq!(messages.last().unwrap().speaker, Speaker::Assistant);
}

#[test]
fn a_stored_run_goes_on_where_it_stood() {
    let mut before = run(10);
    before.model_answered(calls(&["a", "b"]), planned);
    before.call_finished("b", ok());
    let stored = serde_json::to_string(&before).unwrap();
    let mut after: Run = serde_json::from_str(&stored).unwrap();
    assert_eq!(dispatched(&after).iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["a"]);
    after.call_finished("a", ok());
    assert!(matches!(after.step(), Step::CallModel { .. }));
    assert_eq!(after.messages().len(), 3);
}

#[test]
fn unknown_and_repeated_results_change_nothing() {
    let mut run = run(10);
    run.model_answered(calls(&["a"]), planned);
    run.call_finished("nobody", ok());
    assert_eq!(dispatched(&run).len(), 1);
    run.call_finished("a", ok());
    let messages = run.messages().len();
    run.call_finished("a", ok());
    assert_eq!(run.messages().len(), messages);
}
