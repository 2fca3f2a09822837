//! `omni serve` in a process of its own.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, Command},
};

use omni_core::net::{self, ClientOptions};
use reqwest::{Client, RequestBuilder};
use serde_json::json;

use crate::program::Program;

/// A service in a process of its own.
#[derive(Debug)]
pub struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    /// What it logged until it was ready.
    pub lines: Vec<String>,
    /// Where it is.
    pub url: String,
    /// A caller of it.
    pub client: Client,
}

impl Service {
    /// The service in a home, with more arguments.
    ///
    /// # Panics
    /// When it ends before it is ready.
    pub fn start(home: &Program, args: &[&str]) -> Self {
        Self::start_with(home, &[], args)
    }

    /// The same with variables.
    ///
    /// # Panics
    /// When it ends before it is ready.
    pub fn start_with(home: &Program, env: &[(&str, &str)], args: &[&str]) -> Self {
        let mut command = home.command(&[&["serve", "--bind", "127.0.0.1:0"], args].concat());
        let mut child = command.envs(env.iter().copied()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut lines, mut line) = (Vec::new(), String::new());
        let url = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it was ready: {lines:?}");
            lines.push(line.clone());
            if let Some((_, rest)) = line.split_once("omni listens at ") {
                let end = rest.find(|c: char| !c.is_ascii_graphic() || c == '"' || c == '\u{1b}').unwrap_or(rest.len());
                break rest[..end].to_owned();
            }
        };
        let client = net::client(&ClientOptions::for_url(&url.parse().unwrap())).unwrap();
        Self { child, log, lines, url, client }
    }

    /// A question with a key.
    pub fn ask(&self, key: &str, question: &str) -> RequestBuilder {
        let request = self.client.post(format!("{}/chat/ask", self.url));
        request.bearer_auth(key).json(&json!({ "message": question }))
    }

    /// Sends it a signal, such as `TERM`.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// The next line that it logs.
    ///
    /// # Panics
    /// When it logs no text.
    pub fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.log.read_line(&mut line).unwrap();
        line
    }

    /// Waits for its end; what it logged since it was ready.
    ///
    /// # Panics
    /// When that cannot be read.
    pub fn end(mut self) -> (i32, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
