use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::{
    mcp::{
        CallContext,
        http::endpoint::Endpoint,
        tap::{Reach, Slot, Tap},
    },
    redact::Redactor,
};

/// The events on which a call of this id is answered.
type Events = fn(&Value) -> String;

/// A server that answers calls on streams; where it is, and what else it is told.
async fn streaming(events: Events) -> (url::Url, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(BufReader::new(stream), events, tell.clone()));
        }
    });
    (url, told)
}

async fn talk(mut stream: BufReader<TcpStream>, events: Events, tell: mpsc::UnboundedSender<Value>) {
    const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    while let Some(message) = next(&mut stream).await {
        if message["method"] == "tools/call" {
            let answer = format!("{STREAM}{}", events(&message["id"]));
            // Whoever has heard enough goes away.
            let _ = stream.write_all(answer.as_bytes()).await;
            return;
        }
        let _ = tell.send(message);
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }
}

/// The body of the next request; nothing at all of one that has none.
async fn next(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut size = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(("content-length", value)) = line.to_lowercase().split_once(':') {
            size = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await.ok()?;
    Some(serde_json::from_slice(&body).unwrap_or_default())
}

fn event(message: &Value) -> String {
    format!("data: {message}\n\n")
}

fn done(id: &Value) -> String {
    event(&json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [] } }))
}

/// Calls a tool of a server; what comes of it, and the ear of the connection.
async fn called(url: url::Url) -> (Result<Box<RawValue>, McpError>, Arc<Tap>) {
    let cx = CallContext::within(Duration::from_secs(30));
    let tap = Tap::new(Redactor::new(), Reach::ByStream);
    let wire = Wire::new(&Endpoint::new(url.as_str()).unwrap(), tap.clone(), &cx).unwrap();
    let (short, slot) = (Short::new(wire, url), Slot::new(&cx, HeaderMap::new(), false));
    let params = RawValue::from_string(r#"{"name":"t","arguments":{}}"#.into()).unwrap();
    let meta = BTreeMap::new();
    let call = ShortCall { params: &params, meta, slot: &slot, is_modern: false, has_param_headers: false };
    let id = short.next_id();
    tap.waits(&id, &slot);
    (short.call(&id, call).await, tap)
}

#[tokio::test]
async fn a_server_that_asks_whether_the_connection_lives_is_told_that_it_does() {
    let (url, mut told) =
        streaming(|id| event(&json!({ "jsonrpc": "2.0", "id": "p", "method": "ping" })) + &done(id)).await;
    let (answer, _) = called(url).await;
    assert_eq!(answer.unwrap().get(), r#"{"content":[]}"#);
    assert_eq!(told.recv().await.unwrap(), json!({ "jsonrpc": "2.0", "id": "p", "result": {} }));
}

#[tokio::test]
async fn what_is_asked_of_nobody_is_declined_and_not_kept() {
    let (url, mut told) = streaming(|id| {
        let params = json!({ "message": "Who are you?", "requestedSchema": { "type": "object", "properties": {} } });
        let question = json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params });
        event(&question) + &done(id)
    })
    .await;
    let (answer, tap) = called(url).await;
    answer.unwrap();
    let declined = json!({ "jsonrpc": "2.0", "id": "q", "result": { "action": "decline" } });
    assert_eq!(told.recv().await.unwrap(), declined);
    assert!(tap.take_params(&RequestId::String("q".into())).is_none());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_asked_for_again() {
    let (url, mut told) = streaming(|_| format!("id: e1\ndata: \n\ndata: {}\n\n", "x".repeat(MAX_MESSAGE_BYTES))).await;
    let (answer, _) = called(url).await;
    assert!(matches!(answer, Err(McpError::Rpc { .. })), "{answer:?}");
    assert!(told.try_recv().is_err());
}
