//! What tools returned to one's own questions.

use std::sync::atomic::{AtomicUsize, Ordering};

use omni_core::{
    identity::Scope,
    llm::{
        Block,
        scripted::{Scripted, call_turn, text_turn},
    },
};
use omni_tests::{
    door::Door,
    server::{FakeServer, any},
};
use serde_json::{Value, json};

use super::{ADA, BOSS};

/// A door whose model calls `rows` for every question. They are two, and have much text.
async fn door() -> (Door, FakeServer) {
    let server = FakeServer::echo().tool("rows", any(), |_| {
        Box::pin(async {
            let rows = json!([{ "id": 1, "note": "=1+1" }, { "id": -2, "who": "Ada, \"A\"" }]);
            let text = format!("ä{}", "x".repeat(20_000));
            Ok(json!({ "content": [{ "type": "text", "text": text }], "structuredContent": { "rows": rows } }))
        })
    });
    let turns = AtomicUsize::new(0);
    let llm = Scripted::from_fn(move |request| {
        let is_over = request.messages.last().unwrap().blocks.iter().any(|b| matches!(b, Block::ToolResult { .. }));
        let turn = turns.fetch_add(1, Ordering::SeqCst);
        Ok(if is_over { text_turn("There.") } else { call_turn(turn, &[("lab__rows", json!({ "n": 7 }))]) })
    });
    let served = server.clone();
    (Door::with(|_| {}, |builder| builder.llm(llm).server("lab", served)).await, server)
}

async fn asked(door: &Door, key: &str, body: Value) -> String {
    let answer = door.post_by(key, "/chat/ask", &body).await.is(200).json();
    answer["tool_results"][0]["result_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn a_result_is_listed_read_page_by_page_exported_and_its_call_made_again() {
    let (door, server) = door().await;
    let key = door.key(ADA, &[Scope::Ask, Scope::Tools]).await;
    let id = asked(&door, &key, json!({ "message": "Rows?", "thread_id": "t" })).await;
    let other = asked(&door, &key, json!({ "message": "Rows?" })).await;
    let ids = async |path: &str| {
        let list = door.get_by(&key, path).await.is(200).json();
        let ids = list["results"].as_array().unwrap().iter().map(|one| one["result_id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids("/results").await, [other, id.clone()]);
    assert_eq!(ids("/results?thread_id=t").await, std::slice::from_ref(&id));

    let page = door.get_by(&key, &format!("/results/{id}?limit=100")).await.is(200).json();
    assert_eq!((&page["mcp"], &page["tool"], &page["arguments"]), (&json!("lab"), &json!("rows"), &json!({ "n": 7 })));
    assert_eq!((&page["thread_id"], &page["source"], &page["offset"]), (&json!("t"), &json!("http"), &json!(0)));
    assert_eq!((page["text"].as_str().unwrap().len(), &page["next_offset"]), (100, &json!(100)));
    assert_eq!(page["structured"]["rows"][0]["id"], 1);
    let text = door.get_by(&key, &format!("/results/{id}?format=text&offset=1&limit=3")).await.is(200);
    assert_eq!((&*text.text, text.header("content-type")), ("äx", "text/plain; charset=utf-8"));

    let csv = door.get_by(&key, &format!("/results/{id}?format=csv")).await.is(200);
    assert_eq!(csv.text, "id,note,who\r\n1,'=1+1,\r\n-2,,\"Ada, \"\"A\"\"\"\r\n");
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("content-disposition"), format!("attachment; filename=\"{id}.csv\""));

    let before = server.calls();
    let again = door.post_by(&key, &format!("/results/{id}/again"), &Value::Null).await.is(200).json();
    assert_eq!((&again["success"], &again["tool"]), (&json!(true), &json!("rows")));
    assert_eq!(server.calls(), before + 1);
}

#[tokio::test]
async fn nobody_finds_what_is_somebody_elses_unless_they_act_for_them() {
    let (door, _) = door().await;
    let (ada, eve) = (door.key(ADA, &[Scope::Ask]).await, door.key("eve@company.com", &[Scope::Ask]).await);
    let id = asked(&door, &ada, json!({ "message": "Rows?" })).await;
    for path in [format!("/results/{id}"), format!("/results/{id}?format=csv"), "/results/r_0000000000".into()] {
        let refused = door.get_by(&eve, &path).await.error(404, "not_found");
        assert!(refused.to_string().contains("is kept"), "{refused}");
    }
    door.post_by(&eve, &format!("/results/{id}/again"), &Value::Null).await.error(404, "not_found");
    assert_eq!(door.get_by(&eve, "/results").await.is(200).json()["results"], json!([]));
    door.get_by(&eve, &format!("/results/{id}?user_id={ADA}")).await.is(403);
    let boss = door.key_for(BOSS, &[Scope::Ask, Scope::ActAs], &[ADA]).await;
    door.get_by(&boss, &format!("/results/{id}?user_id={ADA}")).await.is(200);
    door.get(&format!("/results/{id}")).await.is(401);
}

#[tokio::test]
async fn what_cannot_be_read_as_it_is_asked_for_says_why() {
    let (door, _) = door().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let id = asked(&door, &key, json!({ "message": "Rows?" })).await;
    door.get_by(&key, &format!("/results/{id}?format=xml")).await.is(422);
    door.get_by(&key, &format!("/results/{id}?offset=-1")).await.is(422);
    let beyond = door.get_by(&key, &format!("/results/{id}?offset=99999999")).await.is(200).json();
    assert_eq!((&beyond["text"], &beyond["next_offset"]), (&json!(""), &Value::Null));
    door.post_by(&key, &format!("/results/{id}/again"), &Value::Null).await.error(403, "denied");
}
