//! Reads files, `.env` and environment once and makes a [`Config`] of them.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{
    AuditConfig, Config, ConfigError, ConfigFiles, Diagnostic, LlmConfig, LoadOptions, LogFormat, Need, Problem,
    ServerConfig, Severity, SlackConfig, StoreContent, approvals, dotenv, egress, http,
    interpolate::{Reference, References, interpolate},
    ledger, limit, llm, oauth, one_or_several, results, search, security, servers,
    shape::shape,
    slack,
    spec::{
        self, LogFormatSpec, McpsSpec, OnError, PolicyStoreSpec, SettingsSpec, SlackSpec, StoreContentSpec,
        ThreadingSpec, UsersSpec,
    },
    threading, tools,
    yaml::{self, Lines},
};
use crate::{cost::NanoUsd, policy::AskBounds, thread::ThreadRules};

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Longest time-out that a file may set.
const MAX_SECONDS: f64 = 86_400.0;

/// Everything that the parts are made from.
pub(super) struct Source<'a> {
    pub(super) dir: Option<&'a Path>,
    pub(super) cwd: &'a Path,
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) settings: &'a SettingsSpec,
    pub(super) settings_lines: &'a Lines,
    pub(super) settings_variables: &'a References,
    pub(super) mcps: &'a McpsSpec,
    pub(super) mcps_lines: &'a Lines,
    pub(super) mcps_variables: &'a References,
}

/// What was noticed on the way.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) all: Vec<Diagnostic>,
    pub(super) problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn problem(&mut self, need: Need, finding: Diagnostic) {
        self.problems.push(Problem { need, finding });
    }

    /// A variable without a value, for those who need it.
    pub(super) fn needed(&mut self, need: Need, lines: &Lines, lacking: &Reference, who: &str) {
        let message = format!("{}, and {who} needs it", lacking.said());
        self.problem(need, lines.finding(Severity::Warning, &lacking.path, message));
    }

    /// What becomes of variables that lack: a rule without the text of its variable would be another rule, and what is
    /// none does without, if it is told so.
    pub(super) fn rules_need(&mut self, lines: &Lines, variables: &References, is_rule: impl Fn(&str) -> bool) {
        for lacking in variables.lacking().filter(|lacking| is_rule(&lacking.path)) {
            self.needed(Need::Policy, lines, lacking, "the policy");
        }
    }

    /// A variable of the environment whose value cannot be used, for those who need it.
    pub(super) fn unusable(&mut self, need: Need, variable: &str, message: String) {
        let finding = Diagnostic { severity: Severity::Error, source: None, key: variable.into(), message };
        self.problem(need, finding);
    }

    /// A time-out in seconds, or `default` where none is set.
    pub(super) fn seconds(&mut self, value: Option<f64>, default: Duration, lines: &Lines, path: &str) -> Duration {
        match value {
            None => default,
            Some(seconds) if seconds > 0.0 && seconds <= MAX_SECONDS => Duration::from_secs_f64(seconds),
            Some(seconds) => {
                let message =
                    format!("a time-out must be more than 0 and at most {MAX_SECONDS} seconds, not {seconds}");
                self.all.push(lines.finding(Severity::Error, path, message));
                default
            }
        }
    }

    /// A variable that is not set, where the value does without.
    pub(super) fn unset(&mut self, severity: Severity, lines: &Lines, unset: &Reference, so: &str) {
        self.all.push(lines.finding(severity, &unset.path, format!("{}{so}", unset.said())));
    }
}

/// A file that was read.
struct Loaded<T> {
    spec: T,
    lines: Lines,
    variables: References,
}

impl Config {
    /// Finds and reads the configuration; with none to be found, the embedded default.
    ///
    /// The directory is `options.dir`, else `$OMNI_CONFIG`, else `./config`, else
    /// `$XDG_CONFIG_HOME/omni`. A `.env` of the working directory, then one of that directory, add
    /// what the environment does not have.
    ///
    /// # Errors
    /// The directory asked for is not there, a file cannot be read, or a file is not right: every
    /// finding with file, line, key and nearest known name.
    pub fn load(options: LoadOptions) -> Result<Self, ConfigError> {
        let LoadOptions { dir, mut env, cwd, strict, os_user, bind } = options;
        add_dotenv(&mut env, &cwd)?;
        let Some(dir) = search::find(dir, &cwd, &env)? else {
            let mut config = Self::embedded(&env, &cwd);
            config.run_by(os_user);
            config.listen_at(bind.as_deref())?;
            return Ok(config);
        };
        add_dotenv(&mut env, &dir)?;

        let mut findings = Findings::default();
        let settings = read::<SettingsSpec>(&dir, "settings.yaml", &env, &mut findings)?;
        let mcps = read::<McpsSpec>(&dir, "mcps.yaml", &env, &mut findings)?;
        let users = read::<UsersSpec>(&dir, "users.yaml", &env, &mut findings)?;
        let slack_file = read::<SlackSpec>(&dir, "slack.yaml", &env, &mut findings)?;
        let slack_file = slack_file.unwrap_or_else(|| Loaded::empty("slack.yaml"));
        slack::report_unset(&slack_file.spec, &slack_file.lines, &slack_file.variables, &mut findings);
        let threading = read::<ThreadingSpec>(&dir, "threading.yaml", &env, &mut findings)?;
        let mut config = assemble(Some(dir), &cwd, &env, settings, mcps, users, &mut findings);
        config.threading = threading.map(|file| threads(&file, &config.llm, &mut findings)).unwrap_or_default();
        let files = Arc::make_mut(&mut config.files);
        (files.slack, files.slack_lines) = (slack_file.spec, slack_file.lines);
        config.slack = slack::build(&config.files.slack, &config.files.slack_lines, &env, &mut findings);
        config.run_by(os_user);
        config.listen_at(bind.as_deref())?;
        config.diagnostics = findings.all;
        config.diagnostics.extend(config.lint());
        config.diagnostics.sort_by_key(|finding| std::cmp::Reverse(finding.severity));

        let least = if strict { Severity::Warning } else { Severity::Error };
        let grave = config.diagnostics.iter().filter(|finding| finding.severity >= least).cloned();
        one_or_several(grave.collect())?;
        Ok(config)
    }

    /// The port that `settings.yaml` names, whatever is wrong with the other files: a service that runs goes on with what
    /// it began with. `None` where there is no configuration, or it cannot be read.
    #[must_use]
    pub fn port_of(options: LoadOptions) -> Option<u16> {
        let LoadOptions { dir, mut env, cwd, .. } = options;
        add_dotenv(&mut env, &cwd).ok()?;
        let dir = search::find(dir, &cwd, &env).ok()??;
        add_dotenv(&mut env, &dir).ok()?;
        let settings = read::<SettingsSpec>(&dir, "settings.yaml", &env, &mut Findings::default()).ok()??;
        settings.spec.app.port.and_then(|port| u16::try_from(port).ok())
    }

    /// The configuration of those who have none: the ledger in the data directory, everybody at
    /// this terminal super admin, the language model that the environment has a key for, or else
    /// the offline one.
    #[must_use]
    pub fn embedded(env: &BTreeMap<String, String>, cwd: &Path) -> Self {
        let mut findings = Findings::default();
        let mut config = assemble(None, cwd, env, None, None, None, &mut findings);
        config.slack = slack::build(&SlackSpec::default(), &Lines::of("slack.yaml"), env, &mut findings);
        config.diagnostics = findings.all;
        config.diagnostics.extend(config.report_database_of_others());
        config.servers.extend(analytics(&config.audit));
        config
    }

    fn listen_at(&mut self, bind: Option<&str>) -> Result<(), ConfigError> {
        if let Some(bind) = bind {
            self.http = std::mem::take(&mut self.http).with_bind(bind)?;
        }
        Ok(())
    }

    /// Whom a service trusts that trusts this machine.
    fn run_by(&mut self, os_user: Option<String>) {
        let Some(os_user) = os_user else { return };
        self.http.local_user = os_user;
        self.os_users.extend(http::local_super_admin(&self.http, self.files.users.as_ref()));
    }
}

/// The server over omni's own history, where that is in a database.
fn analytics(audit: &AuditConfig) -> Option<ServerConfig> {
    let is_there = cfg!(feature = "analytics") && audit.has_database();
    let mut server = is_there.then(|| ServerConfig::builtin("analytics_mcp", "analytics"))?;
    server.options.trusted = true;
    Some(server)
}

fn assemble(
    dir: Option<PathBuf>,
    cwd: &Path,
    env: &BTreeMap<String, String>,
    settings: Option<Loaded<SettingsSpec>>,
    mcps: Option<Loaded<McpsSpec>>,
    users: Option<Loaded<UsersSpec>>,
    findings: &mut Findings,
) -> Config {
    let settings = settings.unwrap_or_else(|| Loaded::empty("settings.yaml"));
    let mcps = mcps.unwrap_or_else(|| Loaded::empty("mcps.yaml"));
    let source = Source {
        dir: dir.as_deref(),
        cwd,
        env,
        settings: &settings.spec,
        settings_lines: &settings.lines,
        settings_variables: &settings.variables,
        mcps: &mcps.spec,
        mcps_lines: &mcps.lines,
        mcps_variables: &mcps.variables,
    };
    if let Some(users) = &users {
        report_unset_of_users(users, findings);
    }
    let servers = servers::build(&source, findings);
    let llm = llm::build(&source, findings);
    let data_dir = ledger::data_dir(&source);
    let audit = ledger::build(&source, &data_dir, findings);
    let bounds = bounds(&source, findings);
    let http = http::build(&source, bounds.timeout, findings);
    let tools = tools::build(&source, audit.has_database(), findings);
    let approvals = approvals::build(&source, users.as_ref().map(|file| &file.spec), findings);
    let results = results::build(&source, findings);
    let limiter_kind = limit::kind(&source);
    limit::check(&source, users.as_ref().map(|file| (&file.spec, &file.lines)), &audit.kind, findings);
    let (oidc, proxy) = (security::oidc(&source, findings), security::proxy(&source, findings));
    let (egress, tokens) = (egress::build(&source, findings), oauth::tokens(&source, &data_dir, &audit, findings));
    security::check_roles(&source, users.as_ref().map(|file| &file.spec), findings);
    report_other_unset(&source, findings);
    let (users, users_lines) = users.map_or_else(Default::default, |file| (Some(file.spec), file.lines));
    Config {
        llm,
        servers,
        policy_kind: policy_kind(dir.as_deref(), &settings.spec).into(),
        limiter_kind,
        limits_enabled: source.settings.rate_limiting.enabled.unwrap_or(true),
        redis_url: limit::redis_url(&source),
        limits_fail_open: source.settings.limit.on_error == OnError::Allow,
        audit,
        store_content: store_content(source.settings),
        data_dir,
        log_level: log_level(&source),
        log_format: log_format(&source),
        environment: env.get("APP_ENV").filter(|name| !name.is_empty()).map_or("development", String::as_str).into(),
        http,
        bounds,
        tools,
        approvals,
        results,
        oidc,
        proxy,
        threading: ThreadRules::default(),
        slack: SlackConfig::default(),
        egress,
        tokens,
        os_users: os_users(users.as_ref().filter(|_| settings.spec.policy.store == PolicyStoreSpec::Yaml)),
        diagnostics: Vec::new(),
        files: Arc::new(ConfigFiles {
            settings: settings.spec,
            mcps: mcps.spec,
            mcps_lines: mcps.lines,
            users,
            users_lines,
            slack: SlackSpec::default(),
            slack_lines: Lines::of("slack.yaml"),
            problems: std::mem::take(&mut findings.problems),
        }),
        dir,
    }
}

impl<T: Default> Loaded<T> {
    fn empty(file: &str) -> Self {
        Self { spec: T::default(), lines: Lines::of(file), variables: References::default() }
    }
}

/// Reads one file, if it is there. What is wrong with its content goes into `findings`, so that
/// one look shows all of it.
fn read<T: DeserializeOwned + JsonSchema + Default>(
    dir: &Path,
    file: &str,
    env: &BTreeMap<String, String>,
    findings: &mut Findings,
) -> Result<Option<Loaded<T>>, ConfigError> {
    let Some(text) = read_text(&dir.join(file))? else { return Ok(None) };
    let mut document = match yaml::parse(file, &text) {
        Ok(document) => document,
        Err(ConfigError::Invalid(finding)) => {
            findings.all.push(*finding);
            return Ok(Some(Loaded::empty(file)));
        }
        Err(other) => return Err(other),
    };
    let variables = interpolate(&mut document.value, env);
    let found = shape(&mut document.value, &spec::schema::<T>(), &document.lines);
    let is_sound = found.iter().all(|finding| finding.severity < Severity::Error);
    findings.all.extend(found);
    let spec = match serde_json::from_value(document.value) {
        Ok(spec) => spec,
        Err(error) => {
            if is_sound {
                findings.all.push(document.lines.finding(Severity::Error, "", error.to_string()));
            }
            T::default()
        }
    };
    Ok(Some(Loaded { spec, lines: document.lines, variables }))
}

/// A file's text; `None` if there is no such file. A link to what is not there is no absent file: without what it says,
/// anybody might be anything.
fn read_text(path: &Path) -> Result<Option<String>, ConfigError> {
    let failed = |message: String| ConfigError::Read { path: path.display().to_string(), message };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_link = fs::symlink_metadata(path).is_ok();
            return if is_link { Err(failed(search::NOWHERE.into())) } else { Ok(None) };
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failed("it is larger than 1 MiB".into()));
    }
    Ok(Some(text))
}

/// Adds the variables of a directory's `.env` that are not there yet.
fn add_dotenv(env: &mut BTreeMap<String, String>, dir: &Path) -> Result<(), ConfigError> {
    let path = dir.join(".env");
    if !path.is_file() {
        return Ok(());
    }
    for (name, value) in dotenv::parse(&read_text(&path)?.unwrap_or_default()) {
        env.entry(name).or_insert(value);
    }
    Ok(())
}

fn bounds(source: &Source<'_>, findings: &mut Findings) -> AskBounds {
    let default = AskBounds::default();
    let (agent, lines) = (&source.settings.agent, source.settings_lines);
    if agent.max_turns == Some(0) {
        findings.all.push(lines.finding(Severity::Error, "agent.max_turns", "an ask needs at least 1 turn"));
    }
    if agent.max_cost_usd.is_some_and(|usd| !usd.is_finite() || usd < 0.0) {
        findings.all.push(lines.finding(Severity::Error, "agent.max_cost_usd", "a cost cannot be negative"));
    }
    let performance = source.settings.performance.request_timeout_seconds;
    let timeout = findings.seconds(performance, default.timeout, lines, "performance.request_timeout_seconds");
    AskBounds {
        max_turns: agent.max_turns.unwrap_or(default.max_turns),
        timeout: findings.seconds(agent.timeout_seconds, timeout, lines, "agent.timeout_seconds"),
        max_tokens: agent.max_tokens,
        max_cost: agent.max_cost_usd.map(NanoUsd::from_usd),
    }
}

fn threads(file: &Loaded<ThreadingSpec>, llm: &LlmConfig, findings: &mut Findings) -> ThreadRules {
    file.variables.unset.iter().for_each(|unset| findings.unset(Severity::Warning, &file.lines, unset, ""));
    threading::build(&file.spec, &llm.provider, &file.lines, findings)
}

/// Keys that have a say of their own where their variable is not set.
const SAID_ELSEWHERE: [&str; 5] =
    ["llm.api_key", "database.url", "audit.key", "security.secret_key", security::LOGIN_SECRET];
/// How keys of `settings.yaml` begin that say how much is too much, and who agrees to it: without the text of its
/// variable a bound would bound nothing.
const BOUNDS: [&str; 5] =
    ["agent.max_", "approvals.", "budgets[", "performance.max_concurrent_requests_per_user", "rate_limiting.default_"];

/// Variables that no part above has spoken of.
fn report_other_unset(source: &Source<'_>, findings: &mut Findings) {
    let is_bound = |path: &str| BOUNDS.iter().any(|start| path.starts_with(start));
    findings.rules_need(source.settings_lines, source.settings_variables, is_bound);
    for unset in &source.settings_variables.unset {
        if !is_bound(&unset.path) && !SAID_ELSEWHERE.contains(&unset.path.as_str()) {
            findings.unset(Severity::Warning, source.settings_lines, unset, "");
        }
    }
    let is_of_a_server = |path: &str| path.starts_with("mcps[");
    let is_rule = |path: &str| {
        path.strip_prefix("global.").is_some_and(servers::is_rule) || path.starts_with("tool_patterns.dangerous")
    };
    findings.rules_need(source.mcps_lines, source.mcps_variables, is_rule);
    for unset in source.mcps_variables.unset.iter().filter(|unset| !is_of_a_server(&unset.path)) {
        if !is_rule(&unset.path) {
            findings.unset(Severity::Warning, source.mcps_lines, unset, "");
        }
    }
}

fn report_unset_of_users(users: &Loaded<UsersSpec>, findings: &mut Findings) {
    findings.rules_need(&users.lines, &users.variables, has_a_say);
    for unset in users.variables.unset.iter().filter(|unset| !has_a_say(&unset.path)) {
        findings.unset(Severity::Warning, &users.lines, unset, "");
    }
}

/// Whether a value of `users.yaml` has a say in who may do what.
fn has_a_say(path: &str) -> bool {
    let key = |part: &str| part.split('[').next().unwrap_or_default().to_owned();
    let (first, last) = (path.split('.').next().map(key), path.rsplit('.').next().map(key));
    let is_about_rights = matches!(
        first.as_deref(),
        Some("default_user" | "super_admins" | "users" | "blocked_users" | "roles" | "auto_provisioning")
    );
    let is_text = matches!(
        last.as_deref(),
        Some(
            "name"
                | "description"
                | "slack_user_id"
                | "teams"
                | "display_name"
                | "color"
                | "message"
                | "notify_admins"
                | "notification_channel"
        )
    );
    is_about_rights && !is_text
}

fn store_content(settings: &SettingsSpec) -> StoreContent {
    match settings.audit.store_content {
        None | Some(StoreContentSpec::Full) => StoreContent::Full,
        Some(StoreContentSpec::Preview) => StoreContent::Preview,
        Some(StoreContentSpec::None) => StoreContent::None,
    }
}

fn log_level(source: &Source<'_>) -> Option<String> {
    let is_debug = source.env.get("DEBUG").is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "true"));
    let level = source.env.get("LOG_LEVEL").filter(|level| !level.is_empty()).cloned();
    let level = level.or_else(|| is_debug.then(|| "DEBUG".into()));
    level.or_else(|| source.settings.audit.log_level.clone()).map(|level| level.to_uppercase())
}

fn log_format(source: &Source<'_>) -> Option<LogFormat> {
    let own = match source.env.get("LOG_FORMAT").map(|format| format.to_lowercase()).as_deref() {
        Some("json") => Some(LogFormatSpec::Json),
        Some("text" | "console") => Some(LogFormatSpec::Text),
        Some(_) | None => source.settings.audit.log_format,
    };
    own.map(|format| match format {
        LogFormatSpec::Json => LogFormat::Json,
        LogFormatSpec::Text | LogFormatSpec::Console => LogFormat::Console,
    })
}

fn policy_kind(dir: Option<&Path>, settings: &SettingsSpec) -> &'static str {
    match (dir, settings.policy.store) {
        (None, _) => "memory",
        (Some(_), PolicyStoreSpec::Yaml) => "yaml",
        (Some(_), PolicyStoreSpec::Sql) => "sql",
    }
}

/// Subjects by operating-system user.
pub(crate) fn os_users(users: Option<&UsersSpec>) -> BTreeMap<String, String> {
    let people = users.into_iter().flat_map(|users| users.super_admins.iter().chain(&users.users));
    let mapped = people.flat_map(|person| {
        let names = person.os_user.iter().flat_map(|names| names.items());
        names.map(|name| (name.clone(), person.email.trim().to_lowercase()))
    });
    mapped.collect()
}
