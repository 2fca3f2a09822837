//! What a server goes on with in the background: handed to a client that takes it, waited for in place of any other.

use std::sync::{Arc, Mutex};

use omni_core::{
    ledger::{Event, Outcome, Record},
    mcp::http::HttpServer,
};
use omni_tests::{
    agent::Speaks,
    door::{Door, Reply},
    office::{Office, USERS},
    recorder::Recorder,
    rig::until_some,
    server::any,
    wire::{Answer, Wire, bare},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    http::ADA,
    modern::{Modern, TASKS},
    security,
};

/// A server whose tool goes on in the background, until it is told how that ends.
struct Slow {
    wire: Wire,
    /// What `tasks/get` shows beside what all tasks have; `None`: the server knows it no more.
    state: Arc<Mutex<Option<Value>>>,
}

/// What all tasks have.
fn task(more: &Value) -> Value {
    let mut task = json!({ "taskId": "7", "status": "working", "createdAt": "2026-07-28T10:00:00Z",
        "lastUpdatedAt": "2026-07-28T10:00:00Z", "ttlMs": 60_000, "pollIntervalMs": 50 });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

fn done() -> Value {
    json!({ "status": "completed", "result": { "content": [{ "type": "text", "text": "done" }] } })
}

impl Slow {
    async fn start() -> Self {
        let state = Arc::new(Mutex::new(Some(json!({}))));
        let shown = state.clone();
        let wire = Wire::start(Speaks::New, json!([bare("slow")]), move |method, params| match method {
            "tools/call" => Answer::of(task(&json!({ "resultType": "task" }))),
            "tasks/get" | "tasks/update" | "tasks/cancel" if params["taskId"] != "7" => Answer::Error(-32_602, "not 7"),
            "tasks/get" => match &*shown.lock().unwrap() {
                Some(more) => {
                    let mut task = task(more);
                    task["resultType"] = "complete".into();
                    Answer::of(task)
                }
                None => Answer::Error(-32_602, "there is no task 7"),
            },
            "tasks/update" | "tasks/cancel" => Answer::of(json!({ "resultType": "complete" })),
            _ => Answer::unknown(),
        });
        Self { wire: wire.await, state }
    }

    fn shows(&self, more: Value) {
        *self.state.lock().unwrap() = Some(more);
    }

    async fn door(&self) -> Door {
        let url = self.wire.url.clone();
        Door::with(|_| {}, |builder| builder.server("lab", HttpServer::new(url).unwrap())).await
    }
}

fn takes_tasks() -> Value {
    json!({ "elicitation": {}, "extensions": { TASKS: {} } })
}

async fn begun(client: &Modern<'_>) -> String {
    let created = client.call("lab__slow", json!({})).await;
    assert_eq!((created["resultType"].as_str(), created["status"].as_str()), (Some("task"), Some("working")));
    created["taskId"].as_str().unwrap().to_owned()
}

fn calls(records: &[Record]) -> Vec<(String, Outcome, String)> {
    let call = |record: &Record| match &record.event {
        Event::DirectCall(call) => Some((call.tool.clone(), call.outcome, call.error.clone().unwrap_or_default())),
        _ => None,
    };
    records.iter().filter_map(call).collect()
}

async fn ended(door: Door) -> Vec<(String, Outcome, String)> {
    let recorder: Recorder = door.end().await;
    calls(&recorder.records())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_tasks_gets_one_under_a_name_of_omnis_and_its_end_is_recorded_once() {
    let slow = Slow::start().await;
    let door = slow.door().await;
    let client = Modern::new(&door, takes_tasks()).await;
    let about = client.result("server/discover", json!({})).await;
    assert!(about["capabilities"]["extensions"][TASKS].is_object(), "{about}");
    let name = begun(&client).await;
    assert!(name.len() > 40 && !name.contains("lab"), "{name}");
    let told = &slow.wire.asked("tools/call")[0]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    assert!(told["extensions"][TASKS].is_object() && told["elicitation"].is_object(), "{told}");

    let get = || client.result("tasks/get", json!({ "taskId": name }));
    let working = get().await;
    assert_eq!((working["status"].as_str(), working["taskId"].as_str()), (Some("working"), Some(&*name)));
    let question = json!({ "method": "elicitation/create", "params": { "mode": "form", "message": "Who?",
        "requestedSchema": { "type": "object", "properties": { "name": { "type": "string" } } } } });
    slow.shows(json!({ "status": "input_required", "inputRequests": { "q": question } }));
    assert_eq!(get().await["inputRequests"]["q"]["params"]["message"], "Who?");
    let answers = json!({ "q": { "action": "accept", "content": { "name": "Ada" } } });
    client.result("tasks/update", json!({ "taskId": name, "inputResponses": answers })).await;
    let updated = &slow.wire.asked("tasks/update")[0];
    assert_eq!((&updated["taskId"], &updated["inputResponses"]), (&json!("7"), &answers));

    slow.shows(done());
    for _ in 0..3 {
        let done = get().await;
        assert_eq!((&done["result"]["content"][0]["text"], &done["taskId"]), (&json!("done"), &json!(name)));
    }
    let records = ended(door).await;
    let [(_, began, said), (told, taken, _), (what, end, _)] = &records[..] else { panic!("{records:?}") };
    assert_eq!((*began, &**said), (Outcome::Warning, "it goes on in the background"));
    assert_eq!((&**told, *taken), ("tasks/update", Outcome::Success));
    assert_eq!((&**what, *end), ("tasks/get", Outcome::Success));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_task_ends_is_what_the_ledger_says_of_it() {
    let failed = json!({ "status": "completed", "result": { "content": [], "isError": true } });
    let broken = json!({ "status": "failed", "error": { "code": -32_000, "message": "no disk" } });
    let cancelled = json!({ "status": "cancelled", "statusMessage": "by the client" });
    for (end, outcome, said) in [
        (failed, Outcome::Error, "failed"),
        (broken, Outcome::Error, "no disk"),
        (cancelled, Outcome::Cancelled, "by the client"),
    ] {
        let slow = Slow::start().await;
        let door = slow.door().await;
        let client = Modern::new(&door, takes_tasks()).await;
        let name = begun(&client).await;
        client.result("tasks/cancel", json!({ "taskId": name })).await;
        assert_eq!(slow.wire.asked("tasks/cancel")[0]["taskId"], "7");
        slow.shows(end);
        client.result("tasks/get", json!({ "taskId": name })).await;
        let records = ended(door).await;
        let [_, (told, taken, _), (_, ended, why)] = &records[..] else { panic!("{records:?}") };
        assert_eq!((&**told, *taken, *ended), ("tasks/cancel", Outcome::Success, outcome), "{records:?}");
        assert!(why.contains(said), "{records:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_somebody_else_or_of_nobody_or_that_is_over_is_unknown_in_the_same_words() {
    let slow = Slow::start().await;
    let door = slow.door().await;
    let ada = Modern::new(&door, takes_tasks()).await;
    let name = begun(&ada).await;
    let refused = async |client: &Modern<'_>, method: &str, name: &str| {
        let answer = client.ask(method, json!({ "taskId": name, "inputResponses": {} })).await;
        assert!(answer.get("result").is_none(), "{method} {answer}");
        answer["error"].clone()
    };
    let unknown = refused(&ada, "tasks/get", "omni-task:6d0f8d2e-5c5e-4c55-9d8c-000000000000").await;
    assert_eq!(unknown["code"], -32_602, "{unknown}");
    let (other_key, eve) =
        (Modern::new(&door, takes_tasks()).await, Modern::of(&door, "eve@company.com", takes_tasks()).await);
    for stranger in [&other_key, &eve] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            assert_eq!(refused(stranger, method, &name).await, unknown, "{method}");
        }
    }
    assert_eq!(refused(&ada, "tasks/get", "7").await, unknown, "the server's own name of it");
    let asked = ["tasks/get", "tasks/update", "tasks/cancel"].map(|method| slow.wire.asked(method).len());
    assert_eq!(asked, [0, 0, 0], "the server hears of none of it");
    *slow.state.lock().unwrap() = None;
    assert_eq!(refused(&ada, "tasks/get", &name).await, unknown);
    slow.shows(json!({}));
    assert_eq!(refused(&ada, "tasks/get", &name).await, unknown, "what the server forgot is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_tasks_gets_the_result_itself() {
    let slow = Slow::start().await;
    slow.shows(done());
    let door = slow.door().await;
    for can in [json!({}), json!({ "elicitation": {} })] {
        let client = Modern::new(&door, can).await;
        let result = client.call("lab__slow", json!({})).await;
        assert_eq!((&result["content"][0]["text"], &result["resultType"]), (&json!("done"), &json!("complete")));
    }
    let key = door.key(ADA, &[omni_core::identity::Scope::Tools]).await;
    let old = omni_tests::agent::Agent::connect(&format!("http://{}/mcp", door.address()), &key, Speaks::Old).await;
    assert_eq!(old.text("lab__slow", json!({})).await, "done");
    old.leave().await;
    let plain = Modern::new(&door, json!({})).await;
    let refused = plain.ask("tasks/get", json!({ "taskId": "7" })).await;
    assert_eq!(refused["error"]["code"], -32_021, "{refused}");
    let records = ended(door).await;
    assert!(records.len() == 3 && records.iter().all(|(_, outcome, _)| *outcome == Outcome::Success), "{records:?}");
}

/// What somebody's request to an office is answered with.
async fn asked(office: &Office, key: &str, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": takes_tasks() });
    let name = params["name"].as_str().or(params["taskId"].as_str()).unwrap().to_owned();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let request = office.request(Method::POST, key, "/mcp").header("mcp-protocol-version", "2026-07-28");
    let request = request.header("mcp-method", method).header("mcp-name", name);
    super::modern::message(&Reply::of(security::framed(request, &body)).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_a_tool_that_one_may_use_no_more_is_unknown() {
    let office = Office::open().await;
    // The same tool as before, so that it stays the one that it was pinned as.
    let lab =
        office.lab.clone().tool("fail", any(), |_| Box::pin(async { Ok(task(&json!({ "resultType": "task" }))) }));
    lab.answering("tasks/get", |_| Box::pin(async { Ok(task(&json!({ "resultType": "complete" }))) }));
    let (ada, boss) = (office.key(ADA).await, office.key("boss@company.com").await);
    let begin = async |key: &str| {
        let created = asked(&office, key, "tools/call", json!({ "name": "lab__fail", "arguments": {} })).await;
        created["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned()
    };
    let (hers, his) = (begin(&ada).await, begin(&boss).await);
    let get = async |key: &str, name: &str| asked(&office, key, "tasks/get", json!({ "taskId": name })).await;
    assert_eq!(get(&ada, &hers).await["result"]["status"], "working");
    office.write("users.yaml", &USERS.replace("tools: [echo, fail]", "tools: [echo]"));
    office.post(&boss, "/admin/tools/refresh", &json!({})).await.is(200);
    let refused = until_some(async || get(&ada, &hers).await.get("error").cloned()).await;
    let told = (refused["code"].as_i64(), refused["message"].as_str());
    assert_eq!(told, (Some(-32_602), Some("there is no such task")));
    assert_eq!(get(&boss, &his).await["result"]["status"], "working", "whoever may use the tool goes on");
}
