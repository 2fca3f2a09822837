//! A credential of the asker's that may do less than the one with which they asked.

use omni_core::{
    Error, ErrorKind, ExposeSecret as _,
    answer::CallStatus,
    identity::{ApiKey, Authenticator, Keys, Scope, keys::memory::MemoryKeys},
    policy::{Ceiling, Quota, memory::MemoryPolicy},
};
use omni_tests::{
    door::Door,
    rig::{until, until_some},
};

use super::*;

const BOT: &str = "bot@company.com";

/// Everything may be called, and what destroys something takes a human; under a ceiling only what has this name.
#[derive(Debug)]
struct Capped {
    tool: &'static str,
    version: watch::Sender<PolicyVersion>,
}

impl Capped {
    fn to(tool: &'static str) -> Self {
        Self { tool, version: watch::Sender::new(1) }
    }
}

#[async_trait::async_trait]
impl PolicyStore for Capped {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let rules = RuleSet::builder().allow("lab", "*").confirm("lab", "wipe").confirm("lab", "drop").build().unwrap();
        let mut grant = Grant::new(principal.clone(), Role::new("dba"), rules);
        grant.version = *self.version.borrow();
        let (role, quota) = (Role::new("dba"), Quota::default());
        let rules = RuleSet::builder().allow("lab", self.tool).build().unwrap();
        grant.cut(Some(Ceiling { role: &role, rules, models: None, domains: None, quota: &quota }))?;
        Ok(Arc::new(grant))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }
}

/// Ada may wipe, and somebody else only echo.
fn looks(who: &str, role: &str) -> MemoryPolicy {
    let looking = RuleSet::builder().allow("lab", "echo").build().unwrap();
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("reader"), asking(), Quota::default());
    policy.with_subject(who, Role::new(role), looking, Quota::default())
}

/// A model that wipes once.
fn wiping() -> Scripted {
    Scripted::new().call(&[wipe("a")]).say("It is 4711.")
}

/// Ada, by a credential under a ceiling.
fn lesser() -> Principal {
    let mut ada = Principal::email(ADA);
    ada.ceiling_role = Some("read_only".into());
    ada
}

async fn decide(omni: &Omni, id: Uuid, verdict: Verdict) -> Result<Answer, Error> {
    let stream = omni.confirm(id, verdict, Decider::new(lesser(), Source::Http)).await?;
    Ok(stream.collect().await.unwrap())
}

/// There is no way in which the lesser credential finds a call.
async fn finds_nothing(omni: &Omni, id: Uuid) {
    assert!(omni.confirmations(lesser()).await.unwrap().is_empty());
    assert_eq!(omni.confirmation(lesser(), id).await.unwrap_err().kind(), ErrorKind::NotFound);
    for verdict in [Verdict::Approve, Verdict::Decline { reason: "no".into() }] {
        assert_eq!(decide(omni, id, verdict).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_credential_under_the_call_neither_sees_nor_decides_it_and_the_full_one_does() {
    let rig = rig(wiping(), Capped::to("echo"), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    finds_nothing(&rig.omni, id).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (0, "pending"));
    let listed = rig.omni.confirmations(Principal::email(ADA)).await.unwrap();
    assert!(listed.len() == 1 && listed[0].may_approve, "{listed:?}");
    assert_eq!(approve(&rig.omni, id, ADA).await.unwrap().text, "It is 4711.");
    // Nor what came of it.
    finds_nothing(&rig.omni, id).await;
    let shown = rig.omni.confirmation(Principal::email(ADA), id).await.unwrap();
    assert_eq!((&shown.result.unwrap()["answer"], rig.server.calls()), (&json!("It is 4711."), 1));
    rig.omni.shutdown().await;
    let said: Vec<String> = recorded(&rig.recorder).into_iter().map(|(action, _)| action).collect();
    assert_eq!(said, ["confirmation.asked", "confirmation.approved"]);
}

#[tokio::test]
async fn a_credential_under_a_ceiling_that_allows_the_call_decides_on_it() {
    let rig = rig(wiping(), Capped::to("wipe"), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    assert!(rig.omni.confirmation(lesser(), id).await.unwrap().may_approve);
    let answer = decide(&rig.omni, id, Verdict::Approve).await.unwrap();
    assert_eq!((answer.text.as_str(), rig.server.calls()), ("It is 4711.", 1));
    assert_eq!(rig.omni.confirmation(lesser(), id).await.unwrap().result.unwrap()["answer"], "It is 4711.");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_credential_under_the_call_does_not_go_on_with_what_was_agreed_to() {
    let rig = rig(wiping(), Capped::to("echo"), same).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    rig.server.leave();
    assert_eq!(approve(&rig.omni, id, ADA).await.unwrap_err().error.kind(), ErrorKind::Unavailable);
    rig.server.come_back();
    finds_nothing(&rig.omni, id).await;
    assert_eq!((rig.server.calls(), state(&rig.omni, id).await), (0, "approved"));
    let answer = until_some(async || approve(&rig.omni, id, ADA).await.ok()).await;
    assert_eq!((answer.tool_calls[0].status, rig.server.calls()), (CallStatus::Ok, 1));
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_credential_under_one_call_of_a_run_decides_on_its_others_and_is_not_told_the_answer() {
    let dropping = ("lab__drop", json!({ "table": "c" }));
    let llm = Scripted::new().call(&[wipe("a"), wipe("b"), dropping]).say("It is 4711.");
    let server = lab().tool("drop", any(), |_| Box::pin(async { Ok(text("dropped")) }));
    let rig = Rig::new(llm, server, |builder| builder.policy(Capped::to("wipe"))).await;
    let ids: Vec<Uuid> = parked(&rig.omni, ask()).await.pending.iter().map(|call| call.id).collect();
    let listed = rig.omni.confirmations(lesser()).await.unwrap();
    assert!(listed.len() == 2 && listed.iter().all(|view| view.confirmation.tool == "wipe"), "{listed:?}");
    let waiting = decide(&rig.omni, ids[0], Verdict::Approve).await.unwrap();
    assert!(waiting.pending.len() == 1 && waiting.pending[0].id == ids[1], "{waiting:?}");
    approve(&rig.omni, ids[2], ADA).await.unwrap();
    let told = decide(&rig.omni, ids[1], Verdict::Approve).await.unwrap();
    assert!(told.tool_calls.is_empty() && told.text.contains("The answer goes to"), "{told:?}");
    let result = until_some(async || rig.omni.confirmation(Principal::email(ADA), ids[1]).await.unwrap().result).await;
    assert_eq!((&result["answer"], rig.server.calls()), (&json!("It is 4711."), 3));
    assert!(rig.omni.confirmation(lesser(), ids[1]).await.unwrap().result.is_none());
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn whoever_decides_for_others_need_not_be_able_to_make_the_call() {
    let rig = rig(wiping(), looks(EVE, "dba"), |builder| builder.approvals(approvers(true))).await;
    let id = parked(&rig.omni, ask()).await.pending[0].id;
    let shown = rig.omni.confirmation(Principal::email(EVE), id).await.unwrap();
    assert_eq!((shown.may_approve, &shown.arguments), (true, &json!({ "table": "a" })));
    approve(&rig.omni, id, EVE).await.unwrap();
    until(|| rig.server.calls() == 1).await;
    rig.omni.shutdown().await;
}

/// The same by HTTP.
async fn is_not_there(door: &Door, key: &str, url: &str) {
    let listed = door.get_by(key, &format!("/confirmations?user_id={ADA}")).await.is(200).json();
    assert_eq!(listed, json!({ "confirmations": [] }));
    door.get_by(key, &format!("{url}?user_id={ADA}")).await.error(404, "not_found");
    for approve in [true, false] {
        let decision = json!({ "approve": approve, "user_id": ADA });
        door.post_by(key, url, &decision).await.error(404, "not_found");
    }
}

/// Ada asks and agrees by a key of hers; the other one finds nothing, before and after.
async fn is_for(door: &Door, server: &FakeServer, key: &str, other: &str) {
    let waiting = door.post_by(key, "/chat/ask", &json!({ "message": "Wipe it" })).await.is(202).json();
    let url = waiting["confirmations"][0]["url"].as_str().unwrap();
    is_not_there(door, other, url).await;
    assert_eq!(server.calls(), 0);
    let answer = door.post_by(key, url, &json!({ "approve": true })).await.is(200).json();
    assert_eq!((&answer["answer"], server.calls()), (&json!("It is 4711."), 1));
    is_not_there(door, other, url).await;
}

#[tokio::test]
async fn a_key_with_a_ceiling_under_the_call_finds_nothing_of_it() {
    let (server, keys) = (lab(), Keys::new(MemoryKeys::new()));
    let key = async |ceiling: Option<&str>| {
        let mut issued = ApiKey::issue(ADA, [Scope::Ask].into_iter().collect());
        issued.key.ceiling_role = ceiling.map(str::to_owned);
        keys.store().insert(&issued.key).await.unwrap();
        issued.secret.expose_secret().to_owned()
    };
    let (full, under) = (key(None).await, key(Some("read_only")).await);
    let authenticator = Authenticator::new().with_keys(keys.clone());
    let (lab, policy) = (server.clone(), Capped::to("echo"));
    let change = |builder: OmniBuilder| builder.llm(wiping()).server("lab", lab).policy(policy);
    let door = Door::with(|_| {}, |builder| change(builder).authenticator(authenticator)).await;
    is_for(&door, &server, &full, &under).await;
}

#[tokio::test]
async fn a_bot_that_may_do_less_than_the_asker_does_not_bring_their_word() {
    let server = lab();
    let (lab, policy) = (server.clone(), looks(BOT, "bot"));
    let door = Door::with(|_| {}, |builder| builder.llm(wiping()).server("lab", lab).policy(policy)).await;
    let ada = door.key(ADA, &[Scope::Ask]).await;
    let bot = door.key_for(BOT, &[Scope::Ask, Scope::ActAs], &[ADA]).await;
    is_for(&door, &server, &ada, &bot).await;
}
