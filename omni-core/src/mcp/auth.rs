//! Tokens for servers, by OAuth 2.1 as MCP wants it.
//!
//! Who gives out a server's tokens the server says (`discover`); omni is known there by a name that it was
//! given, by a document's address or by registering (`registration`); a person logs in (`login`) or omni itself is
//! let in (`source::machine`); what comes of it is kept encrypted (`store`) and handed out with each request
//! (`source`). How a client speaks to an authorization server is `oauth`; everything is asked through `net::egress`.

use crate::{
    mcp::McpError,
    oauth::{Hidden, client, code, token, words},
};

mod challenge;
mod discover;
mod grant;
mod login;
mod metadata;
mod registration;
mod scope;
mod source;
pub mod store;

#[cfg(test)]
mod tests;

pub use grant::{Granted, LoginState};
pub use login::{Login, LoginOptions};
pub use source::OAuth;

pub use crate::oauth::OAuthError;

impl OAuthError {
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
