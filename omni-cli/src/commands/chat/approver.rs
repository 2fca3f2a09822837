//! The person at the prompt, asked before a call that needs one.

use std::sync::Arc;

use async_trait::async_trait;
use omni_core::confirm::{Approver, ConfirmRequest, Verdict};
use tokio::sync::{Notify, Semaphore};

use super::lines::{Line, Lines};
use crate::{
    approve::{REASON_NO, decline, details, question},
    console::Console,
};

/// Asks where questions are typed, one at a time.
#[derive(Debug)]
pub(super) struct AtPrompt {
    console: Arc<Console>,
    lines: Arc<Lines>,
    turn: Semaphore,
    /// Told when the person gives the whole turn up.
    given_up: Arc<Notify>,
}

impl AtPrompt {
    pub(super) fn new(console: Arc<Console>, lines: Arc<Lines>, given_up: Arc<Notify>) -> Self {
        Self { console, lines, turn: Semaphore::new(1), given_up }
    }

    async fn ask(&self, request: &ConfirmRequest) -> Verdict {
        let question = question(request);
        let (told, asked) = question.rsplit_once('\n').unwrap_or(("", &question));
        loop {
            if self.console.line(told).is_err() {
                return decline("the terminal is closed");
            }
            match self.lines.next(asked, false).await {
                Ok(Line::Text(line)) => match line.trim().to_lowercase().as_str() {
                    "y" | "yes" => return Verdict::Approve,
                    "d" | "details" => drop(self.console.line(&details(request))),
                    "" | "n" | "no" => return decline(REASON_NO),
                    _ => drop(self.console.line("Please answer y, n or d.")),
                },
                Ok(Line::Interrupted) => {
                    self.given_up.notify_one();
                    return decline(REASON_NO);
                }
                Ok(Line::End) => return decline(REASON_NO),
                Err(_) => return decline("the terminal cannot be read"),
            }
        }
    }
}

#[async_trait]
impl Approver for AtPrompt {
    async fn decide(&self, request: &ConfirmRequest) -> Verdict {
        let Ok(_turn) = self.turn.acquire().await else { return decline("the terminal is closed") };
        self.console.spinner.hold();
        let verdict = self.ask(request).await;
        self.console.spinner.release();
        verdict
    }
}
