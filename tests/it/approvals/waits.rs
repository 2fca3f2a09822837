//! What was agreed to and cannot go on yet waits, and nothing of it is used up.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use omni_core::{
    AuditSink, ErrorKind,
    answer::CallStatus,
    audit::{AuditError, SealedRecord},
    config::Ack,
    confirm::{Change, RunStore as _, State, memory::MemoryRuns},
    mcp::ServerOptions,
    policy::{Quota, memory::MemoryPolicy},
};
use omni_tests::rig::until;

use super::*;

const BOB: &str = "bob@company.com";

/// One call, to which somebody has to agree.
fn wiping() -> Scripted {
    Scripted::new().call(&[wipe("a")]).say("Done.")
}

/// Who agreed, as the ledger has it.
fn agreed(recorder: &Recorder) -> Vec<String> {
    let all = recorded(recorder).into_iter();
    all.filter(|(action, _)| action == "confirmation.approved").map(|(_, who)| who).collect()
}

/// What somebody is told who agreed to what waits.
async fn waits(omni: &Omni, id: Uuid, who: &str) -> String {
    let stream = omni.confirm(id, Verdict::Approve, by(who)).await;
    let error = match stream {
        Ok(stream) => stream.collect().await.unwrap_err().error,
        Err(error) => error,
    };
    assert_eq!((error.kind(), state(omni, id).await), (ErrorKind::Unavailable, "approved"), "{error}");
    let told = error.public_message();
    assert!(told.contains("what was decided is kept"), "{told}");
    told
}

#[tokio::test(start_paused = true)]
async fn what_is_agreed_to_waits_for_its_server_and_is_recorded_once() {
    let rig = rig(wiping(), Changing::new(), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    rig.server.leave();
    assert!(waits(&rig.omni, id, ADA).await.contains("lab: the server is away"));
    // It is tried again and again meanwhile.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (0, "approved"));
    rig.server.come_back();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (1, "done"));
    rig.omni.shutdown().await;
    assert_eq!(agreed(&rig.recorder), [ADA]);
}

#[tokio::test]
async fn what_is_agreed_to_waits_for_a_place() {
    let mut quota = Quota::default();
    quota.concurrent = Some(1);
    let rules = RuleSet::builder().allow("lab", "*").confirm("lab", "wipe").build().unwrap();
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("reader"), rules, quota);
    let llm = Scripted::new().call(&[wipe("a")]).call(&[("lab__hang", json!({}))]).say("Done.");
    let rig = Rig::new(llm, lab().hanging("hang"), |builder| builder.policy(policy)).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let other = rig.omni.ask_stream(ask());
    until(|| rig.server.running() == 1).await;
    assert!(waits(&rig.omni, id, ADA).await.contains("Too many requests at once"));
    drop(other);
    until(|| rig.server.running() == 0).await;
    let answer = omni_tests::rig::until_some(async || approve(&rig.omni, id, ADA).await.ok()).await;
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Done.", 2));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn an_agreement_counts_while_whoever_gave_it_may_or_when_somebody_who_may_gives_it_again() {
    let policy = Changing::of(&[(EVE, "dba"), (BOB, "dba")]);
    let llm = Scripted::new().call(&[wipe("a"), wipe("b")]).say("Done.");
    let rig = rig(llm, policy.clone(), |builder| builder.approvals(approvers(true))).await;
    let pending = parked(&rig.omni, ask()).await.pending;
    let (first, second) = (pending[0].id, pending[1].id);
    rig.server.leave();
    approve(&rig.omni, first, EVE).await.unwrap();
    waits(&rig.omni, second, EVE).await;
    policy.makes(EVE, "reader");
    rig.server.come_back();
    assert!(waits(&rig.omni, first, ADA).await.contains(EVE), "the asker goes on, and learns whose word is missing");
    let refused = rig.omni.confirm(first, Verdict::Approve, by(EVE)).await.unwrap_err();
    assert_eq!((refused.kind(), rig.server.calls()), (ErrorKind::NotFound, 0), "{refused}");
    let listed = rig.omni.confirmations(Principal::email(BOB)).await.unwrap();
    assert!(listed.len() == 2 && listed.iter().all(|view| view.may_approve), "{listed:?}");
    assert!(waits(&rig.omni, first, BOB).await.contains(EVE), "one of them is still hers");
    approve(&rig.omni, second, BOB).await.unwrap();
    until(|| rig.server.calls() == 2).await;
    let shown = rig.omni.confirmation(Principal::email(ADA), first).await.unwrap().confirmation;
    assert_eq!(shown.decided_by.as_deref(), Some(BOB));
    rig.omni.shutdown().await;
    assert_eq!(agreed(&rig.recorder), [EVE, EVE, BOB, BOB]);
}

#[tokio::test(start_paused = true)]
async fn a_word_that_is_given_again_while_the_server_is_away_is_the_one_that_counts_later() {
    let policy = Changing::of(&[(EVE, "dba"), (BOB, "dba")]);
    let rig = rig(wiping(), policy.clone(), |builder| builder.approvals(approvers(true))).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    rig.server.leave();
    waits(&rig.omni, id, EVE).await;
    policy.makes(EVE, "reader");
    assert!(waits(&rig.omni, id, BOB).await.contains("goes on once that is over"));
    rig.server.come_back();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (1, "done"));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn whoever_may_agree_only_by_what_a_token_claims_is_believed_while_they_are_there() {
    let rig = rig(wiping(), Claims, |builder| builder.approvals(approvers(true))).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let eve = || Decider::new(super::changes::claiming(EVE), Source::Http);
    rig.server.leave();
    let told = rig.omni.confirm(id, Verdict::Approve, eve()).await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::Unavailable);
    assert!(told.to_string().contains("you have to say the same again"), "{told}");
    rig.server.come_back();
    assert!(waits(&rig.omni, id, ADA).await.contains(EVE));
    rig.omni.confirm(id, Verdict::Approve, eve()).await.unwrap().collect().await.unwrap();
    until(|| rig.server.calls() == 1).await;
    rig.omni.shutdown().await;
}

/// Roles are what tokens claim.
#[derive(Debug)]
struct Claims;

#[async_trait::async_trait]
impl PolicyStore for Claims {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let role = Role::new(principal.claimed_role().unwrap_or("reader"));
        Ok(Arc::new(Grant::new(principal.clone(), role, asking())))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        watch::Sender::new(1).subscribe()
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_of_which_the_ledger_does_not_know_is_recorded_before_its_run_goes_on_or_ends() {
    let store = Arc::new(MemoryRuns::new());
    let mut rules = ApprovalRules::default();
    rules.expiry = Duration::from_secs(60);
    let llm = Scripted::new().call(&[wipe("a"), wipe("b")]).call(&[wipe("c")]).say("One of them.");
    let rig = rig(llm, Changing::new(), |builder| builder.runs(store.clone()).approvals(rules)).await;
    let [first, late] = [parked(&rig.omni, ask()).await.pending, parked(&rig.omni, ask()).await.pending];
    // Of the process that took it down nothing else is left.
    for one in [&first[0], &late[0]] {
        assert!(store.change(Change::new(one.id, State::Pending, State::Approved).by(ADA)).await.unwrap());
    }
    rig.server.leave();
    let run = store.confirmation(late[0].id).await.unwrap().unwrap().run;
    assert!(store.claim(run, Duration::from_secs(1)).await.unwrap(), "whoever has it breaks off");
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(state(&rig.omni, late[0].id).await, "void");
    rig.server.come_back();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, first[0].id).await), (1, "done"));
    assert_eq!(state(&rig.omni, first[1].id).await, "expired");
    rig.omni.shutdown().await;
    assert_eq!(agreed(&rig.recorder), [ADA, ADA], "one each");
}

/// A ledger that takes no decisions for a while.
#[derive(Debug, Clone)]
struct Deaf(Recorder, Arc<AtomicBool>);

#[async_trait::async_trait]
impl AuditSink for Deaf {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        let is_decision = |record: &SealedRecord| {
            let text = String::from_utf8_lossy(&record.bytes);
            text.contains("confirmation.approved") || text.contains("confirmation.denied")
        };
        if self.1.load(Ordering::SeqCst) && batch.iter().any(is_decision) {
            return Err(AuditError::Unavailable { message: "not this".into() });
        }
        self.0.append(batch).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_agreement_that_the_ledger_cannot_take_counts_for_nothing_and_a_denial_counts_all_the_same() {
    let denied = Verdict::Decline { reason: "not today".into() };
    for (verdict, state, reason, actions) in [
        (Verdict::Approve, State::Void, "the ledger could not record the decision", ["approved", "void"]),
        (denied, State::Denied, "not today", ["denied", "denied"]),
    ] {
        let deaf = Deaf(Recorder::default(), Arc::new(AtomicBool::new(true)));
        let llm = wiping();
        let sink = deaf.clone();
        let rig = rig(llm.clone(), Changing::new(), |builder| builder.audit(sink).ledger_ack(Ack::Database)).await;
        let id = parked(&rig.omni, ask()).await.pending[0].id;
        let refused = rig.omni.confirm(id, verdict, by(ADA)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        let shown = rig.omni.confirmation(Principal::email(ADA), id).await.unwrap().confirmation;
        assert_eq!((shown.state, shown.reason.as_deref()), (state, Some(reason)));
        deaf.1.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(told(&llm).contains(reason), "it goes on, and the model is told: {}", told(&llm));
        rig.omni.shutdown().await;
        let said: Vec<String> = recorded(&deaf.0).into_iter().map(|(action, _)| action).collect();
        let said: Vec<&str> = said.iter().filter_map(|action| action.strip_prefix("confirmation.")).collect();
        // The record that came late is there as well: rather twice than never.
        assert_eq!(said.last(), actions.last(), "{said:?}");
        assert!(said.iter().all(|one| *one == "asked" || actions.contains(one)), "{said:?}");
        assert_eq!(rig.server.calls(), 0);
    }
}

/// A ledger that takes its time for the end of an ask.
#[derive(Debug, Clone)]
struct Slow(Recorder);

#[async_trait::async_trait]
impl AuditSink for Slow {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        if batch.iter().any(|record| String::from_utf8_lossy(&record.bytes).contains("\"answer\":\"Done.\"")) {
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        self.0.append(batch).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_kept_until_its_asker_is_told() {
    let store = Arc::new(MemoryRuns::new());
    let (sink, runs) = (Slow(Recorder::default()), store.clone());
    let rig = rig(wiping(), Changing::new(), |builder| builder.audit(sink).ledger_ack(Ack::Database).runs(runs)).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let deciding = tokio::spawn({
        let omni = rig.omni.clone();
        async move { approve(&omni, id, ADA).await.map(|answer| answer.text) }
    });
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!((rig.server.calls(), deciding.is_finished()), (1, false));
    let run = store.confirmation(id).await.unwrap().unwrap().run;
    assert!(store.lapse().await.unwrap().is_empty() && store.renew(run, Duration::from_secs(10)).await.unwrap());
    assert_eq!(deciding.await.unwrap().unwrap(), "Done.");
    assert!(store.result(run).await.unwrap().unwrap().contains("Done."));
    rig.omni.shutdown().await;
}

/// Nobody is anybody but by what their token claims, save Eve.
#[derive(Debug)]
struct OnlyClaims;

#[async_trait::async_trait]
impl PolicyStore for OnlyClaims {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let role = match principal.claimed_role() {
            Some(role) => role,
            None if principal.subject == EVE => "dba",
            None => return Err(PolicyError::UnknownSubject { subject: principal.subject.clone() }),
        };
        Ok(Arc::new(Grant::new(principal.clone(), Role::new(role), asking())))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        watch::Sender::new(1).subscribe()
    }
}

#[tokio::test]
async fn what_is_asked_under_a_claimed_role_waits_for_whoever_claims_it() {
    let rig = rig(wiping(), OnlyClaims, |builder| builder.approvals(approvers(false))).await;
    let mut question = ask();
    question.credential = super::changes::claiming(ADA).into();
    let id = parked(&rig.omni, question).await.pending[0].id;
    let told = rig.omni.confirm(id, Verdict::Approve, by(EVE)).await.unwrap_err();
    assert_eq!((told.kind(), rig.server.calls()), (ErrorKind::Unavailable, 0), "{told}");
    assert!(told.to_string().contains("known only while they are there"), "{told}");
    let own = Decider::new(super::changes::claiming(ADA), Source::Http);
    let answer = rig.omni.confirm(id, Verdict::Approve, own).await.unwrap().collect().await.unwrap();
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Done.", 1));
    rig.omni.shutdown().await;
}

/// Whoever claims nothing is a reader.
#[tokio::test(start_paused = true)]
async fn an_agreement_under_a_claimed_role_is_not_used_up_while_nobody_claims_it() {
    let rig = rig(wiping(), Claims, |builder| builder.approvals(approvers(false))).await;
    let own = || Decider::new(super::changes::claiming(ADA), Source::Http);
    let mut question = ask();
    question.credential = super::changes::claiming(ADA).into();
    let id = parked(&rig.omni, question).await.pending[0].id;
    rig.server.leave();
    let told = rig.omni.confirm(id, Verdict::Approve, own()).await.unwrap().collect().await.unwrap_err().error;
    assert!(told.kind() == ErrorKind::Unavailable && told.to_string().contains("you have to say the same"), "{told}");
    rig.server.come_back();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (0, "approved"));
    let answer = rig.omni.confirm(id, Verdict::Approve, own()).await.unwrap().collect().await.unwrap();
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Done.", 1));
    rig.omni.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_word_that_still_counts_is_not_replaced_by_one_that_counts_only_now() {
    let rig = rig(wiping(), OnlyClaims, |builder| builder.approvals(approvers(false))).await;
    let mut question = ask();
    question.credential = super::changes::claiming(ADA).into();
    let id = parked(&rig.omni, question).await.pending[0].id;
    rig.server.leave();
    let told = rig.omni.confirm(id, Verdict::Approve, by(EVE)).await.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::Unavailable, "{told}");
    let bob = Decider::new(super::changes::claiming(BOB), Source::Http);
    assert!(rig.omni.confirm(id, Verdict::Approve, bob).await.is_err());
    let own = Decider::new(super::changes::claiming(ADA), Source::Http);
    assert!(rig.omni.confirm(id, Verdict::Approve, own).await.unwrap().collect().await.is_err());
    let shown = rig.omni.confirmation(super::changes::claiming(ADA), id).await.unwrap().confirmation;
    assert_eq!((shown.state, shown.decided_by.as_deref()), (State::Approved, Some(EVE)));
    rig.omni.shutdown().await;
    assert_eq!(agreed(&rig.recorder), [EVE]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_uses_up_no_agreement() {
    let rig = rig(wiping(), Changing::new(), same).await;
    let mut question = ask();
    question.options.timeout = Some(Duration::from_secs(5));
    let id = parked(&rig.omni, question).await.pending[0].id;
    rig.server.fall_silent();
    waits(&rig.omni, id, ADA).await;
    rig.server.come_back();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (1, "done"));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn an_agreed_call_that_is_not_sent_is_void_and_the_asker_is_told_why() {
    let mut options = ServerOptions::default();
    options.calls_per_minute = Some(1);
    let llm = Scripted::new().call(&[echo("hi"), wipe("a")]).say("Only one.");
    let (server, recorder) = (lab(), Recorder::default());
    let omni = Omni::builder().llm(llm.clone()).server_with("lab", server.clone(), options);
    let omni = omni.audit(recorder.clone()).policy(Changing::new()).build().await.unwrap();
    let id = parked(&omni, ask()).await.pending[0].id;
    let answer = approve(&omni, id, ADA).await.unwrap();
    assert_eq!((answer.tool_calls[1].status, server.calls()), (CallStatus::RateLimited, 1), "{answer:?}");
    assert_eq!(state(&omni, id).await, "void");
    let reason = omni.confirmation(Principal::email(ADA), id).await.unwrap().confirmation.reason.unwrap();
    assert!(reason.contains("in the last minute"), "{reason}");
    omni.shutdown().await;
    assert_eq!(recorded(&recorder).pop().unwrap().0, "confirmation.void");
}

#[tokio::test]
async fn a_run_that_somebody_else_has_ended_breaks_off_in_the_middle_of_its_call() {
    let store = Arc::new(MemoryRuns::new());
    let policy = Changing::new();
    policy.become_(RuleSet::builder().allow("lab", "*").confirm("lab", "hang").build().unwrap());
    let llm = Scripted::new().call(&[("lab__hang", json!({}))]);
    let rig = Rig::new(llm, FakeServer::new().hanging("hang"), |builder| builder.policy(policy).runs(store.clone()));
    let rig = rig.await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let stream = rig.omni.confirm(id, Verdict::Approve, by(ADA)).await.unwrap();
    until(|| rig.server.running() == 1).await;
    let run = store.confirmation(id).await.unwrap().unwrap().run;
    let left = store.end(run, None).await.unwrap();
    assert_eq!(left[0].state, State::UnknownOutcome);
    let failed = stream.collect().await.unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::Conflict, "{}", failed.error);
    assert_eq!(failed.answer.tool_calls[0].status, CallStatus::Cancelled);
    until(|| rig.server.running() == 0).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (1, "unknown_outcome"));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_call_that_is_made_again_takes_another_agreement() {
    let rig = rig(wiping(), Changing::new(), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let answer = approve(&rig.omni, id, ADA).await.unwrap();
    let result = answer.tool_calls[0].result_id.clone().unwrap();
    let again = rig.omni.call_again(Principal::email(ADA), &result).await.unwrap();
    let refused = rig.omni.call_tool(again.clone()).await.unwrap_err();
    assert_eq!((refused.kind(), rig.server.calls()), (ErrorKind::Denied, 1), "{refused}");
    let made = rig.omni.call_tool(again.with_approver(Arc::new(Yes))).await.unwrap();
    assert_eq!((made.summary.status, rig.server.calls()), (CallStatus::Ok, 2));
    rig.omni.shutdown().await;
    assert_eq!(agreed(&rig.recorder), [ADA, ADA]);
}

/// Somebody who agrees to a tool that becomes another one while they look.
#[derive(Debug)]
struct Pondering {
    omni: Omni,
    server: FakeServer,
}

#[async_trait::async_trait]
impl Approver for Pondering {
    async fn decide(&self, _: &ConfirmRequest) -> Verdict {
        self.server.describe("wipe", "Wipes everything, everywhere.");
        look_again(&self.omni).await;
        Verdict::Approve
    }
}

#[tokio::test]
async fn a_tool_that_becomes_another_one_while_somebody_is_asked_is_not_what_they_agreed_to() {
    let rig = rig(wiping(), Changing::new(), same).await;
    let slow = Pondering { omni: rig.omni.clone(), server: rig.server.clone() };
    let question = Ask::new(Principal::email(ADA), "Wipe it").with_approver(Arc::new(slow));
    let answer = rig.omni.ask(question).await.unwrap();
    assert_eq!((answer.tool_calls[0].status, rig.server.calls()), (CallStatus::Declined, 0));
    assert!(answer.tool_calls[0].error.as_ref().unwrap().contains("not what it was"), "{answer:?}");
    rig.omni.shutdown().await;
}
