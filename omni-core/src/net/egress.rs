//! The one client for addresses that others name: what issuers, servers and their metadata say where
//! keys, metadata and tokens are.
//!
//! https only, http on this machine alone; every address that a name has is checked, and the
//! connection is made to a checked one; no redirect is followed; answers and time are bounded. No
//! proxy stands in between unless the configuration wants it: one would resolve names by itself, and
//! what was checked here would not be what is asked.

use std::{sync::Arc, time::Duration};

use http::{StatusCode, header::ACCEPT};
use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use url::Url;

use super::{ClientOptions, NetError, body, describe};
use crate::config::EgressConfig;

mod address;
mod resolve;
mod rules;

use resolve::Checked;
use rules::Rules;

/// How long one request may take, its answer included.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);
/// Largest answer, in bytes.
pub(crate) const MAX_ANSWER: usize = 256 << 10;

/// Why something was not asked, or gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The address may not be asked.
    #[error("{url} is not asked: {why}")]
    Forbidden {
        /// The address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// No answer came, or none that can be taken.
    #[error("{url} cannot be asked: {message}")]
    Failed {
        /// The address.
        url: String,
        /// What went wrong.
        message: String,
    },
    /// The answer says that there is none.
    #[error("{url} answered {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not what it should be.
    #[error("{url} is not what it should be: {message}")]
    Malformed {
        /// The address.
        url: String,
        /// What is wrong.
        message: String,
    },
}

/// Asks on behalf of one server or issuer.
#[derive(Debug, Clone)]
pub(crate) struct Egress {
    client: Client,
    rules: Arc<Rules>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Egress {
    /// On behalf of a server at `base`, whose metadata may be on this machine only if it is itself.
    #[cfg_attr(not(feature = "mcp-oauth"), allow(dead_code, reason = "only servers' tokens are asked for like this"))]
    pub(crate) fn for_server(base: &Url, config: &EgressConfig) -> Result<Self, NetError> {
        Self::new(Rules::new(base, config, false))
    }

    /// On behalf of whom the operator trusts by name: it may be in a private network too.
    #[cfg_attr(not(feature = "oidc"), allow(dead_code, reason = "only issuers are trusted like this"))]
    pub(crate) fn for_issuer(base: &Url, config: &EgressConfig) -> Result<Self, NetError> {
        Self::new(Rules::new(base, config, true))
    }

    fn new(rules: Rules) -> Result<Self, NetError> {
        let rules = Arc::new(rules);
        let mut options = ClientOptions { pool_max_idle: 2, ..ClientOptions::default() }.with_connect_timeout(WITHIN);
        options.system_proxy = rules.uses_proxy();
        let client = match options.system_proxy {
            true => super::client(&options)?,
            false => super::client_resolving(&options, Arc::new(Checked(rules.clone())))?,
        };
        Ok(Self { client, rules })
    }

    /// Whether an address may be asked, as far as can be told without asking anybody.
    ///
    /// # Errors
    /// [`EgressError::Forbidden`].
    pub(crate) fn check(&self, url: &Url) -> Result<(), EgressError> {
        self.rules.check(url)
    }

    /// A JSON document.
    ///
    /// # Errors
    /// An [`EgressError`].
    pub(crate) async fn document<T: DeserializeOwned>(&self, url: &Url) -> Result<T, EgressError> {
        self.check(url)?;
        let answer = self.exchange(url, self.client.get(url.clone())).await?;
        if answer.status != StatusCode::OK {
            return Err(EgressError::Status { url: shown(url), status: answer.status.as_u16() });
        }
        answer.json(url)
    }

    /// The answer to a form.
    ///
    /// # Errors
    /// An [`EgressError`]; an answer of any status but a redirect is an answer.
    pub(crate) async fn form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        headers: http::HeaderMap,
    ) -> Result<Answer, EgressError> {
        self.check(url)?;
        self.exchange(url, self.client.post(url.clone()).headers(headers).form(form)).await
    }

    /// The answer to a JSON document.
    ///
    /// # Errors
    /// As [`Self::form`].
    #[cfg(feature = "mcp-oauth")]
    pub(crate) async fn json(&self, url: &Url, value: &serde_json::Value) -> Result<Answer, EgressError> {
        self.check(url)?;
        self.exchange(url, self.client.post(url.clone()).json(value)).await
    }

    async fn exchange(&self, url: &Url, request: RequestBuilder) -> Result<Answer, EgressError> {
        let failed = |message: String| EgressError::Failed { url: shown(url), message };
        let request = request.header(ACCEPT, "application/json").timeout(WITHIN);
        let response = request.send().await.map_err(|error| failed(describe(&error)))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(failed(format!("it answered {status}, and redirects are not followed")));
        }
        let body = body::whole(response, MAX_ANSWER).await.map_err(|error| failed(error.to_string()))?;
        Ok(Answer { status, body })
    }
}

impl Answer {
    /// The answer as a JSON document.
    pub(crate) fn json<T: DeserializeOwned>(&self, url: &Url) -> Result<T, EgressError> {
        // What serde says may repeat what was said, which may be a token.
        let words = |error: serde_json::Error| match error.classify() {
            serde_json::error::Category::Data => "a member is missing or of another kind",
            _ => "it is no JSON",
        };
        serde_json::from_slice(&self.body)
            .map_err(|error| EgressError::Malformed { url: shown(url), message: words(error).into() })
    }
}

/// An address without user and query, cut: others named it.
pub(crate) fn shown(url: &Url) -> String {
    const MAX_SHOWN: usize = 200;
    let place = match url.has_host() {
        true => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        false => format!("{}:…", url.scheme()),
    };
    match place.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{}…", &place[..at]),
        None => place,
    }
}

#[cfg(test)]
mod tests;
