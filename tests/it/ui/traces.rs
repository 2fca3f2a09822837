//! One ask, step by step: what it took, and what of it is proved.

use std::collections::BTreeSet;

use omni_core::{audit::sql::SqlAudit, ledger::SealKey};
use sqlx::SqlitePool;

use super::*;

async fn database(site: &Site) -> SqlitePool {
    SqlitePool::connect(&site.office.database()).await.unwrap()
}

/// An ask of the past with calls.
async fn with_calls(site: &Site) -> String {
    let chats = site.document("audit?days=30&type=chat&status=success&limit=50").await;
    let found = chats["logs"].as_array().unwrap().iter().find(|log| log["tool_calls_count"].as_u64() > Some(1));
    found.expect("somebody asked for something")["request_id"].as_str().unwrap().to_owned()
}

fn states(trace: &Value) -> Vec<&str> {
    let calls = trace["tool_calls"].as_array().unwrap();
    calls.iter().map(|call| call["proof"]["state"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_call_of_an_ask_is_proved_by_itself() {
    let site = Site::with_past().await;
    let id = with_calls(&site).await;
    let trace = site.document(&format!("ask?id={id}")).await;
    assert!(states(&trace).len() > 1 && states(&trace).iter().all(|state| *state == "proved"), "{trace}");
    let page = site.get(&format!("ask?id={id}")).await.reply.is(200);
    assert_eq!(page.text.matches(">✓ proved<").count(), states(&trace).len(), "{}", page.text);
    assert!(page.text.contains("✓ proved by the ledger"), "{}", page.text);

    let altered = trace["tool_calls"][1]["id"].as_i64().unwrap();
    let set = sqlx::query("UPDATE tool_calls SET arguments = '{\"limit\": 11}' WHERE id = ?").bind(altered);
    assert_eq!(set.execute(&database(&site).await).await.unwrap().rows_affected(), 1);
    let trace = site.document(&format!("ask?id={id}")).await;
    let broken: Vec<_> = states(&trace).into_iter().map(|state| state == "broken").collect();
    assert_eq!(broken.iter().filter(|broken| **broken).count(), 1, "{trace}");
    assert!(broken[1] && trace["proof"]["state"] == "proved", "the entry itself is as it was: {trace}");
    let page = site.get(&format!("ask?id={id}")).await.reply.is(200);
    for part in ["does not prove 1 of its calls", ">altered<", "does not say what the record says"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(!page.text.contains("✓ proved by the ledger"), "{}", page.text);
}

#[tokio::test]
async fn what_was_sealed_with_a_key_that_is_not_at_hand_is_neither_proved_nor_altered() {
    let site = Site::open().await;
    let store = SqlAudit::open(&format!("sqlite:{}", site.office.database())).await.unwrap();
    let key = SealKey::generate();
    History::until(Utc::now()).with_size(2, 20).store(&store, &key).await.unwrap();
    let id = with_calls(&site).await;
    let trace = site.document(&format!("ask?id={id}")).await;
    assert_eq!(trace["proof"]["state"], "unknown_key", "{trace}");
    assert!(trace["proof"]["fault"].as_str().unwrap().contains(&key.id().to_string()), "{trace}");
    assert!(states(&trace).iter().all(|state| *state == "unknown_key"), "{trace}");
    let page = site.get(&format!("ask?id={id}")).await.reply.is(200);
    assert!(page.text.contains(">unknown key<") && page.text.contains("audit.verify_keys"), "{}", page.text);
    assert!(!page.text.contains(">altered<") && !page.text.contains("✓ proved"), "{}", page.text);
    // A row that does not say what its record says is altered, whoever sealed that.
    let altered = sqlx::query("UPDATE audit_logs SET message = 'another' WHERE request_id = ?").bind(&id);
    altered.execute(&database(&site).await).await.unwrap();
    assert_eq!(site.document(&format!("ask?id={id}")).await["proof"]["state"], "broken");
}

#[tokio::test]
async fn the_models_turns_are_steps_of_their_own_with_what_each_of_them_took() {
    let site = Site::open().await;
    site.office.post(&site.key, "/chat/ask", &json!({ "message": "Anything new?" })).await.is(200);
    let id = site.newest().await;
    let trace = site.document(&format!("ask?id={id}")).await;
    let turns = trace["turns"].as_array().unwrap();
    assert_eq!((turns.len() as u64, turns.len()), (trace["iterations"].as_u64().unwrap(), 1), "{trace}");
    assert_eq!((&turns[0]["tokens_input"], &turns[0]["tokens_output"]), (&json!(10), &json!(5)), "{trace}");
    let page = site.get(&format!("ask?id={id}")).await.reply.is(200);
    assert!(page.text.contains("Turn 1: <code>") && page.text.contains("10 in, 5 out"), "{}", page.text);

    // Of several the sum is what the ask took, and calls stand between them.
    let past = Site::with_past().await;
    let id = with_calls(&past).await;
    let trace = past.document(&format!("ask?id={id}")).await;
    let turns = trace["turns"].as_array().unwrap();
    let sum = |name: &str| turns.iter().map(|turn| turn[name].as_u64().unwrap()).sum::<u64>();
    for name in ["tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write"] {
        assert_eq!(json!(sum(name)), trace[name], "{name}");
    }
    assert_eq!(turns.len() as u64, trace["iterations"].as_u64().unwrap());
    let page = past.get(&format!("ask?id={id}")).await.reply.is(200).text;
    let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("no {part} in {page}"));
    let first_call = place("<li class=\"below\">");
    assert!(place("Turn 1:") < first_call && first_call < place("Turn 2:"), "{page}");
}

#[tokio::test]
async fn what_has_no_source_is_counted_with_the_others() {
    let site = Site::open().await;
    let ada = site.office.key(ADA).await;
    for _ in 0..3 {
        site.office.call(&ada, "lab", "echo").await.is(200);
    }
    site.office.settle().await;
    let none = "UPDATE audit_logs SET source = NULL WHERE id = (SELECT max(id) FROM audit_logs)";
    sqlx::query(none).execute(&database(&site).await).await.unwrap();
    let page = site.get("overview?period=7d").await.reply.is(200);
    assert!(page.text.contains(": http 2, other 1\n") || page.text.contains("http 2, other 1<"), "{}", page.text);
    assert!(page.text.contains("</span>other</li>"), "{}", page.text);
}

#[tokio::test]
async fn the_last_errors_are_those_of_the_time_that_is_looked_at_however_they_ended() {
    let site = Site::with_past().await;
    let late = "UPDATE audit_logs SET status = 'timeout' \
                WHERE id = (SELECT max(id) FROM audit_logs WHERE status = 'error' AND request_type = 'chat')";
    assert_eq!(sqlx::query(late).execute(&database(&site).await).await.unwrap().rows_affected(), 1);
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["request_id"].as_str().unwrap().to_owned()).collect()
    };
    for (period, days) in [("24h", 1), ("7d", 7), ("30d", 30)] {
        let overview = site.document(&format!("overview?period={period}")).await;
        let since = overview["usage"]["portions"][0]["begins"].as_str().unwrap();
        let query = encoded(&[("status", "failed"), ("since", since), ("limit", "6")]);
        let failed = site.document(&format!("audit?{query}")).await;
        assert_eq!(ids(&overview["failures"]), ids(&failed["logs"]), "{period}");
        let page = site.get(&format!("overview?period={period}")).await.reply.is(200);
        assert!(page.text.contains(&format!("href=\"audit?status=failed&#38;days={days}\"")), "{}", page.text);
    }
    let failed = site.document("audit?status=failed&days=30&limit=200").await["logs"].take();
    let ends: BTreeSet<_> = failed.as_array().unwrap().iter().map(|log| log["status"].as_str().unwrap()).collect();
    assert!(ends.contains("error") && ends.contains("timeout"), "{ends:?}");
    assert!(ends.iter().all(|end| ["error", "timeout", "unknown_outcome"].contains(end)), "{ends:?}");
}
