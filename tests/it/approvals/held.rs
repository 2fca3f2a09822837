//! The invariants of the pipeline where a call waits for a human.

use std::sync::atomic::{AtomicUsize, Ordering};

use omni_core::{
    Omni,
    answer::json::EventJson,
    ledger::Outcome,
    llm::scripted::{Scripted, call_turn, text_turn},
};

use super::*;

#[tokio::test]
async fn invariant_01_rights_that_are_taken_away_while_it_waits_are_gone_when_it_goes_on() {
    let llm = Scripted::new().call(&[wipe("a")]).call(&[echo("hi")]).say("No.");
    let policy = Changing::of(&[(EVE, "dba")]);
    let rig = rig(llm.clone(), policy.clone(), |builder| builder.approvals(approvers(false))).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    policy.become_(RuleSet::deny_all());
    let own = rig.omni.confirm(id, Verdict::Approve, by(ADA)).await.unwrap_err();
    assert_eq!(own.kind(), omni_core::ErrorKind::NotFound, "what one may not call any more is not there for one");
    approve(&rig.omni, id, EVE).await.unwrap();
    omni_tests::rig::until(|| llm.requests().len() == 3).await;
    assert!(llm.requests()[1].tools.is_empty(), "nor is anything else on offer");
    rig.omni.shutdown().await;
    assert_eq!(rig.server.calls(), 0);
}

#[tokio::test]
async fn invariant_02_an_ask_that_waits_and_the_one_that_goes_on_end_in_one_closing_record_each() {
    let llm = Scripted::new().call(&[wipe("a")]).call(&[wipe("b")]);
    let rig = rig(llm, Changing::new(), same).await;
    let question = ask();
    let first = question.request_id;
    let id = parked(&rig.omni, question).await.pending[0].id;
    let second = approve(&rig.omni, id, ADA).await.unwrap();
    // The third time the model fails.
    let failed = approve(&rig.omni, second.pending[0].id, ADA).await.unwrap_err();
    rig.omni.shutdown().await;
    let closings = [first, second.request_id, failed.answer.request_id].map(|id| rig.recorder.closings(id));
    assert_eq!(closings, [vec![Outcome::Warning], vec![Outcome::Warning], vec![Outcome::Error]]);
}

#[tokio::test]
async fn invariant_07_a_secret_in_what_waits_reaches_neither_events_nor_the_ledger() {
    let secret = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789";
    let llm = Scripted::new().call(&[("lab__wipe", json!({ "table": "a", "password": secret }))]).say("Done.");
    let rig = rig(llm, Changing::new(), same).await;
    let mut stream = rig.omni.ask_stream(ask());
    let (mut told, mut id) = (String::new(), None);
    while let Some(event) = stream.next().await {
        told.push_str(&serde_json::to_string(&EventJson::from(&event)).unwrap());
        if let omni_core::AnswerEvent::Confirm(call) = &event {
            id = Some(call.id);
        }
    }
    let view = rig.omni.confirmation(Principal::email(ADA), id.unwrap()).await.unwrap();
    assert!(told.contains("approval_required") && !told.contains(secret), "{told}");
    assert!(!format!("{view:?}").contains(secret));
    approve(&rig.omni, id.unwrap(), ADA).await.unwrap();
    rig.omni.shutdown().await;
    let ledger = serde_json::to_string(&rig.recorder.records()).unwrap();
    assert!(ledger.contains("confirmation.asked") && !ledger.contains(secret), "{ledger}");
    assert_eq!(rig.server.calls(), 1);
}

#[tokio::test]
async fn invariant_08_an_approved_call_is_sent_once_and_what_broke_off_is_unknown() {
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]);
    let policy = Changing::new();
    policy.become_(RuleSet::builder().allow("lab", "*").confirm("lab", "hang").build().unwrap());
    let rig = Rig::new(llm, FakeServer::new().hanging("hang"), |builder| builder.policy(policy)).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let stream = rig.omni.confirm(id, Verdict::Approve, by(ADA)).await.unwrap();
    omni_tests::rig::until(|| rig.server.running() == 1).await;
    assert_eq!(state(&rig.omni, id).await, "running");
    let again = |omni: Omni| async move { omni.confirm(id, Verdict::Approve, by(ADA)).await.unwrap_err().kind() };
    assert_eq!(again(rig.omni.clone()).await, omni_core::ErrorKind::Conflict);
    rig.omni.shutdown_within(std::time::Duration::ZERO).await;
    assert!(stream.collect().await.is_err());
    assert_eq!(state(&rig.omni, id).await, "unknown_outcome");
    assert_eq!(rig.server.calls(), 1);
    assert_eq!(recorded(&rig.recorder).pop().unwrap().0, "confirmation.unknown_outcome");
}

#[tokio::test]
async fn what_was_found_out_by_a_tool_that_was_taken_away_meanwhile_is_told_to_nobody() {
    let llm = Scripted::new().call(&[echo("4711"), wipe("a")]).say("It is 4711.");
    let policy = Changing::new();
    let rig = rig(llm.clone(), policy.clone(), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    policy.become_(RuleSet::builder().allow("lab", "*").deny("lab", "echo").confirm("lab", "wipe").build().unwrap());
    let refused = approve(&rig.omni, id, ADA).await.unwrap_err();
    assert_eq!((refused.error.kind(), rig.server.calls()), (omni_core::ErrorKind::Denied, 1), "{}", refused.error);
    assert_eq!(llm.requests().len(), 1, "the model was not asked again");
    assert_eq!(state(&rig.omni, id).await, "void");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_result_of_before_that_was_read_again_counts_as_used_when_rights_have_changed() {
    let (id, turns) = (Arc::<Mutex<String>>::default(), AtomicUsize::new(0));
    let kept = id.clone();
    let llm = Scripted::from_fn(move |_| {
        Ok(match turns.fetch_add(1, Ordering::SeqCst) {
            0 => call_turn(0, &[echo("4711")]),
            1 => text_turn("Fine."),
            2 => call_turn(1, &[("read_result", json!({ "id": *kept.lock().unwrap() })), wipe("a")]),
            _ => text_turn("It is 4711."),
        })
    });
    let policy = Changing::new();
    let rig = rig(llm, policy.clone(), same).await;
    let first = rig.omni.ask(ask().with_session("s")).await.unwrap();
    *id.lock().unwrap() = first.tool_calls[0].result_id.clone().unwrap();
    let waiting = parked(&rig.omni, ask().with_session("s")).await;
    assert_eq!(waiting.tool_calls[0].status, omni_core::answer::CallStatus::Ok, "{:?}", waiting.tool_calls);
    policy.become_(RuleSet::builder().allow("lab", "*").deny("lab", "echo").confirm("lab", "wipe").build().unwrap());
    let refused = approve(&rig.omni, waiting.pending[0].id, ADA).await.unwrap_err();
    assert_eq!((refused.error.kind(), rig.server.calls()), (omni_core::ErrorKind::Denied, 1), "{}", refused.error);
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_run_that_goes_on_sees_of_its_conversation_what_its_asker_may_see_by_then() {
    let llm = Scripted::new().call(&[echo("4711")]).say("Fine.").call(&[wipe("a")]).say("Done.");
    let policy = Changing::new();
    let rig = rig(llm.clone(), policy.clone(), same).await;
    rig.omni.ask(ask().with_session("s")).await.unwrap();
    let id = parked(&rig.omni, ask().with_session("s")).await.pending[0].id;
    let read = || format!("{:?}", llm.requests().pop().unwrap().messages);
    assert!(read().contains("4711"));
    policy.become_(RuleSet::builder().allow("lab", "*").deny("lab", "echo").confirm("lab", "wipe").build().unwrap());
    assert_eq!(approve(&rig.omni, id, ADA).await.unwrap().text, "Done.");
    let read = read();
    assert!(!read.contains("4711") && read.contains("Fine.") && read.contains("wiped a"), "{read}");
    rig.omni.shutdown().await;
}
