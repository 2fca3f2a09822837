//! Approvals by HTTP.

use omni_core::{
    confirm::ApprovalRules,
    identity::Scope,
    llm::scripted::{Scripted, call_turn, text_turn},
};
use omni_tests::door::{Door, Reply};
use reqwest::Method;

use super::*;

/// A model that wipes once, and then says what came of it.
fn wiping() -> Scripted {
    Scripted::from_fn(|request| {
        Ok(match request.messages.len() {
            1 => call_turn(0, &[wipe("a"), echo("hi")]),
            _ => text_turn("It is done."),
        })
    })
}

async fn door(server: &FakeServer, policy: Changing, rules: ApprovalRules) -> Door {
    let server = server.clone();
    Door::with(|_| {}, |builder| builder.llm(wiping()).server("lab", server).policy(policy).approvals(rules)).await
}

async fn decide(door: &Door, key: &str, path: &str, body: &Value, accept: &str) -> Reply {
    Reply::of(door.request(Method::POST, path).bearer_auth(key).header("accept", accept).json(body)).await
}

fn events(reply: &Reply) -> Vec<Value> {
    reply.text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_question_that_waits_is_answered_with_202_and_goes_on_by_its_confirmation() {
    let server = lab();
    let door = door(&server, Changing::new(), ApprovalRules::default()).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let waiting = door.post_by(&key, "/chat/ask", &json!({ "message": "Wipe it" })).await.is(202).json();
    assert_eq!((&waiting["status"], &waiting["tools_used"]), (&json!("waiting"), &json!(["lab.echo"])));
    let call = &waiting["confirmations"][0];
    assert_eq!(
        (&call["mcp"], &call["tool"], &call["arguments"]["table"]),
        (&json!("lab"), &json!("wipe"), &json!("a"))
    );
    let url = call["url"].as_str().unwrap();

    let listed = door.get_by(&key, "/confirmations").await.is(200).json();
    assert_eq!(listed["confirmations"][0]["id"], call["id"]);
    let shown = door.get_by(&key, url).await.is(200).json();
    let fields = ["state", "user", "may_approve", "rule", "decided_by", "result"].map(|field| shown[field].clone());
    assert_eq!(json!(fields), json!(["pending", ADA, true, null, null, null]));
    assert_eq!((&shown["request_id"], server.calls()), (&waiting["request_id"], 1));

    let answer = door.post_by(&key, url, &json!({ "approve": true })).await.is(200).json();
    assert_eq!((&answer["answer"], &answer["tools_used"]), (&json!("It is done."), &json!(["lab.echo", "lab.wipe"])));
    assert_eq!(server.calls(), 2);
    let shown = door.get_by(&key, url).await.is(200).json();
    assert_eq!((&shown["state"], &shown["decided_by"]), (&json!("done"), &json!(ADA)));
    assert_eq!((&shown["result"]["event"], &shown["result"]["answer"]), (&json!("done"), &json!("It is done.")));
    assert_eq!(door.get_by(&key, "/confirmations").await.is(200).json(), json!({ "confirmations": [] }));
    for approve in [true, false] {
        door.post_by(&key, url, &json!({ "approve": approve })).await.error(409, "conflict");
    }
    assert_eq!(server.calls(), 2);
}

#[tokio::test]
async fn a_stream_tells_that_it_waits_and_another_one_goes_on() {
    let server = lab();
    let door = door(&server, Changing::new(), ApprovalRules::default()).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let stream = door.post_by(&key, "/chat/ask/stream", &json!({ "message": "Wipe it" })).await.is(200);
    let told = events(&stream);
    assert_eq!(names(&told), ["started", "usage", "tool_start", "tool_end", "approval_required", "warning", "done"]);
    let asked = &told[4];
    assert_eq!((&asked["tool"], &asked["arguments"]["table"]), (&json!("wipe"), &json!("a")));
    assert!(asked["expires_at"].is_string() && asked.get("rule").is_none(), "{asked}");
    assert_eq!(
        (&told[6]["status"], &told[6]["pending"][0]),
        (&json!("waiting"), &{
            let mut pending = asked.clone();
            pending.as_object_mut().unwrap().remove("event");
            pending
        })
    );
    let path = format!("/confirmations/{}", asked["confirm_id"].as_str().unwrap());
    let more = decide(&door, &key, &path, &json!({ "approve": true }), "text/event-stream").await.is(200);
    let told = events(&more);
    assert_eq!(names(&told), ["started", "tool_start", "tool_end", "token", "usage", "done"]);
    assert_eq!((&told[5]["answer"], server.calls()), (&json!("It is done."), 2));
}

#[tokio::test]
async fn a_denial_with_its_reason_is_answered_as_the_question_is() {
    let server = lab();
    let door = door(&server, Changing::new(), ApprovalRules::default()).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let waiting = door.post_by(&key, "/chat/ask", &json!({ "message": "Wipe it" })).await.is(202).json();
    let url = waiting["confirmations"][0]["url"].as_str().unwrap();
    let no = json!({ "approve": false, "reason": "not today" });
    let answer = door.post_by(&key, url, &no).await.is(200).json();
    assert_eq!(answer["denials"], json!([{ "mcp": "lab", "tool": "wipe", "reason": "approval" }]));
    let shown = door.get_by(&key, url).await.is(200).json();
    assert_eq!((&shown["state"], &shown["reason"], server.calls()), (&json!("denied"), &json!("not today"), 1));
}

#[tokio::test]
async fn nobody_else_finds_it_and_whoever_may_not_agree_is_told_so() {
    let server = lab();
    let mut rules = ApprovalRules::default();
    (rules.approvers, rules.four_eyes) = (vec!["dba".into()], true);
    let door = door(&server, Changing::of(&[(EVE, "dba")]), rules).await;
    let (ada, eve) = (door.key(ADA, &[Scope::Ask]).await, door.key(EVE, &[Scope::Ask]).await);
    let tim = door.key("tim@company.com", &[Scope::Ask]).await;
    let waiting = door.post_by(&ada, "/chat/ask", &json!({ "message": "Wipe it" })).await.is(202).json();
    let url = waiting["confirmations"][0]["url"].as_str().unwrap();
    let yes = json!({ "approve": true });
    door.get_by(&tim, url).await.error(404, "not_found");
    door.post_by(&tim, url, &yes).await.error(404, "not_found");
    door.post_by(&ada, url, &yes).await.error(403, "denied");
    assert_eq!(door.get_by(&ada, url).await.is(200).json()["may_approve"], false);
    assert_eq!(server.calls(), 1);
    let told = door.post_by(&eve, url, &yes).await.is(200).json();
    assert!(!told["answer"].as_str().unwrap().contains("It is done."), "{told}");
    omni_tests::rig::until(|| server.calls() == 2).await;
}

#[tokio::test]
async fn somebody_who_may_act_for_the_asker_brings_their_word() {
    let server = lab();
    let door = door(&server, Changing::new(), ApprovalRules::default()).await;
    let bot = door.key_for("bot@company.com", &[Scope::Ask, Scope::ActAs], &[ADA]).await;
    let body = json!({ "message": "Wipe it", "user_id": ADA });
    let waiting = door.post_by(&bot, "/chat/ask", &body).await.is(202).json();
    let url = waiting["confirmations"][0]["url"].as_str().unwrap();
    door.get_by(&bot, url).await.error(404, "not_found");
    door.post_by(&bot, url, &json!({ "approve": true })).await.error(404, "not_found");
    door.get_by(&bot, &format!("{url}?user_id={ADA}")).await.is(200);
    let answer = door.post_by(&bot, url, &json!({ "approve": true, "user_id": ADA })).await.is(200).json();
    assert_eq!((&answer["answer"], server.calls()), (&json!("It is done."), 2));
}

#[tokio::test]
async fn what_is_no_decision_and_what_is_nothing_that_waits() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    assert_eq!(door.get_by(&key, "/confirmations").await.is(200).json(), json!({ "confirmations": [] }));
    for id in [uuid::Uuid::now_v7().to_string(), "none".into()] {
        let path = format!("/confirmations/{id}");
        door.get_by(&key, &path).await.error(404, "not_found");
        door.post_by(&key, &path, &json!({ "approve": true })).await.error(404, "not_found");
        let invalid = door.post_by(&key, &path, &json!({})).await.error(422, "invalid");
        assert_eq!(invalid[0]["loc"], json!(["body", "approve"]));
        door.get(&path).await.error(401, "unauthenticated");
    }
    door.get("/confirmations").await.error(401, "unauthenticated");
}

#[tokio::test]
async fn a_question_in_short_has_no_way_back_so_the_answer_is_no() {
    let server = lab();
    let door = door(&server, Changing::new(), ApprovalRules::default()).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    door.post_by(&key, "/chat", &json!({ "question": "Wipe it" })).await.is(200);
    assert_eq!(server.calls(), 1);
}
