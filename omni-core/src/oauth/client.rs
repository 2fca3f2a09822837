//! Who omni is at an authorization server.

use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{Hidden, metadata::ServerMetadata};
use crate::config::OAuthConfig;

/// How a client shows that it is itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Method {
    #[serde(rename = "none")]
    None,
    #[serde(rename = "client_secret_basic")]
    Basic,
    #[serde(rename = "client_secret_post")]
    Post,
    #[serde(rename = "private_key_jwt")]
    Jwt,
}

impl Method {
    /// Its name in metadata.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::Jwt => "private_key_jwt",
        }
    }

    /// The way for a client with a secret. Where nothing is said of it, all know the first.
    pub(crate) fn with_secret(server: &ServerMetadata) -> Self {
        match &server.token_endpoint_auth_methods_supported {
            Some(known) if has(known, Self::Post) && !has(known, Self::Basic) => Self::Post,
            Some(_) | None => Self::Basic,
        }
    }
}

/// Whether a list of metadata names it.
pub(crate) fn has(known: &[String], method: Method) -> bool {
    known.iter().any(|name| name == method.name())
}

/// A client as it is kept with what it was given. The operator's own secrets are not: they may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// What the authorization server gave it when it registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Hidden>,
}

impl Client {
    /// The client of a configuration, where it names one.
    pub(crate) fn configured(config: &OAuthConfig, server: &ServerMetadata) -> Option<Self> {
        let id = config.client_id.clone()?;
        let method = match (&config.private_key, &config.client_secret) {
            (Some(_), _) => Method::Jwt,
            (None, Some(_)) => Method::with_secret(server),
            (None, None) => Method::None,
        };
        Some(Self { id, method, secret: None })
    }

    /// The secret to show, which the configuration may have.
    pub(crate) fn secret(&self, config: &OAuthConfig) -> Option<String> {
        let own = config.client_secret.as_ref().filter(|_| config.client_id.as_ref() == Some(&self.id));
        own.map(|secret| secret.expose_secret().to_owned())
            .or_else(|| self.secret.as_ref().map(|secret| secret.0.clone()))
    }
}
