//! What drives a service over sockets: a process of its own to measure, and a closed loop of requests.
#![allow(dead_code, reason = "each benchmark uses what it needs")]

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

/// `refused` are those that were told to come back: the ledger takes no more asks than it can write down.
pub(crate) fn report(what: &str, at_once: usize, seconds: f64, answers: &[(Duration, bool)]) {
    let refused = answers.iter().filter(|(_, is_answered)| !is_answered).count();
    let answered = answers.iter().filter(|(_, is_answered)| *is_answered);
    let mut times: Vec<u128> = answered.map(|(time, _)| time.as_micros()).collect();
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let rate = times.len() as f64 / seconds;
    println!("{what:<28} {at_once:>4} {rate:>10.0} {:>9} {:>9} {:>9} {refused:>8}", at(0.5), at(0.99), at(1.0));
}

/// The service in a process of its own.
pub(crate) struct Service {
    child: Option<Child>,
    pub(crate) address: String,
    pub(crate) key: String,
}

impl Service {
    /// This program once more, with these arguments: it prints where it serves, and a key.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child =
            Command::new(std::env::current_exe().unwrap()).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (address, key) = line.trim().split_once(' ').unwrap();
        Self { address: address.to_owned(), key: key.to_owned(), child: Some(child) }
    }

    fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        self.request_with(method, path, "", body)
    }

    /// The same with further headers, each ended by CR and LF.
    pub(crate) fn request_with(&self, method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
        let (address, key, length) = (&self.address, &self.key, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n{headers}");
        let body = format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
        (head + &body).into_bytes()
    }

    /// Processor time that it took so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // What comes before the last bracket may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    pub(crate) async fn connect(&self) -> AsyncBufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        AsyncBufReader::new(stream)
    }

    /// Resident memory, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a request again and again on so many connections, and tells how long each took.
pub(crate) async fn drive(service: &Service, request: &[u8], at_once: usize, seconds: f64) -> Vec<(Duration, bool)> {
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

/// Sends one request; the answer, head and all.
pub(crate) async fn send(service: &Service, request: &[u8]) -> String {
    let mut connection = service.connect().await;
    connection.get_mut().write_all(request).await.unwrap();
    let (head, body) = read(&mut connection).await;
    head + &String::from_utf8(body).unwrap()
}

/// Reads an answer whose length is told; whether it is one.
async fn answer(connection: &mut AsyncBufReader<TcpStream>) -> bool {
    let (head, body) = read(connection).await;
    let is_told = head.starts_with("HTTP/1.1 200 ");
    assert!(is_told || head.starts_with("HTTP/1.1 503 "), "{head}");
    let says = |words: &[u8]| body.windows(words.len()).any(|part| part == words);
    // Answers of MCP that are none.
    assert!(!says(b"\"error\":{"), "{}", String::from_utf8_lossy(&body));
    is_told && !says(b"\"isError\":true")
}

async fn read(connection: &mut AsyncBufReader<TcpStream>) -> (String, Vec<u8>) {
    let (mut head, mut length, mut at) = (String::new(), 0, 0);
    loop {
        connection.read_line(&mut head).await.unwrap();
        let line = &head[at..];
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line.trim_end().is_empty() {
            break;
        }
        at = head.len();
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.unwrap();
    (head, body)
}
