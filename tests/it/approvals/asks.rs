//! Asks that wait and go on.

use std::time::Duration;

use omni_core::{
    AnswerEvent, Ask, ErrorKind, Principal,
    answer::{CallStatus, Status},
    confirm::{ApprovalRules, Change, Confirmation, ParkedRun, RunError, RunStore, Verdict, Whose},
    cost::{Price, Rates},
    ledger::{Event, Outcome},
    limit::{Budget, BudgetScope, Period, Spend},
    llm::{ModelInfo, scripted::Scripted},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
    thread::{ContextRules, SummaryRules, ThreadRules},
};
use uuid::Uuid;

use super::*;

#[tokio::test]
async fn a_call_waits_while_the_turns_others_go_on_and_runs_once_somebody_agrees() {
    let llm = Scripted::new().call(&[wipe("a"), echo("hi")]).say("Both are done.");
    let rig = rig(llm.clone(), Changing::new(), same).await;
    let question = ask();
    let first_id = question.request_id;
    let waiting = parked(&rig.omni, question).await;
    assert_eq!(rig.server.calls(), 1, "the other call ran");
    assert_eq!(waiting.tool_calls.iter().map(|call| &*call.tool).collect::<Vec<_>>(), ["echo"]);
    let [pending] = &waiting.pending[..] else { panic!("{waiting:?}") };
    assert_eq!((&*pending.server, &*pending.tool, &pending.arguments), ("lab", "wipe", &json!({ "table": "a" })));
    assert_eq!(state(&rig.omni, pending.id).await, "pending");

    let answer = approve(&rig.omni, pending.id, ADA).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.status), ("Both are done.", Status::Completed));
    assert_eq!(answer.iterations, 2, "all of the answer's turns");
    let calls: Vec<_> = answer.tool_calls.iter().map(|call| (&*call.tool, call.status)).collect();
    assert_eq!(calls, [("echo", CallStatus::Ok), ("wipe", CallStatus::Ok)]);
    assert_eq!((rig.server.calls(), state(&rig.omni, pending.id).await), (2, "done"));
    // The model reads both results, in the order of its calls.
    let told = told(&llm);
    assert!(told.find("wiped a").unwrap() < told.find("hi").unwrap(), "{told}");

    let again = rig.omni.confirm(pending.id, Verdict::Approve, by(ADA)).await.unwrap_err();
    assert_eq!((again.kind(), rig.server.calls()), (ErrorKind::Conflict, 2));
    rig.omni.shutdown().await;
    assert_eq!(rig.recorder.closings(first_id), [Outcome::Warning]);
    assert_eq!(rig.recorder.closings(answer.request_id), [Outcome::Success]);
    assert_eq!(recorded(&rig.recorder), [("confirmation.asked", ADA), ("confirmation.approved", ADA)].map(owned));
    let asks: Vec<_> = rig
        .recorder
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Ask(ask) => Some((ask.iterations, ask.tools_used, ask.warning, ask.usage.total())),
            _ => None,
        })
        .collect();
    let waited = (1, vec!["lab.echo".to_owned()], Some("approval_required".to_owned()), 15);
    assert_eq!(asks, [waited, (1, vec!["lab.wipe".to_owned()], None, 15)], "each record has what it took");
}

fn owned((action, who): (&str, &str)) -> (String, String) {
    (action.to_owned(), who.to_owned())
}

#[tokio::test]
async fn a_denial_and_its_reason_go_to_the_model_and_nothing_is_called() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Then not.");
    let rig = rig(llm.clone(), Changing::new(), same).await;
    let waiting = parked(&rig.omni, ask()).await;
    let answer = deny(&rig.omni, waiting.pending[0].id, "not on\na Friday.").await;
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Then not.", 0));
    assert_eq!((answer.tool_calls[0].status, &*answer.denials[0].reason), (CallStatus::Declined, "approval"));
    let told = told(&llm);
    assert!(told.contains("was not approved: not on a Friday.") && told.contains("is_error: true"), "{told}");
    assert_eq!(state(&rig.omni, waiting.pending[0].id).await, "denied");
    rig.omni.shutdown().await;
    assert_eq!(recorded(&rig.recorder)[1].0, "confirmation.denied");
    assert_eq!(rig.recorder.tool_calls(answer.request_id), [("wipe".to_owned(), Outcome::Denied)]);
}

#[tokio::test]
async fn a_run_goes_on_when_all_of_its_calls_are_decided_and_not_before() {
    let llm = Scripted::new().call(&[wipe("a"), wipe("b"), wipe("c")]).say("One of them.");
    let rig = rig(llm.clone(), Changing::new(), same).await;
    let waiting = parked(&rig.omni, ask()).await;
    let ids: Vec<Uuid> = waiting.pending.iter().map(|call| call.id).collect();
    for (n, id) in ids[..2].iter().enumerate() {
        let answer = match n {
            0 => approve(&rig.omni, *id, ADA).await.unwrap(),
            _ => deny(&rig.omni, *id, "").await,
        };
        assert_eq!((answer.status, answer.pending.len(), rig.server.calls()), (Status::Waiting, 2 - n, 0));
    }
    let answer = deny(&rig.omni, ids[2], "no").await;
    assert_eq!((answer.status, rig.server.calls()), (Status::Completed, 1));
    let told = told(&llm);
    assert!(told.contains("wiped a") && !told.contains("wiped b") && told.contains("somebody said no"), "{told}");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_run_may_wait_again() {
    let llm = Scripted::new().call(&[wipe("a")]).call(&[wipe("b")]).say("Both.");
    let rig = rig(llm, Changing::new(), same).await;
    let first = parked(&rig.omni, ask()).await;
    let second = approve(&rig.omni, first.pending[0].id, ADA).await.unwrap();
    assert_eq!((second.status, rig.server.calls()), (Status::Waiting, 1));
    assert_ne!(first.pending[0].id, second.pending[0].id);
    let answer = approve(&rig.omni, second.pending[0].id, ADA).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.tool_calls.len(), rig.server.calls()), ("Both.", 2, 2));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn one_of_those_who_decide_at_once_wins_and_the_call_runs_once() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let rig = rig(llm, Changing::new(), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let tries = (0..8).map(|_| async {
        match rig.omni.confirm(id, Verdict::Approve, by(ADA)).await {
            Ok(stream) => stream.collect().await.is_ok(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                false
            }
        }
    });
    let won = futures::future::join_all(tries).await.into_iter().filter(|won| *won).count();
    assert_eq!((won, rig.server.calls()), (1, 1));
    rig.omni.shutdown().await;
    let agreed = recorded(&rig.recorder).into_iter().filter(|(action, _)| action == "confirmation.approved").count();
    let ended = rig.recorder.records().into_iter().filter(|record| matches!(record.event, Event::Ask(_))).count();
    assert_eq!((agreed, ended), (1, 2), "whoever came too late decided nothing and asked nothing");
}

#[tokio::test]
async fn what_was_said_before_it_waited_is_part_of_the_answer_and_the_events_join_to_it() {
    let mut first = vec![omni_core::llm::ChatEvent::Text("I look. ".into())];
    first.push(omni_core::llm::ChatEvent::Block(omni_core::llm::Block::text("I look. ")));
    first.extend(omni_core::llm::scripted::call_turn(0, &[wipe("a")]));
    let rig = rig(Scripted::new().turn(first).say("Done."), Changing::new(), same).await;
    let mut stream = rig.omni.ask_stream(ask());
    let mut names = Vec::new();
    let mut id = None;
    while let Some(event) = stream.next().await {
        names.push(omni_core::answer::json::EventJson::from(&event).name());
        if let AnswerEvent::Confirm(call) = event {
            id = Some(call.id);
        }
    }
    assert_eq!(names, ["started", "token", "usage", "approval_required", "warning", "done"]);
    let mut stream = rig.omni.confirm(id.unwrap(), Verdict::Approve, by(ADA)).await.unwrap();
    let mut joined = String::new();
    while let Some(event) = stream.next().await {
        match event {
            AnswerEvent::Text { text } => joined.push_str(&text),
            AnswerEvent::Done(answer) => assert_eq!((&*answer.text, &*joined), ("I look. \n\nDone.", &*answer.text)),
            _ => {}
        }
    }
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn it_goes_on_though_nobody_reads_and_its_answer_is_kept_for_the_asker() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let rig = rig(llm, Changing::new(), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    drop(rig.omni.confirm(id, Verdict::Approve, by(ADA)).await.unwrap());
    let result = loop {
        let view = rig.omni.confirmation(Principal::email(ADA), id).await.unwrap();
        if let Some(result) = view.result {
            break result;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((&result["event"], &result["answer"]), (&json!("done"), &json!("Done.")));
    assert_eq!(rig.server.calls(), 1);
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn where_the_door_cannot_come_back_the_answer_is_no() {
    let llm = Scripted::new().call(&[wipe("a")]).say("No.");
    let rig = rig(llm, Changing::new(), same).await;
    let answer = rig.omni.ask(Ask::new(Principal::email(ADA), "Wipe it")).await.unwrap();
    assert_eq!((answer.tool_calls[0].status, rig.server.calls()), (CallStatus::Declined, 0));
    assert!(answer.tool_calls[0].error.as_ref().unwrap().contains("nobody is there"), "{answer:?}");
    assert!(rig.omni.confirmations(Principal::email(ADA)).await.unwrap().is_empty());
    rig.omni.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_who_decides_in_time_is_a_no_and_what_was_decided_goes_on() {
    let llm = Scripted::new().call(&[wipe("a"), wipe("b")]).say("One.").call(&[wipe("c")]);
    let mut rules = ApprovalRules::default();
    rules.expiry = Duration::from_secs(60);
    let rig = rig(llm.clone(), Changing::new(), |builder| builder.approvals(rules)).await;
    let first = parked(&rig.omni, ask()).await;
    approve(&rig.omni, first.pending[0].id, ADA).await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let late = rig.omni.confirm(first.pending[1].id, Verdict::Approve, by(ADA)).await.unwrap_err();
    assert!(late.to_string().contains("time to decide on it is over"), "{late}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.server.calls(), 1, "what somebody agreed to was carried out, without the other one");
    assert_eq!(state(&rig.omni, first.pending[0].id).await, "done");
    assert_eq!(state(&rig.omni, first.pending[1].id).await, "expired");
    assert!(told(&llm).contains("nobody decided in time"), "{}", told(&llm));
    // Where nobody answered at all, nobody is told either.
    let second = parked(&rig.omni, ask()).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(state(&rig.omni, second.pending[0].id).await, "expired");
    assert_eq!(llm.requests().len(), 3);
    rig.omni.shutdown().await;
    let expired = recorded(&rig.recorder).into_iter().filter(|(action, _)| action == "confirmation.expired").count();
    assert_eq!((expired, rig.server.calls()), (2, 1));
}

#[tokio::test]
async fn a_person_has_room_for_so_many_calls_that_wait_and_no_more() {
    let llm = Scripted::from_fn(|request| {
        let is_new = request.messages.len() == 1;
        let calls: Vec<_> = (0..60).map(|n| wipe(&n.to_string())).collect();
        Ok(if is_new {
            omni_core::llm::scripted::call_turn(0, &calls)
        } else {
            omni_core::llm::scripted::text_turn("No room.")
        })
    });
    let rig = rig(llm, Changing::new(), same).await;
    parked(&rig.omni, ask()).await;
    let answer = rig.omni.ask(ask()).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.status, rig.server.calls()), ("No room.", Status::Completed, 0));
    assert!(answer.tool_calls[0].error.as_ref().unwrap().contains("wait for a decision already"), "{answer:?}");
    rig.omni.shutdown().await;
}

/// A store that is away, but for the end of a run perhaps.
#[derive(Debug)]
struct Away {
    ends: bool,
}

fn away<T>() -> Result<T, RunError> {
    Err(RunError::new("it is away"))
}

#[async_trait::async_trait]
impl RunStore for Away {
    async fn park(&self, _: ParkedRun<'_>) -> Result<(), RunError> {
        away()
    }

    async fn confirmation(&self, _: Uuid) -> Result<Option<Confirmation>, RunError> {
        away()
    }

    async fn of_run(&self, _: Uuid) -> Result<Vec<Confirmation>, RunError> {
        away()
    }

    async fn pending(&self, _: Whose<'_>, _: usize) -> Result<Vec<Confirmation>, RunError> {
        Ok(Vec::new())
    }

    async fn change(&self, _: Change<'_>) -> Result<bool, RunError> {
        away()
    }

    async fn agreed(&self, _: Whose<'_>, _: usize) -> Result<Vec<Confirmation>, RunError> {
        away()
    }

    async fn agree_again(&self, _: Uuid, _: &str, _: &str) -> Result<bool, RunError> {
        away()
    }

    async fn recorded(&self, _: Uuid, _: &str) -> Result<(), RunError> {
        away()
    }

    async fn body(&self, _: Uuid) -> Result<Option<String>, RunError> {
        away()
    }

    async fn claim(&self, _: Uuid, _: Duration) -> Result<bool, RunError> {
        away()
    }

    async fn renew(&self, _: Uuid, _: Duration) -> Result<bool, RunError> {
        away()
    }

    async fn end(&self, _: Uuid, _: Option<&str>) -> Result<Vec<Confirmation>, RunError> {
        if self.ends { Ok(Vec::new()) } else { away() }
    }

    async fn result(&self, _: Uuid) -> Result<Option<String>, RunError> {
        away()
    }

    async fn decided(&self, _: usize) -> Result<Vec<Uuid>, RunError> {
        away()
    }

    async fn lapse(&self) -> Result<Vec<Confirmation>, RunError> {
        away()
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_declined_with_the_reason_and_the_ask_goes_on() {
    let llm = Scripted::new().call(&[wipe("a"), echo("hi")]).say("Only one.");
    let rig = rig(llm.clone(), Changing::new(), |builder| builder.runs(Away { ends: true })).await;
    let answer = rig.omni.ask(ask()).await.unwrap();
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Only one.", 1));
    assert!(told(&llm).contains("it cannot be kept until somebody decides"), "{}", told(&llm));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn where_it_may_have_been_kept_all_the_same_the_ask_fails() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Well.");
    let rig = rig(llm, Changing::new(), |builder| builder.runs(Away { ends: false })).await;
    let failed = rig.omni.ask(ask()).await.unwrap_err();
    assert_eq!((failed.kind(), rig.server.calls()), (ErrorKind::Unavailable, 0));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn what_is_too_large_to_be_kept_is_declined() {
    let llm = Scripted::new().call(&[echo(&"x".repeat(5 << 20)), wipe("a")]).say("Too much.");
    let rig = rig(llm.clone(), Changing::new(), same).await;
    let answer = rig.omni.ask(ask()).await.unwrap();
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Too much.", 1));
    assert!(told(&llm).contains("too much to keep"), "{:.300}", told(&llm));
    rig.omni.shutdown().await;
}

fn quota(change: impl FnOnce(&mut Quota)) -> MemoryPolicy {
    let mut quota = Quota::default();
    change(&mut quota);
    MemoryPolicy::new().with_subject(ADA, Role::new("r"), asking(), quota)
}

#[tokio::test]
async fn an_ask_that_waits_takes_no_place_and_going_on_is_the_ask_that_was_counted() {
    let policy = quota(|quota| (quota.concurrent, quota.per_hour) = (Some(1), Some(2)));
    let llm = Scripted::new().call(&[wipe("a")]).call(&[wipe("b")]).say("Done.").say("Done.");
    let rig = Rig::new(llm, lab(), |builder| builder.policy(policy)).await;
    let first = parked(&rig.omni, ask()).await;
    let second = parked(&rig.omni, ask()).await;
    // Two asks an hour, and both go on; a third is one too many.
    for waiting in [first, second] {
        assert_eq!(approve(&rig.omni, waiting.pending[0].id, ADA).await.unwrap().text, "Done.");
    }
    assert_eq!(rig.omni.ask(ask()).await.unwrap_err().kind(), ErrorKind::RateLimited);
    assert_eq!(rig.server.calls(), 2);
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn whoever_agrees_as_soon_as_they_are_told_finds_the_ask_settled_and_recorded() {
    let policy = quota(|quota| quota.concurrent = Some(1));
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let rig = Rig::new(llm, lab(), |builder| builder.policy(policy)).await;
    let mut stream = rig.omni.ask_stream(ask());
    let asked = loop {
        match stream.next().await {
            Some(AnswerEvent::Confirm(call)) => break call.id,
            Some(_) => {}
            None => panic!("nobody was asked"),
        }
    };
    assert_eq!(approve(&rig.omni, asked, ADA).await.unwrap().text, "Done.");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn an_ask_that_waits_has_settled_what_it_used_and_goes_on_within_what_is_left() {
    let mut model = ModelInfo::new("scripted", "scripted");
    model.price = Some(Price::flat(Rates::new(1_000, 1_000, 1_000, 1_000, 1_000)));
    let budget = Budget { scope: BudgetScope::User, period: Period::Day, max: Spend::Tokens(8_000) };
    let policy = quota(|quota| quota.budgets = vec![budget]);
    let llm = Scripted::new().call(&[wipe("a")]).call(&[wipe("b")]).say("A.").say("B.").with_model(model);
    let rig = Rig::new(llm, lab(), |builder| builder.policy(policy)).await;
    // Each turn puts aside thousands of tokens and takes fifteen: whatever waited holding that would starve the rest.
    let first = parked(&rig.omni, ask()).await;
    let second = parked(&rig.omni, ask()).await;
    for waiting in [first, second] {
        assert_eq!(approve(&rig.omni, waiting.pending[0].id, ADA).await.unwrap().status, Status::Completed);
    }
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_conversation_keeps_the_whole_turn_once_it_has_gone_on() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let rig = rig(llm, Changing::new(), same).await;
    let waiting = parked(&rig.omni, ask().with_session("t")).await;
    let threads = async || rig.omni.threads(Principal::email(ADA), Source::Http).await.unwrap();
    assert!(threads().await.is_empty());
    approve(&rig.omni, waiting.pending[0].id, ADA).await.unwrap();
    assert_eq!(threads().await.len(), 1);
    let kept = rig.omni.thread(Principal::email(ADA), Source::Http, "t").await.unwrap();
    assert_eq!((kept[0].turn.question(), kept[0].turn.answer().as_str()), ("Wipe it", "Done."));
    assert_eq!(kept[0].turn.calls[0].tool, "wipe");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn what_a_turn_that_has_gone_on_leaves_behind_is_told_in_short_at_its_expense() {
    let llm = Scripted::new().say("Fine.").call(&[wipe("a")]).say("Done.").say("It was fine.");
    let mut rules = ThreadRules::default();
    let mut summary = SummaryRules::default();
    (rules.own, summary.above_tokens) = (ContextRules::new(2), 0);
    rules.summary = Some(summary);
    let rig = rig(llm.clone(), Changing::new(), |builder| builder.thread_rules(rules)).await;
    rig.omni.ask(ask().with_session("s")).await.unwrap();
    let waiting = parked(&rig.omni, ask().with_session("s")).await;
    assert_eq!(llm.requests().len(), 2, "what waits is no turn yet");
    let answer = approve(&rig.omni, waiting.pending[0].id, ADA).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.iterations, answer.usage.total()), ("Done.", 2, 45));
    let told = rig.omni.thread_summary(Principal::email(ADA), Source::Http, "s").await.unwrap();
    assert_eq!(told.map(|summary| summary.text).as_deref(), Some("It was fine."));
    rig.omni.shutdown().await;
    assert_eq!(rig.recorder.closings(answer.request_id), [Outcome::Success]);
}

#[tokio::test]
async fn a_destructive_hint_alone_is_enough_to_wait() {
    let server = lab().annotated("wipe", json!({ "destructiveHint": true }));
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("r"), RuleSet::allow_all(), Quota::default());
    let rig = Rig::new(llm, server, |builder| builder.policy(policy)).await;
    let waiting = parked(&rig.omni, ask()).await;
    assert_eq!(approve(&rig.omni, waiting.pending[0].id, ADA).await.unwrap().text, "Done.");
    rig.omni.shutdown().await;
}
