//! The human at the terminal, asked before a call that needs one.

use std::sync::Arc;

use async_trait::async_trait;
use omni_core::{
    confirm::{Approver, ConfirmRequest, Verdict},
    scan::visible_json,
};

use crate::{
    app::App,
    args::ApproveMode,
    console::Console,
    typed::{Terminal, Turn},
};

/// Most characters of arguments in the one line of the question; `d` shows all.
const MAX_SHOWN: usize = 200;

const REASON_NO: &str = "the person at the terminal said no";

/// Who decides, by option and terminal.
pub(crate) fn approver(app: &App, mode: ApproveMode, terminal: &Arc<Terminal>) -> Arc<dyn Approver> {
    match mode {
        ApproveMode::Auto => Arc::new(Always),
        ApproveMode::Never => Arc::new(Never),
        ApproveMode::Ask if app.console.interactive => Arc::new(AtTerminal(terminal.clone())),
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

/// Asks until the answer is yes or no; anything unclear is asked again, the end of input is no.
#[derive(Debug)]
struct AtTerminal(Arc<Terminal>);

#[async_trait]
impl Approver for AtTerminal {
    async fn decide(&self, request: &ConfirmRequest) -> Verdict {
        let Some(turn) = self.0.turn().await else { return decline("the terminal is closed") };
        turn.say(&asked(request));
        loop {
            let Some(line) = turn.line("[y]es / [N]o / [d]etails: ").await else { return decline(REASON_NO) };
            match line.to_lowercase().as_str() {
                "y" | "yes" => return Verdict::Approve,
                "d" | "details" => details(&turn, request),
                "" | "n" | "no" => return decline(REASON_NO),
                _ => turn.say("Please answer y, n or d."),
            }
        }
    }
}

fn asked(request: &ConfirmRequest) -> String {
    let ConfirmRequest { server, tool, arguments, .. } = request;
    let mut shown: String = arguments.get().chars().take(MAX_SHOWN).collect();
    if shown.len() < arguments.get().len() {
        shown.push('…');
    }
    format!("omni wants to run {server}.{tool} {}", visible_json(&shown))
}

fn details(turn: &Turn<'_>, request: &ConfirmRequest) {
    let arguments = request.arguments.get();
    let pretty = serde_json::from_str::<serde_json::Value>(arguments)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| arguments.to_owned());
    let place = request.rule.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    turn.say(&format!("Rule: {}{place}\nArguments: {}", request.rule.text, visible_json(&pretty)));
}

fn decline(reason: &str) -> Verdict {
    Verdict::Decline { reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use omni_core::policy::Rule;
    use serde_json::value::RawValue;

    use super::*;
    use crate::typed::testing::terminal;

    async fn answered(typed: &[&'static str]) -> (Verdict, String) {
        let arguments = RawValue::from_string("{\"name\":\"\u{9b}2J\u{202e}users\"}".into()).unwrap();
        let request = ConfirmRequest::new("db", "drop_table", arguments, Rule::new("mcps.db.confirm: drop_*", None));
        let (terminal, shown) = terminal(typed);
        let verdict = AtTerminal(terminal).decide(&request).await;
        (verdict, shown.text())
    }

    #[tokio::test]
    async fn only_a_clear_yes_approves() {
        for yes in [&["y"][..], &["YES"], &[" yes "], &["what?", "y"], &["d", "y"]] {
            assert_eq!(answered(yes).await.0, Verdict::Approve, "{yes:?}");
        }
        for no in [&[][..], &[""], &["n"], &["no"], &["yess"], &["d"], &["d", ""]] {
            assert_eq!(answered(no).await.0, decline(REASON_NO), "{no:?}");
        }
    }

    #[tokio::test]
    async fn the_question_names_tool_and_arguments_and_details_name_the_rule() {
        let (_, shown) = answered(&["d", "n"]).await;
        assert!(shown.starts_with(r#"omni wants to run db.drop_table {"name":"\u009b2J\u202eusers"}"#), "{shown}");
        assert!(shown.contains(r#""name": "\u009b2J\u202eusers""#), "{shown}");
        assert!(shown.contains("Rule: mcps.db.confirm: drop_*"), "{shown}");
    }

    #[tokio::test]
    async fn arguments_cannot_control_the_terminal() {
        assert!(!answered(&["d", "n"]).await.1.contains(['\u{9b}', '\u{202e}']));
    }
}
