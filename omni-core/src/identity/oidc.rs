//! Tokens of an OpenID Connect provider: whose they are, and whether they count.
//!
//! A token is judged by itself first (`token`, `claims`), then by the issuer's keys (`key`), which
//! are asked for when they are first needed (`fetch`) and kept for a while (`keyring`). ring checks
//! the signatures, so that no process-wide provider is needed.

use std::sync::Arc;

use chrono::Utc;
use secrecy::{ExposeSecret as _, SecretString};

use self::{fetch::Issuer, keyring::Keyring, token::Token};
use super::{AuthError, CallerToken, Principal};
use crate::{
    config::{OidcConfig, security::issuer},
    net::egress::Egress,
    registry::BuildError,
};

mod claims;
mod fetch;
mod key;
mod keyring;
mod token;

/// Why a token does not count. For the log alone: whoever sends one learns that it is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it is too long")]
    TooLong,
    #[error("it is no signed token")]
    Malformed,
    #[error("it is a token for something else")]
    WrongType,
    #[error("its signature's algorithm is not accepted")]
    Algorithm,
    #[error("no key of the issuer's made its signature")]
    Signature,
    #[error("it is another issuer's")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it was given to another client")]
    Client,
    #[error("a claim is not there or is none that can be read")]
    Claim,
    #[error("it has ended")]
    Expired,
    #[error("it does not count yet")]
    NotYet,
    #[error("its e-mail address is not verified")]
    Unverified,
    #[error("it names nobody that could be known here")]
    Nobody,
}

/// Judges the tokens of one issuer. Clones share the issuer's keys.
#[derive(Debug, Clone)]
pub struct Oidc {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: OidcConfig,
    keyring: Keyring,
}

impl Oidc {
    /// Judges by this configuration. The issuer is asked when somebody comes with a token first.
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The issuer's address cannot be used, no audience is named, or no HTTP client can be built.
    pub fn new(config: OidcConfig) -> Result<Self, BuildError> {
        let url = issuer(&config.issuer).map_err(BuildError::invalid)?;
        if config.audience.is_empty() {
            return Err(BuildError::invalid("an issuer whose tokens are for nobody; name an audience"));
        }
        let egress = Egress::for_issuer(&url, &config.egress);
        let egress = egress.map_err(|error| BuildError::invalid(error.to_string()))?;
        let keyring = Keyring::new(Issuer::new(egress, url, &config.issuer), config.min_refresh);
        Ok(Self { inner: Arc::new(Inner { config, keyring }) })
    }

    /// By what it judges.
    #[must_use]
    pub fn config(&self) -> &OidcConfig {
        &self.inner.config
    }

    /// Asks the issuer for its keys now, or takes what it said a moment ago; returns how many
    /// can be used.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub async fn look(&self) -> Result<usize, String> {
        self.inner.keyring.look().await.map(|keys| keys.len())
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// [`AuthError::InvalidToken`], or [`AuthError::IssuerAway`] where nobody can tell.
    pub async fn judge(&self, token: &SecretString) -> Result<Principal, AuthError> {
        let config = &self.inner.config;
        let token = Token::parse(token.expose_secret()).map_err(refused)?;
        // What cannot count by what it says of itself is nothing to ask the issuer about.
        claims::check(&token.claims, config, Utc::now()).map_err(refused)?;
        self.verify(&token).await?;
        claims::principal(&token.claims, config).map_err(refused)
    }

    /// A token that was judged, with whom it is for and when it ends.
    pub(super) fn own_token(&self, token: &SecretString) -> Option<CallerToken> {
        let claims = Token::parse(token.expose_secret()).ok()?.claims;
        let (audience, ends) = claims::reach(&claims)?;
        Some(CallerToken::new(token.clone(), audience, ends))
    }

    /// Whether a key of the issuer's made the signature. A key that is not known yet may be a new one.
    async fn verify(&self, token: &Token<'_>) -> Result<(), AuthError> {
        let keyring = &self.inner.keyring;
        let away = |message| AuthError::IssuerAway { message };
        if keyring.keys().await.map_err(away)?.verify(token) {
            return Ok(());
        }
        if keyring.look().await.map_err(away)?.verify(token) {
            return Ok(());
        }
        Err(refused(Refusal::Signature))
    }
}

fn refused(refusal: Refusal) -> AuthError {
    tracing::debug!(reason = %refusal, "a token was refused");
    AuthError::InvalidToken
}
