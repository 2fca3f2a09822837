//! The HTTP door: where it listens, whom it lets in, and its bounds.

use std::{io::ErrorKind, net::IpAddr, time::Duration};

use url::Url;

use super::{
    Cidr, ConfigError, Diagnostic, GatewayConfig, Severity, gateway,
    load::{Findings, Source},
    spec::{SecurityModeSpec, UsersSpec},
};

/// Where the service listens unless somebody says otherwise.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 8000;
/// How much longer than its ask a request may take.
const ASK_SLACK: Duration = Duration::from_secs(30);
/// The HTTP library cannot do with less.
const MIN_HEADER_BYTES: u32 = 8_192;
/// The JSON parser goes no deeper.
const MAX_JSON_DEPTH: u32 = 128;

/// Who is let in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecurityMode {
    /// Every request has a credential.
    #[default]
    Keys,
    /// On loopback only: whoever has no credential is the user that the request names, or else the
    /// local super admin. Whom a proxy on this machine passes on without a header that says so is on loopback
    /// too, unless it is one of `trusted_proxies`.
    TrustedLocal,
}

/// The HTTP door.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpConfig {
    /// The address to listen at, or a name for it.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Who is let in.
    pub mode: SecurityMode,
    /// The operating system's name of whoever runs the service; asks without a credential are theirs,
    /// where there may be any.
    pub local_user: String,
    /// Origins whose pages may call the service; `*` is any.
    pub cors_origins: Vec<String>,
    /// The service's address as browsers know it, without a slash at its end.
    pub public_url: Option<String>,
    /// Proxies whose headers are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Longest body of a request.
    pub max_body_bytes: usize,
    /// Longest head of a request.
    pub max_header_bytes: usize,
    /// Longest query of a request.
    pub max_query_bytes: usize,
    /// How deep the JSON of a request may be.
    pub max_json_depth: usize,
    /// How long a request may take, streams aside.
    pub request_timeout: Duration,
    /// Requests at the same time, streams aside.
    pub max_concurrent: usize,
    /// Connections at the same time.
    pub max_connections: usize,
    /// How long a stream goes on whose reader went away.
    pub resume_grace: Duration,
    /// How long running requests have to finish at the end.
    pub drain: Duration,
    /// Whether the documentation is served.
    pub docs: bool,
    /// Whether the admin pages are served.
    pub dashboard: bool,
    /// The MCP endpoint.
    pub gateway: GatewayConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            host: HOST.into(),
            port: PORT,
            mode: SecurityMode::Keys,
            local_user: "unknown".into(),
            cors_origins: Vec::new(),
            public_url: None,
            trusted_proxies: Vec::new(),
            max_body_bytes: 1 << 20,
            max_header_bytes: 64 << 10,
            max_query_bytes: 8 << 10,
            max_json_depth: 32,
            request_timeout: Duration::from_secs(150),
            max_concurrent: 1_024,
            max_connections: 10_000,
            resume_grace: Duration::from_secs(15),
            drain: Duration::from_secs(30),
            docs: true,
            dashboard: true,
            gateway: GatewayConfig::default(),
        }
    }
}

impl HttpConfig {
    /// The same door at another address: `HOST:PORT`, or `HOST` at the port that it had.
    ///
    /// # Errors
    /// A [`ConfigError`] when the text is no such thing.
    pub fn with_bind(mut self, bind: &str) -> Result<Self, ConfigError> {
        if let Ok(address) = bind.parse::<IpAddr>() {
            self.host = address.to_string();
            return Ok(self);
        }
        match bind.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) if !host.is_empty() => (self.host, self.port) = (unbracketed(host), port),
            None if !bind.is_empty() => self.host = bind.into(),
            Some(_) | None => {
                return Err(finding("bind", format!("{bind:?} is no address such as 127.0.0.1:8000")).into());
            }
        }
        Ok(self)
    }

    /// Why the service cannot listen where it should.
    #[must_use]
    pub fn cannot_listen(&self, error: &std::io::Error) -> ConfigError {
        let message = format!("cannot listen at {}, port {}: {error}", self.host, self.port);
        match error.kind() {
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => ConfigError::Address { message },
            _ => finding("app.host", message).into(),
        }
    }

    /// Whether the service may listen at an address: one that trusts whoever comes may not be
    /// reached from other machines.
    ///
    /// # Errors
    /// A [`ConfigError`] that says what to do.
    pub fn check_address(&self, address: IpAddr) -> Result<(), ConfigError> {
        if self.mode != SecurityMode::TrustedLocal || address.to_canonical().is_loopback() {
            return Ok(());
        }
        let message = format!(
            "trusted_local lets in whoever comes, so it listens on loopback only, and {address} is not; use \
             --bind 127.0.0.1:{}, or security.mode: keys",
            self.port
        );
        Err(finding("security.mode", message).into())
    }
}

fn unbracketed(host: &str) -> String {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).into()
}

fn finding(key: &str, message: String) -> Diagnostic {
    Diagnostic { severity: Severity::Error, source: None, key: key.into(), message }
}

/// What the files say of the door.
pub(super) fn build(source: &Source<'_>, ask_timeout: Duration, findings: &mut Findings) -> HttpConfig {
    let (settings, lines) = (source.settings, source.settings_lines);
    let (app, http, default) = (&settings.app, &settings.http, HttpConfig::default());
    let mut number = |value: Option<u32>, default: usize, least: u32, most: u32, path: &str| match value {
        None => default,
        Some(value) if (least..=most).contains(&value) => value as usize,
        Some(value) => {
            let message = format!("expected a number from {least} to {most}, found {value}");
            findings.all.push(lines.finding(Severity::Error, path, message));
            default
        }
    };
    let mut config = HttpConfig {
        host: app.host.clone().filter(|host| !host.trim().is_empty()).unwrap_or(default.host),
        port: u16::try_from(number(app.port, PORT.into(), 0, u16::MAX.into(), "app.port")).unwrap_or(PORT),
        mode: match settings.security.mode {
            SecurityModeSpec::Keys => SecurityMode::Keys,
            SecurityModeSpec::TrustedLocal => SecurityMode::TrustedLocal,
        },
        max_body_bytes: number(http.max_body_bytes, default.max_body_bytes, 1, u32::MAX, "http.max_body_bytes"),
        max_header_bytes: number(
            http.max_header_bytes,
            default.max_header_bytes,
            MIN_HEADER_BYTES,
            1 << 20,
            "http.max_header_bytes",
        ),
        max_query_bytes: number(http.max_query_bytes, default.max_query_bytes, 1, 1 << 20, "http.max_query_bytes"),
        max_json_depth: number(http.max_json_depth, default.max_json_depth, 1, MAX_JSON_DEPTH, "http.max_json_depth"),
        max_concurrent: number(http.max_concurrent, default.max_concurrent, 1, 1 << 20, "http.max_concurrent"),
        max_connections: number(http.max_connections, default.max_connections, 1, 1 << 20, "http.max_connections"),
        docs: http.docs.unwrap_or(default.docs),
        dashboard: http.dashboard.unwrap_or(default.dashboard),
        ..HttpConfig::default()
    };
    let mut seconds = |value, default, path: &str| findings.seconds(value, default, lines, path);
    let ask = ask_timeout + ASK_SLACK;
    config.request_timeout = seconds(http.request_timeout_seconds, ask, "http.request_timeout_seconds");
    config.resume_grace = seconds(http.resume_grace, default.resume_grace, "http.resume_grace");
    config.drain = seconds(http.drain_seconds, default.drain, "http.drain_seconds");
    config.cors_origins = origins(source, findings);
    config.public_url = public_url(source, findings);
    config.trusted_proxies = proxies(source, findings);
    config.gateway = gateway::build(source, findings);
    check_mode(&config, source, findings);
    config
}

fn origins(source: &Source<'_>, findings: &mut Findings) -> Vec<String> {
    let app = &source.settings.app;
    if app.cors_enabled == Some(false) {
        return Vec::new();
    }
    let mut origins = Vec::new();
    for (at, origin) in app.cors_origins.iter().enumerate() {
        let origin = origin.trim_end_matches('/');
        let is_origin = |url: Url| url.has_host() && url.origin().ascii_serialization() == origin;
        if origin == "*" || Url::parse(origin).is_ok_and(is_origin) {
            origins.push(origin.to_owned());
        } else {
            let message = format!("{origin:?} is no origin such as https://portal.company.com, and not \"*\"");
            let path = format!("app.cors_origins[{at}]");
            findings.all.push(source.settings_lines.finding(Severity::Error, &path, message));
        }
    }
    origins
}

fn public_url(source: &Source<'_>, findings: &mut Findings) -> Option<String> {
    let text = source.settings.http.public_url.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
    let is_plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    match Url::parse(text).ok().filter(is_plain) {
        Some(url) => Some(url.as_str().trim_end_matches('/').to_owned()),
        None => {
            let message = format!("{text:?} is no address such as https://omni.company.com");
            findings.all.push(source.settings_lines.finding(Severity::Error, "http.public_url", message));
            None
        }
    }
}

fn proxies(source: &Source<'_>, findings: &mut Findings) -> Vec<Cidr> {
    let mut ranges = Vec::new();
    for (at, text) in source.settings.http.trusted_proxies.iter().enumerate() {
        match text.parse::<Cidr>() {
            Ok(range) => ranges.push(range),
            Err(error) => {
                let path = format!("http.trusted_proxies[{at}]");
                findings.all.push(source.settings_lines.finding(Severity::Error, &path, error.to_string()));
            }
        }
    }
    ranges
}

/// A service that would refuse to start is told of before it is started.
fn check_mode(config: &HttpConfig, source: &Source<'_>, findings: &mut Findings) {
    if let Some(Err(error)) = config.host.parse().ok().map(|host| config.check_address(host)) {
        let message = match error {
            ConfigError::Invalid(finding) => finding.message,
            other => other.to_string(),
        };
        findings.all.push(source.settings_lines.finding(Severity::Warning, "security.mode", message));
    }
}

/// Whoever runs a service that trusts this machine is the first super admin of the file.
pub(super) fn local_super_admin(config: &HttpConfig, users: Option<&UsersSpec>) -> Option<(String, String)> {
    if config.mode != SecurityMode::TrustedLocal {
        return None;
    }
    let admin =
        users?.super_admins.iter().map(|person| person.email.trim().to_lowercase()).find(|email| !email.is_empty());
    Some((config.local_user.clone(), admin?))
}
