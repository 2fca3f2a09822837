//! Whoever is refused is told so in one form, and nothing of the inside.

use omni_core::{
    config::HttpConfig,
    identity::Scope,
    limit::memory::MemoryLimiter,
    llm::{
        Block,
        scripted::{Scripted, call_turn, text_turn},
    },
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{
    door::{Door, Reply},
    office::Office,
};
use reqwest::Method;
use serde_json::json;

use super::ADA;

#[tokio::test]
async fn nobody_is_let_in_without_a_key_that_counts() {
    let door = Door::new().await;
    let ask =
        || door.request(Method::POST, "/chat/ask").json(&json!({ "message": "Hi", "user_id": "boss@company.com" }));
    let none = Reply::of(ask()).await;
    none.error(401, "unauthenticated");
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"omni\"");
    let of_nobody = format!("omni_{}", "a".repeat(72));
    for key in ["", "admin", &of_nobody] {
        Reply::of(ask().bearer_auth(key)).await.error(401, "unauthenticated");
        Reply::of(ask().header("x-api-key", key)).await.error(401, "unauthenticated");
    }
    Reply::of(ask().basic_auth("boss@company.com", Some("x"))).await.error(401, "unauthenticated");
    door.get("/nowhere").await.error(401, "unauthenticated");
    assert!(door.end().await.records().iter().all(|record| record.party.is_none()), "nothing was asked");
}

#[tokio::test]
async fn a_key_does_no_more_than_it_is_made_for() {
    let door = Door::new().await;
    let auditor = door.key(ADA, &[Scope::Audit]).await;
    let detail = door.post_by(&auditor, "/chat/ask", &json!({ "message": "Hi" })).await.error(403, "denied");
    assert_eq!(detail, "ada@company.com may not do this: the credential lacks the scope `ask`");
    let asker = door.key(ADA, &[Scope::Ask]).await;
    for body in [
        json!({ "message": "Hi", "user_id": "boss@company.com" }),
        json!({ "message": "Hi", "slack_context": { "slack_user_id": "U1" } }),
    ] {
        for path in ["/chat/ask", "/chat/ask/stream"] {
            door.post_by(&asker, path, &body).await.error(403, "denied");
        }
    }
    let short = json!({ "question": "Hi", "slack_user_id": "U1" });
    door.post_by(&asker, "/chat", &short).await.error(403, "denied");
}

#[tokio::test]
async fn a_request_that_names_two_people_is_refused() {
    let office = Office::open().await;
    let (ada, eve) = (office.key(ADA).await, office.key("eve@company.com").await);
    let bot = office.key_with("chief@company.com", &[Scope::Ask, Scope::ActAs]).await;
    let body =
        |user: &str, id: &str| json!({ "message": "Hi", "user_id": user, "slack_context": { "slack_user_id": id } });
    office.post(&ada, "/chat/ask", &body(ADA, "U1")).await.is(200);
    office.post(&bot, "/chat/ask", &body(ADA, "U1")).await.is(200);
    office.post(&bot, "/chat/ask", &body("eve@company.com", "U9")).await.is(200);
    for (key, body) in [
        (&eve, body("eve@company.com", "U1")),
        (&bot, body("eve@company.com", "U1")),
        (&ada, body(ADA, "U9")),
        (&ada, body("eve@company.com", "U1")),
    ] {
        office.post(key, "/chat/ask", &body).await.error(403, "denied");
    }
}

#[tokio::test]
async fn which_rule_refused_a_call_is_told_to_administrators_alone() {
    let model = || {
        Scripted::from_fn(|request| {
            let mut blocks = request.messages.iter().flat_map(|message| &message.blocks);
            Ok(match blocks.any(|block| matches!(block, Block::ToolResult { .. })) {
                true => text_turn("It would not."),
                false => call_turn(0, &[("lab__echo", json!({ "message": "hi" }))]),
            })
        })
    };
    for (role, is_told) in [(Role::new("dba"), false), (Role::super_admin(), true)] {
        let policy = MemoryPolicy::new().with_subject(ADA, role, RuleSet::deny_all(), Quota::default());
        let door = Door::with(|_| {}, |builder| builder.policy(policy).llm(model())).await;
        let key = door.key(ADA, &[Scope::Ask]).await;
        let told = door.post_by(&key, "/chat/ask/stream", &json!({ "message": "Say hi" })).await.is(200);
        let done = told.text.split("event: done").nth(1).unwrap().split("data: ").nth(1).unwrap();
        let done: serde_json::Value = serde_json::from_str(done.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&done["denials"][0]["reason"], done["denials"][0]["rule"].is_string()),
            (&json!("policy"), is_told)
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_to_those_who_are_let_in() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    door.get_by(&key, "/nowhere").await.error(404, "not_found");
    let wrong = door.get_by(&key, "/chat/ask").await;
    wrong.error(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "POST");
}

#[tokio::test]
async fn a_body_that_is_not_right_is_told_field_by_field() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    for (body, loc, kind) in [
        (json!({}), json!(["body", "message"]), "missing"),
        (json!({ "message": 7 }), json!(["body", "message"]), "type_error"),
        (json!({ "message": "Hi", "slack_context": "C1" }), json!(["body", "slack_context"]), "type_error"),
        (json!("Hi"), json!(["body"]), "type_error"),
    ] {
        let detail = door.post_by(&key, "/chat/ask", &body).await.error(422, "invalid");
        assert_eq!((&detail[0]["loc"], &detail[0]["type"]), (&loc, &json!(kind)), "{body}");
        assert!(detail[0]["msg"].is_string());
    }
    let raw = |body: &'static str| {
        let request = door.request(Method::POST, "/chat/ask").bearer_auth(&key);
        Reply::of(request.header("content-type", "application/json").body(body))
    };
    for body in ["{", r#"{"message":"a","message":"b"}"#] {
        assert_eq!(raw(body).await.error(422, "invalid")[0]["type"], "json_invalid", "{body}");
    }
    for (path, field) in [("/chat/ask", "message"), ("/chat/ask/stream", "message"), ("/chat", "question")] {
        let detail = door.post_by(&key, path, &json!({ field: " " })).await.error(422, "invalid");
        assert_eq!((&detail[0]["loc"], &detail[0]["msg"]), (&json!(["body", field]), &json!("the question is empty")));
    }
    let text = door.request(Method::POST, "/chat/ask").bearer_auth(&key).body(r#"{"message":"Hi"}"#);
    Reply::of(text).await.error(415, "unsupported_media_type");
    let packed = |coding: &str| {
        let request = door.request(Method::POST, "/chat/ask").bearer_auth(&key).json(&json!({ "message": "Hi" }));
        Reply::of(request.header("content-encoding", coding))
    };
    packed("identity").await.is(200);
    for coding in ["gzip", "br, gzip"] {
        let detail = packed(coding).await.error(415, "unsupported_media_type");
        assert_eq!(detail, "send the body without `Content-Encoding`");
    }
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let mut quota = Quota::default();
    quota.per_hour = Some(1);
    let policy = MemoryPolicy::new().with_subject(ADA, Role::super_admin(), RuleSet::allow_all(), quota);
    let door = Door::with(|_| {}, |builder| builder.policy(policy).limiter(MemoryLimiter::new())).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    door.post_by(&key, "/chat/ask", &json!({ "message": "Hi" })).await.is(200);
    for path in ["/chat/ask", "/chat/ask/stream"] {
        let refused = door.post_by(&key, path, &json!({ "message": "Hi" })).await;
        let words = "Rate limit exceeded. You've made 1/1 requests in the last hour. Please try again in 60 minutes.";
        assert_eq!(refused.error(429, "rate_limited"), words);
        let told = ["ratelimit-limit", "ratelimit-remaining", "retry-after", "ratelimit-reset"]
            .map(|name| refused.header(name));
        assert_eq!((told[0], told[1], told[2]), ("1", "0", told[3]));
        assert!((3_590..=3_600).contains(&told[2].parse::<u32>().unwrap()), "{told:?}");
    }
}

#[tokio::test]
async fn what_breaks_inside_stays_inside() {
    let broken = Scripted::from_fn(|_| panic!("at /etc/omni/secret, 10.0.0.7"));
    let door = Door::with(|_: &mut HttpConfig| {}, |builder| builder.llm(broken)).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let reply = door.post_by(&key, "/chat/ask", &json!({ "message": "Hi" })).await;
    assert_eq!(reply.error(500, "failed"), "an internal error; the operator finds it in the log");
    assert!(!reply.text.contains("/etc") && !reply.text.contains("10.0.0.7"));
}

#[tokio::test]
async fn what_was_asked_is_found_in_the_log_whatever_its_sender_calls_it() {
    let office = Office::open().await;
    let ada = office.key(ADA).await;
    let send = async |path: &str, body: serde_json::Value| {
        let request = office.request(Method::POST, &ada, path).header("x-request-id", "web-1");
        Reply::of(request.json(&body)).await
    };
    let id_of = |reply: &Reply| reply.header("x-omni-request-id").to_owned();
    let answered = send("/chat/ask", json!({ "message": "Hi" })).await.is(200);
    assert_eq!(id_of(&answered), answered.json()["request_id"].as_str().unwrap());
    let streamed = send("/chat/ask/stream", json!({ "message": "Hi" })).await.is(200);
    assert!(streamed.text.contains(&format!("id: {}:1", id_of(&streamed))), "{}", streamed.text);
    let call = json!({ "server": "away", "tool": "echo", "arguments": { "message": "hi" } });
    let failed = send("/mcp/tools/call", call).await.is(503);
    assert_eq!((&failed.json()["request_id"], failed.header("x-request-id")), (&json!("web-1"), "web-1"));
    office.settle().await;
    for reply in [&answered, &streamed, &failed] {
        let entry = office.get(&ada, &format!("/audit/logs/{}", id_of(reply))).await.is(200).json();
        assert_eq!(entry["request_id"], id_of(reply));
    }
    let unasked = send("/chat/ask", json!({ "message": " " })).await.is(422);
    assert_eq!((id_of(&unasked), id_of(&office.get(&ada, "/threads").await)), (String::new(), String::new()));
}

#[tokio::test]
async fn every_answer_says_which_request_it_is_for() {
    let door = Door::new().await;
    let of = async |id: &str| Reply::of(door.request(Method::GET, "/nowhere").header("x-request-id", id)).await;
    let own = of("web-1_2.3").await;
    own.error(401, "unauthenticated");
    assert_eq!(own.header("x-request-id"), "web-1_2.3");
    let made = of("a b\"<script>").await.header("x-request-id").to_owned();
    assert!(made.parse::<uuid::Uuid>().is_ok(), "{made}");
    assert!(!door.get("/").await.header("x-request-id").is_empty());
}
