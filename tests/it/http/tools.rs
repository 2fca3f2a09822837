//! Tools without a model, and their servers.

use omni_core::identity::Scope;
use omni_tests::office::Office;
use serde_json::{Value, json};

use super::{ADA, BOSS};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn tools_are_listed_by_their_servers_as_far_as_one_may_use_them() {
    let office = Office::open().await;
    let (ada, boss) = (office.key(ADA).await, office.key(BOSS).await);
    let list = office.get(&ada, "/mcp/tools/list").await.is(200).json();
    assert_eq!((&list["success"], &list["data"]["total_tools"]), (&json!(true), &json!(2)));
    assert!(list["data"]["timestamp"].is_string());
    let servers = list["data"]["servers"].as_object().unwrap();
    assert_eq!(servers.keys().collect::<Vec<_>>(), ["away", "lab"]);
    let lab = &servers["lab"];
    assert_eq!(names(&lab["tools"]), ["echo", "fail"]);
    assert_eq!(
        (&lab["status"], &lab["server_info"]),
        (&json!("healthy"), &json!({ "name": "lab", "protocol": "mcp" }))
    );
    assert_eq!(lab["tools"][0]["inputSchema"]["required"], json!(["message"]));
    assert_eq!(lab["tools"][0]["description"], "The tool echo.");
    let told = json!("it does not answer at the moment");
    assert_eq!((&servers["away"]["status"], &servers["away"]["error"]), (&json!("unhealthy"), &told));

    let one = office.get(&ada, "/mcp/tools/list?server=lab").await.is(200).json();
    assert_eq!(one["data"]["servers"].as_object().unwrap().len(), 1);
    let all = office.get(&boss, "/mcp/tools/list").await.is(200).json();
    assert_eq!(names(&all["data"]["servers"]["lab"]["tools"]), ["drop_table", "echo", "fail"]);
    assert!(all["data"]["servers"]["away"]["error"].as_str().unwrap().contains("10.0.0.9"), "{all}");
    assert_eq!(all["data"]["servers"].get("off"), None, "what is switched off offers nothing");
}

#[tokio::test]
async fn a_server_that_one_may_not_use_is_unknown() {
    let office = Office::open().await;
    let ada = office.key(ADA).await;
    let unknown = |name: &str| format!("{name}: there is no such server");
    for name in ["hidden", "off", "nowhere"] {
        for path in [
            format!("/mcp/tools/list?server={name}"),
            format!("/mcp/tools/health/{name}"),
            format!("/mcp/tools/mcps/{name}/tools"),
        ] {
            assert_eq!(office.get(&ada, &path).await.error(404, "not_found"), unknown(name), "{path}");
        }
    }
}

#[tokio::test]
async fn a_tool_is_called_and_what_it_returned_is_told() {
    let office = Office::open().await;
    let ada = office.key(ADA).await;
    let called = office.call(&ada, "lab", "echo").await.is(200);
    let body = called.json();
    assert_eq!((&body["success"], &body["error"]), (&json!(true), &json!(null)));
    assert_eq!((&body["server"], &body["tool"]), (&json!("lab"), &json!("echo")));
    let result = &body["result"];
    assert_eq!((&result["status"], &result["protocol"]), (&json!("success"), &json!("mcp")));
    assert_eq!(result["result"], json!({ "content": [{ "type": "text", "text": "hi" }], "isError": false }));
    assert_eq!(body["request_id"], called.header("x-request-id"));

    let failed = office.call(&ada, "lab", "fail").await.is(200).json();
    assert_eq!((&failed["success"], &failed["result"]["status"]), (&json!(false), &json!("error")));
    assert_eq!(failed["error"], failed["result"]["error"]);
    assert_eq!(failed["result"]["result"]["isError"], true);
}

#[tokio::test]
async fn a_call_that_is_refused_says_why_and_tells_nothing() {
    let office = Office::open().await;
    let ada = office.key(ADA).await;
    for (server, tool) in [("lab", "drop_table"), ("lab", "nothing"), ("hidden", "echo"), ("nowhere", "echo")] {
        let detail = office.call(&ada, server, tool).await.error(404, "not_found");
        assert!(detail.as_str().unwrap().starts_with(&format!("there is no tool \"{server}.{tool}\"")), "{detail}");
    }
    let away = office.call(&ada, "away", "echo").await;
    assert_eq!(away.error(503, "unavailable"), "away: the server is away");
    assert_eq!(away.header("retry-after"), "5");
    let wrong = json!({ "server": "lab", "tool": "echo", "arguments": { "message": 7 } });
    let detail = office.post(&ada, "/mcp/tools/call", &wrong).await.error(422, "invalid");
    assert_eq!(detail[0]["loc"], json!(["body", "arguments", "message"]));
    assert_eq!(detail[0]["msg"], "7 is not of type \"string\"");
    let shape = json!({ "server": "lab", "tool": "echo", "arguments": [] });
    let detail = office.post(&ada, "/mcp/tools/call", &shape).await.error(422, "invalid");
    assert_eq!(detail[0]["loc"], json!(["body", "arguments"]));
    office.post("", "/mcp/tools/call", &wrong).await.error(401, "unauthenticated");
}

#[tokio::test]
async fn tools_take_the_scope_mcp_and_somebody_else_the_scope_act_as() {
    let office = Office::open().await;
    let asker = office.key_with(ADA, &[Scope::Ask]).await;
    for path in ["/mcp/tools/list", "/mcp/tools/servers", "/mcp/tools/health/lab", "/mcp/tools/mcps/lab/tools"] {
        let detail = office.get(&asker, path).await.error(403, "denied");
        assert_eq!(detail, "ada@company.com may not do this: the credential lacks the scope `mcp`", "{path}");
    }
    office.call(&asker, "lab", "echo").await.error(403, "denied");
    let ada = office.key(ADA).await;
    let for_boss = json!({ "server": "lab", "tool": "drop_table", "user_id": BOSS });
    office.post(&ada, "/mcp/tools/call", &for_boss).await.error(403, "denied");
    office.get(&ada, "/mcp/tools/mcps/lab/tools?user_email=boss@company.com").await.error(403, "denied");
    let bot = office.key_with(BOSS, &[Scope::Tools, Scope::ActAs]).await;
    let of_ada = office.get(&bot, "/mcp/tools/mcps/lab/tools?user_email=Ada@company.com").await.is(200).json();
    assert_eq!(names(&of_ada["tools"]), ["echo", "fail"]);
    let as_ada = json!({ "server": "lab", "tool": "drop_table", "user_id": ADA });
    office.post(&bot, "/mcp/tools/call", &as_ada).await.error(404, "not_found");
}

#[tokio::test]
async fn whoever_calls_too_often_is_told_when_to_come_back() {
    let office = Office::open().await;
    let tim = office.key("tim@company.com").await;
    office.call(&tim, "lab", "echo").await.is(200);
    let refused = office.call(&tim, "lab", "echo").await;
    let words = "Rate limit exceeded. You've made 1/1 requests in the last hour. Please try again in 60 minutes.";
    assert_eq!(refused.error(429, "rate_limited"), words);
    assert_eq!((refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")), ("1", "0"));
    assert_eq!(refused.header("retry-after"), refused.header("ratelimit-reset"));
    office.get(&tim, "/mcp/tools/list").await.is(200);
}

#[tokio::test]
async fn servers_are_listed_with_the_originals_fields() {
    let office = Office::open().await;
    let ada = office.key(ADA).await;
    let list = office.get(&ada, "/mcp/tools/servers").await.is(200).json();
    assert_eq!(names(&list["data"]["servers"]), ["away", "lab"]);
    let lab = json!({
        "name": "lab", "display_name": "Laboratory", "protocol": "fake", "enabled": true,
        "description": "Where things are tried", "tags": ["trial"], "timeout_seconds": 30.0,
        "tool_policy": { "mode": "allow_all_except", "excluded_count": 1 },
        "rate_limit": { "requests_per_minute": 50, "burst": null },
    });
    assert_eq!(list["data"]["servers"][1], lab);
    let summary = json!({
        "total": 2, "total_configured": 2, "enabled": 2, "disabled": 0,
        "protocols": { "fake": 2, "http": 0, "stdio": 0, "sse": 0 },
    });
    assert_eq!(list["data"]["summary"], summary);
    let health = office.get(&ada, "/mcp/tools/servers?include_health=true").await.is(200).json();
    let lab = &health["data"]["servers"][1]["health"];
    assert_eq!((&lab["status"], &lab["tool_count"]), (&json!("healthy"), &json!(2)));
    assert!(lab["last_check"].is_string());
}

#[tokio::test]
async fn administrators_see_every_server_and_how_it_is_reached_but_no_secret() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let all = office.get(&boss, "/mcp/tools/servers").await.is(200);
    assert!(!all.text.contains("s3cret"), "{}", all.text);
    let all = all.json();
    let servers = &all["data"]["servers"];
    assert_eq!(names(servers), ["away", "hidden", "lab", "off", "prog"]);
    assert_eq!(servers[2]["url"], "http://***:***@10.0.0.7:8300/mcp?key=***");
    assert_eq!(servers[2]["authentication"], json!({ "enabled": true, "type": "bearer" }));
    let (command, args) = (&servers[4]["command"], &servers[4]["args"]);
    assert_eq!((command, args), (&json!("/opt/prog/run"), &json!(["--token", "***", "serve"])));
    assert_eq!((&all["data"]["summary"]["disabled"], &servers[3]["enabled"]), (&json!(1), &json!(false)));
    let on = office.get(&boss, "/mcp/tools/servers?enabled_only=true").await.is(200).json();
    assert_eq!(on["data"]["summary"]["total"], 4);
    assert_eq!(on["data"]["summary"]["total_configured"], 5);
    // The role alone does not make an administrator of a key.
    let plain = office.key_with(BOSS, &[Scope::Tools]).await;
    assert!(!office.get(&plain, "/mcp/tools/servers").await.is(200).text.contains("10.0.0."));
}

#[tokio::test]
async fn the_health_of_one_server_and_the_tools_that_one_may_use_of_it() {
    let office = Office::open().await;
    let (ada, boss) = (office.key(ADA).await, office.key(BOSS).await);
    let lab = office.get(&ada, "/mcp/tools/health/lab").await.is(200).json();
    assert_eq!((&lab["success"], &lab["server"]), (&json!(true), &json!("lab")));
    let health = &lab["health"];
    assert_eq!(
        (&health["healthy"], &health["protocol"], &health["tool_count"]),
        (&json!(true), &json!("fake"), &json!(2))
    );
    let away = office.get(&ada, "/mcp/tools/health/away").await.is(200).json();
    assert_eq!((&away["health"]["healthy"], &away["health"]["tool_count"]), (&json!(false), &json!(0)));
    let own = office.get(&ada, "/mcp/tools/mcps/lab/tools").await.is(200).json();
    assert_eq!((&own["mcp_name"], &own["description"]), (&json!("lab"), &json!("Where things are tried")));
    assert_eq!((&own["total_available"], &own["user_allowed"]), (&json!(2), &json!(2)), "no more is there for her");
    let all = office.get(&boss, "/mcp/tools/mcps/lab/tools").await.is(200).json();
    assert_eq!((&all["total_available"], &all["user_allowed"]), (&json!(4), &json!(3)));
}
