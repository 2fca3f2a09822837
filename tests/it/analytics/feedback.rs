//! What people say of answers: of their own, once each, and administrators of anybody's.

use omni_core::analytics::Analytics;
use omni_tests::office::Office;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_kept_once_per_person_and_takes_the_place_of_the_one_before() {
    let office = Office::open().await;
    let (ada, eve, chief) = (
        office.key("ada@company.com").await,
        office.key("eve@company.com").await,
        office.key("chief@company.com").await,
    );
    let asked = office.post(&ada, "/chat/ask", &json!({ "message": "What can you do?" })).await.is(200).json();
    let ask = asked["request_id"].as_str().unwrap();
    let say = async |key: &str, verdict: &str, reason: &str| {
        let body = json!({ "request_id": ask, "verdict": verdict, "reason": reason });
        office.post(key, "/feedback", &body).await
    };
    say(&ada, "up", "").await.is(204);
    say(&ada, "down", "not what I meant").await.is(204);
    say(&chief, "up", "").await.is(204);
    say(&eve, "up", "").await.error(404, "not_found");
    say(&ada, "sideways", "").await.is(422);
    let unknown = json!({ "request_id": uuid::Uuid::now_v7(), "verdict": "up" });
    office.post(&ada, "/feedback", &unknown).await.error(404, "not_found");

    let tables = omni_core::people::Tables::at(office.database());
    let analytics = Analytics::of(tables);
    let caller = omni_core::Principal::email("chief@company.com");
    let told = analytics.ask(&caller, "get_feedback_summary", serde_json::Map::new()).await.unwrap();
    assert!(told.text.starts_with("2 verdicts: 1 👍 and 1 👎, 50.0 % satisfied"), "{}", told.text);
    let complaint = &told.document["complaints"][0];
    assert_eq!((&complaint["user"], &complaint["reason"]), (&json!("ada@company.com"), &json!("not what I meant")));
    assert_eq!(complaint["query"], "What can you do?");
}
