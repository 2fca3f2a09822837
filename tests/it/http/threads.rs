//! One's own conversations, and calls that wait for a human.

use std::sync::{Arc, Mutex};

use omni_core::{
    identity::Scope,
    llm::Message,
    thread::{ChannelKey, ThreadError, ThreadKey, ThreadStore},
};
use omni_tests::door::{Door, Reply};
use reqwest::Method;
use serde_json::json;

use super::ADA;

/// Knows which conversations there were, and nothing of what was said.
#[derive(Debug, Clone, Default)]
struct Names(Arc<Mutex<Vec<ThreadKey>>>);

#[async_trait::async_trait]
impl ThreadStore for Names {
    async fn history(&self, _: &ThreadKey) -> Result<Vec<Message>, ThreadError> {
        Ok(Vec::new())
    }

    async fn append(&self, key: &ThreadKey, _: Vec<Message>) -> Result<(), ThreadError> {
        self.0.lock().unwrap().push(key.clone());
        Ok(())
    }

    async fn list(&self, channel: &ChannelKey, limit: usize) -> Result<Vec<ThreadKey>, ThreadError> {
        let known = self.0.lock().unwrap();
        let own = known.iter().rev().filter(|key| **key == channel.thread(&key.thread));
        Ok(own.take(limit).cloned().collect())
    }

    async fn delete(&self, key: &ThreadKey) -> Result<bool, ThreadError> {
        let mut known = self.0.lock().unwrap();
        let before = known.len();
        known.retain(|other| other != key);
        Ok(known.len() < before)
    }
}

async fn delete(door: &Door, key: &str, path: &str) -> Reply {
    Reply::of(door.request(Method::DELETE, path).bearer_auth(key)).await
}

#[tokio::test]
async fn ones_own_conversations_are_listed_and_forgotten() {
    let door = Door::with(|_| {}, |builder| builder.threads(Names::default())).await;
    let (ada, eve) = (door.key(ADA, &[Scope::Ask]).await, door.key("eve@company.com", &[Scope::Ask]).await);
    for (key, thread) in [(&ada, "one"), (&ada, "two"), (&eve, "hers")] {
        door.post_by(key, "/chat/ask", &json!({ "message": "Hi", "thread_id": thread })).await.is(200);
    }
    let in_slack = json!({ "message": "Hi", "slack_context": { "slack_channel": "C1", "slack_thread_ts": "1.2" } });
    door.post_by(&ada, "/chat/ask", &in_slack).await.is(200);
    let list = door.get_by(&ada, "/threads").await.is(200).json();
    assert_eq!(list, json!({ "threads": [{ "thread_id": "two" }, { "thread_id": "one" }] }));
    delete(&door, &ada, "/threads/hers").await.error(404, "not_found");
    assert_eq!(delete(&door, &ada, "/threads/one").await.status, 204);
    delete(&door, &ada, "/threads/one").await.error(404, "not_found");
    assert_eq!(door.get_by(&ada, "/threads").await.json()["threads"].as_array().unwrap().len(), 1);
    assert_eq!(door.get_by(&eve, "/threads").await.json()["threads"][0]["thread_id"], "hers");
    let auditor = door.key(ADA, &[Scope::Audit]).await;
    door.get_by(&auditor, "/threads").await.error(403, "denied");
    delete(&door, &auditor, "/threads/two").await.error(403, "denied");
    door.get("/threads").await.error(401, "unauthenticated");
}

#[tokio::test]
async fn where_no_conversation_is_kept_none_is_listed() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    door.post_by(&key, "/chat/ask", &json!({ "message": "Hi", "thread_id": "one" })).await.is(200);
    assert_eq!(door.get_by(&key, "/threads").await.is(200).json(), json!({ "threads": [] }));
    delete(&door, &key, "/threads/one").await.error(404, "not_found");
}

#[tokio::test]
async fn no_call_waits_for_a_human() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    assert_eq!(door.get_by(&key, "/confirmations").await.is(200).json(), json!({ "confirmations": [] }));
    let path = format!("/confirmations/{}", uuid::Uuid::now_v7());
    door.get_by(&key, &path).await.error(404, "not_found");
    door.post_by(&key, &path, &json!({ "approve": true })).await.error(404, "not_found");
    assert_eq!(door.post_by(&key, &path, &json!({})).await.error(422, "invalid")[0]["loc"], json!(["body", "approve"]));
    for path in ["/confirmations", &path] {
        door.get(path).await.error(401, "unauthenticated");
    }
}
