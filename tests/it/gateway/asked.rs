//! Older clients that can be asked, which write their own messages: what they ask and are asked, and their streams.

use omni_core::identity::Scope;
use omni_tests::{
    door::{Door, Reply},
    rig::until,
    server::FakeServer,
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{
    http::ADA,
    modern::{Modern, message},
    security::{INITIALIZE, framed},
};

/// A client of 2025-11-25 with a person behind it.
struct Attended<'a> {
    door: &'a Door,
    key: String,
    session: String,
}

impl<'a> Attended<'a> {
    async fn begin(door: &'a Door) -> Self {
        let key = door.key(ADA, &[Scope::Tools]).await;
        let body = INITIALIZE.replace(r#""capabilities":{}"#, r#""capabilities":{"elicitation":{}}"#);
        let begun = Reply::of(framed(door.request(Method::POST, "/mcp").bearer_auth(&key), &body)).await.is(200);
        let client = Self { door, key, session: begun.header("mcp-session-id").to_owned() };
        client.tell("notifications/initialized", &json!({})).await;
        client
    }

    fn request(&self, method: Method) -> RequestBuilder {
        self.door.request(method, "/mcp").bearer_auth(&self.key).header("mcp-session-id", &self.session)
    }

    fn send(&self, message: &Value) -> RequestBuilder {
        framed(self.request(Method::POST), &message.to_string())
    }

    async fn tell(&self, method: &str, params: &Value) {
        let note = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        Reply::of(self.send(&note)).await.is(202);
    }

    /// What a request is answered with.
    async fn ask(&self, method: &str, params: &Value) -> Value {
        let asked = json!({ "jsonrpc": "2.0", "id": 2, "method": method, "params": params });
        message(&Reply::of(self.send(&asked)).await.is(200))
    }

    fn call(&self, id: u32, tool: &str, arguments: &Value) -> RequestBuilder {
        let params = json!({ "name": tool, "arguments": arguments });
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
    }

    fn listen(&self) -> RequestBuilder {
        self.request(Method::GET).header("accept", "text/event-stream")
    }
}

/// A stream of events, as it comes.
struct Events {
    response: Response,
    read: String,
}

impl Events {
    async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        Self { response, read: String::new() }
    }

    /// The name of the next event, and the message in it; null where there is none.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                let next = (field("id:").trim().to_owned(), serde_json::from_str(field("data:")).unwrap_or_default());
                self.read = rest.to_owned();
                return next;
            }
            let chunk = self.response.chunk().await.unwrap().unwrap();
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn until(&mut self, method: &str) -> (String, Value) {
        loop {
            let event = self.next().await;
            if event.1["method"] == method {
                return event;
            }
        }
    }
}

/// A door before a tool that takes a person's agreement.
async fn agreeing(lab: &FakeServer) -> Door {
    let lab = lab.clone().annotated("echo", json!({ "destructiveHint": true }));
    Door::with(|_| {}, |builder| builder.server("lab", lab)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_not_asked_again_when_their_clients_stream_breaks_after_the_question() {
    let lab = FakeServer::echo();
    let door = agreeing(&lab).await;
    let client = Attended::begin(&door).await;
    let mut stream = Events::of(client.call(7, "lab__echo", &json!({ "message": "hi" }))).await;
    let (event, question) = stream.until("elicitation/create").await;
    drop(stream);
    let mut resumed = Events::of(client.listen().header("last-event-id", &event)).await;
    let answer = json!({ "action": "accept", "content": { "approve": true } });
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer });
    Reply::of(client.send(&answer)).await.is(202);
    loop {
        let (_, message) = resumed.next().await;
        assert_ne!(message["method"], "elicitation/create", "{message}");
        if message["id"] == 7 && message.get("result").is_some() {
            assert_eq!(message["result"]["content"][0]["text"], "hi", "{message}");
            break;
        }
    }
    assert_eq!(lab.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_a_call_that_its_client_gives_up_is_taken_back() {
    let lab = FakeServer::echo();
    let door = agreeing(&lab).await;
    let client = Attended::begin(&door).await;
    let mut unasked = Events::of(client.listen()).await;
    let mut stream = Events::of(client.call(7, "lab__echo", &json!({ "message": "hi" }))).await;
    let (_, question) = stream.until("elicitation/create").await;
    client.tell("notifications/cancelled", &json!({ "requestId": 7 })).await;
    let (_, told) = unasked.until("notifications/cancelled").await;
    assert_eq!(told["params"]["requestId"], question["id"], "{told}");
    assert_eq!(lab.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_the_id_of_one_that_has_no_answer_yet_is_refused() {
    let lab = FakeServer::echo().hanging("wait");
    let door = Door::with(|_| {}, |builder| builder.server("lab", lab.clone())).await;
    let client = Attended::begin(&door).await;
    let waiting = Events::of(client.call(7, "lab__wait", &json!({}))).await;
    until(|| lab.running() == 1).await;
    let echo = |id| client.call(id, "lab__echo", &json!({ "message": "hi" }));
    let refused = message(&Reply::of(echo(7)).await.is(200));
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(7), &json!(-32_600)), "{refused}");
    for _ in 0..2 {
        let answered = message(&Reply::of(echo(8)).await.is(200));
        assert_eq!(answered["result"]["content"][0]["text"], "hi", "{answered}");
    }
    drop(waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_cannot_be_read_are_not_called_a_method_that_there_is_not() {
    let door = Door::new().await;
    let client = Attended::begin(&door).await;
    for (method, params, named) in [
        ("tools/call", json!({ "name": "lab__echo", "arguments": "str" }), "map"),
        ("tools/call", json!({ "arguments": {} }), "name"),
        ("resources/read", json!({}), "uri"),
        ("logging/setLevel", json!({ "level": "loud" }), "loud"),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "lab__p" } }), "argument"),
    ] {
        let refused = client.ask(method, &params).await;
        assert_eq!(refused["error"]["code"], -32_602, "{method}: {refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(named), "{method}: {refused}");
    }
    assert_eq!(client.ask("tools/none", &json!({})).await["error"]["code"], -32_601);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_one_page_and_no_cursor_leads_to_another() {
    let door = Door::new().await;
    let (client, modern) = (Attended::begin(&door).await, Modern::new(&door, json!({})).await);
    for list in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        let params = json!({ "cursor": "elsewhere" });
        assert_eq!(client.ask(list, &params).await["error"]["code"], -32_602, "{list}");
        assert_eq!(modern.ask(list, params).await["error"]["code"], -32_602, "{list}");
        assert!(client.ask(list, &json!({ "cursor": "" })).await["result"].is_object(), "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_what_is_wrong_with_its_request() {
    let door = Door::new().await;
    let client = Attended::begin(&door).await;
    let says = async |request: RequestBuilder, status, words: &str| {
        let detail = Reply::of(request).await.error(status, "invalid");
        assert!(detail.as_str().unwrap().contains(words), "{detail}");
    };
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }).to_string();
    let posted = client.request(Method::POST).header("content-type", "application/json").body(list);
    says(posted.header("accept", "application/json"), 406, "text/event-stream").await;
    says(client.listen().header("mcp-protocol-version", "1999-01-01"), 400, "1999-01-01").await;
    let nowhere = door.request(Method::GET, "/mcp").bearer_auth(&client.key);
    says(nowhere.header("accept", "text/event-stream"), 400, "Session ID is required").await;
}
