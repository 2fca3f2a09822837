//! `cargo bench -p omni-benches --bench http`: the HTTP door with everything on — keys, policy, limits and
//! the ledger (`audit.ack: local`, SQLite) — driven by a closed loop on the same cores.
//!
//! The service is a process of its own, so that its memory is its own. Without `--bench` each measurement
//! is made once, in short.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "benchmarks may stop at a fault, and print")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader as AsyncBufReader},
    net::TcpStream,
};

use load::{Service, drive, report};

mod load;
mod serving;

/// Says that this process is the service.
const SERVE: &str = "--serve";
/// As many descriptors as the idle streams need.
const DESCRIPTORS: &str = "ulimit -n 20000 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\"";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|arg| arg == SERVE) {
        return serving::serve();
    }
    if std::env::var_os("OMNI_BENCH_INNER").is_none() {
        let mut shell = Command::new("sh");
        shell.args(["-c", DESCRIPTORS, &args[0]]).args(&args[1..]).env("OMNI_BENCH_INNER", "1");
        assert!(shell.status().unwrap().success());
        return;
    }
    let is_full = args.iter().any(|arg| arg == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(is_full));
}

async fn measure(is_full: bool) {
    let (seconds, streams, rounds) = if is_full { (3.0, 5_000, 3) } else { (0.2, 50, 1) };
    println!(
        "{:<28} {:>4} {:>10} {:>9} {:>9} {:>9} {:>8}",
        "what", "c", "per second", "p50 µs", "p99 µs", "max µs", "refused"
    );
    for _ in 0..rounds {
        let service = Service::start(&[SERVE]);
        for at_once in [1, 16, 64] {
            let health = service.request("GET", "/health/live", "");
            report("GET /health/live", at_once, seconds, &drive(&service, &health, at_once, seconds).await);
            let ask = service.request("POST", "/chat/ask", r#"{"message":"Say hi"}"#);
            report("POST /chat/ask, one call", at_once, seconds, &drive(&service, &ask, at_once, seconds).await);
        }
        let stream = service.request("POST", "/chat/ask/stream", r#"{"message":"Just talk"}"#);
        report("stream to first token", 1, seconds, &first_tokens(&service, &stream, seconds).await);
    }
    idle_streams(streams).await;
}

/// How long streams take to their first token, one after the other.
async fn first_tokens(service: &Service, request: &[u8], seconds: f64) -> Vec<(Duration, bool)> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut times = Vec::new();
    let mut connection = service.connect().await;
    while Instant::now() < until {
        let started = Instant::now();
        connection.get_mut().write_all(request).await.unwrap();
        read_until(&mut connection, "event: token").await;
        times.push((started.elapsed(), true));
        // The last chunk.
        read_until(&mut connection, "0\r\n").await;
        let mut end = [0; 2];
        connection.read_exact(&mut end).await.unwrap();
    }
    times
}

async fn read_until(connection: &mut AsyncBufReader<TcpStream>, start: &str) {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(connection.read_line(&mut line).await.unwrap() > 0, "the stream broke");
        if line.starts_with(start) {
            return;
        }
    }
}

/// What streams that are silent keep in memory.
async fn idle_streams(count: usize) {
    let service = Service::start(&[SERVE]);
    drive(&service, &service.request("POST", "/chat/ask", r#"{"message":"Say hi"}"#), 8, 0.2).await;
    let before = service.memory();
    let request = service.request("POST", "/chat/ask/stream", r#"{"message":"Wait"}"#);
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut connection = service.connect().await;
        connection.get_mut().write_all(&request).await.unwrap();
        read_until(&mut connection, "event: tool_start").await;
        streams.push(connection);
    }
    let after = service.memory();
    let each = (after - before) as f64 / count as f64;
    println!("{count} idle streams: {before} KiB before, {after} KiB with them, {each:.1} KiB each");
    assert_eq!(streams.len(), count);
}
