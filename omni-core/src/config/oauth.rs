//! Tokens for servers: how omni comes by them, and where it keeps them.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    AuditConfig, Need, Severity,
    load::{Findings, Source},
    spec::{AuthSpec, GrantSpec, TokenStoreSpec},
};
use crate::{ledger::SealKey, loopback::is_loopback};

/// What is wrong with a key, without showing it.
const NO_KEY: &str = "not a key of 64 hexadecimal digits; `openssl rand -hex 32` prints one";

/// How omni comes by tokens for a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OAuthGrant {
    /// A person logs in with a browser (`omni servers login`), and omni keeps their tokens.
    #[default]
    AuthorizationCode,
    /// omni itself, with a secret or a key.
    ClientCredentials,
}

impl OAuthGrant {
    /// Its name in `mcps.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// Tokens for one server. What is not said here, the server and its authorization server say.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OAuthConfig {
    /// How omni comes by tokens.
    pub grant: OAuthGrant,
    /// omni's name at the authorization server, where it is registered there.
    pub client_id: Option<String>,
    /// omni's secret there. It needs an `issuer`: a server could name anybody else to send it to.
    pub client_secret: Option<SecretString>,
    /// The key that omni signs with in place of a secret: PKCS#8 in PEM.
    pub private_key: Option<SecretString>,
    /// What the authorization server calls that key.
    pub key_id: Option<String>,
    /// Where a document describes omni to authorization servers that take its address for a client's name.
    pub client_metadata_url: Option<String>,
    /// The authorization server, letter by letter; `None`: the one that the server names.
    pub issuer: Option<String>,
    /// What the tokens are for; empty: what the server asks for.
    pub scopes: Vec<String>,
    /// The port of this machine that a browser comes back to; 0 is any.
    pub redirect_port: u16,
}

/// Where the tokens of servers are kept, and under which key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TokensConfig {
    /// In the ledger's database; else in files of `dir`.
    pub in_database: bool,
    /// The data directory.
    pub dir: PathBuf,
    /// What encrypts them; `None`: the directory's own key, which is made where there is none.
    pub key: Option<SealKey>,
}

/// What an entry says; `None` and what is wrong, where nothing can come of it.
pub(super) fn build(spec: &AuthSpec, url: Option<&str>, wrong: &mut dyn FnMut(&str, String)) -> Option<OAuthConfig> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let secret = |secret: &Option<SecretString>| secret.clone().filter(|secret| !secret.expose_secret().is_empty());
    let config = OAuthConfig {
        grant: match spec.grant.unwrap_or_default() {
            GrantSpec::AuthorizationCode => OAuthGrant::AuthorizationCode,
            GrantSpec::ClientCredentials => OAuthGrant::ClientCredentials,
        },
        client_id: text(&spec.client_id),
        client_secret: secret(&spec.client_secret),
        private_key: secret(&spec.private_key),
        key_id: text(&spec.key_id),
        client_metadata_url: text(&spec.client_metadata_url),
        issuer: text(&spec.issuer),
        scopes: scopes(spec),
        redirect_port: spec.redirect_port.and_then(|port| port.try_into().ok()).unwrap_or_default(),
    };
    let mut is_sound = true;
    for (key, message) in faults(&config, spec, url) {
        wrong(key, message);
        is_sound = false;
    }
    is_sound.then_some(config)
}

/// A list, or one text with blanks between.
fn scopes(spec: &AuthSpec) -> Vec<String> {
    let items = spec.scopes.iter().flat_map(|scopes| scopes.items());
    items.flat_map(|text| text.split_whitespace()).map(str::to_owned).collect()
}

fn faults(config: &OAuthConfig, spec: &AuthSpec, url: Option<&str>) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let safe = |text: &str| Url::parse(text).is_ok_and(|url| url.scheme() == "https" || is_loopback(&url));
    if !url.is_some_and(safe) {
        faults.push(("type", "tokens are sent over https only, or over http on this machine".to_owned()));
    }
    let is_machine = config.grant == OAuthGrant::ClientCredentials;
    if is_machine && (config.client_id.is_none() || config.client_secret.is_none() && config.private_key.is_none()) {
        let message = "client_credentials needs a client_id, and a client_secret or a private_key";
        faults.push(("grant", message.to_owned()));
    }
    if config.client_secret.is_some() && config.issuer.is_none() {
        let message = "a client_secret needs an issuer: the server could name anybody else to send it to";
        faults.push(("issuer", message.to_owned()));
    }
    if config.client_secret.is_some() && config.private_key.is_some() {
        faults.push(("private_key", "there is a client_secret too; one of them is enough".to_owned()));
    }
    for (key, value) in [("issuer", &config.issuer), ("client_metadata_url", &config.client_metadata_url)] {
        if value.as_deref().is_some_and(|value| !safe(value)) {
            faults.push((key, "it must be an address of https; http is for this machine alone".to_owned()));
        }
    }
    if spec.redirect_port.is_some_and(|port| u16::try_from(port).is_err()) {
        faults.push(("redirect_port", "a port is a number up to 65535".to_owned()));
    }
    faults
}

/// Where tokens are kept.
pub(super) fn tokens(source: &Source<'_>, dir: &Path, audit: &AuditConfig, findings: &mut Findings) -> TokensConfig {
    let store = source.settings.security.token_store;
    if store == Some(TokenStoreSpec::Database) && !audit.has_database() {
        let message = "the ledger is in no database, so that tokens are kept in files";
        findings.all.push(source.settings_lines.finding(Severity::Warning, "security.token_store", message));
    }
    let in_database = match store {
        Some(store) => store == TokenStoreSpec::Database && audit.has_database(),
        None => audit.kind == "postgres",
    };
    TokensConfig { in_database, dir: dir.to_owned(), key: key(source, findings) }
}

/// `OMNI_SECRET_KEY`, else the file's.
fn key(source: &Source<'_>, findings: &mut Findings) -> Option<SealKey> {
    if let Some(text) = source.env.get("OMNI_SECRET_KEY").filter(|text| !text.is_empty()) {
        let unusable = |_| findings.unusable(Need::Servers, "OMNI_SECRET_KEY", NO_KEY.into());
        return text.parse().map_err(unusable).ok();
    }
    if let Some(lacking) = source.settings_variables.lacking_at("security.secret_key") {
        findings.needed(Need::Servers, source.settings_lines, lacking, "what keeps the tokens of servers");
        return None;
    }
    let text = source.settings.security.secret_key.as_ref().filter(|key| !key.expose_secret().is_empty())?;
    let path = "security.secret_key";
    let unusable = |_| findings.all.push(source.settings_lines.finding(Severity::Error, path, NO_KEY));
    text.expose_secret().parse().map_err(unusable).ok()
}
