//! API keys, as administrators make them over HTTP.

use omni_core::identity::Scope;
use omni_tests::{door::Door, office::Office};
use serde_json::json;

use super::{ADA, BOSS};

#[tokio::test]
async fn a_key_is_shown_once_and_opens_what_it_is_made_for_until_it_is_taken_back() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let new = json!({ "user": "Ada@company.com", "scopes": ["mcp"], "name": "laptop", "expires_days": 30 });
    let made = office.post(&boss, "/admin/keys", &new).await.is(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.json();
    assert_eq!((&made["user"], &made["scopes"], &made["name"]), (&json!(ADA), &json!(["mcp"]), &json!("laptop")));
    assert_eq!(made["created_by"], BOSS);
    assert!(made["expires_at"].is_string());
    let key = made["key"].as_str().unwrap();
    office.call(key, "lab", "echo").await.is(200);
    office.post(key, "/chat/ask", &json!({ "message": "Hi" })).await.error(403, "denied");

    let listed = office.get(&boss, &format!("/admin/keys?user={ADA}")).await.is(200);
    assert!(!listed.text.contains(key) && !listed.text.contains("hash"), "{}", listed.text);
    assert_eq!(listed.json()[0]["prefix"], key[5..13]);
    let path = format!("/admin/keys/{}", made["id"]);
    assert!(office.delete(&boss, &path).await.is(200).json()["revoked_at"].is_string());
    office.call(key, "lab", "echo").await.error(401, "unauthenticated");
    assert_eq!(office.delete(&boss, "/admin/keys/99999").await.error(404, "not_found"), "there is no key 99999");
    let wrong = office.delete(&boss, "/admin/keys/mine").await.error(422, "invalid");
    assert_eq!(wrong[0]["loc"], json!(["path", "id"]));
    office.settle().await;
    let logs = office.get(&boss, "/admin/logs").await.is(200);
    assert!(logs.text.contains("key.create ada@company.com") && logs.text.contains("key.revoke"), "{}", logs.text);
    assert!(!logs.text.contains("omni_"), "{}", logs.text);
}

#[tokio::test]
async fn nobody_gives_out_more_than_they_have() {
    let office = Office::open().await;
    let (chief, ada) = (office.key("chief@company.com").await, office.key(ADA).await);
    let narrow = office.key_with(BOSS, &[Scope::Admin]).await;
    let new = |user: &str, scopes: &[&str]| json!({ "user": user, "scopes": scopes });
    for (key, body) in [
        (&chief, new(BOSS, &["ask"])),
        (&narrow, new(ADA, &["ask"])),
        (&ada, new(ADA, &["ask"])),
        (&chief, new(ADA, &["act_as"])),
    ] {
        office.post(key, "/admin/keys", &body).await.error(403, "denied");
    }
    office.post("", "/admin/keys", &new(ADA, &["ask"])).await.error(401, "unauthenticated");
    for (key, path) in [(&ada, "/admin/keys"), (&ada, "/admin/keys?user=ada@company.com")] {
        office.get(key, path).await.error(403, "denied");
    }
    office.delete(&ada, "/admin/keys/1").await.error(403, "denied");
    for (body, loc) in [
        (json!({ "user": ADA, "scopes": ["root"] }), json!(["body", "scopes", 0])),
        (json!({ "user": ADA, "scopes": ["ask"], "expires_days": 0 }), json!(["body", "expires_days"])),
        (json!({ "scopes": ["ask"] }), json!(["body", "user"])),
    ] {
        assert_eq!(office.post(&chief, "/admin/keys", &body).await.error(422, "invalid")[0]["loc"], loc);
    }
    let none = office.post(&chief, "/admin/keys", &new(ADA, &[])).await;
    assert_eq!(none.error(422, "invalid"), "a key needs a scope");
}

#[tokio::test]
async fn a_key_is_of_somebody_and_has_a_name_that_has_room() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let make = async |user: &str, name: &str| {
        let body = json!({ "user": user, "scopes": ["ask"], "name": name });
        office.post(&boss, "/admin/keys", &body).await
    };
    assert_eq!(make(ADA, &"a".repeat(256)).await.error(422, "invalid"), "the name may have 255 bytes");
    make(ADA, "a\0").await.error(422, "invalid");
    make("a@b\0c", "laptop").await.error(422, "invalid");
    make(ADA, &"a".repeat(255)).await.is(201);
    office.write("users.yaml", "super_admins: [{ email: boss@company.com }]\n");
    office.post(&boss, "/admin/tools/refresh", &json!({})).await.is(200);
    let nobody = make("nobody@company.com", "laptop").await.error(404, "not_found");
    assert_eq!(nobody, "nobody is called \"nobody@company.com\"");
}

#[tokio::test]
async fn without_a_database_it_is_said_what_is_missing() {
    let door = Door::new().await;
    let boss = door.key(BOSS, &[Scope::Admin]).await;
    let body = json!({ "email": ADA, "role": "dba" });
    let detail = door.post_by(&boss, "/admin/users", &body).await.error(503, "config");
    assert_eq!(detail, "there is nowhere to keep people: the ledger is in no database");
}
