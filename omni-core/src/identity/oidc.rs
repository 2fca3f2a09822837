//! Tokens of an OpenID Connect provider: whose they are, and whether they count.
//!
//! A token is judged by itself first (`token`, `claims`), then by the issuer's keys (`key`), which
//! are asked for when they are first needed (`fetch`) and kept for a while (`keyring`). ring checks
//! the signatures, so that no process-wide provider is needed.
//!
//! Who logs in at the issuer's page (`login`) is judged by the same: an ID token is one for omni's name there.

use std::sync::Arc;

use chrono::Utc;
use secrecy::{ExposeSecret as _, SecretString};

pub use self::login::{LoginError, PendingLogin};
use self::{fetch::Issuer, keyring::Keyring, token::Token};
use super::{AuthError, CallerToken, IdClaims, Principal};
use crate::{
    config::{OidcConfig, security::issuer},
    net::egress::Egress,
    registry::BuildError,
};

mod claims;
mod fetch;
mod key;
mod keyring;
mod login;
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
    #[error("it was given for another login")]
    Login,
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
    /// By what the ID tokens of people are judged who log in, where they may.
    login: Option<OidcConfig>,
    egress: Egress,
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
        let keyring = Keyring::new(Issuer::new(egress.clone(), url, &config.issuer), config.min_refresh);
        let login = config.login.as_ref().map(|login| {
            // Which clients may bring tokens of theirs is nothing to omni's own.
            OidcConfig { audience: vec![login.client_id.clone()], clients: None, ..config.clone() }
        });
        Ok(Self { inner: Arc::new(Inner { config, login, egress, keyring }) })
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
        self.inner.keyring.look().await.map(|published| published.keys.len())
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

    /// Who it is that logged in some time ago, by what holds now.
    pub(super) fn judge_again(&self, claims: &IdClaims) -> Result<Principal, AuthError> {
        let config = self.inner.login.as_ref().ok_or(AuthError::InvalidToken)?;
        claims::check(claims.as_map(), config, Utc::now()).map_err(refused)?;
        claims::principal(claims.as_map(), config).map_err(refused)
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
        if keyring.published().await.map_err(away)?.keys.verify(token) {
            return Ok(());
        }
        if keyring.look().await.map_err(away)?.keys.verify(token) {
            return Ok(());
        }
        Err(refused(Refusal::Signature))
    }
}

fn refused(refusal: Refusal) -> AuthError {
    tracing::debug!(reason = %refusal, "a token was refused");
    AuthError::InvalidToken
}
