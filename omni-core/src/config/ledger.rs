//! Where the ledger goes.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{
    Ack, AuditConfig, Need, Severity,
    load::{Findings, Source},
    search,
    spec::AckSpec,
};
use crate::{
    audit::AuditError,
    ledger::{SealKey, SealKeys},
};

/// The file in the data directory.
const SQLITE_FILE: &str = "omni.db";
/// Where the original looks for its database, unless somebody says otherwise.
const HOST: &str = "localhost";
/// What says of a database that there is one, beside its host.
const PARTS: [&str; 4] = ["DATABASE_PORT", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD"];
/// What is wrong with a key, without showing it.
const NO_KEY: &str = "not a key of 64 hexadecimal digits; `omni audit key --new` prints one";

/// Where omni keeps its files.
pub(super) fn data_dir(source: &Source<'_>) -> PathBuf {
    match (&source.settings.data_dir, source.dir) {
        (Some(own), Some(dir)) if !own.is_empty() => source.cwd.join(dir).join(own),
        _ => search::data_dir(source.env, source.cwd),
    }
}

/// The database where nothing names another one.
pub(super) fn own_database(data_dir: &Path) -> String {
    data_dir.join(SQLITE_FILE).display().to_string()
}

/// The ledger.
pub(super) fn build(source: &Source<'_>, data_dir: &Path, findings: &mut Findings) -> AuditConfig {
    let spec = &source.settings.audit;
    let url = location(source, findings).unwrap_or_else(|| own_database(data_dir));
    let is_enabled = spec.enabled.unwrap_or(true);
    if !is_enabled {
        let message = "no record outlives this process";
        findings.all.push(source.settings_lines.finding(Severity::Warning, "audit.enabled", message));
    }
    let (key, kind) = (key(source, findings), if is_enabled { kind(&url) } else { "memory".into() });
    if kind == "postgres" && key.is_none() {
        let message = "every host seals with a key of its own, and none can prove what another wrote; where several \
                       share the PostgreSQL, give all of them one (`omni audit key --new`), here or as OMNI_AUDIT_KEY";
        findings.all.push(source.settings_lines.finding(Severity::Warning, "audit.key", message));
    }
    let ack = spec.ack.map(|ack| match ack {
        AckSpec::Local => Ack::Local,
        AckSpec::Fsync => Ack::Fsync,
        AckSpec::Database => Ack::Database,
    });
    AuditConfig {
        ack,
        required: spec.required.unwrap_or(true),
        retention_days: spec.retention_days.filter(|days| *days > 0),
        key,
        verify_keys: verify_keys(source, findings),
        ..AuditConfig::new(kind, url, data_dir)
    }
}

/// `OMNI_AUDIT_KEY`, else the file's.
fn key(source: &Source<'_>, findings: &mut Findings) -> Option<SealKey> {
    if let Some(text) = source.env.get("OMNI_AUDIT_KEY").filter(|text| !text.is_empty()) {
        let unusable = |_| findings.unusable(Need::Ledger, "OMNI_AUDIT_KEY", NO_KEY.into());
        return text.parse().map_err(unusable).ok();
    }
    if let Some(lacking) = source.settings_variables.lacking_at("audit.key") {
        findings.needed(Need::Ledger, source.settings_lines, lacking, "the ledger");
        return None;
    }
    let text = source.settings.audit.key.as_ref().filter(|key| !key.expose_secret().is_empty())?;
    parsed(text, "audit.key", source, findings)
}

fn verify_keys(source: &Source<'_>, findings: &mut Findings) -> Vec<SealKey> {
    let keys = source.settings.audit.verify_keys.iter().enumerate();
    keys.filter_map(|(at, text)| parsed(text, &format!("audit.verify_keys[{at}]"), source, findings)).collect()
}

fn parsed(text: &SecretString, path: &str, source: &Source<'_>, findings: &mut Findings) -> Option<SealKey> {
    let unusable = |_| findings.all.push(source.settings_lines.finding(Severity::Error, path, NO_KEY));
    text.expose_secret().parse().map_err(unusable).ok()
}

impl AuditConfig {
    /// The keys of the ledger, where `from_dir` says what the directory gives: [`SealKeys::load`] or
    /// [`SealKeys::load_or_create`].
    ///
    /// # Errors
    /// What `from_dir` says.
    pub fn keys(
        &self,
        from_dir: impl FnOnce(&Path, Option<SealKey>) -> Result<SealKeys, AuditError>,
    ) -> Result<SealKeys, AuditError> {
        let keys = from_dir(&self.dir, self.key.clone())?;
        Ok(self.verify_keys.iter().cloned().fold(keys, SealKeys::with_other))
    }
}

/// `DATABASE_URL`, else what `DATABASE_HOST` begins, else the file's, else parts without a host; `None` is the data
/// directory.
fn location(source: &Source<'_>, findings: &mut Findings) -> Option<String> {
    let set = |name: &str| source.env.get(name).filter(|value| !value.is_empty());
    let from_env = set("DATABASE_URL").cloned().or_else(|| from_parts(set("DATABASE_HOST")?, &set, findings));
    if let Some(url) = from_env {
        return Some(plain(url));
    }
    let url = source.settings.database.url.clone().filter(|url| !url.is_empty());
    // A password may be empty; an address is none then, and would be a file of this machine.
    if let Some(lacking) = source.settings_variables.lacking_at("database.url")
        && (url.is_none() || !lacking.is_empty)
    {
        findings.needed(Need::Ledger, source.settings_lines, lacking, "the ledger");
    }
    let Some(url) = url else {
        let has_parts = set("DATABASE_HOST").is_none() && PARTS.into_iter().any(|name| set(name).is_some());
        return if has_parts { from_parts(HOST, &set, findings) } else { None };
    };
    let url = plain(url);
    Some(if is_path(&url) { source.cwd.join(source.dir?).join(url).display().to_string() } else { url })
}

/// A URL of a host, `DATABASE_PORT`, `_NAME`, `_USER` and `_PASSWORD`.
fn from_parts<'a>(host: &str, set: &impl Fn(&str) -> Option<&'a String>, findings: &mut Findings) -> Option<String> {
    let url = Url::parse(&format!("postgresql://{host}")).ok().filter(|url| url.host_str() == Some(host));
    let Some(mut url) = url else {
        findings.unusable(Need::Ledger, "DATABASE_HOST", format!("{host:?} is no host's name or address"));
        return None;
    };
    let port = set("DATABASE_PORT").map_or(Ok(5432), |port| port.trim().parse().map_err(|_| port));
    let port = port.unwrap_or_else(|port| {
        findings.unusable(Need::Ledger, "DATABASE_PORT", format!("expected a port's number, found {port:?}"));
        5432
    });
    url.set_port(Some(port)).ok()?;
    url.set_username(set("DATABASE_USER").map_or("postgres", String::as_str)).ok()?;
    url.set_password(set("DATABASE_PASSWORD").map(String::as_str)).ok()?;
    url.set_path(set("DATABASE_NAME").map_or("omni", String::as_str));
    Some(url.into())
}

/// The URL without the Python driver's name.
fn plain(url: String) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.split('+').next().unwrap_or_default()),
        None => url,
    }
}

fn is_path(url: &str) -> bool {
    !url.contains(':') && url != "memory"
}

/// The kind of sink: the URL's scheme; a path is SQLite, or JSON lines by its ending.
fn kind(url: &str) -> String {
    let is_postgres = |scheme: &str| matches!(scheme.split('+').next(), Some("postgres" | "postgresql"));
    let kind = match url.split_once(':') {
        // It would be a file whose name holds the password. The registry, which has no such kind, says this.
        Some((scheme, rest)) if is_postgres(scheme) && !rest.starts_with("//") => {
            "postgres: without //; the address of a PostgreSQL begins with postgres://"
        }
        Some(("postgres" | "postgresql", _)) => "postgres",
        Some(("memory", _)) => "memory",
        Some(("jsonl", _)) => "jsonl",
        Some(("sqlite", _)) => "sqlite",
        // A scheme that nobody knows; the registry lists those of this build.
        Some((other, rest)) if rest.starts_with("//") => other,
        None if url == "memory" => "memory",
        Some(_) | None if url.ends_with(".jsonl") => "jsonl",
        Some(_) | None => "sqlite",
    };
    kind.into()
}
