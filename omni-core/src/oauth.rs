//! OAuth 2.1 as a client speaks it: who omni is at an authorization server (`client`), the way of a browser there and
//! back (`code`), and the endpoint where a code becomes tokens (`token`).
//!
//! `mcp::auth` comes by tokens for servers with it, `identity::oidc` lets people in. Everything is asked through
//! `net::egress`.

use std::{fmt, sync::Arc};

use crate::net::EgressError;

mod assertion;
pub(crate) mod client;
pub(crate) mod code;
pub(crate) mod metadata;
pub(crate) mod token;

/// What went wrong with tokens.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthError {
    /// Somebody has to log in.
    #[error("{why}; run `omni servers login {server}`")]
    LoginNeeded {
        /// The server.
        server: Arc<str>,
        /// Why.
        why: String,
    },
    /// Somebody has to log in for more than they did.
    #[error("the login is not for that; run `omni servers login {server}{}`", options(scopes))]
    ScopeNeeded {
        /// The server.
        server: Arc<str>,
        /// What the server wants it to be for.
        scopes: Vec<String>,
    },
    /// It cannot be found out who gives out the tokens, or how.
    #[error("{message}")]
    Discovery {
        /// What is wrong.
        message: String,
    },
    /// The authorization server said no.
    #[error("the authorization server refused: {code}{}", described(description))]
    Refused {
        /// Its word for why, such as `access_denied`.
        code: String,
        /// Its words.
        description: Option<String>,
    },
    /// What came back from the browser or the authorization server is not what it must be.
    #[error("{message}")]
    Answer {
        /// What is wrong.
        message: String,
    },
    /// Somebody could not be asked.
    #[error(transparent)]
    Asking(#[from] EgressError),
    /// The tokens cannot be read or written.
    #[error("the tokens cannot be kept: {message}")]
    Store {
        /// What went wrong.
        message: String,
    },
}

/// The scopes as options to type. What a server wants could be more than a word to a shell.
fn options(scopes: &[String]) -> String {
    let is_plain = |scope: &&String| {
        scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":._/-".contains(&byte)) && !scope.starts_with('-')
    };
    scopes.iter().filter(is_plain).map(|scope| format!(" --scope {scope}")).collect()
}

fn described(description: &Option<String>) -> String {
    description.as_ref().map(|words| format!(" ({words})")).unwrap_or_default()
}

impl OAuthError {
    pub(crate) fn discovery(message: impl Into<String>) -> Self {
        Self::Discovery { message: message.into() }
    }

    pub(crate) fn answer(message: impl Into<String>) -> Self {
        Self::Answer { message: message.into() }
    }
}

/// Words of somebody else's for a person: cut and without control characters.
pub(crate) fn words(text: &str) -> String {
    crate::mcp::clean(text, 300)
}

/// A secret in a type whose `Debug` is derived.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(pub(crate) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
