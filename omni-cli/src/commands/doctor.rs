//! `omni doctor`.

use std::time::{Duration, Instant};

use omni_core::{
    Answer, Ask, Config, Error, ErrorKind, Omni, Source,
    answer::Status,
    ask::AskOptions,
    catalog::{Health, ServerView},
    config::{SecurityMode, Severity},
};
#[cfg(feature = "slack")]
use omni_slack::manifest;
use serde::Serialize;
use serde_json::json;

use super::{config, follow, servers};
use crate::{
    app::App,
    args::DoctorArgs,
    exit::Exit,
    fault::Fault,
    render::{counted, one_line},
};

/// How long the model may take for its tiny answer.
const MODEL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the database may take for what is on its way to it.
const LEDGER_TIMEOUT: Duration = Duration::from_secs(10);

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
    format!("{mark} {}: {}", check.name, one_line(&check.message))
}

async fn examine(app: &App) -> Vec<Check> {
    let config = match app.load() {
        Ok(config) => config,
        Err(fault) => return vec![Check::new("configuration", State::Problem, fault.to_string())],
    };
    let mut checks = vec![configuration(app, &config).await];
    match app.build(&config).await {
        Ok(omni) => {
            let catalog = omni.refresh().await;
            checks.extend(catalog.servers.iter().map(server));
            checks.extend(asker(app, &config, &omni).await);
            #[cfg(feature = "oidc")]
            checks.extend(omni.issuer().await.map(issuer));
            // After the model's turn, whose records are to arrive too.
            checks.insert(1, ledger(&config, &omni).await);
            checks.insert(2, questions(&config, &omni).await);
            follow::close(&omni).await;
        }
        Err(fault) => checks.push(Check::new("set-up", State::Problem, fault.to_string())),
    }
    #[cfg(feature = "slack")]
    checks.extend(slack(&config).await);
    checks
}

/// Whether Slack accepts the bot, and lets it do what it does, where there is one.
#[cfg(feature = "slack")]
async fn slack(config: &Config) -> Vec<Check> {
    if config.slack.bot_token.is_none() {
        return Vec::new();
    }
    match omni_slack::examine(&config.slack).await {
        Ok(me) => {
            let message = format!("the bot is {} in workspace {}", me.user, me.team);
            vec![Check::new("slack", State::Ok, message), scopes(config).await]
        }
        Err(error) => vec![Check::new("slack", State::Problem, error.to_string())],
    }
}

/// Whether the installed app was granted what this build uses.
#[cfg(feature = "slack")]
async fn scopes(config: &Config) -> Check {
    let name = "slack scopes";
    let found = match omni_slack::scopes(&config.slack).await {
        Ok(Some(found)) => found,
        Ok(None) => return Check::new(name, State::Skipped, "Slack does not say what the app was granted"),
        Err(error) => return Check::new(name, State::Problem, error.to_string()),
    };
    if !found.missing.is_empty() {
        let purpose = |scope: &&str| format!("{scope} ({})", manifest::purpose(scope).unwrap_or("it is used"));
        let missing = found.missing.iter().map(purpose).collect::<Vec<_>>().join(", ");
        return Check::new(
            name,
            State::Problem,
            format!("not granted: {missing}; reinstall the app with what `omni slack manifest` prints"),
        );
    }
    let more = match found.additional.is_empty() {
        true => String::new(),
        false => format!("; granted and not used: {}", found.additional.join(", ")),
    };
    Check::new(name, State::Ok, format!("everything that is used was granted{more}"))
}

async fn configuration(app: &App, config: &Config) -> Check {
    let place = config.dir.as_ref().map_or_else(|| "embedded default".into(), |dir| dir.display().to_string());
    let findings = config::findings(app, config).await;
    for finding in findings.iter().filter(|finding| finding.severity > Severity::Info) {
        config::tell(app, finding);
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let state = if errors > 0 { State::Problem } else { State::Ok };
    Check::new("configuration", state, format!("{place}, {}", counted(errors, "error")))
}

async fn ledger(config: &Config, omni: &Omni) -> Check {
    match omni.ledger().try_out(LEDGER_TIMEOUT).await {
        Ok(()) => Check::new("ledger", State::Ok, format!("{} takes records", config.audit.kind)),
        Err(error) => Check::new("ledger", State::Problem, error.to_string()),
    }
}

/// Whether what every question to a service needs is there: the tables of keys, and where requests are counted.
async fn questions(config: &Config, omni: &Omni) -> Check {
    match omni.away(config.http.mode == SecurityMode::Keys).await {
        None => Check::new("questions", State::Ok, "what every one of them needs is there"),
        Some(error) => Check::new("questions", State::Problem, error.to_string()),
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

/// Whether tokens can be checked.
#[cfg(feature = "oidc")]
fn issuer(looked: Result<usize, Error>) -> Check {
    match looked {
        Ok(0) => Check::new("issuer", State::Problem, "it has no key that can be used, so that no token counts"),
        Ok(keys) => Check::new("issuer", State::Ok, format!("it answers, keys: {keys}")),
        Err(error) => Check::new("issuer", State::Problem, error.to_string()),
    }
}

/// Who asks, and what the model says to them. What keeps them from asking says nothing of the model.
async fn asker(app: &App, config: &Config, omni: &Omni) -> [Check; 2] {
    let known = match omni.grant(app.credential(None)).await {
        Ok(grant) => Check::new("identity", State::Ok, format!("{}, {}", grant.principal.subject, grant.role.name)),
        Err(error) => return refused(&error),
    };
    match model(app, config, omni).await {
        Ok(model) => [known, model],
        Err(error) => refused(&error),
    }
}

fn refused(error: &Error) -> [Check; 2] {
    let skipped = Check::new("model", State::Skipped, "whoever runs this may not ask it");
    [Check::new("identity", State::Problem, error.to_string()), skipped]
}

/// One tiny question, for a key that is there may still be wrong.
///
/// # Errors
/// The asker was refused before the model was asked.
async fn model(app: &App, config: &Config, omni: &Omni) -> Result<Check, Error> {
    let provider = &config.llm.provider;
    if provider == "offline" {
        let message = "offline needs no key; set ANTHROPIC_API_KEY or OPENAI_API_KEY for a model";
        return Ok(Check::new("model", State::Skipped, message));
    }
    let mut options = AskOptions::default();
    options.no_tools = true;
    options.timeout = Some(MODEL_TIMEOUT.min(config.bounds.timeout));
    options.max_turns = Some(1);
    let ask =
        Ask::new(app.credential(None), "Reply with the single word: ok").with_source(Source::Cli).with_options(options);
    let since = Instant::now();
    match omni.ask(ask).await {
        Ok(answer) => Ok(answered(provider, &answer, since.elapsed())),
        Err(error) if is_refusal(&error) => Err(error),
        Err(error) => Ok(Check::new("model", State::Problem, format!("{provider}: {error}"))),
    }
}

/// Whether it was omni that said no.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unauthenticated | ErrorKind::RateLimited)
}

/// An answer that ran into a bound is no answer, and says why in a warning.
fn answered(provider: &str, answer: &Answer, took: Duration) -> Check {
    let model = answer.model.as_deref().unwrap_or_default();
    if answer.status == Status::Completed {
        return Check::new("model", State::Ok, format!("{provider}, {model} answered in {} ms", took.as_millis()));
    }
    let reason = answer.warnings.first().map_or("it did not answer", |warning| &warning.message);
    Check::new("model", State::Problem, format!("{provider}, {model}: {reason}"))
}
