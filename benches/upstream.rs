//! A hand-written MCP server that does next to nothing, so that what is measured is what stands before it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// How many tools there are below `/many`.
pub(crate) const MANY: usize = 1_000;

/// What came in so far: `GET /stats` tells it.
static POSTS: AtomicU64 = AtomicU64::new(0);
static SESSIONS: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// What makes an answer, head and all, of the first line of a request and its body.
pub(crate) type Answering = fn(&str, &[u8]) -> String;

/// Serves until the process is killed; prints where, and no key.
pub(crate) fn serve() {
    serve_with("127.0.0.1:0", 2, handle);
}

/// The same at an address, with so many threads, and with other answers.
pub(crate) fn serve_with(address: &str, threads: usize, answering: Answering) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        println!("{} -", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(connection(stream, answering));
        }
    });
}

async fn connection(stream: TcpStream, answering: Answering) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let (mut length, mut first) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        let answer = answering(&first, &body);
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
    }
}

/// The server's own answers.
pub(crate) fn handle(first: &str, body: &[u8]) -> String {
    if first.starts_with("POST ") {
        POSTS.fetch_add(1, Ordering::Relaxed);
        return answer(body, first.contains("/many "));
    }
    if first.starts_with("GET /stats ") {
        let [posts, sessions, calls] = [&POSTS, &SESSIONS, &CALLS].map(|count| count.load(Ordering::Relaxed));
        let stats = json!({ "posts": posts, "sessions": sessions, "calls": calls });
        return http("200 OK", &stats.to_string());
    }
    http("405 Method Not Allowed", "")
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: String,
}

fn answer(body: &[u8], is_many: bool) -> String {
    match reply(body, if is_many { MANY } else { 1 }) {
        Ok(Some(reply)) => http("200 OK", &reply),
        Ok(None) => http("202 Accepted", ""),
        Err(_) => http("400 Bad Request", ""),
    }
}

/// What a server of so many tools says to a message; nothing to a notification.
pub(crate) fn reply(body: &[u8], offered: usize) -> Result<Option<String>, serde_json::Error> {
    let message = serde_json::from_slice::<Message<'_>>(body)?;
    let Some(id) = message.id else { return Ok(None) };
    let result = match message.method.as_str() {
        "tools/call" => {
            CALLS.fetch_add(1, Ordering::Relaxed);
            r#"{"content":[{"type":"text","text":"hi"}]}"#.to_owned()
        }
        "initialize" => {
            SESSIONS.fetch_add(1, Ordering::Relaxed);
            json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
                "serverInfo": { "name": "bench", "version": "1" } })
            .to_string()
        }
        "tools/list" => json!({ "tools": tools(offered) }).to_string(),
        "ping" => "{}".to_owned(),
        _ => {
            let error = r#""error":{"code":-32601,"message":"no such method"}"#;
            return Ok(Some(format!(r#"{{"jsonrpc":"2.0","id":{id},{error}}}"#)));
        }
    };
    Ok(Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)))
}

fn tools(count: usize) -> Value {
    let tool = |at: usize| {
        json!({
            "name": if at == 0 { "echo".to_owned() } else { format!("get_report_{at}") },
            "description": "Returns a report about the database, newest rows first.",
            "inputSchema": { "type": "object", "properties": {
                "database": { "type": "string", "description": "The database to look at." },
                "limit": { "type": "integer", "minimum": 1, "maximum": 100, "description": "How many rows." },
                "message": { "type": "string" },
            } },
        })
    };
    (0..count).map(tool).collect()
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}
