//! The values of the configuration that nobody may see.

use secrecy::ExposeSecret;
use url::Url;

use super::{Config, ServerConfig};
use crate::redact::Redactor;

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

fn of_server(server: &ServerConfig) -> Vec<String> {
    let own = server.auth.secrets().into_iter().map(|secret| secret.expose_secret().to_owned());
    let named = server.env.iter().chain(&server.headers).filter(|(name, _)| is_secret(name));
    let named = named.map(|(_, value)| value.expose_secret().to_owned());
    let variables = server.arg_variables.iter().filter(|variable| is_secret(&variable.name));
    let variables = variables.map(|variable| variable.value.expose_secret().to_owned());
    let in_urls = server.url.iter().chain(&server.args).flat_map(|text| in_address(text));
    let flagged = flagged(&server.args).map(|(_, value)| value.to_owned());
    own.chain(named).chain(variables).chain(in_urls).chain(flagged).collect()
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
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Whether an option or a setting of this name takes a secret.
fn is_option(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_OPTIONS.iter().any(|end| name.ends_with(end))
}

/// What is removed from everything of an address: its password, and what its query says under the name of a secret,
/// where that can be one: `author=anna` and `format_key=json` are words of everybody's.
fn in_address(text: &str) -> Vec<String> {
    let Ok(url) = Url::parse(text) else { return Vec::new() };
    let queried = url.query_pairs().filter(|(name, value)| {
        let name = name.to_lowercase();
        let is_plainly =
            matches!(name.as_str(), "password" | "passwd" | "token" | "access_token" | "secret" | "api_key");
        let ends =
            ["passwd", "credential", "credentials", "auth", "authorization"].iter().any(|end| name.ends_with(end));
        is_plainly || ((is_option(&name) || ends) && value.len() >= SHORTEST_QUERIED)
    });
    let mut secrets: Vec<String> = queried.map(|(_, value)| value.into_owned()).collect();
    secrets.extend(url.password().map(str::to_owned));
    secrets
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

    use crate::config::{Config, ServerAuth, ServerConfig};

    #[test]
    fn the_redactor_knows_keys_credentials_and_passwords_but_no_ports() {
        let env = [("ANTHROPIC_API_KEY", "model-key-1"), ("DATABASE_URL", "postgresql://u:database-pass@h/d")];
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
        let text = "model-key-1 database-pass bearer-value-2 env-value-3 flag-value-4 flag-value-5 url-value-6 8080";
        let redacted = config.redactor().text(text);
        assert_eq!(redacted, "[redacted] [redacted] [redacted] [redacted] [redacted] [redacted] [redacted] 8080");
        let text =
            "query-value-7 query-value-8 query-value-9 hunter2 query-value-0 true admin annabella salesdata json";
        let redacted = config.redactor().text(text);
        assert_eq!(
            redacted,
            "[redacted] [redacted] [redacted] [redacted] [redacted] true admin annabella salesdata json"
        );
    }
}
