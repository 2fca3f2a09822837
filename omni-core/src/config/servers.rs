//! From an entry of `mcps.yaml` to a server that can be connected to.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    ArgVariable, Need, ServerAuth, ServerConfig, Severity,
    llm::is_placeholder,
    load::{Findings, Source},
    oauth,
    server::BUILTIN,
    spec::{AuthSpec, AuthType, ServerSpec},
    yaml::join,
};
use crate::{mcp::BASE_ENV, policy::PatternSet};

mod options;
mod pass_through;

/// All servers, in the order of the file.
pub(super) fn build(source: &Source<'_>, findings: &mut Findings) -> Vec<ServerConfig> {
    let mut servers: Vec<ServerConfig> = Vec::new();
    for (at, spec) in source.mcps.mcps.iter().enumerate() {
        let path = format!("mcps[{at}]");
        if spec.name.trim().is_empty() || servers.iter().any(|server| server.name == spec.name) {
            let message = format!("the name {:?} is empty or taken by another server", spec.name);
            findings.all.push(source.mcps_lines.finding(Severity::Error, &format!("{path}.name"), message));
        }
        let server = Entry { source, spec, path: &path }.build(findings);
        servers.push(server);
    }
    servers
}

/// One entry on its way.
struct Entry<'a> {
    source: &'a Source<'a>,
    spec: &'a ServerSpec,
    path: &'a str,
}

impl Entry<'_> {
    fn build(&self, findings: &mut Findings) -> ServerConfig {
        let spec = self.spec;
        let mut server = ServerConfig::new(&spec.name, self.kind());
        server.builtin = spec.builtin.clone().filter(|name| !name.trim().is_empty());
        server.url = spec.url.as_deref().filter(|url| !url.is_empty()).map(|url| self.url(url, &server.kind));
        server.url_variables = self.url_variables();
        server.command = spec.command.clone().filter(|command| !command.is_empty());
        server.args.clone_from(&spec.args);
        server.arg_variables = self.arg_variables();
        let base = self.source.dir.map_or_else(|| self.source.cwd.to_owned(), |dir| self.source.cwd.join(dir));
        server.cwd = spec.cwd.as_ref().filter(|cwd| !cwd.is_empty()).map(|cwd| base.join(cwd));
        server.env = self.env();
        server.auth = spec.authentication.as_ref().map_or(ServerAuth::None, |spec| self.auth(spec, findings));
        server.headers = self.headers();
        server.tags.clone_from(&spec.tags);
        server.options = self.options(findings);
        // It is a part of omni.
        server.options.trusted |= server.builtin.is_some();
        server.source = Some(self.source.mcps_lines.at(self.path));
        self.check(&server, findings);
        server
    }

    /// `transport`, else what the address ends in, else `protocol`, else what there is.
    fn kind(&self) -> String {
        let spec = self.spec;
        if spec.builtin.as_ref().is_some_and(|name| !name.trim().is_empty()) {
            return BUILTIN.into();
        }
        let named = spec.transport.as_ref().or(spec.protocol.as_ref()).filter(|kind| !kind.trim().is_empty());
        let kind = named.map(|kind| kind.trim().to_lowercase().replace('_', "-"));
        let is_sse = spec.url.as_ref().is_some_and(|url| url.trim_end_matches('/').ends_with("/sse"));
        match kind.as_deref() {
            Some("http" | "https") | None if is_sse && spec.transport.is_none() => "sse".into(),
            Some("http" | "https" | "streamable-http" | "http-streamable" | "streamable") => "http".into(),
            Some(other) => other.into(),
            None if spec.url.is_none() && spec.command.is_some() => "stdio".into(),
            None => "http".into(),
        }
    }

    /// The address, with `/mcp` added where the original added it and it makes sense.
    fn url(&self, text: &str, kind: &str) -> String {
        let Ok(mut url) = Url::parse(text) else { return text.into() };
        let path = url.path().trim_end_matches('/').to_owned();
        if self.spec.transport.is_some() || kind != "http" || path.ends_with("/mcp") || path.ends_with("/sse") {
            return text.into();
        }
        url.set_path(&format!("{path}/mcp"));
        url.into()
    }

    /// What the process sees: what every process needs and the allowed variables of omni's own,
    /// then those set for it.
    fn env(&self) -> BTreeMap<String, SecretString> {
        let own = self.source.env;
        let allowed = BASE_ENV.iter().copied().chain(self.spec.env_allow.iter().map(String::as_str));
        let mut env: BTreeMap<String, SecretString> =
            allowed.filter_map(|name| Some((name.to_owned(), own.get(name)?.clone().into()))).collect();
        let set = self.spec.env.iter().filter(|(name, _)| !self.lacks(&join("env", name)));
        env.extend(set.map(|(name, value)| (name.clone(), value.clone())));
        env
    }

    /// Headers that have a value.
    fn headers(&self) -> BTreeMap<String, SecretString> {
        let headers = self.spec.headers.iter();
        let filled =
            headers.filter(|(name, value)| !value.expose_secret().is_empty() && !self.lacks(&join("headers", name)));
        filled.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The credentials that are really there; an empty, half or sample value is none.
    fn auth(&self, spec: &AuthSpec, findings: &mut Findings) -> ServerAuth {
        if spec.enabled == Some(false) {
            return ServerAuth::None;
        }
        let whole = |key: &str| !self.lacks(&join("authentication", key));
        let filled = |key: &str, secret: &Option<SecretString>| {
            secret.clone().filter(|secret| !secret.expose_secret().is_empty() && whole(key))
        };
        let given = |key: &str, secret: &Option<SecretString>| {
            filled(key, secret).filter(|secret| !is_placeholder(secret.expose_secret()))
        };
        let api_key = || given("api_key", &spec.api_key);
        let found = match spec.kind {
            AuthType::Bearer => api_key().map(ServerAuth::Bearer),
            AuthType::Basic => {
                let username = spec.username.clone().filter(|name| !name.is_empty() && whole("username"));
                let password = filled("password", &spec.password).or_else(api_key);
                username.zip(password).map(|(username, password)| ServerAuth::Basic { username, password })
            }
            AuthType::ApiKey | AuthType::CustomHeaders => {
                given("header_value", &spec.header_value).or_else(api_key).map(|value| ServerAuth::Header {
                    name: spec.header_name.clone().unwrap_or_else(|| "X-API-Key".into()),
                    value,
                })
            }
            AuthType::Oauth if !self.lacks_any("authentication") => {
                let lines = self.source.mcps_lines;
                let mut wrong = |key: &str, message: String| {
                    let path = self.at(&join("authentication", key));
                    findings.problem(Need::Servers, lines.finding(Severity::Error, &path, message));
                };
                oauth::build(spec, self.spec.url.as_deref(), &mut wrong).map(|oauth| ServerAuth::OAuth(Box::new(oauth)))
            }
            AuthType::Oauth => None,
            AuthType::PassThrough => pass_through::build(spec, given("discovery_token", &spec.discovery_token)),
        };
        found.unwrap_or(ServerAuth::None)
    }

    /// Whether a value lacks a variable, and so is not what was meant, even where something is left of it.
    fn lacks(&self, key: &str) -> bool {
        let path = self.at(key);
        self.source.mcps_variables.unset.iter().any(|unset| unset.path == path)
    }

    /// Whether any value within a mapping does.
    fn lacks_any(&self, key: &str) -> bool {
        let inside = self.at(&format!("{key}."));
        self.source.mcps_variables.unset.iter().any(|unset| unset.path.starts_with(&inside))
    }

    fn url_variables(&self) -> Vec<ArgVariable> {
        let url = self.at("url");
        self.variables(|path| (path == url).then_some(0))
    }

    fn arg_variables(&self) -> Vec<ArgVariable> {
        let inside = self.at("args[");
        self.variables(|path| path.strip_prefix(&inside)?.strip_suffix(']')?.parse().ok())
    }

    /// The variables that filled the values whose key paths `at` takes.
    fn variables(&self, at: impl Fn(&str) -> Option<usize>) -> Vec<ArgVariable> {
        let filled = self.source.mcps_variables.filled.iter();
        let variables = filled.filter_map(|filled| {
            let at = at(&filled.path)?;
            let value = self.source.env.get(&filled.variable)?.clone().into();
            Some(ArgVariable { at, name: filled.variable.clone(), value })
        });
        variables.collect()
    }

    /// How many calls one person may make: 0, and rates that are switched off, are no limit.
    fn calls(&self, most: Option<u64>) -> Option<u64> {
        let are_limited = self.source.settings.rate_limiting.enabled != Some(false);
        most.filter(|calls| are_limited && *calls > 0)
    }

    fn retry_safe(&self, findings: &mut Findings) -> PatternSet {
        PatternSet::new(&self.spec.retry_safe).unwrap_or_else(|error| {
            let finding = self.source.mcps_lines.finding(Severity::Error, &self.at("retry_safe"), error.to_string());
            findings.all.push(finding);
            PatternSet::default()
        })
    }

    fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// What is missing once the server is needed; nothing of a disabled one is.
    fn check(&self, server: &ServerConfig, findings: &mut Findings) {
        let lines = self.source.mcps_lines;
        let inside = format!("{}.", self.path);
        let mut has_unset_address = false;
        let is_its_rule = |path: &str| path.strip_prefix(&inside).is_some_and(is_rule);
        if server.options.enabled {
            findings.rules_need(lines, self.source.mcps_variables, is_its_rule);
        }
        for unset in self.source.mcps_variables.unset.iter().filter(|unset| unset.path.starts_with(&inside)) {
            let is_address = matches!(first(&unset.path[inside.len()..]), "url" | "command" | "args" | "cwd");
            has_unset_address |= is_address;
            match () {
                () if !server.options.enabled => findings.unset(Severity::Info, lines, unset, ""),
                () if is_address => findings.needed(Need::Servers, lines, unset, "the server"),
                () if is_its_rule(&unset.path) => {}
                () => findings.unset(Severity::Warning, lines, unset, "; the server gets nothing in its place"),
            }
        }
        if server.options.enabled && !has_unset_address {
            self.check_address(server, findings);
            self.check_sharing(server, findings);
        }
    }

    fn check_address(&self, server: &ServerConfig, findings: &mut Findings) {
        let (key, message) = match (server.kind.as_str(), &server.url, &server.command) {
            ("http" | "sse", None, _) => ("url", "a server over HTTP needs a url, such as http://host:8300".into()),
            ("http" | "sse", Some(url), _) => match Url::parse(url) {
                Ok(url) if matches!(url.scheme(), "http" | "https") => return,
                Ok(url) => ("url", format!("the address starts with {}:, not with http: or https:", url.scheme())),
                Err(error) => ("url", format!("this is no address: {error}")),
            },
            ("stdio", _, None) => ("command", "a stdio server needs a command".into()),
            (BUILTIN, None, None) => return,
            (BUILTIN, ..) => ("builtin", "a server of omni's own has no url and no command".into()),
            _ => return,
        };
        let finding = self.source.mcps_lines.finding(Severity::Error, &self.at(key), message);
        findings.problem(Need::Servers, finding);
    }
}

/// Whether a key of a server, or of all servers, holds rules: without the text of its variable a
/// deny would deny nothing, and what was to be off would be on.
pub(super) fn is_rule(key: &str) -> bool {
    matches!(
        first(key),
        "enabled"
            | "blocked_tools"
            | "admin_only_tools"
            | "allowed_tools"
            | "denied_tools"
            | "prompts"
            | "denied_prompts"
            | "resources"
            | "denied_resources"
            | "confirm"
            | "tool_policy"
            | "role_restrictions"
            | "database_argument"
            | "rate_limit"
    )
}

/// The first key of a path.
fn first(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or_default()
}
