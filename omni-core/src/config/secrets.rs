//! The values of the configuration that nobody may see.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{Config, ServerConfig};
use crate::redact::{Redactor, names_secret};

/// Parts of a variable's or header's name that tell of a secret. Other values, such as a port, are
/// too ordinary to be removed from everything.
const SECRET_NAMES: [&str; 7] = ["key", "token", "secret", "passw", "pwd", "credential", "auth"];

/// A value in an address that is shorter is removed from what is said of that address alone, in bytes.
const SHORTEST_QUERIED: usize = 8;

/// How the name of an option or a setting ends that takes a secret.
const SECRET_OPTIONS: [&str; 5] = ["key", "token", "secret", "password", "pwd"];

impl Config {
    /// A redactor that knows every secret of this configuration.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let mut secrets: Vec<String> = self.llm.api_key.iter().map(|key| key.expose_secret().to_owned()).collect();
        secrets.extend(self.llm.extra.iter().flat_map(|(name, value)| keyed(name, value)));
        secrets.extend(self.servers.iter().flat_map(of_server));
        secrets.extend(self.llm.base_url.iter().chain([&self.audit.url]).flat_map(|url| in_address(url)));
        for key in self.audit.key.iter().chain(&self.audit.verify_keys).chain(&self.tokens.key) {
            secrets.extend([key.expose_hex(), key.expose_hex().to_uppercase()]);
        }
        let login = self.oidc.iter().filter_map(|oidc| oidc.login.as_ref()?.client_secret.as_ref());
        secrets.extend(login.map(|secret| secret.expose_secret().to_owned()));
        secrets.extend(self.slack.secrets());
        secrets.extend(self.redis_url.iter().flat_map(|url| in_address(url.expose_secret())));
        secrets.iter().fold(Redactor::new(), |redactor, secret| redactor.with_value(secret))
    }
}

impl ServerConfig {
    /// Whether both are the same server, reached and treated in the same way. Where it stands in the
    /// file is no part of it.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let plain = |server: &Self| {
            let Self { name, kind, builtin, url, command, args, cwd, tags, options, .. } = server;
            format!("{:?}", (name, kind, builtin, url, command, args, cwd, tags, options))
        };
        let names = |server: &Self| {
            let named = server.env.keys().chain(server.headers.keys()).cloned();
            named.chain([format!("{:?}", server.auth)]).collect::<Vec<_>>()
        };
        let secrets = |server: &Self| {
            let named = server.env.iter().chain(&server.headers).map(|(_, value)| value.expose_secret().to_owned());
            let own = server.auth.secrets().into_iter().map(|secret| secret.expose_secret().to_owned());
            named.chain(own).collect::<Vec<_>>()
        };
        plain(self) == plain(other) && names(self) == names(other) && secrets(self) == secrets(other)
    }
}

/// What nobody may see of a server's entry.
pub(crate) fn of_server(server: &ServerConfig) -> Vec<String> {
    let own = server.auth.secrets().into_iter().map(|secret| secret.expose_secret().to_owned());
    // All of an address, its host and its port are no secrets, whatever their variables are called.
    let host =
        server.url_parts().and_then(|(host, _)| host.rsplit(['@', '/']).next()).unwrap_or_default().to_lowercase();
    let is_place = |value: &str| value.contains("://") || host.contains(&value.to_lowercase());
    let in_url = server.url_variables.iter().filter(|variable| !is_place(variable.value.expose_secret()));
    let variables = server.arg_variables.iter().chain(in_url).filter(|variable| is_secret(&variable.name));
    let variables = variables.map(|variable| variable.value.expose_secret().to_owned());
    let in_url = server.url.iter().flat_map(|url| in_address(url));
    let process = of_process(&server.args, &server.env);
    own.chain(named(&server.headers)).chain(variables).chain(in_url).chain(process).collect()
}

/// What nobody may see of that with which a program is started.
pub(crate) fn of_process(args: &[String], env: &BTreeMap<String, SecretString>) -> Vec<String> {
    let in_args = args.iter().flat_map(|arg| said(arg));
    let flagged = flagged(args).map(|(_, value)| value.to_owned());
    named(env).chain(in_args).chain(flagged).collect()
}

/// Values under the name of a secret, and the secrets within all of them.
pub(crate) fn named<'a>(
    values: impl IntoIterator<Item = (&'a String, &'a SecretString)>,
) -> impl Iterator<Item = String> {
    values.into_iter().flat_map(|(name, value)| {
        let value = value.expose_secret();
        let is_known = is_secret(name);
        // Behind a scheme it stands alone in what others say of it.
        let bare =
            value.split_once(' ').map(|(_, bare)| bare).filter(|bare| is_known && bare.len() >= SHORTEST_QUERIED);
        said(value).into_iter().chain(is_known.then(|| value.to_owned())).chain(bare.map(str::to_owned))
    })
}

/// The same of a parameter, however deep it goes.
fn keyed(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(entries) => entries.iter().flat_map(|(name, value)| keyed(name, value)).collect(),
        Value::Array(items) => items.iter().flat_map(|item| keyed(name, item)).collect(),
        Value::String(text) => said(text).into_iter().chain(names_secret(name).then(|| text.clone())).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The secrets within an argument or a value: those of addresses, and what stands behind the name of one, as in
/// `API_KEY=X`, `host=h password=X` and, on a line of its own, `Authorization: Bearer X`.
fn said(text: &str) -> Vec<String> {
    let headers = text.lines().filter_map(header).map(str::to_owned);
    let mut secrets: Vec<String> = in_address(text).into_iter().chain(headers).collect();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or(("", word));
        secrets.extend(in_address(value));
        secrets.extend(is_told(name, value).then(|| value.to_owned()));
    }
    secrets
}

/// The secret of a header, which stands behind the name of a scheme or alone.
fn header(line: &str) -> Option<&str> {
    let (name, value) = line.trim().split_once(": ").filter(|(name, _)| !name.contains(char::is_whitespace))?;
    let mut words = value.split(',').next()?.split_whitespace();
    let first = words.next()?;
    let is_scheme = ["bearer", "basic", "digest", "token"].iter().any(|scheme| first.eq_ignore_ascii_case(scheme));
    let value = if is_scheme { words.next()? } else { first };
    is_told(name, value).then_some(value)
}

/// The values of options whose names tell of a secret, as in `--token X` and `--api-key=X`, each
/// with the position of the argument that it is in.
pub(super) fn flagged(args: &[String]) -> impl Iterator<Item = (usize, &str)> {
    let is_flag = |arg: &str| arg.starts_with('-') && is_option(arg);
    args.iter().enumerate().filter_map(move |(at, arg)| match arg.split_once('=') {
        Some((flag, value)) if is_flag(flag) => Some((at, value)),
        _ => {
            let flag = args.get(at.checked_sub(1)?)?;
            (is_flag(flag) && !flag.contains('=') && !arg.starts_with('-')).then_some((at, arg.as_str()))
        }
    })
}

/// Whether a variable or header of this name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Whether an option or a setting of this name takes a secret.
fn is_option(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_OPTIONS.iter().any(|end| name.ends_with(end))
}

/// Whether what is said under a name is a secret, and can be one: `author=anna` and `format_key=json` are words of
/// everybody's.
fn is_told(name: &str, value: &str) -> bool {
    let name = name.to_lowercase();
    let is_plainly = matches!(name.as_str(), "password" | "passwd" | "token" | "access_token" | "secret" | "api_key");
    let ends = ["passwd", "credential", "credentials", "auth", "authorization"].iter().any(|end| name.ends_with(end));
    is_plainly || ((is_option(&name) || ends) && value.len() >= SHORTEST_QUERIED)
}

/// What is removed from everything of an address: its password, and what its query says under the name of a secret.
pub(crate) fn in_address(text: &str) -> Vec<String> {
    if let Some((before, login, rest)) = torn(text) {
        let password = login.split_once(':').map(|(_, password)| password.to_owned());
        // It may be as it looks after all.
        return password.into_iter().chain(parsed(text)).chain(in_address(&format!("{before}{rest}"))).collect();
    }
    parsed(text)
}

/// The same of an address that is as it looks.
fn parsed(text: &str) -> Vec<String> {
    let Ok(url) = Url::parse(text) else { return Vec::new() };
    let queried = url.query_pairs().filter(|(name, value)| is_told(name, value));
    let mut secrets: Vec<String> = queried.map(|(_, value)| value.into_owned()).collect();
    // As it stands there, and as it is given to whoever asks for it.
    let spelled = |password: &str| [password.to_owned(), percent_decode_str(password).decode_utf8_lossy().into_owned()];
    secrets.extend(url.password().into_iter().flat_map(spelled));
    secrets
}

/// The parts of an address in which no parser finds user and password where they are: what stands before them, they
/// themselves, up to the last `@`, and the rest. A `/`, `?` or `#` of a password ends the host early; the slashes of
/// `postgres://` are forgotten; or the address is an option's, as in `--dsn=postgres://…`.
pub(super) fn torn(text: &str) -> Option<(&str, &str, &str)> {
    let start = match text.find("://") {
        Some(colon) => colon + "://".len(),
        None => text.find(':').filter(|colon| is_postgres(&text[..*colon]))? + 1,
    };
    let (before, rest) = text.split_at(start);
    let option = before.rfind('=').map_or(0, |equals| equals + 1);
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let at = match Url::parse(&text[option..]) {
        Ok(url) if !url.cannot_be_a_base() => early(rest, host).or_else(|| host.rfind('@').filter(|_| option > 0))?,
        Ok(_) | Err(_) => rest.rfind('@').filter(|_| host.contains([':', '@']))?,
    };
    Some((before, &rest[..at], &rest[at + 1..]))
}

/// Where the password ends of an address that was taken for one without it, or with a shorter one: what passes for its
/// host is a bare word behind a user or before a port, and an `@` follows that begins no step of the path, as that of
/// `/@scope/package` does.
fn early(rest: &str, host: &str) -> Option<usize> {
    let name = host.rsplit('@').next()?.split(':').next()?;
    if name.contains(['.', '[']) || name == "localhost" || name.len() == host.len() {
        return None;
    }
    let more = rest.get(host.len() + 1..)?.split('?').next()?;
    let at = more.rfind('@').filter(|at| *at > 0 && !more[..*at].ends_with('/'))?;
    Some(host.len() + 1 + at)
}

fn is_postgres(scheme: &str) -> bool {
    matches!(scheme.split('+').next(), Some("postgres" | "postgresql"))
}

/// What the query of an address says under the name of a secret. That of a database holds settings, of which
/// `authSource` and `allowPublicKeyRetrieval` are no secrets.
pub(crate) fn queried(url: &Url) -> impl Iterator<Item = String> {
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_hidden: fn(&str) -> bool = if is_web { is_secret } else { is_option };
    url.query_pairs().filter(move |(name, _)| is_hidden(name)).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::config::{ArgVariable, ServerAuth};

    #[test]
    fn the_redactor_knows_keys_credentials_and_passwords_but_no_ports() {
        let env = [("ANTHROPIC_API_KEY", "model-key-1"), ("DATABASE_URL", "postgresql://u:database%20pass@h/d")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut config = Config::embedded(&env, Path::new("/work"));
        let mut server = ServerConfig::new("a", "http");
        let query = "apiKey=query-value-7&key=query-value-8&auth=true&passwd=hunter2&basic_auth=query-value-0&author=annabella&keyspace=salesdata&sort_key=json";
        server.url = Some(format!("https://mcp.example/mcp?{query}"));
        server.auth = ServerAuth::Bearer("bearer-value-2".to_owned().into());
        server.env = [("MY_TOKEN", "env-value-3"), ("PORT", "8080")]
            .map(|(name, value)| (name.to_owned(), value.to_owned().into()))
            .into();
        config.servers.push(server);
        let mut program = ServerConfig::new("b", "stdio");
        program.args =
            ["--token", "flag-value-4", "--port", "8080", "--api-key=flag-value-5", "http://u:url-value-6@h"]
                .map(str::to_owned)
                .into();
        program.args.push("mongodb://h/d?authSource=admin&proxyPassword=query-value-9".into());
        config.servers.push(program);
        let text = "model-key-1 database%20pass database pass bearer-value-2 env-value-3 flag-value-4 flag-value-5 url-value-6 8080";
        let redacted = config.redactor().text(text);
        assert_eq!(redacted, format!("{}8080", "[redacted] ".repeat(8)));
        let text =
            "query-value-7 query-value-8 query-value-9 hunter2 query-value-0 true admin annabella salesdata json";
        let redacted = config.redactor().text(text);
        assert_eq!(
            redacted,
            "[redacted] [redacted] [redacted] [redacted] [redacted] true admin annabella salesdata json"
        );
    }

    #[test]
    fn an_address_that_a_password_tears_apart_is_put_together_and_a_scoped_package_is_left_alone() {
        for (text, login, rest) in [
            (
                "postgresql://omni:S3cret/Pa#ss1@127.0.0.1:5432/attacker",
                "omni:S3cret/Pa#ss1",
                "127.0.0.1:5432/attacker",
            ),
            ("https://svc:UrlS3cr/et@web.example/mcp", "svc:UrlS3cr/et", "web.example/mcp"),
            ("https://svc:12/34@web.example/mcp", "svc:12/34", "web.example/mcp"),
            ("postgres://omni:12#34@db/omni", "omni:12#34", "db/omni"),
            ("postgres://omni:12?34@db/omni", "omni:12?34", "db/omni"),
            ("https://svc:p@ss/word@web.example/mcp", "svc:p@ss/word", "web.example/mcp"),
            ("--dsn=postgres://u:pass@h/d", "u:pass", "h/d"),
            ("jdbc:postgresql://u:pass@h/d", "u:pass", "h/d"),
            ("postgres:user:pass@host/db", "user:pass", "host/db"),
        ] {
            assert_eq!(torn(text).map(|(_, login, rest)| (login, rest)), Some((login, rest)), "{text}");
        }
        for text in [
            "https://user:pass@host:8300/mcp?mail=a@b.org",
            "https://host/@scope/pkg",
            "http://registry:4873/@scope/pkg",
            "--registry=http://registry:4873/@scope/pkg",
            "https://host/a@b",
            "http://host:8300/mcp?mail=a@b.org",
            "http://host.example:8300/people/a@b.org",
            "http://localhost:8300/a@b",
            "http://[::1]:8300/a@b",
            "npm:@scope/pkg",
            "git@host:team/repo",
            "postgres:notes",
        ] {
            assert_eq!(torn(text), None, "{text}");
        }
    }

    #[test]
    fn the_redactor_knows_the_secrets_within_arguments_variables_and_parameters() {
        let mut config = Config::embedded(&Default::default(), Path::new("/work"));
        config.audit.url = "postgresql://omni:S3cret/Pa#ss1@127.0.0.1:5432/omni".into();
        config.llm.extra.insert("headers".into(), json!({ "x-api-key": "ExtraS3cret", "x-team": "plainly" }));
        let mut program = ServerConfig::new("a", "stdio");
        program.args = [
            "--dsn=postgres://u:ArgDsnS3cret@h/db",
            "--header",
            "Authorization: Bearer HdrS3cretTok",
            "host=h password=KvS3cret user=somebody",
            "API_KEY=EnvStyleS3cret",
            "https://svc:UrlS3cr/et@web.example/mcp",
        ]
        .map(str::to_owned)
        .into();
        program.env = [("DATABASE_URL", "postgres://u:EnvPwS3cret@h/db"), ("DB", "host=h password=DsnS3cret")]
            .map(|(name, value)| (name.to_owned(), value.to_owned().into()))
            .into();
        program.headers = [("X-Upstream".to_owned(), "https://u:HeaderPwS3cret@h".to_owned().into())].into();
        config.servers.push(program);
        let redactor = config.redactor();
        for secret in [
            "S3cret/Pa#ss1",
            "ExtraS3cret",
            "ArgDsnS3cret",
            "HdrS3cretTok",
            "KvS3cret",
            "EnvStyleS3cret",
            "UrlS3cr/et",
            "EnvPwS3cret",
            "DsnS3cret",
            "HeaderPwS3cret",
        ] {
            assert_eq!(redactor.text(&format!("<{secret}>")), "<[redacted]>", "{secret}");
        }
        assert_eq!(redactor.text("somebody plainly"), "somebody plainly");
    }

    #[test]
    fn of_a_header_the_secret_is_known_and_no_other_word() {
        for (text, known) in [
            ("Authorization: Bearer tok123456\nX-Team: data", vec!["tok123456"]),
            ("Authorization: Bearer tok12345678, X-Tenant: production", vec!["tok12345678"]),
            ("  X-Api-Key: tok123456", vec!["tok123456"]),
            ("X-Api-Key: tok123456, X-Tenant: production", vec!["tok123456"]),
            ("X-Api-Key: tok123456 # of the team", vec!["tok123456"]),
            ("The token: never share it with anybody", vec![]),
        ] {
            assert_eq!(said(text), known, "{text}");
        }
    }

    #[test]
    fn a_password_is_known_whichever_way_an_address_is_read() {
        for text in [
            "git+https://oauth2:git-token@gitlab/team/mcp@v1",
            "http://svc:git-token@gateway:8300/users/a@b.org/mcp",
            "postgres://u:git-token@db?application_name=a@b",
        ] {
            assert!(in_address(text).contains(&"git-token".to_owned()), "{text}");
        }
    }

    #[test]
    fn what_else_an_address_takes_from_secrets_is_one_and_its_host_and_port_are_none() {
        let mut server = ServerConfig::new("a", "http");
        server.url = Some("http://user-tok-1@Auth-Host:8080/s/hook%20key-1/mcp".into());
        let variable =
            |(name, value): (&str, &str)| ArgVariable { at: 0, name: name.into(), value: value.to_owned().into() };
        let places = [("AUTH_HOST", "auth-host"), ("AUTH_PORT", "8080"), ("MCP_AUTH_URL", "http://Auth-Host:8080")];
        let secrets = [("GIT_TOKEN", "user-tok-1"), ("HOOK_SECRET", "hook key-1")];
        server.url_variables = places.into_iter().chain(secrets).map(variable).collect();
        assert_eq!(of_server(&server), ["user-tok-1", "hook key-1"]);
    }
}
