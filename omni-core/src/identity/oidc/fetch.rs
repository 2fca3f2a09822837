//! Asks the issuer for what it publishes: its discovery document, and the keys that this says the place of.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::{key::KeySet, keyring::Source};
use crate::{net::egress::Egress, oauth::metadata::ServerMetadata};

/// How long both documents together may take.
pub(super) const WITHIN: Duration = Duration::from_secs(5);

/// An issuer and how to reach it.
#[derive(Debug)]
pub(super) struct Issuer {
    egress: Egress,
    url: Url,
    /// What it must call itself.
    name: String,
}

/// What an issuer publishes.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) keys: KeySet,
    /// Where people log in; `None` where they do not.
    pub(super) server: Option<ServerMetadata>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Discovery {
    fn server(self) -> Option<ServerMetadata> {
        let mut document = self.more;
        document.insert("issuer".into(), self.issuer.into());
        serde_json::from_value(document.into()).ok()
    }
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl Issuer {
    pub(super) fn new(egress: Egress, url: Url, name: &str) -> Self {
        Self { egress, url, name: name.into() }
    }

    fn discovery_url(&self) -> Result<Url, String> {
        let base = self.url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(|error| error.to_string())
    }

    /// Where the keys are: anywhere that may be asked. Only an issuer on this machine has them on it.
    fn keys_url(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| "its discovery document names no address of its keys".to_owned())?;
        let named = |error| format!("its discovery document names no safe address of its keys: {error}");
        self.egress.check(&url).map_err(named)?;
        Ok(url)
    }
}

#[async_trait]
impl Source for Issuer {
    async fn published(&self) -> Result<Published, String> {
        let words = |error: crate::net::EgressError| error.to_string();
        let discovery: Discovery = self.egress.document(&self.discovery_url()?).await.map_err(words)?;
        // Otherwise whoever answers in the issuer's place could sign for it.
        if discovery.issuer != self.name {
            return Err(format!("its discovery document is that of another issuer than {}", self.name));
        }
        let jwks: Jwks = self.egress.document(&self.keys_url(&discovery.jwks_uri)?).await.map_err(words)?;
        Ok(Published { keys: KeySet::read(jwks.keys), server: discovery.server() })
    }
}
