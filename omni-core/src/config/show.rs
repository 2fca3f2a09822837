//! The effective configuration for people, and the schema of the files.

use std::{fmt, time::Duration};

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use super::{
    Config, ConfigFiles, HttpConfig, LlmConfig, LoadOptions, OidcConfig, Process, ProxyConfig, ServerAuth,
    ServerConfig, approvals, results,
    secrets::{flagged, torn},
    slack, spec, threading, yaml,
};
use crate::{
    identity::RoleMap,
    mcp::BreakerOptions,
    redact::{REDACTED, Redactor},
};

/// What stands in a secret's place.
pub(super) const HIDDEN: &str = "***";

impl Config {
    /// The effective configuration, with every secret hidden.
    #[must_use]
    pub fn show(&self) -> Value {
        json!({
            "dir": self.dir,
            "data_dir": self.data_dir,
            "log_level": self.log_level,
            "log_format": self.log_format,
            "http": http(&self.http),
            "llm": llm(&self.llm),
            "servers": self.servers.iter().map(server).collect::<Vec<_>>(),
            "policy": { "kind": self.policy_kind },
            "limits": {
                "kind": self.limiter_kind,
                "enabled": self.limits_enabled,
                "redis_url": self.redis_url.as_ref().map(|url| without_password(url.expose_secret())),
                "on_error": if self.limits_fail_open { "allow" } else { "deny" },
            },
            "audit": {
                "kind": self.audit.kind,
                "url": without_password(&self.audit.url),
                "dir": self.audit.dir,
                "ack": self.audit.ack,
                "required": self.audit.required,
                "retention_days": self.audit.retention_days,
                "store_content": self.store_content,
                "key": self.audit.key.as_ref().map(|key| key.id().to_string()),
            },
            "agent": {
                "max_turns": self.bounds.max_turns,
                "timeout_seconds": self.bounds.timeout.as_secs_f64(),
                "max_tokens": self.bounds.max_tokens,
                "max_cost_usd": self.bounds.max_cost.map(crate::cost::NanoUsd::as_usd),
            },
            "tools": {
                "pin": self.tools.pin,
                "pin_on_error": if self.tools.pin_fail_open { "allow" } else { "deny" },
                "search_threshold": self.tools.search_threshold,
            },
            "approvals": approvals::show(&self.approvals),
            "results": results::show(&self.results),
            "security": {
                "oidc": self.oidc.as_ref().map(oidc),
                "proxy": self.proxy.as_ref().map(proxy),
                "egress": {
                    "networks": self.egress.networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "hosts": self.egress.hosts,
                    "proxy": self.egress.proxy,
                },
                "token_store": if self.tokens.in_database { "database" } else { "file" },
                "secret_key": self.tokens.key.as_ref().map(|_| HIDDEN),
            },
            "threading": threading::show(&self.threading),
            "slack": slack::show(&self.slack),
            "os_users": self.os_users,
        })
    }

    /// [`Config::show`] as YAML text.
    #[must_use]
    pub fn show_yaml(&self) -> String {
        yaml::print(&self.show())
    }

    /// JSON Schema of the five files, by file name.
    #[must_use]
    pub fn schema() -> Value {
        let mut schemas = json!(spec::schemas());
        declare_ignored(&mut schemas);
        schemas
    }
}

/// Makes properties of the keys that are accepted and not used, so that editors know them.
fn declare_ignored(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.values_mut().for_each(declare_ignored);
            for mark in ["x-own", "x-enforced", "x-keep-empty"] {
                entries.remove(mark);
            }
            if let Some(Value::Array(names)) = entries.remove("x-ignored") {
                let properties = entries.entry("properties").or_insert_with(|| json!({}));
                for name in names.iter().filter_map(Value::as_str) {
                    properties[name] = json!({ "description": "Accepted and not used by omni." });
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(declare_ignored),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl ServerConfig {
    /// Its address as people may see it: without credentials, the values of its query, and what its path took from the
    /// environment.
    #[must_use]
    pub fn shown_url(&self) -> Option<String> {
        self.filled_url().as_deref().map(without_password)
    }

    /// Its address without what its path took from the environment. A variable that is the host, or all of the address,
    /// stays: in a path it may well be a key.
    pub(super) fn filled_url(&self) -> Option<String> {
        let (host, path) = self.url_parts()?;
        let values = self.url_variables.iter().map(|variable| variable.value.expose_secret());
        let known = values.fold(Redactor::new(), Redactor::with_value);
        Some(format!("{host}{}", known.text(path).replace(REDACTED, HIDDEN)))
    }

    /// Its address up to the path, and from there on.
    pub(super) fn url_parts(&self) -> Option<(&str, &str)> {
        let url = self.url.as_deref()?;
        let host = url.find("://").map_or(0, |colon| colon + "://".len());
        Some(url.split_at(url[host..].find(['/', '?', '#']).map_or(url.len(), |end| host + end)))
    }

    /// Its arguments as people may see them: without secrets.
    #[must_use]
    pub fn shown_args(&self) -> Vec<String> {
        args(self)
    }
}

// What is shown for debugging hides what is hidden from people.

impl fmt::Debug for LlmConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LlmConfig {}", llm(self))
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerConfig {} {:?}", server(self), self.options)
    }
}

impl fmt::Debug for ConfigFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFiles").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&String> = self.env.keys().collect();
        f.debug_struct("Process")
            .field("args", &self.args)
            .field("env", &variables)
            .field("os_user", &self.os_user)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&String> = self.env.keys().collect();
        f.debug_struct("LoadOptions")
            .field("dir", &self.dir)
            .field("env", &variables)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

fn http(http: &HttpConfig) -> Value {
    json!({
        "host": http.host,
        "port": http.port,
        "mode": http.mode,
        "cors_origins": http.cors_origins,
        "public_url": http.public_url,
        "trusted_proxies": http.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "max_body_bytes": http.max_body_bytes,
        "max_header_bytes": http.max_header_bytes,
        "max_query_bytes": http.max_query_bytes,
        "max_json_depth": http.max_json_depth,
        "request_timeout_seconds": http.request_timeout.as_secs_f64(),
        "max_concurrent": http.max_concurrent,
        "max_connections": http.max_connections,
        "resume_grace": http.resume_grace.as_secs_f64(),
        "drain_seconds": http.drain.as_secs_f64(),
        "docs": http.docs,
        "dashboard": http.dashboard,
    })
}

fn llm(llm: &LlmConfig) -> Value {
    json!({
        "provider": llm.provider,
        "model": llm.model,
        "base_url": llm.base_url.as_deref().map(without_password),
        "api_key": llm.api_key.as_ref().map(|_| HIDDEN),
        "api_version": llm.api_version,
        "max_tokens": llm.max_tokens,
        "timeout_seconds": llm.timeout.as_secs_f64(),
        "max_retries": llm.max_retries,
        "extra": Redactor::new().json(&json!(llm.extra)),
        "prices": llm.prices.own_models().collect::<Vec<_>>(),
    })
}

fn oidc(oidc: &OidcConfig) -> Value {
    json!({
        "issuer": without_password(&oidc.issuer),
        "audience": oidc.audience,
        "clients": oidc.clients,
        "user_claim": oidc.user_claim,
        "roles_claim": oidc.roles_claim,
        "roles": roles(&oidc.roles),
        "tenant_claim": oidc.tenant_claim,
        "login": oidc.login.as_ref().map(|login| json!({
            "client_id": login.client_id,
            "client_secret": login.client_secret.as_ref().map(|_| HIDDEN),
            "scopes": login.scopes,
        })),
    })
}

fn proxy(proxy: &ProxyConfig) -> Value {
    json!({
        "trusted": proxy.trusted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "user_header": proxy.user_header,
        "email_header": proxy.email_header,
        "groups_header": proxy.groups_header,
        "roles": roles(&proxy.roles),
    })
}

/// In their order, which counts.
fn roles(roles: &RoleMap) -> Vec<Value> {
    roles.entries().map(|(group, role)| json!({ "group": group, "role": role })).collect()
}

fn server(server: &ServerConfig) -> Value {
    let auth = match &server.auth {
        ServerAuth::None => Value::Null,
        ServerAuth::Bearer(_) => json!({ "type": "bearer", "api_key": HIDDEN }),
        ServerAuth::Basic { username, .. } => json!({ "type": "basic", "username": username, "password": HIDDEN }),
        ServerAuth::Header { name, .. } => json!({ "type": "api_key", "header_name": name, "header_value": HIDDEN }),
        ServerAuth::PassThrough(own) => json!({
            "type": "pass_through",
            "audience": own.audience,
            "discovery_token": own.discovery_token.as_ref().map(|_| HIDDEN),
        }),
        ServerAuth::OAuth(oauth) => json!({
            "type": "oauth",
            "grant": oauth.grant.name(),
            "client_id": oauth.client_id,
            "client_secret": oauth.client_secret.as_ref().map(|_| HIDDEN),
            "private_key": oauth.private_key.as_ref().map(|_| HIDDEN),
            "client_metadata_url": oauth.client_metadata_url,
            "issuer": oauth.issuer,
            "scopes": oauth.scopes,
        }),
    };
    let hidden =
        |names: Vec<&String>| names.into_iter().map(|name| (name.clone(), Value::from(HIDDEN))).collect::<Value>();
    json!({
        "name": server.name,
        "enabled": server.options.enabled,
        "protocol": server.kind,
        "url": server.shown_url(),
        "command": server.command,
        "args": args(server),
        "cwd": server.cwd,
        "env": hidden(server.env.keys().collect()),
        "headers": hidden(server.headers.keys().collect()),
        "authentication": auth,
        "sharing": server.options.sharing.name(),
        "timeout_seconds": server.options.call_timeout.as_secs_f64(),
        "connect": server.options.connect,
        "on_start_failure": server.options.on_start_failure,
        "max_attempts": server.options.max_attempts,
        "max_concurrent": server.options.max_concurrent,
        "keep_alive_seconds": seconds(server.options.keep_alive),
        "idle_close_seconds": seconds(server.options.idle_close),
        "refresh_seconds": seconds(server.options.refresh),
        "breaker": breaker(&server.options.breaker),
        "trusted": server.options.trusted,
        "pin": server.options.pin,
        "tags": server.tags,
    })
}

/// A time, where 0 is none.
fn seconds(time: Option<Duration>) -> f64 {
    time.map_or(0.0, |time| time.as_secs_f64())
}

fn breaker(breaker: &BreakerOptions) -> Value {
    json!({
        "failures": breaker.failures,
        "window_seconds": breaker.window.as_secs_f64(),
        "pause_seconds": breaker.pause.as_secs_f64(),
        "max_pause_seconds": breaker.max_pause.as_secs_f64(),
        "probes": breaker.probes,
    })
}

/// Arguments without what came from the environment, without the values of secret options, and without what else looks
/// like a secret.
fn args(server: &ServerConfig) -> Vec<String> {
    let mut shown: Vec<String> = server.args.iter().map(|arg| without_password(arg)).collect();
    for (at, _) in flagged(&server.args) {
        shown[at] = match server.args[at].split_once('=') {
            Some((flag, _)) if flag.starts_with('-') => format!("{flag}={HIDDEN}"),
            _ => HIDDEN.into(),
        };
    }
    for variable in &server.arg_variables {
        if let Some(arg) = shown.get_mut(variable.at) {
            *arg = HIDDEN.into();
        }
    }
    let guess = Redactor::new();
    shown.iter().map(|arg| guess.text(arg).replace(REDACTED, HIDDEN)).collect()
}

/// An address without its password, without its user name where a token may be one (on the web, and where there is no
/// password), and without the values of its query, where keys like to travel.
pub(super) fn without_password(text: &str) -> String {
    if let Some((before, _, rest)) = torn(text) {
        // It can be read in two ways, of which one has a host that is not asked.
        if Url::parse(text).is_ok_and(|url| !url.cannot_be_a_base()) {
            return format!("{before}{HIDDEN}");
        }
        return match rest.split_once('?') {
            Some((place, _)) => format!("{before}{HIDDEN}@{place}?{HIDDEN}"),
            None => format!("{before}{HIDDEN}@{rest}"),
        };
    }
    let Ok(mut url) = Url::parse(text) else { return text.into() };
    let (has_password, is_web) = (url.password().is_some(), matches!(url.scheme(), "http" | "https"));
    let mut hidden = if has_password { url.set_password(Some(HIDDEN)) } else { Ok(()) };
    if !url.username().is_empty() && (is_web || !has_password) {
        hidden = hidden.and_then(|()| url.set_username(HIDDEN));
    }
    if hidden.is_err() {
        return HIDDEN.into();
    }
    if url.query().is_some() {
        let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}={HIDDEN}")).collect();
        url.set_query(Some(&names.join("&")));
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_address_is_shown_without_the_password_that_makes_it_none() {
        for (text, shown) in [
            ("postgresql://omni:S3cret/Pa#ss1@127.0.0.1:5432/attacker", "postgresql://***@127.0.0.1:5432/attacker"),
            ("https://svc:UrlS3cr/et@web.example/mcp?key=x", "https://***@web.example/mcp?***"),
            ("postgres:user:pw@host/db", "postgres:***@host/db"),
            ("http://mcp-server:8080/users/ada@x.org/mcp", "http://***"),
            ("https://host/@scope/pkg", "https://host/@scope/pkg"),
            ("http://registry:4873/@scope/pkg", "http://registry:4873/@scope/pkg"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }

    #[test]
    fn what_a_variable_put_into_the_path_of_an_address_is_shown_nowhere_and_its_host_is() {
        let mut server = ServerConfig::new("a", "http");
        server.url = Some("https://web.example/api/mcp/s/h00k-value/mcp?x=1".into());
        let variable = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), value.to_owned().into());
            crate::config::ArgVariable { at: 0, name, value }
        };
        server.url_variables = vec![variable("HOOK_SECRET", "h00k-value"), variable("HOST", "web.example")];
        assert_eq!(server.shown_url().as_deref(), Some("https://web.example/api/mcp/s/***/mcp?x=***"));
        assert_eq!(server.place(), "https://web.example/api/mcp/s/***/mcp");
        let mut config = Config::embedded(&Default::default(), Path::new("/work"));
        config.servers = vec![server];
        assert_eq!(config.redactor().text("h00k-value at web.example"), "[redacted] at web.example");
        server = ServerConfig::new("b", "http");
        server.url = Some("https://web.example/mcp".into());
        server.url_variables = vec![variable("MCP_AUTH_URL", "https://web.example/mcp")];
        assert_eq!(server.shown_url().as_deref(), Some("https://web.example/mcp"));
        config.servers = vec![server];
        assert_eq!(config.redactor().text("https://web.example/mcp"), "https://web.example/mcp");
    }

    #[test]
    fn arguments_and_parameters_are_shown_without_what_looks_like_a_secret() {
        let mut config = Config::embedded(&Default::default(), Path::new("/work"));
        config.llm.extra.insert("headers".into(), json!({ "x-api-key": "ExtraS3cret", "x-team": "data" }));
        assert_eq!(config.show()["llm"]["extra"]["headers"], json!({ "x-api-key": REDACTED, "x-team": "data" }));
        let mut server = ServerConfig::new("a", "stdio");
        for (arg, shown) in [
            ("--dsn=postgres://u:ArgDsnS3cret@h/db", "--dsn=***"),
            ("--db=postgres://u:ArgDbS3cret@h/db", "--db=postgres://***@h/db"),
            ("Authorization: Bearer HdrS3cretTok", "authorization: ***"),
            ("host=h password=KvS3cret user=u", "host=h password=*** user=u"),
            ("API_KEY=EnvStyleS3cret", "API_KEY=***"),
            ("postgres://u:pass@h/db", "postgres://u:***@h/db"),
            ("https://host/@scope/pkg", "https://host/@scope/pkg"),
            ("--max-tokens=4000", "--max-tokens=4000"),
        ] {
            server.args = vec!["--header".into(), arg.into()];
            assert_eq!(server.shown_args(), ["--header", shown]);
        }
    }
}
