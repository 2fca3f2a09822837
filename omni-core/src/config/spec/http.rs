//! What `settings.yaml` says of the HTTP door.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::{EgressSpec, OidcSpec, ProxySpec, TokenStoreSpec};

/// Where the service listens.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["name", "version", "description", "debug", "reload"]))]
pub(crate) struct AppSpec {
    /// The address to listen at; absent: this machine only.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) host: Option<String>,
    /// The port; 0 takes a free one.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) port: Option<u32>,
    /// Whether pages of other origins may call the service; absent: those of `cors_origins`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) cors_enabled: Option<bool>,
    /// Origins such as `https://portal.company.com`, or `*`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) cors_origins: Vec<String>,
}

/// Who is let in.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "api_key_enabled", "api_key_header", "jwt_enabled", "jwt_secret", "jwt_algorithm", "jwt_expiration_hours",
    "allow_credentials", "allowed_methods", "allowed_headers",
]))]
pub(crate) struct SecuritySpec {
    /// `keys`: every request has a credential. `trusted_local`: on loopback, whoever has none is the
    /// user that the request names, or else the local super admin. Whom a proxy on this machine passes on
    /// without a header that says so is on loopback too, unless `http.trusted_proxies` names it.
    pub(crate) mode: SecurityModeSpec,
    /// The OpenID Connect provider whose tokens count; absent: no token does.
    pub(crate) oidc: Option<OidcSpec>,
    /// Proxies that say who asks; absent: no header does.
    pub(crate) proxy: Option<ProxySpec>,
    /// What is asked on behalf of issuers and servers; absent: the internet alone.
    pub(crate) egress: Option<EgressSpec>,
    /// What the tokens of servers are encrypted with: 64 hexadecimal digits. Absent: `OMNI_SECRET_KEY`, else a
    /// key that omni makes in its data directory.
    #[schemars(with = "Option<String>")]
    pub(crate) secret_key: Option<SecretString>,
    /// Where the tokens of servers are kept. Absent: in the database where that is a PostgreSQL, else in
    /// files of the data directory.
    pub(crate) token_store: Option<TokenStoreSpec>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecurityModeSpec {
    #[default]
    Keys,
    TrustedLocal,
}

/// Bounds of the HTTP door.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct HttpSpec {
    /// Longest body of a request; absent: 1 MiB.
    pub(crate) max_body_bytes: Option<u32>,
    /// Longest head of a request, at least 8192; absent: 64 KiB.
    pub(crate) max_header_bytes: Option<u32>,
    /// Longest query of a request; absent: 8 KiB.
    pub(crate) max_query_bytes: Option<u32>,
    /// How deep the JSON of a request may be; absent: 32, at most 128.
    pub(crate) max_json_depth: Option<u32>,
    /// How long a request may take, streams aside; absent: an ask's time and 30 s.
    pub(crate) request_timeout_seconds: Option<f64>,
    /// Requests at the same time, streams aside; more are told to come back. Absent: 1024.
    pub(crate) max_concurrent: Option<u32>,
    /// Connections at the same time; more wait. Absent: 10000.
    pub(crate) max_connections: Option<u32>,
    /// How many seconds a stream goes on whose reader went away; absent: 15.
    pub(crate) resume_grace: Option<f64>,
    /// How many seconds running requests have to finish at the end; absent: 30.
    pub(crate) drain_seconds: Option<f64>,
    /// The service's address as browsers know it, such as `https://omni.company.com`. The admin pages' cookies are
    /// for https alone where it is, and logins come back to it. Absent: each request says it.
    pub(crate) public_url: Option<String>,
    /// Proxies whose headers are believed: addresses, or ranges such as `10.0.0.0/8`.
    pub(crate) trusted_proxies: Vec<String>,
    /// Whether `/docs`, `/redoc` and `/openapi.json` are served; absent: they are.
    pub(crate) docs: Option<bool>,
    /// Whether the admin pages are served at `/ui`; absent: they are.
    pub(crate) dashboard: Option<bool>,
}
