//! Asks the issuer for its keys: its discovery document first, which says where they are.

use std::time::Duration;

use async_trait::async_trait;
use http::{StatusCode, header::ACCEPT};
use reqwest::Client;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

use super::{key::KeySet, keyring::Source};
use crate::{
    config::security::is_safe,
    loopback::is_loopback,
    net::{body, describe},
};

/// How long both documents together may take.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
/// Largest document, in bytes.
const MAX_DOCUMENT: usize = 256 << 10;

/// An issuer and how to reach it.
#[derive(Debug)]
pub(super) struct Issuer {
    client: Client,
    url: Url,
    /// What it must call itself.
    name: String,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

impl Issuer {
    pub(super) fn new(client: Client, url: Url, name: &str) -> Self {
        Self { client, url, name: name.into() }
    }

    fn discovery_url(&self) -> Result<Url, String> {
        let base = self.url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/.well-known/openid-configuration")).map_err(|error| error.to_string())
    }

    /// Where the keys are: anywhere that is safe. Only an issuer on this machine has them on it.
    fn keys_url(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).ok().filter(is_safe).filter(|url| !is_loopback(url) || is_loopback(&self.url));
        url.ok_or_else(|| "its discovery document names no safe address of its keys".to_owned())
    }

    async fn document<T: DeserializeOwned>(&self, url: &Url) -> Result<T, String> {
        let response = self.client.get(url.clone()).header(ACCEPT, "application/json").send().await;
        let response = response.map_err(|error| describe(&error))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(format!("{} answered {status}, and redirects are not followed", url.path()));
        }
        if status != StatusCode::OK {
            return Err(format!("{} answered {status}", url.path()));
        }
        let body = body::whole(response, MAX_DOCUMENT).await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&body).map_err(|_| format!("{} is not what it should be", url.path()))
    }
}

#[async_trait]
impl Source for Issuer {
    async fn keys(&self) -> Result<KeySet, String> {
        let discovery: Discovery = self.document(&self.discovery_url()?).await?;
        // Otherwise whoever answers in the issuer's place could sign for it.
        if discovery.issuer != self.name {
            return Err(format!("its discovery document is that of another issuer than {}", self.name));
        }
        let jwks: Jwks = self.document(&self.keys_url(&discovery.jwks_uri)?).await?;
        Ok(KeySet::read(jwks.keys))
    }
}
