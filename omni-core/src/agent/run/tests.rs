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

fn finish_all(run: &mut Run) {
    for call in dispatched(run) {
        run.call_finished(&call.id, ok());
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
        finish_all(&mut run);
    }
    run.model_answered(calls(&["same"]), planned);
    assert!(matches!(dispatched(&run)[0].disposition, Disposition::Refuse { reason: Refused::Repeated, .. }));
    finish_all(&mut run);
    run.model_answered(calls(&["same"]), planned);
    assert!(matches!(run.step(), Step::Done(Finish::ToolLoop)));
    assert!(matches!(run.messages().last().unwrap().blocks[0], Block::ToolResult { is_error: true, .. }));
}

fn pauses_with(block: Block) -> Vec<Message> {
    let mut run = run(10);
    run.model_answered(ModelTurn::new(vec![block], Usage::new(1, 1), StopReason::PauseTurn), planned);
    let Step::CallModel { messages, .. } = run.step() else { panic!("expected a model turn") };
    messages.to_vec()
}

#[test]
fn a_turn_that_paused_in_a_tool_of_the_vendors_is_sent_back_as_it_is() {
    let raw = raw(&json!({ "type": "server_tool_use" }));
    let messages = pauses_with(Block::Opaque { provider: "anthropic".into(), model: "m".into(), raw });
    assert_eq!(messages.last().unwrap().speaker, Speaker::Assistant);
}

#[test]
fn a_turn_that_paused_in_the_middle_of_its_text_is_asked_to_go_on() {
    let messages = pauses_with(Block::text("so far"));
    assert_eq!((messages.len(), messages[2].speaker, messages[2].text().as_str()), (3, Speaker::User, "Go on."));
}

#[test]
fn a_model_that_only_pauses_meets_the_bound_on_turns() {
    let mut run = run(3);
    for _ in 0..3 {
        let pause = ModelTurn::new(vec![Block::text("wait")], Usage::new(1, 1), StopReason::PauseTurn);
        run.model_answered(pause, planned);
    }
    assert!(matches!(run.step(), Step::Done(Finish::MaxTurns)));
}

#[test]
fn calls_with_the_same_id_or_none_are_told_apart_in_the_whole_run() {
    let mut run = run(10);
    for _ in 0..2 {
        run.model_answered(calls(&["", "", "a", "a"]), planned);
        assert_eq!(dispatched(&run).len(), 4);
        finish_all(&mut run);
    }
    let (mut called, mut answered) = (Vec::new(), Vec::new());
    for block in run.messages().iter().flat_map(|message| &message.blocks) {
        match block {
            Block::ToolUse { id, .. } => called.push(id.clone()),
            Block::ToolResult { id, .. } => answered.push(id.clone()),
            Block::Text { .. } | Block::Opaque { .. } => {}
        }
    }
    let distinct: HashSet<&String> = called.iter().filter(|id| !id.is_empty()).collect();
    assert_eq!((distinct.len(), &called), (8, &answered), "{called:?}");
    assert_eq!(called[2], "a");
    assert!(matches!(run.step(), Step::CallModel { .. }));
}

#[test]
fn an_id_of_an_earlier_question_is_not_used_again() {
    let earlier = Block::ToolUse { id: "a".into(), name: "echo".into(), input: raw(&json!({})) };
    let mut run = Run::new(vec![Message::assistant(vec![earlier]), Message::user("q")], RunLimits::turns(5));
    run.model_answered(calls(&["a"]), planned);
    assert_ne!(dispatched(&run)[0].id, "a");
}

#[test]
fn calls_that_were_made_before_it_meanwhile_are_told_apart_from_its_own() {
    let mut run = Run::new(vec![Message::user("before"), Message::user("q")], RunLimits::turns(5));
    run.model_answered(calls(&["a"]), planned);
    finish_all(&mut run);
    let call = Block::ToolUse { id: "a".into(), name: "echo".into(), input: raw(&json!({})) };
    let result = Block::ToolResult { id: "a".into(), content: Vec::new(), is_error: false };
    let result = Message { speaker: Speaker::User, blocks: vec![result] };
    run.begin_after(1, vec![Message::user("meanwhile"), Message::assistant(vec![call]), result]);
    let blocks = run.messages().iter().flat_map(|message| &message.blocks);
    let ids: Vec<&str> = blocks
        .filter_map(|block| match block {
            Block::ToolUse { id, .. } | Block::ToolResult { id, .. } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["a_before", "a_before", "a", "a"]);
    assert_eq!(run.messages()[0].text(), "meanwhile");
    assert_eq!(run.messages()[3].text(), "q");
    run.model_answered(calls(&["a_before"]), planned);
    assert_ne!(dispatched(&run)[0].id, "a_before");
}

fn stopped(mut turn: ModelTurn, stop: StopReason) -> ModelTurn {
    turn.stop = stop;
    turn
}

#[test]
fn a_call_that_the_output_limit_cut_is_refused_and_those_before_it_run() {
    let mut run = run(10);
    run.model_answered(stopped(calls(&["a", "b"]), StopReason::MaxTokens), planned);
    let planned_calls = dispatched(&run);
    assert_eq!(planned_calls[0].disposition, Disposition::Run);
    assert!(matches!(planned_calls[1].disposition, Disposition::Refuse { reason: Refused::Cut, .. }));

    let mut whole = calls(&["c"]);
    whole.blocks.push(Block::text("And the"));
    let mut run = Run::new(vec![Message::user("q")], RunLimits::turns(10));
    run.model_answered(stopped(whole, StopReason::MaxTokens), planned);
    assert_eq!(dispatched(&run)[0].disposition, Disposition::Run);
}

#[test]
fn a_call_that_is_cut_again_and_again_ends_the_run_at_the_output_limit() {
    let mut run = run(20);
    for _ in 0..4 {
        run.model_answered(stopped(calls(&["a"]), StopReason::MaxTokens), planned);
        assert!(matches!(dispatched(&run)[0].disposition, Disposition::Refuse { .. }));
        finish_all(&mut run);
    }
    run.model_answered(stopped(calls(&["a"]), StopReason::MaxTokens), planned);
    assert!(matches!(run.step(), Step::Done(Finish::Model(StopReason::MaxTokens))));
}

#[test]
fn calls_of_a_turn_that_broke_off_are_answered_and_not_carried_out() {
    for stop in [StopReason::Refusal, StopReason::ContextExceeded, StopReason::Other("tired".into())] {
        let mut run = run(10);
        run.model_answered(stopped(calls(&["a", "b"]), stop.clone()), planned);
        let Step::Done(Finish::Model(why)) = run.step() else { panic!("{:?}", run.step()) };
        assert_eq!(why, stop);
        let blocks = &run.messages().last().unwrap().blocks;
        assert!(blocks.iter().all(|block| matches!(block, Block::ToolResult { is_error: true, .. })));
        assert_eq!(blocks.len(), 2);
    }
}

#[test]
fn calls_beyond_what_one_turn_may_make_are_answered_and_not_carried_out() {
    let ids: Vec<String> = (0..MAX_CALLS + 3).map(|n| format!("n{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut run = run(10);
    run.model_answered(calls(&ids), planned);
    assert_eq!(dispatched(&run).len(), MAX_CALLS);
    finish_all(&mut run);
    assert!(matches!(run.step(), Step::CallModel { .. }));
    let results = &run.messages().last().unwrap().blocks;
    let errors = results.iter().filter(|block| matches!(block, Block::ToolResult { is_error: true, .. }));
    assert_eq!((results.len(), errors.count()), (MAX_CALLS + 3, 3));
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

#[test]
fn a_call_that_waits_is_left_out_and_the_run_waits_for_it_when_the_others_have_ended() {
    let asking: crate::agent::Asking = serde_json::from_value(json!({ "rule": "confirm", "digest": "d" })).unwrap();
    let mut run = run(10);
    run.model_answered(calls(&["a", "b", "c"]), planned);
    for id in ["c", "a", "nobody"] {
        run.call_waits(id, asking.clone());
    }
    assert_eq!(dispatched(&run).iter().map(|call| &*call.id).collect::<Vec<_>>(), ["b"]);
    run.call_finished("b", ok());
    assert!(matches!(run.step(), Step::Wait(ids) if ids == ["a", "c"]));
    // It is stored and read back, and waits still.
    let mut run: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
    assert_eq!(run.waiting().iter().map(|call| &*call.id).collect::<Vec<_>>(), ["a", "c"]);
    run.call_decided("a", None);
    run.call_decided("b", Some("it has ended".into()));
    assert_eq!(dispatched(&run).iter().map(|call| &*call.id).collect::<Vec<_>>(), ["a"]);
    run.call_decided("c", Some("no".into()));
    let refused = dispatched(&run).pop().unwrap();
    assert!(matches!(refused.disposition, Disposition::Refuse { reason: Refused::Unapproved, .. }), "{refused:?}");
    assert_eq!(refused.rule, "confirm", "the rule that asks for a human, not the one that allows the call");
    finish_all(&mut run);
    assert!(matches!(run.step(), Step::CallModel { .. }));
}
