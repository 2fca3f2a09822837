//! `omni doctor`.

use std::time::{Duration, Instant};

use omni_core::{
    Ask, Config, Omni, Source,
    ask::AskOptions,
    catalog::{Health, ServerView},
    config::Severity,
};
use serde::Serialize;
use serde_json::json;

use super::{config, follow, servers};
use crate::{app::App, args::DoctorArgs, exit::Exit, fault::Fault};

/// How long the model may take for its tiny answer.
const MODEL_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Skipped,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    state: State,
    message: String,
}

impl Check {
    fn new(name: impl Into<String>, state: State, message: impl Into<String>) -> Self {
        Self { name: name.into(), state, message: message.into() }
    }
}

/// Looks at everything that an ask needs.
pub(super) async fn run(app: &App, args: &DoctorArgs) -> Result<Exit, Fault> {
    app.console.spinner.show("looking around …");
    let checks = examine(app).await;
    let well = checks.iter().all(|check| check.state != State::Problem);
    let exit = if well { Exit::Success } else { Exit::Failed };
    if args.json {
        app.console.json(&json!({ "ok": well, "exit_code": exit.code(), "checks": checks }))?;
    } else {
        for check in &checks {
            app.console.line(&line(check))?;
        }
    }
    Ok(exit)
}

fn line(check: &Check) -> String {
    let mark = match check.state {
        State::Ok => "✓",
        State::Skipped => "-",
        State::Problem => "✗",
    };
    format!("{mark} {}: {}", check.name, check.message)
}

async fn examine(app: &App) -> Vec<Check> {
    let config = match app.config() {
        Ok(config) => config,
        Err(fault) => return vec![Check::new("configuration", State::Problem, fault.to_string())],
    };
    let mut checks = vec![configuration(app, &config)];
    match app.build(&config).await {
        Ok(omni) => {
            checks.push(ledger(&config, &omni));
            let catalog = omni.refresh().await;
            checks.extend(catalog.servers.iter().map(server));
            checks.push(model(app, &config, &omni).await);
            follow::close(&omni).await;
        }
        Err(fault) => checks.push(Check::new("set-up", State::Problem, fault.to_string())),
    }
    checks
}

fn configuration(app: &App, config: &Config) -> Check {
    let place = config.dir.as_ref().map_or_else(|| "embedded default".into(), |dir| dir.display().to_string());
    let findings = config::findings(app, config);
    for finding in findings.iter().filter(|finding| finding.severity > Severity::Info) {
        config::tell(app, finding);
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let state = if errors > 0 { State::Problem } else { State::Ok };
    Check::new("configuration", state, format!("{place}, {errors} errors"))
}

fn ledger(config: &Config, omni: &Omni) -> Check {
    match omni.ledger().admit() {
        Ok(()) => Check::new("ledger", State::Ok, format!("{} takes records", config.audit.kind)),
        Err(error) => Check::new("ledger", State::Problem, error.to_string()),
    }
}

fn server(view: &ServerView) -> Check {
    let name = format!("server {}", view.name);
    let time = view.latency_ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
    let (state, reason) = servers::state(&view.health);
    match &view.health {
        Health::Healthy => Check::new(name, State::Ok, format!("{} tools{time}", view.tools.len())),
        Health::Disabled => Check::new(name, State::Skipped, state),
        _ => Check::new(name, State::Problem, format!("{state}: {reason}")),
    }
}

/// One tiny question, for a key that is there may still be wrong.
async fn model(app: &App, config: &Config, omni: &Omni) -> Check {
    let provider = &config.llm.provider;
    if provider == "offline" {
        let message = "offline needs no key; set ANTHROPIC_API_KEY or OPENAI_API_KEY for a model";
        return Check::new("model", State::Skipped, message);
    }
    let mut options = AskOptions::default();
    options.no_tools = true;
    options.timeout = Some(MODEL_TIMEOUT);
    options.max_turns = Some(1);
    let ask =
        Ask::new(app.credential(None), "Reply with the single word: ok").with_source(Source::Cli).with_options(options);
    let since = Instant::now();
    match omni.ask(ask).await {
        Ok(answer) => {
            let model = answer.model.unwrap_or_default();
            Check::new(
                "model",
                State::Ok,
                format!("{provider}, {model} answered in {} ms", since.elapsed().as_millis()),
            )
        }
        Err(error) => Check::new("model", State::Problem, format!("{provider}: {error}")),
    }
}
