//! `cargo bench -p omni-benches --bench http`: the HTTP door with everything on — keys, policy, limits and
//! the ledger (`audit.ack: local`, SQLite) — driven by a closed loop on the same cores.
//!
//! The service is a process of its own, so that its memory is its own. Without `--bench` each measurement
//! is made once, in short.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "benchmarks may stop at a fault, and print")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader as AsyncBufReader},
    net::TcpStream,
    task::JoinSet,
};

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
        let service = Service::start();
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

/// `refused` are those that were told to come back: the ledger takes no more asks than it can write down.
fn report(what: &str, at_once: usize, seconds: f64, answers: &[(Duration, bool)]) {
    let refused = answers.iter().filter(|(_, is_answered)| !is_answered).count();
    let answered = answers.iter().filter(|(_, is_answered)| *is_answered);
    let mut times: Vec<u128> = answered.map(|(time, _)| time.as_micros()).collect();
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let rate = times.len() as f64 / seconds;
    println!("{what:<28} {at_once:>4} {rate:>10.0} {:>9} {:>9} {:>9} {refused:>8}", at(0.5), at(0.99), at(1.0));
}

/// The service in a process of its own.
struct Service {
    child: Child,
    address: String,
    key: String,
}

impl Service {
    fn start() -> Self {
        let mut child =
            Command::new(std::env::current_exe().unwrap()).arg(SERVE).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (address, key) = line.trim().split_once(' ').unwrap();
        Self { address: address.to_owned(), key: key.to_owned(), child }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n", self.address, self.key);
        let body = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        (head + &body).into_bytes()
    }

    async fn connect(&self) -> AsyncBufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        AsyncBufReader::new(stream)
    }

    /// Resident memory, in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request again and again on so many connections, and tells how long each took.
async fn drive(service: &Service, request: &[u8], at_once: usize, seconds: f64) -> Vec<(Duration, bool)> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut loops = JoinSet::new();
    for _ in 0..at_once {
        let (mut connection, request) = (service.connect().await, request.to_vec());
        loops.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let started = Instant::now();
                connection.get_mut().write_all(&request).await.unwrap();
                let is_answered = answer(&mut connection).await;
                times.push((started.elapsed(), is_answered));
                if !is_answered {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            times
        });
    }
    loops.join_all().await.into_iter().flatten().collect()
}

/// Reads an answer whose length is told; whether it is one.
async fn answer(connection: &mut AsyncBufReader<TcpStream>) -> bool {
    let (mut line, mut length) = (String::new(), 0);
    connection.read_line(&mut line).await.unwrap();
    let is_answered = line.contains(" 200 ");
    assert!(is_answered || line.contains(" 503 "), "{line}");
    while line.trim_end() != "" {
        line.clear();
        connection.read_line(&mut line).await.unwrap();
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.unwrap();
    is_answered
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
    let service = Service::start();
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
