use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::{BoxStream, empty as no_events};
use serde_json::{Value, json, value::to_raw_value};

use super::*;
use crate::mcp::{McpEvent, Peer, PeerCapabilities};

/// Answers each request with the next reply; with the last of them it goes away.
#[derive(Debug, Default)]
struct Server {
    replies: Mutex<VecDeque<Value>>,
    asked: Mutex<Vec<(String, Value)>>,
    abandoned: Mutex<Vec<String>>,
}

impl Server {
    fn new(replies: impl IntoIterator<Item = Value>) -> Self {
        Self { replies: Mutex::new(replies.into_iter().collect()), ..Self::default() }
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl McpTransport for Server {
    async fn request(&self, request: McpRequest, _: &CallContext) -> Result<McpReply, McpError> {
        let params = request.params.map(|raw| serde_json::from_str(raw.get()).unwrap()).unwrap_or_default();
        self.asked.lock().unwrap().push((request.method.into_owned(), params));
        let away = || McpError::Closed { message: "nobody there".into(), unsent: true };
        let reply = self.replies.lock().unwrap().pop_front().ok_or_else(away)?;
        let raw = to_raw_value(&reply).unwrap();
        Ok(match reply["resultType"].as_str() {
            Some("input_required") => McpReply::InputRequired(raw),
            Some("task") => McpReply::Task(raw),
            _ => McpReply::Complete(raw),
        })
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        Box::pin(no_events())
    }

    fn abandon_task(&self, id: &str) {
        self.abandoned.lock().unwrap().push(id.into());
    }

    async fn close(&self) {}
}

/// Says yes to everything.
#[derive(Debug)]
struct Yes {
    interim: bool,
    tasks: bool,
}

#[async_trait]
impl Peer for Yes {
    fn can(&self) -> PeerCapabilities {
        PeerCapabilities::everything()
    }

    async fn ask(&self, method: &str, _: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        Ok(to_raw_value(&json!({ "action": "accept", "content": { "asked": method } })).unwrap())
    }

    fn tell(&self, _: &str, _: Box<RawValue>) {}

    fn takes_interim(&self) -> bool {
        self.interim
    }

    fn takes_tasks(&self) -> bool {
        self.tasks
    }
}

fn cx() -> CallContext {
    CallContext::within(Duration::from_secs(60)).with_peer(Arc::new(Yes { interim: false, tasks: false }))
}

async fn call(server: &Server, cx: &CallContext) -> Result<Value, McpError> {
    let params = to_raw_value(&json!({ "name": "t", "arguments": { "a": 1 } })).unwrap();
    let reply = request(server, McpRequest::new("tools/call", Some(params)), cx).await?;
    let (McpReply::Complete(raw) | McpReply::InputRequired(raw) | McpReply::Task(raw)) = reply;
    Ok(serde_json::from_str(raw.get()).unwrap())
}

fn wants(state: &Value) -> Value {
    let question = json!({ "method": "elicitation/create", "params": { "message": "your name?" } });
    json!({ "resultType": "input_required", "inputRequests": { "q": question }, "requestState": state })
}

fn task(status: &str, more: &Value) -> Value {
    let mut task = json!({ "taskId": "7", "status": status, "pollIntervalMs": 1_000 });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

#[tokio::test]
async fn what_a_server_wants_is_answered_and_its_state_given_back_as_it_came() {
    let server = Server::new([wants(&json!("s 1")), wants(&json!("s 2")), json!({ "content": [] })]);
    assert_eq!(call(&server, &cx()).await.unwrap(), json!({ "content": [] }));
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    let answer = json!({ "q": { "action": "accept", "content": { "asked": "elicitation/create" } } });
    for (round, state) in [(1, "s 1"), (2, "s 2")] {
        let expected = json!({ "name": "t", "arguments": { "a": 1 }, "inputResponses": answer, "requestState": state });
        assert_eq!(asked[round].1, expected);
    }
}

#[tokio::test]
async fn a_state_that_is_not_there_is_not_given_back() {
    let server = Server::new([wants(&Value::Null), json!({})]);
    call(&server, &cx()).await.unwrap();
    assert!(server.asked()[1].1.get("requestState").is_none());
}

#[derive(Debug)]
struct Slow(Duration);

#[async_trait]
impl Peer for Slow {
    fn can(&self) -> PeerCapabilities {
        PeerCapabilities::everything()
    }

    async fn ask(&self, _: &str, _: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        tokio::time::sleep(self.0).await;
        Ok(to_raw_value(&json!({ "action": "accept" })).unwrap())
    }

    fn tell(&self, _: &str, _: Box<RawValue>) {}
}

#[tokio::test(start_paused = true)]
async fn whoever_is_asked_has_the_time_of_the_call_and_not_that_of_the_server() {
    let cx = |thinks| {
        let within = CallContext::within(Duration::from_secs(300)).with_peer(Arc::new(Slow(thinks)));
        within.with_own_time(Duration::from_secs(30))
    };
    let question = json!({ "q": { "method": "elicitation/create", "params": {} } });
    let asking = [
        task("working", &json!({ "resultType": "task" })),
        task("input_required", &json!({ "inputRequests": question })),
        json!({}),
        task("completed", &json!({ "result": {} })),
    ];
    for replies in [vec![wants(&json!("s")), json!({})], asking.to_vec()] {
        assert_eq!(call(&Server::new(replies), &cx(Duration::from_secs(200))).await.unwrap(), json!({}));
    }
    let error = call(&Server::new([wants(&json!("s"))]), &cx(Duration::from_secs(400))).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { after_ms: 300_000.. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_wrongly_beside_its_task_takes_its_result_away_from_nobody() {
    for more in [
        json!({ "pollIntervalMs": -5 }),
        json!({ "pollIntervalMs": 0.5 }),
        json!({ "pollIntervalMs": "often" }),
        json!({ "inputRequests": null, "statusMessage": null }),
    ] {
        let created = task("working", &json!({ "resultType": "task" }));
        let server =
            Server::new([created, task("working", &more), task("completed", &json!({ "result": { "content": [1] } }))]);
        assert_eq!(call(&server, &cx()).await.unwrap(), json!({ "content": [1] }), "{more}");
    }
}

#[tokio::test]
async fn rounds_have_an_end() {
    let server = Server::new((0..100).map(|_| wants(&json!("again"))));
    let error = call(&server, &cx()).await.unwrap_err();
    assert!(error.to_string().contains("more than 10 times"), "{error}");
    assert_eq!(server.asked().len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_away_in_the_middle_has_the_request_all_the_same() {
    let created = task("working", &json!({ "resultType": "task" }));
    let asking = task("input_required", &json!({ "inputRequests": { "q": { "method": "elicitation/create" } } }));
    let as_task = json!({ "task": task("working", &json!({})) });
    for (replies, cx) in [
        (vec![wants(&json!("s"))], cx()),
        (vec![created.clone()], cx()),
        (vec![created, asking], cx()),
        (vec![as_task], cx().with_task()),
    ] {
        let error = call(&Server::new(replies), &cx).await.unwrap_err();
        assert!(matches!(error, McpError::Closed { unsent: false, .. }), "{error}");
    }
    for cx in [cx(), cx().with_task()] {
        let error = call(&Server::new(Vec::new()), &cx).await.unwrap_err();
        assert!(matches!(error, McpError::Closed { unsent: true, .. }), "it never came there: {error}");
    }
}

#[tokio::test]
async fn where_nobody_can_answer_nothing_is_sent_again() {
    let server = Server::new([wants(&json!("s"))]);
    let error = call(&server, &CallContext::within(Duration::from_secs(5))).await.unwrap_err();
    assert!(is_unanswerable(&error) && error.to_string().contains("asks the person something"), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_may_ask_for_nothing_but_what_the_protocol_knows() {
    let question = json!({ "method": "tools/call", "params": {} });
    let server = Server::new([json!({ "resultType": "input_required", "inputRequests": { "q": question } })]);
    assert!(is_unanswerable(&call(&server, &cx()).await.unwrap_err()));
}

#[tokio::test]
async fn whoever_takes_what_comes_in_between_gets_it_as_it_came() {
    let cx = CallContext::within(Duration::from_secs(5)).with_peer(Arc::new(Yes { interim: true, tasks: true }));
    for reply in [wants(&json!("s")), json!({ "resultType": "task", "taskId": "7", "status": "working" })] {
        let server = Server::new([reply.clone()]);
        assert_eq!(call(&server, &cx).await.unwrap(), reply);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_asked_after_until_it_is_done() {
    let question = json!({ "q": { "method": "elicitation/create", "params": {} } });
    let server = Server::new([
        task("working", &json!({ "resultType": "task" })),
        task("input_required", &json!({ "inputRequests": question })),
        json!({}),
        task("input_required", &json!({ "inputRequests": question })),
        task("completed", &json!({ "result": { "content": [1] } })),
    ]);
    assert_eq!(call(&server, &cx()).await.unwrap(), json!({ "content": [1] }));
    let methods: Vec<String> = server.asked().into_iter().map(|(method, _)| method).collect();
    assert_eq!(methods, ["tools/call", "tasks/get", "tasks/update", "tasks/get", "tasks/get"]);
    assert!(server.abandoned.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_task_is_waited_for_where_the_peer_takes_everything_else() {
    let created = task("working", &json!({ "resultType": "task" }));
    let done = task("completed", &json!({ "result": { "content": [1] } }));
    let cx = CallContext::within(Duration::from_secs(60)).with_peer(Arc::new(Yes { interim: true, tasks: false }));
    assert_eq!(call(&Server::new([created, done]), &cx).await.unwrap(), json!({ "content": [1] }));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_fails_the_call() {
    for (status, more, words) in [
        ("failed", json!({ "error": { "code": -32000, "message": "no disk" } }), "no disk"),
        ("cancelled", json!({}), "cancelled"),
        ("completed", json!({}), "without saying how"),
    ] {
        let server = Server::new([task("working", &json!({ "resultType": "task" })), task(status, &more)]);
        let error = call(&server, &cx()).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_for_which_nobody_waits_any_more_is_given_up_at_the_server() {
    let created = task("working", &json!({ "resultType": "task" }));
    let server = Server::new(std::iter::once(created).chain((0..100).map(|_| task("working", &json!({})))));
    let error = call(&server, &cx()).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    assert_eq!(*server.abandoned.lock().unwrap(), ["7"]);
    assert!(server.asked().len() > 50);
}
