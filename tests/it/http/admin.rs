//! Servers, logs, policy and configuration, for administrators.

use omni_core::identity::Scope;
use omni_tests::{
    door::Door,
    office::{MCPS, Office},
};
use serde_json::{Value, json};

use super::{ADA, BOSS};

const ROUTES: [(&str, &str); 6] = [
    ("GET", "/admin/mcps"),
    ("GET", "/admin/tools"),
    ("POST", "/admin/tools/refresh"),
    ("GET", "/admin/logs"),
    ("GET", "/admin/policy/explain?user=a@b.c&server=lab&tool=echo"),
    ("GET", "/admin/config"),
];

#[tokio::test]
async fn administrators_routes_take_the_scope_and_the_role() {
    let office = Office::open().await;
    let (ada, narrow) = (office.key(ADA).await, office.key_with(BOSS, &[Scope::Ask, Scope::Audit]).await);
    for (method, path) in ROUTES {
        let by =
            async |key: &str| omni_tests::door::Reply::of(office.request(method.parse().unwrap(), key, path)).await;
        let of_ada = by(&ada).await.error(403, "denied");
        assert!(of_ada.as_str().unwrap().contains("the role dba has no permission"), "{path}: {of_ada}");
        let of_narrow = by(&narrow).await.error(403, "denied");
        assert!(of_narrow.as_str().unwrap().contains("lacks the scope `admin`"), "{path}: {of_narrow}");
        by("").await.error(401, "unauthenticated");
    }
    // The one flag that the matching route takes is enough, and opens no other.
    let audrey = office.key("audrey@company.com").await;
    office.get(&audrey, "/admin/logs").await.is(200);
    office.get(&audrey, "/admin/mcps").await.error(403, "denied");
}

#[tokio::test]
async fn servers_and_all_their_tools_are_listed() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let mcps = office.get(&boss, "/admin/mcps").await.is(200);
    assert!(!mcps.text.contains("s3cret"), "{}", mcps.text);
    let mcps = mcps.json();
    let states: Vec<_> = mcps.as_array().unwrap().iter().map(|it| (&it["name"], &it["status"], &it["tools"])).collect();
    let expected = [
        (json!("away"), json!("unhealthy"), json!(0)),
        (json!("hidden"), json!("healthy"), json!(4)),
        (json!("lab"), json!("healthy"), json!(4)),
        (json!("off"), json!("disabled"), json!(0)),
        (json!("prog"), json!("healthy"), json!(4)),
    ];
    assert_eq!(states, expected.iter().map(|(name, status, tools)| (name, status, tools)).collect::<Vec<_>>());
    assert!(mcps[0]["error"].as_str().unwrap().contains("10.0.0.9"));
    let tools = office.get(&boss, "/admin/tools?mcp=lab").await.is(200).json();
    let names: Vec<_> = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["drop_table", "echo", "explode", "fail"], "whoever may use them");
    assert_eq!((&tools[1]["mcp"], &tools[1]["description"]), (&json!("lab"), &json!("The tool echo.")));
    assert_eq!(tools[1]["inputSchema"]["type"], "object");
    assert_eq!(office.get(&boss, "/admin/tools").await.is(200).json().as_array().unwrap().len(), 12);
    office.get(&boss, "/admin/tools?mcp=nowhere").await.error(404, "not_found");
}

#[tokio::test]
async fn a_server_that_was_added_is_there_after_a_refresh() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let before = office.omni.known_catalog().servers.iter().map(|server| server.checked_at).collect::<Vec<_>>();
    office.write("mcps.yaml", &format!("{MCPS}  - {{ name: new_mcp, transport: fake, url: 'http://new:1/mcp' }}\n"));
    let told = office.post(&boss, "/admin/tools/refresh", &json!({})).await.is(200).json();
    assert_eq!((&told["reloaded"], &told["changed"]), (&json!(true), &json!(["new_mcp"])));
    let servers = told["servers"].as_array().unwrap();
    let of = |name: &str| servers.iter().find(|server| server["name"] == name).unwrap();
    assert_eq!(of("new_mcp"), &json!({ "name": "new_mcp", "status": "healthy", "tools": 4, "error": null }));
    assert_eq!((&of("off")["status"], &of("away")["status"]), (&json!("disabled"), &json!("unhealthy")));
    assert!(of("away")["error"].as_str().unwrap().contains("10.0.0.9"));
    let tools = office.get(&boss, "/admin/tools").await.is(200).json();
    assert!(tools.as_array().unwrap().iter().any(|tool| tool["mcp"] == "new_mcp"));
    let after = office.omni.known_catalog();
    assert!(after.servers.iter().find(|server| &*server.name == "lab").unwrap().checked_at > before[2]);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_changes_nothing_and_says_where() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    for (wrong, told) in [("enabled: often", "mcps.yaml:1"), ("transport: carrier-pigeon", "carrier-pigeon")] {
        office.write("mcps.yaml", &format!("mcps: [{{ name: lab, url: http://x, {wrong} }}]\n"));
        let detail = office.post(&boss, "/admin/tools/refresh", &json!({})).await.error(409, "config");
        assert!(detail.as_str().unwrap().contains(told), "{detail}");
    }
    assert_eq!(office.get(&boss, "/admin/mcps").await.is(200).json().as_array().unwrap().len(), 5);
    office.settle().await;
    let acts = office.get(&boss, "/admin/logs").await.is(200).json();
    assert_eq!((&acts[0]["message"], &acts[0]["status"]), (&json!("tools.refresh *"), &json!("error")));
}

#[tokio::test]
async fn everybodys_log_is_an_array_with_a_next_page() {
    let office = Office::open().await;
    let (ada, boss) = (office.key(ADA).await, office.key_with(BOSS, &[Scope::Admin]).await);
    for _ in 0..3 {
        office.call(&ada, "lab", "echo").await.is(200);
    }
    office.settle().await;
    let of_ada = format!("/admin/logs?user_id={ADA}&start_date=2020-01-01");
    let ids = |reply: &omni_tests::door::Reply| -> Vec<Value> {
        reply.json().as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect()
    };
    let all = office.get(&boss, &of_ada).await.is(200);
    assert_eq!((ids(&all).len(), all.header("x-next-after")), (3, ""));
    let first = office.get(&boss, &format!("{of_ada}&limit=2")).await.is(200);
    let rest = office.get(&boss, &format!("{of_ada}&limit=2&after={}", first.header("x-next-after"))).await.is(200);
    assert_eq!([ids(&first), ids(&rest)].concat(), ids(&all));
    assert_eq!(all.json()[0]["tool_params"], json!({ "message": "hi" }));
    office.get(&boss, "/admin/logs?limit=0").await.error(422, "invalid");
    office.get(&boss, "/admin/logs?start_date=x").await.error(422, "invalid");
}

#[tokio::test]
async fn a_decision_is_explained() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let explain = async |query: &str| office.get(&boss, &format!("/admin/policy/explain?{query}")).await;
    let denied = explain("user=ada@company.com&server=lab&tool=drop_table").await.is(200).json();
    let expected = json!({
        "user": ADA, "role": "dba", "teams": ["data"], "server": "lab", "tool": "drop_table", "effect": "deny",
        "confirm": false, "rule": "users[1].allowed_mcps.lab.tools: does not name it", "source": "users.yaml:11",
    });
    assert_eq!(denied, expected);
    let allowed = explain("user=ada@company.com&server=lab&tool=echo&arguments=%7B%7D").await.is(200).json();
    assert_eq!(allowed["effect"], "allow");
    let pending = explain("user=new@company.com&server=lab&tool=echo").await.is(200).json();
    assert_eq!((&pending["effect"], &pending["role"]), (&json!("deny"), &json!(null)));
    assert!(pending["rule"].as_str().unwrap().contains("approve the account"), "{pending}");
    let missing = explain("user=ada@company.com&server=lab").await.error(422, "invalid");
    assert_eq!(missing[0]["loc"], json!(["query", "tool"]));
    let wrong = explain("user=a@b.c&server=lab&tool=echo&arguments=%5B%5D").await.error(422, "invalid");
    assert_eq!(wrong[0]["loc"], json!(["query", "arguments"]));
}

#[tokio::test]
async fn the_configuration_is_shown_without_secrets() {
    let office = Office::open().await;
    let boss = office.key(BOSS).await;
    let config = office.get(&boss, "/admin/config").await.is(200);
    assert!(!config.text.contains("s3cret"), "{}", config.text);
    let config = config.json();
    assert_eq!(config["servers"][0]["url"], "http://***:***@10.0.0.7:8300/mcp?key=***");
    assert_eq!(config["policy"]["kind"], "yaml");
    let door = Door::new().await;
    let key = door.key(BOSS, &[Scope::Admin]).await;
    door.get_by(&key, "/admin/config").await.error(404, "not_found");
    let told = door.post_by(&key, "/admin/tools/refresh", &json!({})).await.is(200).json();
    assert_eq!((&told["reloaded"], &told["servers"][0]["name"]), (&json!(false), &json!("lab")));
}
