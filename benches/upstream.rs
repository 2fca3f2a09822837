//! A hand-written MCP server that does next to nothing, so that what is measured is what stands before it.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// How many tools there are below `/many`.
pub(crate) const MANY: usize = 1_000;

/// Serves until the process is killed; prints where, and no key.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{} -", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(connection(stream));
        }
    });
}

async fn connection(stream: TcpStream) -> Option<()> {
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
        let answer = match first.starts_with("POST ") {
            true => answer(&body, first.contains("/many ")),
            false => http("405 Method Not Allowed", ""),
        };
        stream.get_mut().write_all(answer.as_bytes()).await.ok()?;
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: String,
}

fn answer(body: &[u8], is_many: bool) -> String {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else { return http("400 Bad Request", "") };
    let Some(id) = message.id else { return http("202 Accepted", "") };
    let result = match message.method.as_str() {
        "tools/call" => r#"{"content":[{"type":"text","text":"hi"}]}"#.to_owned(),
        "initialize" => json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "bench", "version": "1" } })
        .to_string(),
        "tools/list" => json!({ "tools": tools(if is_many { MANY } else { 1 }) }).to_string(),
        "ping" => "{}".to_owned(),
        _ => {
            let error = r#""error":{"code":-32601,"message":"no such method"}"#;
            return http("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":{id},{error}}}"#));
        }
    };
    http("200 OK", &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
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
