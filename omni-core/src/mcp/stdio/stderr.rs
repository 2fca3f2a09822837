//! What a child says on its standard error: logged, at a rate; its last lines kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{mcp::content::clean, redact::Redactor};

/// Longest line that is kept, in bytes; more of it is dropped.
const MAX_LINE: usize = 2_000;

/// Lines kept for the message of a failure.
const KEPT: usize = 5;

/// Longest message of a failure, in characters.
const MAX_WORDS: usize = 600;

/// Lines logged in a second; more are counted.
const PER_SECOND: u32 = 20;

/// The reader of one child's standard error.
pub(super) struct Stderr {
    lines: Arc<Mutex<VecDeque<String>>>,
    task: JoinHandle<()>,
}

impl Stderr {
    /// Reads until the end; ends with this value.
    pub(super) fn read(input: impl AsyncRead + Unpin + Send + 'static, command: String, redactor: Redactor) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::with_capacity(KEPT)));
        let log = Log { lines: lines.clone(), command, redactor, second: Instant::now(), logged: 0, silent: 0 };
        Self { lines, task: tokio::spawn(drain(input, log)) }
    }

    /// The last lines, when there are any; waits a moment for those on the way.
    pub(super) async fn last_words(&mut self, within: Duration) -> Option<String> {
        if !self.task.is_finished() {
            let _ = timeout(within, &mut self.task).await;
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let words = lines.iter().map(String::as_str).collect::<Vec<_>>().join(" | ");
        Some(words.chars().take(MAX_WORDS).collect::<String>()).filter(|words| !words.is_empty())
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
    command: String,
    redactor: Redactor,
    second: Instant,
    logged: u32,
    silent: u64,
}

async fn drain(mut input: impl AsyncRead + Unpin, mut log: Log) {
    let (mut chunk, mut line) = ([0; 4_096], Vec::new());
    while let Ok(size @ 1..) = input.read(&mut chunk).await {
        for &byte in &chunk[..size] {
            if byte == b'\n' {
                log.line(&line);
                line.clear();
            } else if line.len() < MAX_LINE {
                line.push(byte);
            }
        }
    }
    log.line(&line);
}

impl Log {
    fn line(&mut self, line: &[u8]) {
        let text = self.redactor.text(clean(&String::from_utf8_lossy(line), MAX_LINE).trim_end());
        if text.trim().is_empty() {
            return;
        }
        self.say(&text);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(text);
    }

    fn say(&mut self, text: &str) {
        if self.second.elapsed() >= Duration::from_secs(1) {
            if self.silent > 0 {
                tracing::debug!(command = %self.command, lines = self.silent, "a server said more than is logged");
            }
            (self.second, self.logged, self.silent) = (Instant::now(), 0, 0);
        }
        if self.logged < PER_SECOND {
            self.logged += 1;
            tracing::debug!(command = %self.command, "a server said: {text}");
        } else {
            self.silent += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_lines_of_a_second_are_logged_and_the_rest_is_counted() {
        let (lines, command) = (Arc::default(), String::new());
        let mut log = Log { lines, command, redactor: Redactor::new(), second: Instant::now(), logged: 0, silent: 0 };
        for line in 0..1_000 {
            log.line(format!("line {line}").as_bytes());
        }
        assert_eq!((log.logged, log.silent), (PER_SECOND, 1_000 - u64::from(PER_SECOND)));
        assert_eq!(log.lines.lock().unwrap().len(), KEPT);
        tokio::time::advance(Duration::from_secs(1)).await;
        log.line(b"another second");
        assert_eq!((log.logged, log.silent), (1, 0));
        assert_eq!(log.lines.lock().unwrap().back().unwrap(), "another second");
    }
}
