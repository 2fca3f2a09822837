//! `cargo bench -p omni-benches --bench gateway`: a tool call through the gateway against the same call straight
//! at its server, at once from 1, 16 and 64 connections, and the list of 1,000 tools. Key, policy, limits and the
//! ledger are on. Upstream, gateway and load are processes of their own on the same cores; ratios are within one
//! run. Where there is an `nginx`, one hop through it is measured beside.
//!
//! Without `--bench` each measurement is made once, in short.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "benchmarks may stop at a fault, and print")]

use std::time::Instant;

use client::{Message, drive};
use load::{Service, report, send};
use nginx::Nginx;

mod client;
mod fronting;
mod load;
mod nginx;
mod upstream;

/// As the programs have it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Says which of the processes this is.
const UPSTREAM: &str = "--upstream";
const FRONT: &str = "--front";

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}"#;
/// What the revision of 2026-07-28 has with every request.
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
const ACCEPT: &str = "accept: application/json, text/event-stream\r\n";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(UPSTREAM) => return upstream::serve(),
        Some(FRONT) => return fronting::serve(&args[2]),
        _ => {}
    }
    let is_full = args.iter().any(|arg| arg == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(is_full));
}

async fn measure(is_full: bool) {
    let (seconds, rounds) = if is_full { (3.0, 3) } else { (0.2, 1) };
    println!(
        "{:<28} {:>4} {:>10} {:>9} {:>9} {:>9} {:>8} {:>9}",
        "what", "c", "per second", "p50 µs", "p99 µs", "max µs", "refused", "CPU µs"
    );
    for _ in 0..rounds {
        calls(seconds).await;
    }
    lists(seconds).await;
}

async fn calls(seconds: f64) {
    let upstream = Service::start(&[UPSTREAM]);
    let front = Service::start(&[FRONT, &format!("http://{}/mcp", upstream.address)]);
    let nginx = Nginx::start(&upstream.address);
    let direct = Message::to(&upstream, "/mcp", "", CALL);
    let call = CALL.replace("\"echo\"", "\"lab__echo\"");
    let old = Message::to(&front, "/mcp", &session(&front).await, &call);
    let call = call.replace("\"params\":{", &format!("\"params\":{{{META},"));
    let new = Message::to(&front, "/mcp", &modern("tools/call", "mcp-name: lab__echo\r\n"), &call);
    drive(&old, 1, 0.1).await;
    for at_once in [1, 16, 64] {
        report("straight", at_once, seconds, &drive(&direct, at_once, seconds).await);
        if let Some(nginx) = &nginx {
            let hop = direct.at(&nginx.address);
            report("one hop through nginx", at_once, seconds, &drive(&hop, at_once, seconds).await);
        }
        for (what, request) in [("gateway, session", &old), ("gateway, 2026-07-28", &new)] {
            let before = front.cpu();
            let answers = drive(request, at_once, seconds).await;
            let each = (front.cpu() - before).as_micros() as f64 / answers.len() as f64;
            report(what, at_once, seconds, &answers);
            println!("{:>94.1}", each);
        }
    }
}

async fn lists(seconds: f64) {
    let upstream = Service::start(&[UPSTREAM]);
    let front = Service::start(&[FRONT, &format!("http://{}/many", upstream.address)]);
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let session = session(&front).await;
    let old = Message::to(&front, "/mcp", &session, list);
    let told = list.replace("\"tools/list\"", &format!("\"tools/list\",\"params\":{{{META}}}"));
    let new = Message::to(&front, "/mcp", &modern("tools/list", ""), &told);
    for (what, request) in [("list of 1,000, session", old), ("list of 1,000, 2026-07-28", new)] {
        let started = Instant::now();
        drive(&request, 1, 0.0).await;
        println!("{what}: first {} µs", started.elapsed().as_micros());
        report(what, 1, seconds, &drive(&request, 1, seconds).await);
    }
}

fn modern(method: &str, more: &str) -> String {
    format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{more}")
}

/// Begins a session, and says by which headers it goes on.
async fn session(front: &Service) -> String {
    let begin = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    let answer = send(front, &front.request_with("POST", "/mcp", ACCEPT, begin)).await;
    let id = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap().trim().to_owned();
    let headers = format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n");
    let begun = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    send(front, &front.request_with("POST", "/mcp", &format!("{ACCEPT}{headers}"), begun)).await;
    headers
}
