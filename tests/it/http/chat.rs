//! Questions and answers.

use omni_core::{
    Principal,
    audit::{AuditQuery, Order},
    identity::{Scope, Scopes},
    ledger::Event,
    llm::{
        Block,
        scripted::{Scripted, call_turn, text_turn},
    },
};
use omni_tests::{
    door::{Door, Reply},
    office::Office,
};
use reqwest::Method;
use serde_json::json;

use super::{ADA, BOSS};

/// A model that calls `echo` once, and then says so.
fn echoing() -> Scripted {
    Scripted::from_fn(|request| {
        let mut blocks = request.messages.iter().flat_map(|message| &message.blocks);
        Ok(match blocks.any(|block| matches!(block, Block::ToolResult { .. })) {
            true => text_turn("It said hi."),
            false => call_turn(0, &[("lab__echo", json!({ "message": "hi" }))]),
        })
    })
}

#[tokio::test]
async fn an_answer_has_the_originals_fields_and_more() {
    let door = Door::with(|_| {}, |builder| builder.llm(echoing())).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let body = json!({ "message": "Say hi", "user_id": "ADA@company.com", "unknown": 1 });
    let answer = door.post_by(&key, "/chat/ask", &body).await.is(200).json();
    let expected = json!({
        "success": true, "answer": "It said hi.", "tool_calls": 1, "tools_used": ["lab.echo"], "iterations": 2,
        "error": null, "warning": null, "user": ADA, "model": "scripted", "denials": [],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[field], value, "{field}");
    }
    let call = &answer["tool_results"][0];
    assert_eq!(
        (&call["mcp"], &call["tool"], &call["arguments"]),
        (&json!("lab"), &json!("echo"), &json!({ "message": "hi" }))
    );
    assert!(call["result"].as_str().unwrap().contains("hi"), "{call}");
}

#[tokio::test]
async fn a_question_in_short_is_answered_in_short() {
    let door = Door::with(|_| {}, |builder| builder.llm(echoing())).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let answer = door.post_by(&key, "/chat", &json!({ "question": "Say hi", "channel_id": "C1" })).await.is(200).json();
    assert_eq!(
        (&answer["answer"], &answer["tool_called"], &answer["mcp_source"]),
        (&json!("It said hi."), &json!("echo"), &json!("lab"))
    );
    assert!(answer["execution_time_ms"].is_u64());
}

#[tokio::test]
async fn a_call_that_was_refused_is_not_told_as_one_that_was_made() {
    let model = Scripted::from_fn(|request| {
        let mut blocks = request.messages.iter().flat_map(|message| &message.blocks);
        Ok(match blocks.any(|block| matches!(block, Block::ToolResult { .. })) {
            true => text_turn("It would not."),
            false => call_turn(0, &[("lab__echo", json!({ "message": 7 }))]),
        })
    });
    let door = Door::with(|_| {}, |builder| builder.llm(model)).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let answer = door.post_by(&key, "/chat", &json!({ "question": "Say hi" })).await.is(200).json();
    assert_eq!((&answer["tool_called"], &answer["mcp_source"]), (&json!(null), &json!(null)));
}

#[tokio::test]
async fn what_a_request_says_of_itself_is_in_the_record_and_nothing_more() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let request = door
        .request(Method::POST, "/chat/ask")
        .header("x-api-key", &key)
        .header("x-source", "omni2-admin-dashboard")
        .header("user-agent", "curl/8")
        .json(&json!({ "message": "Who am I?" }));
    let answer = Reply::of(request).await.is(200);
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id"), "one id, where the sender has none");
    let records = door.end().await.records();
    let (party, _) = records
        .iter()
        .find_map(|record| Some((record.party.as_ref()?, matches!(record.event, Event::Ask(_)).then_some(())?)))
        .unwrap();
    let client = &party.client;
    assert_eq!((party.subject.as_str(), party.source.as_str()), (ADA, "http"));
    assert_eq!(
        (client.x_source.as_deref(), client.user_agent.as_deref()),
        (Some("omni2-admin-dashboard"), Some("curl/8"))
    );
    assert!(client.address.unwrap().is_loopback());
}

#[tokio::test]
async fn where_in_slack_it_was_asked_is_in_the_log_where_somebody_vouches_for_it() {
    let office = Office::open().await;
    let ada = office.key(ADA).await;
    let bot = office.key_with("chief@company.com", &[Scope::Ask, Scope::ActAs]).await;
    let ask = async |key: &str, who: &str, id: &str, message: &str| {
        let context = json!({
            "slack_user_id": id, "slack_channel": "C1", "slack_message_ts": message, "slack_thread_ts": "1.1",
        });
        office.post(key, "/chat/ask", &json!({ "message": "Hi", "user_id": who, "slack_context": context })).await
    };
    ask(&bot, "eve@company.com", "U9", "1.2").await.is(200);
    ask(&ada, ADA, "U1", "1.3").await.is(200);
    ask(&ada, ADA, " ", "1.4").await.is(200);
    ask(&ada, "", "U9", "1.5").await.error(403, "denied");
    office.settle().await;
    let log = office.omni.audit(Principal::email(BOSS).with_scopes(Scopes::all())).await.unwrap();
    let mut query = AuditQuery::default();
    (query.request_type, query.order) = (Some("chat".into()), Order::OldestFirst);
    let entries = log.logs(&query).await.unwrap().entries;
    let (answered, refused): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.success);
    let places: Vec<_> = answered
        .iter()
        .map(|entry| {
            [&entry.slack_user_id, &entry.slack_channel, &entry.slack_message_ts, &entry.slack_thread_ts]
                .map(|id| id.as_deref().unwrap_or_default())
        })
        .collect();
    assert_eq!(places, [["U9", "C1", "1.2", "1.1"], ["U1", "C1", "1.3", "1.1"], [""; 4]]);
    assert_eq!(refused.iter().map(|entry| &entry.slack_channel).collect::<Vec<_>>(), [&None]);
}

#[tokio::test]
async fn a_key_for_others_asks_for_those_it_names() {
    let door = Door::new().await;
    let key = door.key_for("bot@company.com", &[Scope::Ask, Scope::ActAs], &[ADA]).await;
    let body = json!({ "message": "Hi", "user_id": ADA });
    assert_eq!(door.post_by(&key, "/chat/ask", &body).await.is(200).json()["user"], ADA);
    let body = json!({ "message": "Hi", "user_id": "eve@company.com" });
    door.post_by(&key, "/chat/ask", &body).await.error(403, "denied");
}
