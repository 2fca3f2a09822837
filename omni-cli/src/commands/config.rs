//! `omni config`.

use omni_core::{
    Config, Error,
    config::{ConfigError, Diagnostic, Need, Severity},
};
use owo_colors::Style;
use serde::Serialize;
use serde_json::json;

use crate::{app::App, args::CheckArgs, exit::Exit, fault::Fault, render::counted};

/// One finding, the configuration's or this build's.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    source: Option<String>,
    key: String,
    message: String,
}

impl From<Diagnostic> for Finding {
    fn from(found: Diagnostic) -> Self {
        let source = found.source.map(|source| source.to_string());
        Self { severity: found.severity, source, key: found.key, message: found.message }
    }
}

impl Finding {
    fn error(key: &str, source: Option<String>, message: String) -> Self {
        Self { severity: Severity::Error, source, key: key.into(), message }
    }

    /// The finding on one line.
    pub(super) fn line(&self) -> String {
        let source = self.source.as_ref().map(|source| format!("{source}: ")).unwrap_or_default();
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        format!("{source}{key}{}", self.message)
    }
}

/// Checks the files, without connecting to anything.
pub(super) async fn check(app: &App, args: &CheckArgs) -> Result<Exit, Fault> {
    let (findings, is_complete) = match load(app)? {
        Ok(config) => (findings(app, &config).await, is_complete(&config)),
        Err(error) => (unusable(error), false),
    };
    let worst = findings.iter().map(|finding| finding.severity).max();
    let bad = if args.strict { worst >= Some(Severity::Warning) } else { worst == Some(Severity::Error) };
    let exit = if bad { Exit::Failed } else { Exit::Success };
    if args.json {
        let (ok, exit_code) = (!bad, exit.code());
        let document = json!({ "ok": ok, "complete": is_complete, "exit_code": exit_code, "findings": findings });
        app.console.json(&document)?;
    } else {
        show(app, &findings, bad, is_complete)?;
    }
    Ok(exit)
}

/// Whether services start with it here: files may be checked where the variables are not that they need.
fn is_complete(config: &Config) -> bool {
    [Need::Policy, Need::Servers, Need::Ledger].into_iter().all(|need| config.require(need).is_ok())
}

/// The configuration, or what makes it unusable. A directory that is not there is not checked at all.
fn load(app: &App) -> Result<Result<Config, ConfigError>, Fault> {
    match app.load() {
        Ok(config) => Ok(Ok(config)),
        Err(Fault::Failed { error, hint, exit }) => match &*error {
            Error::Config(found) if !matches!(found, ConfigError::NoDirectory { .. }) => Ok(Err(found.clone())),
            _ => Err(Fault::Failed { error, hint, exit }),
        },
        Err(broken) => Err(broken),
    }
}

fn unusable(error: ConfigError) -> Vec<Finding> {
    match error {
        ConfigError::Invalid(found) => vec![(*found).into()],
        ConfigError::Several { findings } => findings.into_iter().map(Finding::from).collect(),
        other => vec![Finding::error("", None, other.to_string())],
    }
}

/// What the configuration says of itself, and what it asks for that this build has not.
pub(super) async fn findings(app: &App, config: &Config) -> Vec<Finding> {
    let mut findings: Vec<Finding> = config.check().into_iter().map(Finding::from).collect();
    findings.extend(model(app, config).await);
    findings.extend(unknown("database.url", None, "audit store", &config.audit.kind, &app.registry.audit.kinds()));
    findings.extend(unknown(
        "limit.backend",
        None,
        "rate limiter",
        &config.limiter_kind,
        &app.registry.limiters.kinds(),
    ));
    let (transports, builtins) = (app.registry.transports.kinds(), app.registry.builtins.kinds());
    findings.extend(config.servers.iter().filter_map(|server| {
        let source = server.source.as_ref().map(ToString::to_string);
        if let Some(builtin) = &server.builtin {
            let what = format!("server {}: built-in server", server.name);
            return unknown("builtin", source, &what, builtin, &builtins);
        }
        let what = format!("server {}: MCP transport", server.name);
        unknown("protocol", source, &what, &server.kind, &transports)
    }));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// What is wrong with the language model, unless the configuration says so itself. Building one
/// connects to nothing.
async fn model(app: &App, config: &Config) -> Option<Finding> {
    config.require(Need::Llm).ok()?;
    let error = app.registry.llm.build(&config.llm.provider, config.llm.clone()).await.err()?;
    Some(Finding::error("llm", None, error.to_string()))
}

/// The finding about a kind that this build has not.
fn unknown(key: &str, source: Option<String>, what: &str, kind: &str, known: &[String]) -> Option<Finding> {
    if known.iter().any(|known| known == kind) {
        return None;
    }
    let message = format!("unknown {what} {kind:?}; this build has: {}", known.join(", "));
    Some(Finding::error(key, source, message))
}

fn show(app: &App, findings: &[Finding], bad: bool, is_complete: bool) -> Result<(), Fault> {
    for finding in findings {
        tell(app, finding);
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let verdict = match (bad, is_complete) {
        (true, _) => "not ok",
        (false, true) => "ok",
        (false, false) => "ok, but nothing starts with it before it has what it needs",
    };
    let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
    Ok(app.console.line(&format!("configuration {verdict}: {errors}, {warnings}"))?)
}

/// Says a finding on standard error.
pub(super) fn tell(app: &App, finding: &Finding) {
    match finding.severity {
        Severity::Error => app.console.error(&finding.line()),
        Severity::Warning => app.console.warning(&finding.line()),
        Severity::Info if app.console.quiet => {}
        Severity::Info => app.console.marked("info:", Style::new().blue(), &finding.line()),
    }
}

/// Prints the JSON Schema of the files.
pub(super) fn schema(app: &App) -> Result<Exit, Fault> {
    app.console.json(&Config::schema())?;
    Ok(Exit::Success)
}

/// Prints what is in effect, secrets redacted.
pub(super) fn effective(app: &App) -> Result<Exit, Fault> {
    app.console.json(&app.config()?.show())?;
    Ok(Exit::Success)
}
