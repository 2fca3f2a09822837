//! What was agreed to is that very call, and who may agree.

use omni_core::{
    ErrorKind, Principal,
    answer::{CallStatus, Status},
    confirm::{ApprovalRules, Verdict},
    identity::Via,
    llm::scripted::Scripted,
};
use omni_tests::rig::until;

use super::*;

/// What is told to the model when an agreement is void, after `change` was made between the agreement and the
/// call. Nothing is called.
async fn void_after(change: impl AsyncFnOnce(&Rig, &Changing), expected: &str) {
    let llm = Scripted::new().call(&[wipe("a")]).say("Void.");
    let policy = Changing::new();
    let rig = rig(llm.clone(), policy.clone(), same).await;
    let waiting = parked(&rig.omni, ask()).await;
    change(&rig, &policy).await;
    let answer = approve(&rig.omni, waiting.pending[0].id, ADA).await.unwrap();
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("Void.", 0));
    assert_eq!(answer.tool_calls[0].status, CallStatus::Declined);
    assert!(told(&llm).contains(expected), "{}", told(&llm));
    let view = rig.omni.confirmation(Principal::email(ADA), waiting.pending[0].id).await.unwrap();
    assert_eq!(view.confirmation.state.as_str(), "void");
    rig.omni.shutdown().await;
    assert_eq!(recorded(&rig.recorder).pop().unwrap().0, "confirmation.void");
}

#[tokio::test]
async fn another_rule_makes_it_void() {
    let other = RuleSet::builder().allow("lab", "*").confirm("lab", "w*").build().unwrap();
    void_after(async |_, policy| policy.become_(other), "another rule decides by now").await;
}

#[tokio::test]
async fn a_rule_that_asks_nobody_any_more_makes_it_void() {
    void_after(async |_, policy| policy.become_(RuleSet::allow_all()), "another rule decides by now").await;
}

#[tokio::test]
async fn a_denial_by_policy_makes_it_void_and_hides_it_from_the_asker() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Void.");
    let policy = Changing::of(&[(EVE, "dba")]);
    let rig = rig(llm.clone(), policy.clone(), |builder| builder.approvals(approvers(false))).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    policy.become_(RuleSet::builder().allow("lab", "echo").build().unwrap());
    assert_eq!(rig.omni.confirmation(Principal::email(ADA), id).await.unwrap_err().kind(), ErrorKind::NotFound);
    approve(&rig.omni, id, EVE).await.unwrap();
    until(|| llm.requests().len() == 2).await;
    assert!(told(&llm).contains("There is no tool"), "{}", told(&llm));
    let view = rig.omni.confirmation(Principal::email(EVE), id).await.unwrap();
    assert_eq!((view.confirmation.state.as_str(), rig.server.calls()), ("void", 0));
    rig.omni.shutdown().await;
    assert_eq!(recorded(&rig.recorder).pop().unwrap().0, "confirmation.void");
}

#[tokio::test]
async fn another_definition_of_the_tool_makes_it_void() {
    let change = async |rig: &Rig, _: &Changing| {
        rig.server.describe("wipe", "Wipes some more.");
        rig.omni.refresh().await;
    };
    void_after(change, "the tool is not what it was").await;
}

#[tokio::test]
async fn a_policy_of_another_version_with_the_same_rule_is_the_same() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let policy = Changing::new();
    let rig = rig(llm, policy.clone(), same).await;
    let waiting = parked(&rig.omni, ask()).await;
    policy.become_(asking());
    assert_eq!(approve(&rig.omni, waiting.pending[0].id, ADA).await.unwrap().text, "Done.");
    assert_eq!(rig.server.calls(), 1);
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn somebody_else_finds_nothing_to_decide_on() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let rig = rig(llm, Changing::new(), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    for who in [Principal::email(EVE), Principal::email(ADA).with_tenant("other")] {
        let by = Decider::new(who.clone(), Source::Http);
        assert_eq!(rig.omni.confirm(id, Verdict::Approve, by).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(rig.omni.confirmation(who.clone(), id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(rig.omni.confirmations(who).await.unwrap().is_empty());
    }
    let audit = Principal::email(ADA).with_scopes([omni_core::identity::Scope::Audit].into_iter().collect());
    let refused = rig.omni.confirm(id, Verdict::Approve, Decider::new(audit, Source::Http)).await.unwrap_err();
    assert_eq!((refused.kind(), rig.server.calls()), (ErrorKind::Denied, 0));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn whoever_decides_for_others_is_not_told_the_answer_and_the_asker_is() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Secret.");
    let policy = Changing::of(&[(EVE, "dba")]);
    let rig = rig(llm, policy, |builder| builder.approvals(approvers(true))).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let own = rig.omni.confirm(id, Verdict::Approve, by(ADA)).await.unwrap_err();
    assert!(own.to_string().contains("four_eyes"), "{own}");
    let listed = rig.omni.confirmations(Principal::email(EVE)).await.unwrap();
    assert!(listed[0].may_approve && listed[0].confirmation.subject == ADA);
    let answer = approve(&rig.omni, id, EVE).await.unwrap();
    assert!(!answer.text.contains("Secret") && answer.text.contains(ADA), "{answer:?}");
    until(|| rig.server.calls() == 1).await;
    let result = loop {
        let view = rig.omni.confirmation(Principal::email(ADA), id).await.unwrap();
        if let Some(result) = view.result {
            break result;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert_eq!(result["answer"], "Secret.");
    assert!(rig.omni.confirmation(Principal::email(EVE), id).await.unwrap().result.is_none());
    rig.omni.shutdown().await;
    assert_eq!(recorded(&rig.recorder)[1], ("confirmation.approved".to_owned(), EVE.to_owned()));
}

#[tokio::test]
async fn an_asker_who_may_not_agree_may_still_take_it_back() {
    let llm = Scripted::new().call(&[wipe("a")]).say("Well.");
    let rig = rig(llm, Changing::new(), |builder| builder.approvals(approvers(false))).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let own = rig.omni.confirm(id, Verdict::Approve, by(ADA)).await.unwrap_err();
    assert_eq!(own.kind(), ErrorKind::Denied);
    assert_eq!(deny(&rig.omni, id, "changed my mind").await.text, "Well.");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_prompt_at_the_askers_own_terminal_is_not_four_eyes() {
    for (rules, calls, status) in
        [(approvers(true), 0, CallStatus::Declined), (ApprovalRules::default(), 1, CallStatus::Ok)]
    {
        let llm = Scripted::new().call(&[wipe("a")]).say("Well.");
        let rig = rig(llm, Changing::of(&[(ADA, "dba")]), |builder| builder.approvals(rules)).await;
        let question = omni_core::Ask::new(Principal::email(ADA), "Wipe it").with_approver(std::sync::Arc::new(Yes));
        let answer = rig.omni.ask(question).await.unwrap();
        assert_eq!((answer.tool_calls[0].status, rig.server.calls()), (status, calls));
        rig.omni.shutdown().await;
        let agreed = recorded(&rig.recorder).iter().filter(|(action, _)| action == "confirmation.approved").count();
        assert_eq!(agreed, calls, "an agreement at a prompt is recorded as well");
    }
}

/// Somebody with a token that claims a role.
pub(super) fn claiming(who: &str) -> Principal {
    let mut principal = Principal::email(who);
    principal.via = Via::Oidc;
    let mut document = serde_json::to_value(principal).unwrap();
    document["claimed_role"] = json!("dba");
    serde_json::from_value(document).unwrap()
}

/// The asker whose rights were looked up last, after somebody agreed: how they were known, and the role they claimed.
async fn asker_after(rules: ApprovalRules, decider: Principal) -> (Via, Option<String>) {
    let llm = Scripted::new().call(&[wipe("a")]).say("Done.");
    let policy = Changing::of(&[(EVE, "dba")]);
    let rig = rig(llm, policy.clone(), |builder| builder.approvals(rules)).await;
    let mut question = ask();
    question.credential = claiming(ADA).into();
    let id = parked(&rig.omni, question).await.pending[0].id;
    let by = Decider::new(decider, Source::Http);
    let answer = rig.omni.confirm(id, Verdict::Approve, by).await.unwrap().collect().await.unwrap();
    assert_eq!(answer.status, Status::Completed);
    until(|| rig.server.calls() == 1).await;
    rig.omni.shutdown().await;
    let seen = policy.seen.lock().unwrap().iter().rev().find(|principal| principal.subject == ADA).cloned().unwrap();
    (seen.via, seen.claimed_role().map(str::to_owned))
}

#[tokio::test]
async fn what_a_token_claimed_counts_only_while_it_is_claimed() {
    let own = asker_after(ApprovalRules::default(), claiming(ADA)).await;
    assert_eq!(own, (Via::Oidc, Some("dba".to_owned())));
    for (rules, other) in [(ApprovalRules::default(), ADA), (approvers(true), EVE)] {
        assert_eq!(asker_after(rules, Principal::email(other)).await, (Via::ResumedRun, None), "{other}");
    }
}
