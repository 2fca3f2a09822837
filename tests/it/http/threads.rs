//! One's own conversations.

use std::sync::{Arc, Mutex};

use omni_core::{
    Principal,
    identity::Scope,
    llm::{
        Block, Message, Speaker,
        scripted::{Scripted, text_turn},
    },
    thread::{OneShot, ThreadRules},
};
use omni_tests::{
    door::{Door, Reply},
    office::Office,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::ADA;

/// A door whose model says how many messages it was given; and the newest of these messages, as JSON.
async fn talkative() -> (Door, Arc<Mutex<Vec<Message>>>) {
    with_rules(ThreadRules::default()).await
}

async fn with_rules(rules: ThreadRules) -> (Door, Arc<Mutex<Vec<Message>>>) {
    let seen: Arc<Mutex<Vec<Message>>> = Arc::default();
    let told = seen.clone();
    let llm = Scripted::from_fn(move |request| {
        *told.lock().unwrap() = request.messages.to_vec();
        Ok(text_turn(&format!("I was told {}.", request.messages.len())))
    });
    (Door::with(|_| {}, |builder| builder.llm(llm).thread_rules(rules)).await, seen)
}

fn said(seen: &Mutex<Vec<Message>>) -> Vec<String> {
    let last = |message: &Message| match message.blocks.last() {
        Some(Block::Text { text }) => text.clone(),
        other => panic!("{other:?}"),
    };
    seen.lock().unwrap().iter().map(last).collect()
}

async fn delete(door: &Door, key: &str, path: &str) -> Reply {
    Reply::of(door.request(Method::DELETE, path).bearer_auth(key)).await
}

fn names(list: &Value) -> Vec<&str> {
    list["threads"].as_array().unwrap().iter().map(|thread| thread["thread_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_conversation_goes_on_by_its_name_and_without_one_a_question_stands_alone() {
    let (door, seen) = talkative().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let first = door.post_by(&key, "/chat/ask", &json!({ "message": "One?", "thread_id": "t 1" })).await.is(200).json();
    assert_eq!((&first["answer"], &first["thread_id"]), (&json!("I was told 1."), &json!("t 1")));
    let second =
        door.post_by(&key, "/chat/ask", &json!({ "message": "Two?", "thread_id": "t 1" })).await.is(200).json();
    assert_eq!(second["answer"], "I was told 3.");
    assert_eq!(said(&seen), ["One?", "I was told 1.", "Two?"]);
    assert_eq!(seen.lock().unwrap()[1].speaker, Speaker::Assistant, "a turn, and no text within the question");
    for body in [json!({ "message": "Alone?" }), json!({ "message": "Alone?", "thread_id": "" })] {
        let alone = door.post_by(&key, "/chat/ask", &body).await.is(200).json();
        assert_eq!((&alone["answer"], &alone["thread_id"]), (&json!("I was told 1."), &Value::Null));
    }
    let body = json!({ "message": "Three?", "thread_id": "t 1" });
    let stream = door.post_by(&key, "/chat/ask/stream", &body).await.is(200);
    let events: Vec<Value> =
        stream.text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let of = |name: &str| events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("{events:?}"));
    assert_eq!((&of("started")["thread_id"], &of("done")["thread_id"]), (&json!("t 1"), &json!("t 1")));
    assert_eq!(of("done")["answer"], "I was told 5.");
}

#[tokio::test]
async fn ones_own_conversations_are_listed_and_forgotten() {
    let (door, _) = talkative().await;
    let (ada, eve) = (door.key(ADA, &[Scope::Ask]).await, door.key("eve@company.com", &[Scope::Ask]).await);
    for (key, thread) in [(&ada, "one"), (&ada, "two"), (&eve, "hers"), (&ada, "two")] {
        door.post_by(key, "/chat/ask", &json!({ "message": "Hi,  you", "thread_id": thread })).await.is(200);
    }
    let in_slack = json!({ "message": "Hi", "slack_context": { "slack_channel": "C1", "slack_thread_ts": "1.2" } });
    door.post_by(&ada, "/chat/ask", &in_slack).await.is(200);
    let list = door.get_by(&ada, "/threads").await.is(200).json();
    assert_eq!(names(&list), ["two", "one"]);
    assert_eq!((&list["threads"][0]["turns"], &list["threads"][0]["title"]), (&json!(2), &json!("Hi, you")));
    assert!(list["threads"][0]["expires_at"].as_str() > list["threads"][0]["used_at"].as_str(), "{list}");
    delete(&door, &ada, "/threads/hers").await.error(404, "not_found");
    assert_eq!(delete(&door, &ada, "/threads/one").await.status, 204);
    delete(&door, &ada, "/threads/one").await.error(404, "not_found");
    let anew = door.post_by(&ada, "/chat/ask", &json!({ "message": "Hi", "thread_id": "one" })).await.json();
    assert_eq!(anew["answer"], "I was told 1.");
    assert_eq!(names(&door.get_by(&eve, "/threads").await.json()), ["hers"]);
    let auditor = door.key(ADA, &[Scope::Audit]).await;
    door.get_by(&auditor, "/threads").await.error(403, "denied");
    delete(&door, &auditor, "/threads/two").await.error(403, "denied");
    door.get("/threads").await.error(401, "unauthenticated");
}

#[tokio::test]
async fn nobody_finds_a_conversation_of_somebody_else_by_naming_it() {
    let (door, seen) = talkative().await;
    let (ada, eve) = (door.key(ADA, &[Scope::Ask]).await, door.key("eve@company.com", &[Scope::Ask]).await);
    let own = json!({ "message": "Secret?", "thread_id": "t" });
    let in_slack =
        json!({ "message": "Secret?", "slack_context": { "slack_channel": "C1", "slack_thread_ts": "1.2" } });
    for body in [&own, &in_slack] {
        door.post_by(&ada, "/chat/ask", body).await.is(200);
        let hers = door.post_by(&eve, "/chat/ask", body).await.is(200).json();
        assert_eq!((&hers["answer"], said(&seen).len()), (&json!("I was told 1."), 1));
    }
    let odd = json!({ "message": "Hi", "thread_id": format!("{ADA}\nC1") });
    door.post_by(&eve, "/chat/ask", &odd).await.error(422, "invalid");
    let long = json!({ "message": "Hi", "thread_id": "x".repeat(201) });
    door.post_by(&eve, "/chat/ask", &long).await.error(422, "invalid");
}

#[tokio::test]
async fn people_of_one_thread_in_slack_share_it_where_the_bot_asks_for_them() {
    let (door, seen) = talkative().await;
    let bot = door.key_for("bot@company.com", &[Scope::Ask, Scope::ActAs], &["*"]).await;
    let ask = async |who: &str, message: &str, channel: &str| {
        let context = json!({ "slack_channel": channel, "slack_thread_ts": "1.2" });
        let body = json!({ "message": message, "user_id": who, "slack_context": context });
        door.post_by(&bot, "/chat/ask", &body).await.is(200).json()["answer"].clone()
    };
    assert_eq!(ask(ADA, "One?", "C1").await, "I was told 1.");
    assert_eq!(ask("eve@company.com", "Two?", "C1").await, "I was told 3.");
    let before = serde_json::to_string(&seen.lock().unwrap()[..2]).unwrap();
    assert!(before.contains(&format!("This was asked by {ADA}")), "{before}");
    // Three messages in a channel are one whole turn before the question, five between two are two.
    assert_eq!(ask(ADA, "Three?", "C1").await, "I was told 3.");
    assert_eq!(said(&seen)[0], "Two?");
    assert_eq!(ask(ADA, "Elsewhere?", "C2").await, "I was told 1.");
    for (n, told) in [(1, 1), (2, 3), (3, 5)] {
        assert_eq!(ask(ADA, &format!("{n}?"), "D1").await, format!("I was told {told}."));
    }
    // As herself she finds none of it.
    let own = door.get_by(&door.key(ADA, &[Scope::Ask]).await, "/threads").await.is(200).json();
    assert_eq!(own, json!({ "threads": [] }));
}

#[tokio::test]
async fn a_thread_that_a_bot_vouches_for_and_one_that_another_key_of_its_owner_names_are_two() {
    let (door, _) = talkative().await;
    let bot = door.key_for("bot@company.com", &[Scope::Ask, Scope::ActAs], &["*"]).await;
    let own = door.key("bot@company.com", &[Scope::Ask]).await;
    let ask = async |key: &str, channel: &str, thread: &str| {
        let context = json!({ "slack_channel": channel, "slack_thread_ts": thread });
        let body = json!({ "message": "Hi", "slack_context": context });
        door.post_by(key, "/chat/ask", &body).await.is(200).json()["answer"].clone()
    };
    for (first, second, thread) in [(&bot, &own, "1.1"), (&own, &bot, "1.2")] {
        assert_eq!(ask(first, "C1", thread).await, "I was told 1.");
        for channel in ["C1", "\nC1"] {
            assert_eq!(ask(second, channel, thread).await, "I was told 1.", "{channel:?}");
        }
        assert_eq!(ask(first, "C1", thread).await, "I was told 3.", "and each goes on");
    }
}

#[tokio::test]
async fn where_no_conversation_is_kept_none_is_listed() {
    let mut off = ThreadRules::default();
    off.own.enabled = false;
    let doors = [
        Door::with(|_| {}, |builder| builder.threads(OneShot)).await,
        Door::with(|_| {}, |builder| builder.thread_rules(off)).await,
    ];
    for door in doors {
        let key = door.key(ADA, &[Scope::Ask]).await;
        door.post_by(&key, "/chat/ask", &json!({ "message": "Hi", "thread_id": "one" })).await.is(200);
        assert_eq!(door.get_by(&key, "/threads").await.is(200).json(), json!({ "threads": [] }));
        delete(&door, &key, "/threads/one").await.error(404, "not_found");
    }
}

#[tokio::test]
async fn conversations_by_http_are_no_sessions_at_a_terminal() {
    let (door, _) = talkative().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    door.post_by(&key, "/chat/ask", &json!({ "message": "Hi", "thread_id": "one" })).await.is(200);
    let own = |source| door.omni.threads(Principal::email(ADA), source);
    assert_eq!(own(omni_core::Source::Http).await.unwrap().len(), 1);
    assert!(own(omni_core::Source::Cli).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_threading_yaml_says_is_live_and_what_it_says_next_is_too() {
    let office = Office::open().await;
    let key = office.key("boss@company.com").await;
    let ask = async || {
        let body = json!({ "message": "What can you do?", "thread_id": "t" });
        office.post(&key, "/chat/ask", &body).await.is(200).json()["thread_id"].clone()
    };
    let refresh = async |threading: &str| {
        office.write("threading.yaml", threading);
        office.post(&key, "/admin/tools/refresh", &json!({})).await
    };
    let turns = async || office.get(&key, "/threads").await.is(200).json()["threads"][0]["turns"].clone();
    assert_eq!((ask().await, turns().await), (json!("t"), json!(1)));
    refresh("sessions: { enabled: false }").await.is(200);
    assert_eq!((ask().await, turns().await), (Value::Null, json!(1)), "nothing of it is kept");
    assert_ne!(refresh("sessions: { max_messages: many }").await.status, 200);
    assert_eq!(ask().await, Value::Null, "a file that is wrong changes nothing");
    refresh("sessions: { max_messages: 4 }\nthreading: { expire_hours: 1 }").await.is(200);
    assert_eq!((ask().await, turns().await), (json!("t"), json!(2)), "and what was kept goes on");
    let kept = office.omni.threads(Principal::email("boss@company.com"), omni_core::Source::Http).await.unwrap();
    assert_eq!((kept[0].expires_at - kept[0].used_at).num_minutes(), 60);
}
