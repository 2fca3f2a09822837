//! `omni config`.

use omni_core::{
    Config, Error,
    config::{ConfigError, Diagnostic, Severity},
};
use owo_colors::Style;
use serde::Serialize;
use serde_json::json;

use crate::{app::App, args::CheckArgs, exit::Exit, fault::Fault};

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
pub(super) fn check(app: &App, args: &CheckArgs) -> Result<Exit, Fault> {
    let findings = match load(app)? {
        Ok(config) => findings(app, &config),
        Err(error) => unusable(error),
    };
    let worst = findings.iter().map(|finding| finding.severity).max();
    let bad = if args.strict { worst >= Some(Severity::Warning) } else { worst == Some(Severity::Error) };
    let exit = if bad { Exit::Failed } else { Exit::Success };
    if args.json {
        app.console.json(&json!({ "ok": !bad, "exit_code": exit.code(), "findings": findings }))?;
    } else {
        show(app, &findings, bad)?;
    }
    Ok(exit)
}

/// The configuration, or what makes it unusable. A directory that is not there is not checked at all.
fn load(app: &App) -> Result<Result<Config, ConfigError>, Fault> {
    match app.config() {
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
pub(super) fn findings(app: &App, config: &Config) -> Vec<Finding> {
    let mut findings: Vec<Finding> = config.check().into_iter().map(Finding::from).collect();
    let (llm, known) = (&config.llm.provider, app.registry.llm.kinds());
    if !known.contains(llm) {
        let message = format!("unknown LLM provider {llm:?}; this build has: {}", known.join(", "));
        findings.push(Finding::error("llm.provider", None, message));
    }
    let known = app.registry.transports.kinds();
    for server in config.servers.iter().filter(|server| !known.contains(&server.kind)) {
        let source = server.source.as_ref().map(ToString::to_string);
        let message = format!(
            "server {}: unknown MCP transport {:?}; this build has: {}",
            server.name,
            server.kind,
            known.join(", ")
        );
        findings.push(Finding::error("protocol", source, message));
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn show(app: &App, findings: &[Finding], bad: bool) -> Result<(), Fault> {
    for finding in findings {
        tell(app, finding);
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let verdict = if bad { "not ok" } else { "ok" };
    Ok(app.console.line(&format!("configuration {verdict}: {errors} errors, {warnings} warnings"))?)
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
