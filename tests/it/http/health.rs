//! How omni is doing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use omni_core::{
    Omni, RateLimiter,
    identity::{ApiKey, Authenticator, KeyError, KeyStore, Keys, Scope},
    ledger::Event,
    limit::{LimitError, Reservation, ReservationId, Reserve, Settle, memory::MemoryLimiter},
    mcp::{CallContext, Connector, McpError},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{door::Door, office::Office, rig::until};
use serde_json::json;

use super::ADA;

/// A server that is away, at an address that is nobody's business.
#[derive(Debug)]
struct Away;

#[async_trait::async_trait]
impl Connector for Away {
    fn kind(&self) -> &'static str {
        "http"
    }

    async fn connect(&self, _: &CallContext) -> Result<std::sync::Arc<dyn omni_core::McpTransport>, McpError> {
        Err(McpError::Connect { message: "http://10.0.0.7:8300 refused".into() })
    }
}

/// A door with one server that is away beside the other, once both were asked.
async fn half() -> Door {
    let door = Door::with(|_| {}, |builder| builder.server("away", Away)).await;
    door.omni.catalog().await;
    door
}

#[tokio::test]
async fn the_root_says_what_this_is() {
    let root = Door::new().await.get("/").await.is(200).json();
    assert_eq!((&root["name"], &root["status"], &root["docs"]), (&json!("omni"), &json!("running"), &json!("/docs")));
}

#[tokio::test]
async fn health_tells_anybody_how_servers_do_and_administrators_why() {
    let door = half().await;
    let all = door.get("/health").await.is(200);
    let health = all.json();
    assert_eq!((&health["status"], &health["database"]["status"]), (&json!("degraded"), &json!("connected")));
    let mcps = &health["mcps"];
    assert_eq!(
        (&mcps["status"], &mcps["healthy"], &mcps["enabled"], &mcps["configured"]),
        (&json!("degraded"), &json!(1), &json!(2), &json!(2))
    );
    let expected = json!([
        { "name": "away", "display_name": "away", "status": "unhealthy", "tools": 0 },
        { "name": "lab", "display_name": "lab", "status": "healthy", "tools": 1 },
    ]);
    assert_eq!(mcps["servers"], expected);
    let user = door.key(ADA, &[Scope::Ask]).await;
    for reply in [all, door.get_by(&user, "/health").await, door.get_by("omni_wrong", "/health").await.is(200)] {
        assert!(!reply.text.contains("10.0.0.7"), "{}", reply.text);
    }
    let admin = door.key("boss@company.com", &[Scope::Admin]).await;
    let told = &door.get_by(&admin, "/health").await.json()["mcps"]["servers"][0];
    assert!(told["error"].as_str().unwrap().contains("10.0.0.7"), "{told}");
}

#[tokio::test]
async fn administrators_are_told_where_things_are_without_credentials() {
    let office = Office::open().await;
    let (boss, ada) = (office.key("boss@company.com").await, office.key(ADA).await);
    let told = office.get(&boss, "/health").await.is(200);
    let health = told.json();
    assert_eq!(health["environment"], "development");
    assert!(health["database"]["database"].as_str().unwrap().ends_with("omni.db"), "{health}");
    let server = |name: &str| {
        let servers = health["mcps"]["servers"].as_array().unwrap();
        servers.iter().find(|server| server["name"] == name).unwrap().clone()
    };
    assert_eq!((&server("lab")["url"], &server("lab")["enabled"]), (&json!("http://10.0.0.7:8300/mcp"), &json!(true)));
    assert_eq!((&server("lab")["display_name"], &server("off")["enabled"]), (&json!("Laboratory"), &json!(false)));
    assert!(!told.text.contains("s3cret"), "{}", told.text);
    let less = office.get(&ada, "/health").await.is(200).json();
    assert_eq!((&less["environment"], &less["database"]["database"]), (&json!(null), &json!(null)));
    assert!(less["mcps"]["servers"].as_array().unwrap().iter().all(|server| server["url"].is_null()));
}

#[tokio::test]
async fn administrators_of_another_tenant_are_told_where_nothing_is() {
    let office = Office::open().await;
    let other = office.key_elsewhere("boss@company.com").await;
    let health = office.get(&other, "/health").await.is(200).json();
    assert_eq!((&health["environment"], &health["database"]["database"]), (&json!(null), &json!(null)));
    assert_eq!(health["database"]["host"], json!(null));
    assert!(health["mcps"]["servers"].as_array().unwrap().iter().all(|server| server["url"].is_null()), "{health}");
    for path in ["/health", "/mcp/tools/servers?include_health=true", "/mcp/tools/health/away"] {
        let told = office.get(&other, path).await.is(200).text;
        assert!(told.contains("away"), "{path}: {told}");
        assert!(!told.contains("10.0.0.") && !told.contains("/opt/prog"), "{path}: {told}");
    }
}

#[tokio::test]
async fn looking_asks_no_server() {
    let door = half().await;
    // One that is away is looked at again by and by, whoever looks here.
    let checked = || -> Vec<_> {
        let catalog = door.omni.known_catalog();
        catalog.servers.iter().filter(|server| server.health.is_healthy()).map(|server| server.checked_at).collect()
    };
    let before = checked();
    assert!(before.len() == 1 && before[0].is_some(), "{before:?}");
    for path in ["/health", "/health/cache", "/health/ready", "/health/live"] {
        door.get(path).await.is(200);
    }
    assert_eq!(before, checked());
}

/// A limiter that is away, or not.
#[derive(Debug, Default)]
struct Leaving {
    counts: MemoryLimiter,
    is_away: AtomicBool,
    looks: AtomicUsize,
}

#[async_trait::async_trait]
impl RateLimiter for Leaving {
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
        self.looks.fetch_add(1, SeqCst);
        match self.is_away.load(SeqCst) {
            true => Err(LimitError::Unavailable { message: "redis://10.0.0.7 refused".into() }),
            false => self.counts.reserve(request).await,
        }
    }

    async fn settle(&self, settle: &Settle) -> Result<(), LimitError> {
        self.counts.settle(settle).await
    }

    async fn renew(&self, id: &ReservationId) -> Result<(), LimitError> {
        self.counts.renew(id).await
    }
}

#[tokio::test]
async fn a_door_is_not_ready_while_what_every_question_needs_is_away_and_looks_no_more_often_than_it_has_to() {
    let limiter = Arc::new(Leaving::default());
    limiter.is_away.store(true, SeqCst);
    let door = Door::with(|_| {}, |builder| builder.limiter(limiter.clone())).await;
    let away = json!({ "ready": false, "reason": "requests cannot be counted at the moment" });
    for _ in 0..5 {
        assert_eq!(door.get("/health/ready").await.is(503).json(), away);
    }
    assert_eq!(limiter.looks.load(SeqCst), 1);
    limiter.is_away.store(false, SeqCst);
    let ready = async || door.get("/health/ready").await.status == 200;
    for _ in 0..100 {
        if ready().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it is not ready again");
}

/// Keys that cannot be looked up.
#[derive(Debug)]
struct NoKeys;

fn no_keys<T>() -> Result<T, KeyError> {
    Err(KeyError::new("postgres://10.0.0.7 refused"))
}

#[async_trait::async_trait]
impl KeyStore for NoKeys {
    async fn find(&self, _: &str) -> Result<Vec<ApiKey>, KeyError> {
        no_keys()
    }

    async fn get(&self, _: i64) -> Result<Option<ApiKey>, KeyError> {
        no_keys()
    }

    async fn list(&self, _: Option<&str>, _: Option<i64>, _: u32) -> Result<Vec<ApiKey>, KeyError> {
        no_keys()
    }

    async fn insert(&self, _: &ApiKey) -> Result<i64, KeyError> {
        no_keys()
    }

    async fn revoke(&self, _: i64, _: &str) -> Result<Option<ApiKey>, KeyError> {
        no_keys()
    }

    async fn touch(&self, _: i64, _: DateTime<Utc>) -> Result<(), KeyError> {
        no_keys()
    }
}

#[tokio::test]
async fn keys_that_cannot_be_looked_up_keep_out_those_alone_who_come_by_keys() {
    let authenticator = Authenticator::new().with_keys(Keys::new(NoKeys));
    let omni = Omni::builder().authenticator(authenticator).build().await.unwrap();
    for _ in 0..2 {
        let away = omni.not_ready(true).await.unwrap();
        assert_eq!((away.as_str(), omni.not_ready(false).await), ("API keys cannot be looked up at the moment", None));
    }
    omni.shutdown().await;
}

#[tokio::test]
async fn a_door_is_ready_until_nobody_new_is_let_in() {
    let door = Door::new().await;
    assert_eq!(door.get("/health/ready").await.is(200).json(), json!({ "ready": true }));
    assert_eq!(door.get("/health/live").await.is(200).json()["alive"], true);
    let key = door.key(ADA, &[Scope::Ask]).await;
    door.omni.shutdown().await;
    let closing = json!({ "ready": false, "reason": "omni is shutting down" });
    assert_eq!(door.get("/health/ready").await.is(503).json(), closing);
    assert_eq!(door.get("/health/live").await.is(200).json()["alive"], true);
    let refused = door.post_by(&key, "/chat/ask", &json!({ "message": "Hi" })).await;
    refused.error(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "5");
}

#[tokio::test]
async fn the_tools_that_are_known_are_shown() {
    let door = half().await;
    let cache = door.get("/health/cache").await.is(200).json();
    assert_eq!((&cache["success"], &cache["cached_servers"]), (&json!(true), &json!(1)));
    assert_eq!((&cache["servers"]["lab"]["tool_count"], &cache["servers"]["away"]), (&json!(1), &json!(null)));
}

#[tokio::test]
async fn only_an_administrator_has_the_tools_asked_for_again() {
    let role = |name: &str| match name {
        "boss@company.com" => Role::super_admin(),
        _ => Role::new("dba"),
    };
    let policy = ["boss@company.com", ADA].into_iter().fold(MemoryPolicy::new(), |policy, who| {
        policy.with_subject(who, role(who), RuleSet::allow_all(), Quota::default())
    });
    let door = Door::with(|_| {}, |builder| builder.policy(policy)).await;
    let path = "/health/cache/invalidate";
    let (admin, user) = (door.key("boss@company.com", &[Scope::Admin]).await, door.key(ADA, &[Scope::Admin]).await);
    let asker = door.key("boss@company.com", &[Scope::Ask]).await;
    for key in [&user, &asker] {
        door.post_by(key, path, &json!({})).await.error(403, "denied");
    }
    door.post_by("", path, &json!({})).await.error(401, "unauthenticated");
    until(|| door.omni.known_catalog().servers[0].checked_at.is_some()).await;
    let before = door.omni.known_catalog().servers[0].checked_at;
    let all = door.post_by(&admin, path, &json!({})).await.is(200).json();
    assert_eq!(all, json!({ "success": true, "message": "Cache invalidated for all servers" }));
    assert!(door.omni.known_catalog().servers[0].checked_at > before);
    let one = door.post_by(&admin, &format!("{path}?server_name=lab"), &json!({})).await.is(200).json();
    assert_eq!(one["message"], "Cache invalidated for lab");
    door.post_by(&admin, &format!("{path}?server_name=nowhere"), &json!({})).await.error(404, "not_found");
    let records = door.end().await.records();
    let done = records.iter().filter_map(|record| match &record.event {
        Event::Admin(admin) => {
            Some((admin.target.as_str(), admin.outcome.as_str(), record.party.as_ref()?.client.address?.is_loopback()))
        }
        _ => None,
    });
    let expected =
        [("*", "denied", true), ("*", "success", true), ("lab", "success", true), ("nowhere", "error", true)];
    assert_eq!(done.collect::<Vec<_>>(), expected);
}
