//! What servers ask in the middle of a call, told in the stream of the ask.

use futures::StreamExt as _;
use omni_core::{
    OmniBuilder,
    confirm::ApprovalRules,
    identity::Scope,
    llm::{
        Speaker,
        scripted::{Scripted, call_turn, text_turn},
    },
    mcp::http::HttpServer,
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{
    agent::Speaks,
    door::{Door, Reply},
    fixture::FixtureServer,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::ADA;

const EVE: &str = "eve@company.com";

/// A door whose model calls a tool that asks the person, and says what it returned.
async fn door(fixture: &FixtureServer, tool: &'static str) -> Door {
    door_with(fixture, tool, |builder| builder).await
}

async fn door_with(
    fixture: &FixtureServer,
    tool: &'static str,
    change: impl FnOnce(OmniBuilder) -> OmniBuilder,
) -> Door {
    let llm = Scripted::from_fn(move |request| {
        let last = format!("{:?}", request.messages.last());
        let is_answered = request.messages.iter().any(|message| message.speaker == Speaker::Assistant);
        Ok(if is_answered { text_turn(&last) } else { call_turn(0, &[(tool, json!({ "message": "Who are you?" }))]) })
    });
    let server = HttpServer::new(&fixture.url).unwrap();
    Door::with(|_| {}, |builder| change(builder.llm(llm).server("fix", server))).await
}

/// Reads a stream, and does something once when an event is there; the whole stream.
async fn read(response: reqwest::Response, wanted: &str, act: impl AsyncFnOnce(Value)) -> String {
    let (mut body, mut text, mut act) = (response.bytes_stream(), String::new(), Some(act));
    while let Some(chunk) = body.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        let event = text.split("\n\n").find(|event| event.contains(&format!("event: {wanted}\n")));
        let data = event.and_then(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
        if let Some(Ok(data)) = data.map(serde_json::from_str)
            && let Some(act) = act.take()
        {
            act(data).await;
        }
    }
    assert!(act.is_none(), "no {wanted} in {text}");
    text
}

async fn ask(door: &Door, key: &str, elicitation: bool) -> reqwest::Response {
    let body = json!({ "message": "Ask me", "elicitation": elicitation });
    door.request(Method::POST, "/chat/ask/stream").bearer_auth(key).json(&body).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_asks_is_an_event_and_its_answer_is_a_request() {
    for (speaks, tool, values) in [
        (Speaks::Old, "fix__test_elicitation", json!({ "username": "ada", "email": "ada@company.com" })),
        (Speaks::New, "fix__test_input_required_result_elicitation", json!({ "name": "ada" })),
    ] {
        let fixture = FixtureServer::speaking(speaks).await;
        let door = door(&fixture, tool).await;
        let (ada, eve) = (door.key(ADA, &[Scope::Ask]).await, door.key(EVE, &[Scope::Ask]).await);
        let text = read(ask(&door, &ada, true).await, "elicitation", async |asked| {
            assert_eq!((&asked["mcp"], &asked["mode"]), (&json!("fix"), &json!("form")), "{asked}");
            assert_eq!(asked["fields"].as_array().unwrap().len(), values.as_object().unwrap().len(), "{asked}");
            let path = format!("/elicitations/{}", asked["id"].as_str().unwrap());
            let answer = json!({ "action": "accept", "content": values });
            door.post_by(&eve, &path, &answer).await.is(404);
            let misfit = door.post_by(&ada, &path, &json!({ "action": "accept", "content": {} })).await.is(422);
            assert!(misfit.text.contains("it is missing"), "{misfit:?}");
            door.post_by(&ada, &path, &answer).await.is(204);
            door.post_by(&ada, &path, &answer).await.is(404);
        });
        let text = text.await;
        assert!(text.contains("event: done") && text.contains("ada"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_decline_and_whoever_does_not_say_so_is_not_asked() {
    let fixture = FixtureServer::speaking(Speaks::Old).await;
    let door = door(&fixture, "fix__test_elicitation").await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let declined = read(ask(&door, &key, true).await, "elicitation", async |asked| {
        let path = format!("/elicitations/{}", asked["id"].as_str().unwrap());
        door.post_by(&key, &path, &json!({ "action": "decline" })).await.is(204);
    });
    assert!(declined.await.contains("action=decline"));
    let unasked = ask(&door, &key, false).await.text().await.unwrap();
    assert!(!unasked.contains("event: elicitation") && unasked.contains("event: done"), "{unasked}");
    let cancel = json!({ "action": "cancel" });
    door.post_by(&key, "/elicitations/0192f0c1-0000-7000-8000-000000000000", &cancel).await.is(404);
    let odd: Reply = door.post_by(&key, "/elicitations/x", &json!({ "action": "perhaps" })).await;
    assert_eq!(odd.status, 422, "{odd:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_asks_in_a_call_that_somebody_agreed_to_is_told_to_the_asker() {
    let fixture = FixtureServer::speaking(Speaks::Old).await;
    let rules = RuleSet::builder().allow("fix", "*").confirm("fix", "test_elicitation").build().unwrap();
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("reader"), rules, Quota::default());
    let door = door_with(&fixture, "fix__test_elicitation", |builder| builder.policy(policy)).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let waiting =
        door.post_by(&key, "/chat/ask", &json!({ "message": "Ask me", "thread_id": "t" })).await.is(202).json();
    assert_eq!(waiting["thread_id"], "t");
    let path = waiting["confirmations"][0]["url"].as_str().unwrap();
    let deciding = door.request(Method::POST, path).bearer_auth(&key).header("accept", "text/event-stream");
    let deciding = deciding.json(&json!({ "approve": true, "elicitation": true })).send().await.unwrap();
    let text = read(deciding, "elicitation", async |asked| {
        let path = format!("/elicitations/{}", asked["id"].as_str().unwrap());
        let values = json!({ "username": "ada", "email": "ada@company.com" });
        door.post_by(&key, &path, &json!({ "action": "accept", "content": values })).await.is(204);
    });
    let text = text.await;
    assert!(text.contains("event: done") && text.contains("ada@company.com"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_agrees_for_somebody_else_is_asked_nothing_in_their_place() {
    let fixture = FixtureServer::speaking(Speaks::Old).await;
    let rules = RuleSet::builder().allow("fix", "*").confirm("fix", "test_elicitation").build().unwrap();
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("reader"), rules.clone(), Quota::default());
    let policy = policy.with_subject(EVE, Role::new("dba"), rules, Quota::default());
    let mut approvals = ApprovalRules::default();
    approvals.approvers = vec!["dba".into()];
    let door =
        door_with(&fixture, "fix__test_elicitation", |builder| builder.policy(policy).approvals(approvals)).await;
    let (ada, eve) = (door.key(ADA, &[Scope::Ask]).await, door.key(EVE, &[Scope::Ask]).await);
    let waiting = door.post_by(&ada, "/chat/ask", &json!({ "message": "Ask me" })).await.is(202).json();
    let path = waiting["confirmations"][0]["url"].as_str().unwrap();
    let deciding = door.request(Method::POST, path).bearer_auth(&eve).header("accept", "text/event-stream");
    let deciding = deciding.json(&json!({ "approve": true, "elicitation": true })).send().await.unwrap();
    let text = deciding.text().await.unwrap();
    assert!(!text.contains("event: elicitation"), "{text}");
    let result = omni_tests::rig::until_some(async || {
        let shown = door.get_by(&ada, path).await.is(200).json();
        Some(shown["result"].clone()).filter(|result| !result.is_null())
    });
    assert!(result.await["answer"].as_str().unwrap().contains("action=decline"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_told_with_its_origin_and_opened_by_the_person() {
    let fixture = FixtureServer::speaking(Speaks::Old).await;
    let door = door(&fixture, "fix__test_elicitation_page").await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let text = read(ask(&door, &key, true).await, "elicitation", async |asked| {
        let shown = ["mode", "url", "origin", "message"].map(|field| asked[field].clone());
        let wanted = ["url", "https://login.example.com/in?x=1", "https://login.example.com", "Sign in"];
        assert_eq!(json!(shown), json!(wanted));
        let path = format!("/elicitations/{}", asked["id"].as_str().unwrap());
        door.post_by(&key, &path, &json!({ "action": "accept" })).await.is(204);
    });
    let text = text.await;
    assert!(text.contains("Page: action=accept"), "{text}");
}
