//! Tokens for servers, by OAuth 2.1 as MCP wants it.
//!
//! Who gives out a server's tokens the server says (`discover`); omni is known there by a name that it was
//! given, by a document's address or by registering (`client`); a person logs in (`login`) or omni itself is
//! let in (`token`); what comes of it is kept encrypted (`store`) and handed out with each request
//! (`source`). Everything is asked through `net::egress`.

use std::{fmt, sync::Arc};

use crate::{mcp::McpError, net::EgressError};

mod assertion;
mod challenge;
mod client;
mod discover;
mod grant;
mod login;
mod metadata;
mod scope;
mod source;
pub mod store;
mod token;

#[cfg(test)]
mod tests;

pub use grant::{Granted, LoginState};
pub use login::{Login, LoginOptions};
pub use source::OAuth;

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
    fn discovery(message: impl Into<String>) -> Self {
        Self::Discovery { message: message.into() }
    }

    fn answer(message: impl Into<String>) -> Self {
        Self::Answer { message: message.into() }
    }

    /// Whether what a person gave does not count any more, and will not by trying again.
    fn is_final(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code == "invalid_grant",
            Self::LoginNeeded { .. } | Self::ScopeNeeded { .. } => true,
            Self::Discovery { .. } | Self::Answer { .. } | Self::Asking(_) | Self::Store { .. } => false,
        }
    }
}

impl From<OAuthError> for McpError {
    fn from(error: OAuthError) -> Self {
        let message = error.to_string();
        match error {
            OAuthError::LoginNeeded { .. } | OAuthError::ScopeNeeded { .. } | OAuthError::Refused { .. } => {
                Self::Unauthorized { message }
            }
            // The server itself was asked for nothing.
            OAuthError::Discovery { .. }
            | OAuthError::Answer { .. }
            | OAuthError::Asking(_)
            | OAuthError::Store { .. } => Self::Connect { message },
        }
    }
}

/// Words of somebody else's for a person: cut and without control characters.
fn words(text: &str) -> String {
    crate::mcp::content::clean(text, 300)
}

/// A secret in a type whose `Debug` is derived.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
