//! What the pages say, and that it is text.

use super::*;

#[tokio::test]
async fn every_page_has_its_document_by_either_name() {
    let site = Site::open().await;
    site.get("overview").await.reply.is(200);
    site.office.call(&site.key, "lab", "echo").await.is(200);
    let id = site.newest().await;
    for page in PAGES {
        let page = if page == "ask?id=" { format!("ask?id={id}") } else { page.to_owned() };
        let by_header = site.document(&page).await;
        let (name, query) = page.split_once('?').unwrap_or((&page, ""));
        let by_name = site.get(&format!("{name}.json?{query}")).await.reply.is(200);
        assert!(by_name.header("content-type").starts_with("application/json"), "{page}");
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&by_name.json()), keys(&by_header), "{page}");
        assert!(!by_name.text.contains("csrf") && !by_name.text.contains("<svg"), "{page}: {}", by_name.text);
        // The same by a key, as programs ask.
        let by_key = site.office.get(&site.key, &format!("/ui/{name}.json?{query}")).await.is(200);
        assert_eq!(keys(&by_key.json()), keys(&by_header), "{page}");
    }
    let by_header =
        Reply::of(site.office.stranger(Method::GET, "/ui/login").header("accept", "application/json")).await;
    let by_name = Reply::of(site.office.stranger(Method::GET, "/ui/login.json")).await.is(200).json();
    assert_eq!((&by_name, &by_name["next"]), (&by_header.is(200).json(), &json!("overview")));
    for (page, code) in
        [("server.json?name=nowhere", 404), ("tool.json?server=lab&tool=no", 404), ("ask.json?id=x", 404)]
    {
        site.get(page).await.reply.error(code, "not_found");
    }
    assert!(site.get("server?name=nowhere").await.reply.is(404).text.contains("There is nothing here"));
}

#[tokio::test]
async fn the_overview_sums_up_what_was_asked_by_source_and_over_time() {
    let site = Site::with_past().await;
    for (period, portions) in [("24h", 24), ("7d", 7), ("30d", 30)] {
        let usage = site.document(&format!("overview?period={period}")).await["usage"].take();
        let all = usage["portions"].as_array().unwrap();
        assert_eq!(all.len(), portions);
        let sum = |field: &str| all.iter().map(|portion| portion["all"][field].as_i64().unwrap()).sum::<i64>();
        assert_eq!(json!(sum("requests")), usage["all"]["requests"], "{period}");
        assert_eq!(json!(sum("cost")), usage["all"]["cost"], "{period}");
        let by_source: i64 = all
            .iter()
            .flat_map(|portion| portion["sources"].as_object().unwrap().values())
            .map(|source| source["requests"].as_i64().unwrap())
            .sum();
        assert_eq!(json!(by_source), usage["all"]["requests"], "{period}");
    }
    // What the sums say is what the log says.
    let usage = site.document("overview?period=7d").await["usage"].take();
    let since = usage["portions"][0]["begins"].as_str().unwrap();
    let logs = site.office.get(&site.key, &format!("/audit/logs?limit=1000&since={since}")).await.is(200).json();
    let asks: Vec<_> = logs["logs"].as_array().unwrap().iter().filter(|log| log["request_type"] != "admin").collect();
    assert_eq!(json!(asks.len()), usage["all"]["requests"]);
    let failed = ["error", "timeout", "unknown_outcome"];
    let bad = asks.iter().filter(|log| failed.contains(&log["status"].as_str().unwrap())).count();
    assert_eq!(json!(bad), usage["all"]["failed"]);
    let page = site.get("overview?period=7d").await.reply.is(200);
    assert_eq!(page.text.matches("<svg class=\"chart\"").count(), 4);
    assert!(page.text.contains("aria-current=\"true\">7 days"), "{}", page.text);
}

#[tokio::test]
async fn the_log_is_found_by_what_is_asked_for_and_read_on_from_where_a_page_ended() {
    let site = Site::with_past().await;
    let ids = |document: &Value| -> Vec<String> {
        document["logs"].as_array().unwrap().iter().map(|log| log["request_id"].to_string()).collect()
    };
    let all = site.document("audit?days=30&limit=30").await;
    let (mut found, mut next) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = site.document(&format!("audit?days=30&limit=10&after={next}")).await;
        found.extend(ids(&page));
        next = page["next"].as_str().unwrap().to_owned();
    }
    assert_eq!(found, ids(&all));
    let errors = site.document("audit?days=30&status=error&limit=5").await;
    assert!(errors["logs"].as_array().unwrap().iter().all(|log| log["status"] == "error"), "{errors}");
    let page = site.get("audit?days=30&status=error&limit=5").await.reply.is(200);
    assert!(page.text.contains("<option value=\"error\" selected>"), "{}", page.text);
    assert!(page.text.contains("status=error&#38;limit=5&#38;after="), "a link goes on: {}", page.text);
}

#[tokio::test]
async fn a_trace_shows_its_calls_and_whether_the_ledger_proves_it() {
    let site = Site::with_past().await;
    site.office.call(&site.key, "lab", "echo").await.is(200);
    let id = site.newest().await;
    let trace = site.document(&format!("ask?id={id}")).await;
    assert_eq!(trace["proof"]["state"], "proved", "{trace}");
    assert_eq!((&trace["tool_calls"][0]["mcp"], &trace["tool_calls"][0]["tool"]), (&json!("lab"), &json!("echo")));
    let page = site.get(&format!("ask?id={id}")).await.reply.is(200);
    assert!(page.text.contains("proved by the ledger") && page.text.contains("class=\"stretch\""), "{}", page.text);
    let past = site.document("audit?days=30&type=chat&limit=1").await["logs"][0]["request_id"].clone();
    assert_eq!(site.document(&format!("ask?id={}", past.as_str().unwrap())).await["proof"]["state"], "proved");

    let pool = sqlx::SqlitePool::connect(&site.office.database()).await.unwrap();
    sqlx::query("UPDATE audit_logs SET tool_called = 'explode' WHERE request_id = ?")
        .bind(&id)
        .execute(&pool)
        .await
        .unwrap();
    let trace = site.document(&format!("ask?id={id}")).await;
    assert_eq!(trace["proof"]["state"], "broken", "{trace}");
    assert!(site.get(&format!("ask?id={id}")).await.reply.text.contains("does not prove this entry"));
}

#[tokio::test]
async fn what_somebody_may_do_is_told_rule_by_rule_and_for_one_call() {
    let site = Site::open().await;
    site.get("servers").await.reply.is(200);
    let ada = site.document("user?email=ada%40company.com").await;
    let lab = ada["servers"].as_array().unwrap().iter().find(|server| server["server"] == "lab").unwrap();
    let effects: BTreeMap<_, _> = lab["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|right| (right["tool"].as_str().unwrap(), right["effect"].as_str().unwrap()))
        .collect();
    assert_eq!((effects["echo"], effects["drop_table"]), ("allow", "deny"));
    let rules = ada["rules"].as_array().unwrap();
    assert!(
        rules.iter().any(|rule| rule["effect"] == "deny" && rule["source"].as_str().unwrap().contains("users.yaml"))
    );
    assert_eq!(ada["limits"][0]["max"], 200, "{}", ada["limits"]);

    let why = site.document("user?email=boss%40company.com&server=lab&tool=drop_table").await["decided"].take();
    assert_eq!((&why["effect"], &why["confirm"]), (&json!("allow"), &json!(true)));
    let page = site.get("user?email=ada%40company.com&server=lab&tool=drop_table").await.reply.is(200);
    assert!(page.text.contains("to them there is no such tool"), "{}", page.text);
    let unread = site.get("user?email=ada%40company.com&server=lab&tool=echo&arguments=%5B").await.reply.is(200);
    assert!(unread.text.contains("no JSON object"), "{}", unread.text);
}

#[tokio::test]
async fn limits_count_what_was_asked() {
    let site = Site::open().await;
    let ada = site.office.key(ADA).await;
    let used = async || {
        let people = site.document("limits").await["people"].take();
        let ada = people.as_array().unwrap().iter().find(|one| one["email"] == ADA).unwrap().clone();
        ada["limits"][0]["used"].as_u64().unwrap()
    };
    assert_eq!(used().await, 0);
    site.office.call(&ada, "lab", "echo").await.is(200);
    site.office.call(&ada, "lab", "echo").await.is(200);
    assert_eq!((used().await, used().await), (2, 2), "looking costs nothing");
    assert!(site.get("limits").await.reply.is(200).text.contains("2 of 200"));
}

#[tokio::test]
async fn settings_show_what_holds_without_secrets_and_what_is_to_be_said_of_it() {
    let site = Site::open().await;
    site.office.write(
        "mcps.yaml",
        &MCPS.replace("confirm:", "authentication: { type: bearer, api_key: s3cret }\n    confirm:"),
    );
    let csrf = site.get("settings").await.csrf();
    site.post("servers", &[("csrf", &csrf)]).await.is(303);
    site.office.settle().await;
    let settings = site.document("settings").await;
    assert!(settings["findings"].as_array().is_some_and(|found| !found.is_empty()), "{settings}");
    let page = site.get("settings").await.reply.is(200);
    assert!(page.text.contains("omni config check") && page.text.contains("everything is stored"), "{}", page.text);
    assert!(!page.text.contains("s3cret") && !settings.to_string().contains("s3cret"));
}

#[tokio::test]
async fn whatever_a_server_or_a_person_says_is_text() {
    let site = Site::open().await;
    site.office.lab.describe("echo", HOSTILE);
    let csrf = site.get("servers").await.csrf();
    site.post("servers", &[("csrf", &csrf)]).await.is(303);
    site.park(&format!("Drop it {HOSTILE}")).await;
    site.office.post(&site.key, "/chat/ask", &json!({ "message": HOSTILE })).await.is(200);
    site.office
        .post(
            &site.key,
            "/mcp/tools/call",
            &json!({ "server": "lab", "tool": "explode", "arguments": { "a": HOSTILE } }),
        )
        .await;
    let id = site.newest().await;
    let tool = |name: &str| format!("tool?server=lab&tool={name}");
    let tried = site.post("tool", &[("csrf", &csrf), ("server", "lab"), ("tool", "list_tables")]).await.is(200);
    let mut pages = vec![tried];
    for page in [
        "overview".into(),
        "servers".into(),
        "server?name=lab".into(),
        tool("echo"),
        tool("list_tables"),
        "audit".into(),
        format!("ask?id={id}"),
        "approvals".into(),
        format!("user?email={}", encoded(&[("", HOSTILE)]).trim_start_matches('=')),
        format!("audit?{}", encoded(&[("user", HOSTILE), ("tool", HOSTILE)])),
        format!(
            "user?email=ada%40company.com&{}",
            encoded(&[("server", HOSTILE), ("tool", HOSTILE), ("arguments", HOSTILE)])
        ),
        format!("keys?{}", encoded(&[("user", "x@y.z")])),
        format!("nothing/{}", encoded(&[("", HOSTILE)])),
    ] {
        pages.push(site.get(&page).await.reply);
    }
    let mut told = 0;
    for page in pages {
        for live in ["<script>window", "<img", "onerror=\""] {
            assert!(!page.text.contains(live), "{live} in {}", page.text);
        }
        told += usize::from(page.text.contains("window.pwned"));
    }
    assert!(told >= 9, "it is shown, as text: {told}");
}
