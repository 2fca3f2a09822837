//! Who one is, and who there is; and what administrators change of that.

use omni_core::identity::Scope;
use omni_tests::office::Office;
use serde_json::{Value, json};

use super::{ADA, BOSS};

const NEW: &str = "new@company.com";

fn emails(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["email"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn everybody_learns_who_they_are() {
    let office = Office::open().await;
    let ada = office.key_with(ADA, &[Scope::Ask]).await;
    let own = office.get(&ada, "/users/Ada@company.com").await.is(200).json();
    let expected = json!({
        "email": ADA, "name": "Ada", "role": "dba", "allowed_mcps": ["away", "lab"], "allow_all_mcps": false,
        "allowed_domains": ["sql_help"],
        "teams": ["data"], "slack_user_id": "U1", "is_default": false, "status": "active",
    });
    assert_eq!(own, expected);
    let list = office.get(&ada, "/users").await.is(200).json();
    let expected = json!({
        "total_users": 1, "super_admins": 0, "regular_users": 1, "next": null,
        "users": [{ "email": ADA, "name": "Ada", "role": "dba", "teams": ["data"] }],
    });
    assert_eq!(list, expected);
    let boss = office.key(BOSS).await;
    let own = office.get(&boss, &format!("/users/{BOSS}")).await.is(200).json();
    assert_eq!((&own["allowed_mcps"], &own["allowed_domains"]), (&json!("*"), &json!("*")));
    assert_eq!(own["allow_all_mcps"], true);
}

#[tokio::test]
async fn of_others_only_those_learn_who_may_manage_people() {
    let office = Office::open().await;
    let (ada, narrow) = (office.key(ADA).await, office.key_with(BOSS, &[Scope::Ask]).await);
    for key in [&ada, &narrow] {
        for email in ["eve@company.com", "nobody@company.com", NEW] {
            office.get(key, &format!("/users/{email}")).await.error(403, "denied");
        }
    }
    let chief = office.key("chief@company.com").await;
    let eve = office.get(&chief, "/users/eve@company.com").await.is(200).json();
    assert_eq!((&eve["role"], &eve["allowed_mcps"]), (&json!("read_only"), &json!([])));
    let waiting = office.get(&chief, &format!("/users/{NEW}")).await.is(200).json();
    assert_eq!((&waiting["status"], &waiting["role"]), (&json!("pending"), &json!("read_only")));
    office.get("", "/users").await.error(401, "unauthenticated");
}

#[tokio::test]
async fn an_administrator_of_another_tenant_lists_themselves_only() {
    let office = Office::open().await;
    let other = office.key_elsewhere(BOSS).await;
    let list = office.get(&other, "/users").await.is(200).json();
    assert_eq!((&list["total_users"], emails(&list["users"])), (&json!(1), vec![BOSS]));
    for path in ["/admin/users", "/users/ada@company.com"] {
        office.get(&other, path).await.error(403, "denied");
    }
}

#[tokio::test]
async fn a_key_for_others_learns_who_they_are() {
    let office = Office::open().await;
    let bot = office.key_with("chief@company.com", &[Scope::Ask, Scope::ActAs]).await;
    assert_eq!(office.get(&bot, &format!("/users/{ADA}")).await.is(200).json()["role"], "dba");
}

#[tokio::test]
async fn whom_nobody_named_is_what_anybody_is() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let anybody = format!("{}default_user: {{ role: read_only }}\n", omni_tests::office::USERS)
        .replace("auto_provisioning: { enabled: true", "auto_provisioning: { enabled: false");
    office.write("users.yaml", &anybody);
    office.post(&boss, "/admin/tools/refresh", &json!({})).await.is(200);
    let who = async |email: &str| office.get(&boss, &format!("/users/{email}")).await.is(200).json();
    assert_eq!(who(NEW).await["is_default"], true);
    assert_eq!(who(ADA).await["is_default"], false);
    office.write("users.yaml", &anybody.replace("default_user", "x-default_user"));
    office.post(&boss, "/admin/tools/refresh", &json!({})).await.is(200);
    office.get(&boss, &format!("/users/{NEW}")).await.error(404, "not_found");
}

#[tokio::test]
async fn administrators_list_everybody_page_by_page() {
    let office = Office::open().await;
    let (chief, ada) = (office.key("chief@company.com").await, office.key(ADA).await);
    office.post(&chief, "/admin/users", &json!({ "email": NEW, "role": "dba", "name": "New" })).await.is(201);
    let all = office.get(&chief, "/admin/users").await.is(200).json();
    let expected = [ADA, "audrey@company.com", BOSS, "chief@company.com", "eve@company.com", NEW, "tim@company.com"];
    assert_eq!(emails(&all), expected);
    let named = json!({
        "id": ADA, "email": ADA, "name": "Ada", "role": "dba", "teams": ["data"], "status": "active", "reason": null,
        "named_at": "users.yaml:5",
    });
    assert_eq!(all[0], named);
    assert_eq!((&all[5]["named_at"], &all[5]["role"]), (&json!(null), &json!("dba")));
    let page = office.get(&chief, "/admin/users?limit=2&after=audrey@company.com").await.is(200);
    assert_eq!(emails(&page.json()), [BOSS, "chief@company.com"]);
    let rest = office.get(&chief, &format!("/admin/users?after={}", page.header("x-next-after"))).await.is(200);
    assert_eq!((emails(&rest.json()), rest.header("x-next-after")), (expected[4..].to_vec(), ""));
    let list = office.get(&chief, "/users?limit=1").await.is(200).json();
    assert_eq!((&list["total_users"], &list["super_admins"], &list["next"]), (&json!(7), &json!(1), &json!(ADA)));
    office.get(&chief, "/admin/users?limit=0").await.error(422, "invalid");
    office.get(&ada, "/admin/users").await.error(403, "denied");
}

#[tokio::test]
async fn a_role_that_was_given_holds_for_the_next_request_until_it_is_taken() {
    let office = Office::open().await;
    let chief = office.key("chief@company.com").await;
    let made = office.post(&chief, "/admin/users", &json!({ "email": "New@company.com", "role": "read_only" })).await;
    assert_eq!(made.is(201).json()["email"], NEW);
    let new = office.key(NEW).await;
    let act = async |what: &str, body: &Value| office.post(&chief, &format!("/admin/users/{NEW}/{what}"), body).await;
    let role = async || office.get(&new, &format!("/users/{NEW}")).await;
    assert_eq!(role().await.is(200).json()["role"], "read_only");
    assert_eq!(act("role", &json!({ "role": "dba" })).await.is(200).json()["role"], "dba");
    assert_eq!(role().await.is(200).json()["role"], "dba");
    let out = act("disable", &json!({ "message": "Ask hr." })).await.is(200).json();
    assert_eq!((&out["status"], &out["role"]), (&json!("blocked"), &json!("dba")));
    assert_eq!(role().await.error(403, "denied"), "new@company.com may not use omni: Ask hr.");
    assert_eq!(act("enable", &json!({})).await.is(200).json()["status"], "active");
    assert_eq!(role().await.is(200).json()["role"], "dba");
    let again = act("enable", &json!({})).await.error(409, "conflict");
    assert_eq!(again, "new@company.com was not disabled");
}

#[tokio::test]
async fn whoever_has_a_role_is_not_added_again() {
    let office = Office::open().await;
    let chief = office.key("chief@company.com").await;
    let add = async |role: &str| office.post(&chief, "/admin/users", &json!({ "email": NEW, "role": role })).await;
    add("dba").await.is(201);
    assert_eq!(add("read_only").await.error(409, "conflict"), "new@company.com has the role dba already");
    let still = office.get(&chief, &format!("/users/{NEW}")).await.is(200).json();
    assert_eq!(still["role"], "dba");
}

#[tokio::test]
async fn what_is_no_address_is_written_nowhere() {
    let office = Office::open().await;
    let chief = office.key("chief@company.com").await;
    let long = format!("{}@company.com", "a".repeat(300));
    for email in ["7", "a@b\0c", "a@b@c", "a b@c", "@", &long] {
        let detail = office.post(&chief, "/admin/users", &json!({ "email": email, "role": "dba" })).await;
        assert!(detail.error(422, "invalid").as_str().unwrap().ends_with("is no e-mail address"), "{email:?}");
    }
    let message = json!({ "message": "a".repeat(1_001) });
    let detail = office.post(&chief, &format!("/admin/users/{NEW}/disable"), &message).await.error(422, "invalid");
    assert_eq!(detail, "the message may have 1000 bytes");
    // Who asked is known once the ledger's records have reached the database.
    office.settle().await;
    assert_eq!(office.get(&chief, "/users").await.is(200).json()["total_users"], 6);
}

#[tokio::test]
async fn whoever_waits_is_let_in() {
    let office = Office::open().await;
    let chief = office.key("chief@company.com").await;
    let path = format!("/admin/users/{NEW}/approve");
    let approved = office.post(&chief, &path, &json!({})).await.is(200).json();
    assert_eq!((&approved["role"], &approved["status"]), (&json!("read_only"), &json!("active")));
    let again = office.post(&chief, &path, &json!({})).await.error(422, "invalid");
    assert!(again.as_str().unwrap().contains("no role is on offer"), "{again}");
}

#[tokio::test]
async fn whom_a_file_names_is_changed_there_and_nobody_gives_more_than_they_have() {
    let office = Office::open().await;
    let (chief, ada) = (office.key("chief@company.com").await, office.key(ADA).await);
    let role = json!({ "role": "dba", "email": ADA });
    for path in [
        "/admin/users",
        &format!("/admin/users/{ADA}/role"),
        &format!("/admin/users/{ADA}/disable"),
        &format!("/admin/users/{ADA}/enable"),
        &format!("/admin/users/{ADA}/approve"),
    ] {
        let detail = office.post(&chief, path, &role).await.error(409, "config");
        assert_eq!(detail, "users.yaml:5: ada@company.com is named there; edit the file", "{path}");
        office.post(&ada, path, &role).await.error(403, "denied");
        office.post("", path, &role).await.error(401, "unauthenticated");
    }
    let set = async |body: &Value| office.post(&chief, &format!("/admin/users/{NEW}/role"), body).await;
    set(&json!({ "role": "super_admin" })).await.error(403, "denied");
    let unknown = set(&json!({ "role": "dbaa" })).await.error(422, "invalid");
    assert_eq!(unknown, "there is no role \"dbaa\"; did you mean \"dba\"?");
    assert_eq!(set(&json!({})).await.error(422, "invalid")[0]["loc"], json!(["body", "role"]));
    let disable = office.post(&chief, "/admin/users/7/disable", &json!({})).await;
    assert_eq!(disable.error(422, "invalid"), "\"7\" is no e-mail address");
    office.settle().await;
    let acts = office.get(&chief, "/admin/logs?status=denied").await.is(200).json();
    let said: Vec<_> = acts.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap()).collect();
    assert_eq!(said[0], format!("user.add {NEW}"));
    assert_eq!(said.len(), 6, "what was refused is recorded too: {said:?}");
    assert_eq!((&acts[0]["user_email"], &acts[0]["source"]), (&json!("chief@company.com"), &json!("http")));
}

#[tokio::test]
async fn whoever_is_known_by_being_kept_out_alone_is_nobody_once_they_are_not() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    office.write("users.yaml", &omni_tests::office::USERS.replace("enabled: true", "enabled: false"));
    office.post(&boss, "/admin/tools/refresh", &json!({})).await.is(200);
    let act = async |what: &str| office.post(&boss, &format!("/admin/users/{NEW}/{what}"), &json!({})).await;
    assert_eq!(act("disable").await.is(200).json()["status"], "blocked");
    let expected = json!({
        "id": NEW, "email": NEW, "name": NEW, "role": null, "teams": [], "status": "unknown",
        "reason": "nobody is called \"new@company.com\"", "named_at": null,
    });
    assert_eq!(act("enable").await.is(200).json(), expected);
    act("enable").await.error(409, "conflict");
}
