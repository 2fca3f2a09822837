//! Decisions that outlive whoever made them, and those that do not outlive what they rest on.

use std::time::Duration;

use omni_core::{
    ErrorKind,
    confirm::{ApprovalRules, Change, RunStore as _, State, memory::MemoryRuns},
    identity::{ApiKey, Authenticator, Credential, Keys, Scopes, keys::memory::MemoryKeys},
};

use super::*;

#[tokio::test(start_paused = true)]
async fn what_somebody_agreed_to_is_carried_out_although_they_are_gone_and_is_recorded() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let store = Arc::new(MemoryRuns::new());
    let rig = rig(llm, Changing::new(), |builder| builder.runs(store.clone())).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    // Of the process that took it down nothing else is left.
    assert!(store.change(Change::new(id, State::Pending, State::Approved).by(ADA)).await.unwrap());
    tokio::time::sleep(Duration::from_secs(180)).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (1, "done"));
    rig.omni.shutdown().await;
    let approved = recorded(&rig.recorder).into_iter().filter(|(action, _)| action == "confirmation.approved");
    assert_eq!(approved.collect::<Vec<_>>(), [("confirmation.approved".to_owned(), ADA.to_owned())]);
}

#[tokio::test]
async fn whoever_stops_waiting_for_the_end_of_a_decision_stops_nothing() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let rig = rig(llm, Changing::new(), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let mut deciding = Box::pin(rig.omni.confirm(id, Verdict::Approve, by(ADA)));
    assert!(futures::poll!(&mut deciding).is_pending());
    drop(deciding);
    omni_tests::rig::until(|| rig.server.calls() == 1).await;
    rig.omni.shutdown().await;
    assert_eq!(recorded(&rig.recorder)[1].0, "confirmation.approved");
}

#[tokio::test]
async fn an_agreement_does_not_outlive_the_key_with_which_it_was_asked() {
    key_is_revoked(async |_, key| key).await;
    // As the HTTP door hands it on.
    key_is_revoked(async |omni, key| omni.let_in(key).await.unwrap().into()).await;
}

async fn key_is_revoked(brought: impl AsyncFnOnce(&Omni, Credential) -> Credential) {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let keys = Keys::new(MemoryKeys::new());
    let issued = ApiKey::issue(ADA, Scopes::user());
    let number = keys.store().insert(&issued.key).await.unwrap();
    let authenticator = Authenticator::new().with_keys(keys.clone());
    let rig = rig(llm, Changing::new(), |builder| builder.authenticator(authenticator)).await;
    let mut question = ask();
    question.credential = brought(&rig.omni, Credential::api_key(issued.secret)).await;
    let id = parked(&rig.omni, question).await.pending[0].id;
    keys.store().revoke(number, "boss@x.org").await.unwrap();
    let refused = approve(&rig.omni, id, ADA).await.unwrap_err();
    assert_eq!((refused.error.kind(), rig.server.calls()), (ErrorKind::Denied, 0));
    assert_eq!(state(&rig.omni, id).await, "void");
    rig.omni.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_where_there_is_no_server_leaves_it_to_others_to_go_on() {
    let store = Arc::new(MemoryRuns::new());
    let mut rules = ApprovalRules::default();
    rules.expiry = Duration::from_secs(60);
    let llm = Scripted::new().call(&[wipe("a"), wipe("b")]).call(&[wipe("c")]);
    let rig = rig(llm, Changing::new(), |builder| builder.runs(store.clone()).approvals(rules)).await;
    let first = parked(&rig.omni, ask()).await.pending;
    let other = parked(&rig.omni, ask()).await.pending[0].id;
    rig.omni.shutdown().await;
    let step = async |id: Uuid, from: State, to: State| store.change(Change::new(id, from, to).by(ADA)).await.unwrap();
    assert!(step(first[0].id, State::Pending, State::Approved).await);
    assert!(step(other, State::Pending, State::Approved).await);
    let run = store.confirmation(other).await.unwrap().unwrap().run;
    assert!(store.claim(run, Duration::from_secs(600)).await.unwrap());
    assert!(step(other, State::Approved, State::Running).await);
    tokio::time::advance(Duration::from_secs(61)).await;

    let looking = Omni::builder().llm(Scripted::new()).audit(Recorder::default()).policy(Changing::new());
    let looking = looking.runs(store.clone()).build().await.unwrap();
    assert_eq!(state(&looking, other).await, "running");
    assert_eq!(state(&looking, first[1].id).await, "expired");
    assert_eq!(state(&looking, first[0].id).await, "approved", "it is there to go on with");
    looking.shutdown().await;
}
