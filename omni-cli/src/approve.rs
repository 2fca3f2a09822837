//! The human at the terminal, asked before a call that needs one.

use std::{
    fmt,
    io::{self, BufRead, Write},
    sync::Arc,
};

use async_trait::async_trait;
use omni_core::confirm::{Approver, ConfirmRequest, Verdict};
use tokio::sync::Semaphore;

use crate::{
    app::App,
    args::{Approvals, ApproveMode},
    console::{Console, clean::Cleaner},
};

/// Most characters of arguments in the one line of the question; `d` shows all.
const MAX_SHOWN: usize = 200;

const REASON_NO: &str = "the person at the terminal said no";

/// How the person at the terminal is asked. Whoever reads the terminal in another way brings another one.
pub(crate) trait ApprovalPrompt: Send + Sync + fmt::Debug {
    /// Asks, and blocks until there is an answer.
    fn ask(&self, request: &ConfirmRequest) -> io::Result<Verdict>;
}

/// Who decides, by option and terminal.
pub(crate) fn approver(app: &App, approvals: Approvals) -> Arc<dyn Approver> {
    approver_by(app, approvals.mode(), Arc::new(StandardInput { console: app.console.clone() }))
}

/// The same by a prompt of one's own.
pub(crate) fn approver_by(app: &App, mode: ApproveMode, prompt: Arc<dyn ApprovalPrompt>) -> Arc<dyn Approver> {
    match mode {
        ApproveMode::Auto => Arc::new(Always),
        ApproveMode::Never => Arc::new(Never),
        ApproveMode::Ask if app.console.interactive => Arc::new(Terminal { prompt, turn: Semaphore::new(1) }),
        ApproveMode::Ask => Arc::new(NoTerminal { console: app.console.clone() }),
    }
}

/// `--approve auto`.
#[derive(Debug)]
struct Always;

#[async_trait]
impl Approver for Always {
    async fn decide(&self, _: &ConfirmRequest) -> Verdict {
        Verdict::Approve
    }
}

/// `--approve never`.
#[derive(Debug)]
struct Never;

#[async_trait]
impl Approver for Never {
    async fn decide(&self, _: &ConfirmRequest) -> Verdict {
        decline("--approve never")
    }
}

/// Nobody can be asked, and the asker is told how to change that.
#[derive(Debug)]
struct NoTerminal {
    console: Arc<Console>,
}

#[async_trait]
impl Approver for NoTerminal {
    async fn decide(&self, request: &ConfirmRequest) -> Verdict {
        let ConfirmRequest { server, tool, .. } = request;
        self.console.warning(&format!(
            "{server}.{tool} needs approval and there is no terminal to ask at; re-run with --approve auto or -y"
        ));
        decline("there is no terminal to ask at")
    }
}

/// A question on standard error, and a line of standard input.
#[derive(Debug)]
struct StandardInput {
    console: Arc<Console>,
}

impl ApprovalPrompt for StandardInput {
    fn ask(&self, request: &ConfirmRequest) -> io::Result<Verdict> {
        self.console.spinner.hold();
        let verdict = prompt(&mut io::stdin().lock(), &mut Messages(&self.console), request);
        self.console.spinner.release();
        verdict
    }
}

/// Asks at the terminal, one question at a time.
#[derive(Debug)]
struct Terminal {
    prompt: Arc<dyn ApprovalPrompt>,
    turn: Semaphore,
}

#[async_trait]
impl Approver for Terminal {
    async fn decide(&self, request: &ConfirmRequest) -> Verdict {
        let Ok(_turn) = self.turn.acquire().await else { return decline("the terminal is closed") };
        let (prompt, request) = (self.prompt.clone(), request.clone());
        let asked = tokio::task::spawn_blocking(move || prompt.ask(&request));
        match asked.await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => decline(&format!("the terminal cannot be read: {error}")),
            Err(_) => decline("the prompt failed"),
        }
    }
}

/// Standard error as a writer of whole lines.
struct Messages<'a>(&'a Console);

impl Write for Messages<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.spinner.clear();
        io::stderr().flush()
    }
}

/// Asks until the answer is yes or no; anything unclear is asked again, the end of input is no.
fn prompt(input: &mut impl BufRead, output: &mut impl Write, request: &ConfirmRequest) -> io::Result<Verdict> {
    loop {
        write!(output, "{}", question(request))?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            writeln!(output)?;
            return Ok(decline(REASON_NO));
        }
        match line.trim().to_lowercase().as_str() {
            "y" | "yes" => return Ok(Verdict::Approve),
            "d" | "details" => writeln!(output, "{}", details(request))?,
            "" | "n" | "no" => return Ok(decline(REASON_NO)),
            _ => writeln!(output, "Please answer y, n or d.")?,
        }
    }
}

fn question(request: &ConfirmRequest) -> String {
    let ConfirmRequest { server, tool, arguments, .. } = request;
    let mut shown: String = arguments.get().chars().take(MAX_SHOWN).collect();
    if shown.len() < arguments.get().len() {
        shown.push('…');
    }
    let text = format!("omni wants to run {server}.{tool} {shown}\n[y]es / [N]o / [d]etails: ");
    Cleaner::all(&text)
}

fn details(request: &ConfirmRequest) -> String {
    let arguments = request.arguments.get();
    let pretty = serde_json::from_str::<serde_json::Value>(arguments)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| arguments.to_owned());
    let place = request.rule.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    Cleaner::all(&format!("Rule: {}{place}\nArguments: {pretty}", request.rule.text))
}

fn decline(reason: &str) -> Verdict {
    Verdict::Decline { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use omni_core::policy::Rule;
    use serde_json::value::RawValue;

    use super::*;

    fn asked(typed: &str) -> (Verdict, String) {
        let arguments = RawValue::from_string("{\"name\":\"\u{9b}2J\u{202e}users\"}".into()).unwrap();
        let request = ConfirmRequest::new("db", "drop_table", arguments, Rule::new("mcps.db.confirm: drop_*", None));
        let mut output = Vec::new();
        let verdict = prompt(&mut typed.as_bytes(), &mut output, &request).unwrap();
        (verdict, String::from_utf8(output).unwrap())
    }

    #[test]
    fn only_a_clear_yes_approves() {
        for yes in ["y\n", "YES\n", " yes \n", "what?\ny\n", "d\ny\n"] {
            assert_eq!(asked(yes).0, Verdict::Approve, "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\n", "yess\n", "d\n", "d\n\n"] {
            assert_eq!(asked(no).0, decline(REASON_NO), "{no:?}");
        }
    }

    #[test]
    fn the_question_names_tool_and_arguments_and_details_name_the_rule() {
        let (_, shown) = asked("d\nn\n");
        assert!(shown.starts_with("omni wants to run db.drop_table {\"name\":\"2Jusers\"}"), "{shown}");
        assert!(shown.contains("Rule: mcps.db.confirm: drop_*"), "{shown}");
    }

    #[test]
    fn arguments_cannot_control_the_terminal() {
        assert!(!asked("d\nn\n").1.contains(['\u{9b}', '\u{202e}']));
    }
}
