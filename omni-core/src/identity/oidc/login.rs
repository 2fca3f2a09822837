//! People log in at the issuer's own page: authorization code with PKCE, a state and a nonce.
//!
//! The state binds the answer to the browser that asked, the nonce the ID token to the login, and PKCE the code to
//! whoever began. Of what comes back only the ID token is looked at, and only what it says of the person is kept:
//! omni asks the issuer for nothing on anybody's behalf.

use chrono::Utc;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{IdClaims, Oidc, Refusal, Token, claims};
use crate::{
    config::{OAuthConfig, OidcConfig, OidcLoginConfig},
    identity::AuthError,
    oauth::{
        Hidden, OAuthError,
        client::Client,
        code::{PKCE, Trip, random},
        metadata::ServerMetadata,
        token::Endpoint,
    },
};

/// What an issuer says where the person, or whoever decides for them, said no.
const ACCESS_DENIED: &str = "access_denied";

/// A login that waits for its browser. It holds secrets: whoever has the browser keep it seals it, and takes it once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingLogin {
    issuer: String,
    client_id: String,
    nonce: Hidden,
    trip: Trip,
}

impl PendingLogin {
    /// Whether a query is what the browser comes back with from this login.
    #[must_use]
    pub fn is_answered_by(&self, query: &str) -> bool {
        self.trip.is_answered_by(query)
    }
}

/// Why nobody was let in who came from an issuer's page. What the issuer itself says is for the operator alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// People do not log in like this here.
    #[error("nobody logs in by an identity provider here; log in with an API key")]
    NotOffered,
    /// The issuer cannot be asked.
    #[error("the identity provider cannot be asked at the moment; try again in a while, or log in with an API key")]
    Away {
        /// Why.
        cause: String,
    },
    /// The answer is of no login that this browser began.
    #[error("this is not the answer to a login that you began here; log in again")]
    Foreign,
    /// The issuer does not let them in.
    #[error("the identity provider did not let you in; whoever runs it decides who may use omni")]
    Denied,
    /// The issuer did not complete the login.
    #[error(
        "the identity provider did not complete the login; log in again, and if it stays so ask the operator, whose log says why"
    )]
    Refused {
        /// Why.
        cause: String,
    },
    /// What the issuer says of them does not count here.
    #[error("what the identity provider says of you does not count here; the operator finds why in the log")]
    Unfit {
        /// Why.
        cause: String,
    },
}

impl LoginError {
    /// What the operator should know.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Away { cause } | Self::Refused { cause } | Self::Unfit { cause } => Some(cause),
            Self::NotOffered | Self::Foreign | Self::Denied => None,
        }
    }

    fn away(cause: String) -> Self {
        Self::Away { cause }
    }
}

impl From<OAuthError> for LoginError {
    fn from(error: OAuthError) -> Self {
        let cause = error.to_string();
        match error {
            OAuthError::Asking(_) => Self::Away { cause },
            OAuthError::Refused { code, .. } if code == ACCESS_DENIED => Self::Denied,
            OAuthError::LoginNeeded { .. }
            | OAuthError::ScopeNeeded { .. }
            | OAuthError::Discovery { .. }
            | OAuthError::Refused { .. }
            | OAuthError::Answer { .. }
            | OAuthError::Store { .. } => Self::Refused { cause },
        }
    }
}

impl From<Refusal> for LoginError {
    fn from(refusal: Refusal) -> Self {
        Self::Unfit { cause: format!("the ID token: {refusal}") }
    }
}

impl Oidc {
    /// Prepares a login whose browser comes back to `redirect_uri`: where it is sent, and what is to be kept until it
    /// comes back.
    ///
    /// # Errors
    /// A [`LoginError`].
    pub async fn begin_login(&self, redirect_uri: &str) -> Result<(Url, PendingLogin), LoginError> {
        let (_, login) = self.login()?;
        let published = self.inner.keyring.published().await.map_err(LoginError::away)?;
        let server = server(published.server.as_ref())?;
        let (trip, nonce) = (Trip::begin(redirect_uri)?, random()?);
        let url = trip.url(server, &login.client_id, &login.scopes, &[("nonce", &nonce.0)])?;
        self.inner.egress.check(&url).map_err(OAuthError::from)?;
        let (issuer, client_id) = (self.config().issuer.clone(), login.client_id.clone());
        Ok((url, PendingLogin { issuer, client_id, nonce, trip }))
    }

    /// Takes the query that the browser came back with, has the issuer give the ID token for it, and judges that.
    ///
    /// # Errors
    /// A [`LoginError`]. The login is over in any case: a code counts once.
    pub async fn finish_login(&self, pending: PendingLogin, query: &str) -> Result<IdClaims, LoginError> {
        let (config, login) = self.login()?;
        if pending.issuer != config.issuer || pending.client_id != login.client_id || !pending.is_answered_by(query) {
            return Err(LoginError::Foreign);
        }
        let published = self.inner.keyring.published().await.map_err(LoginError::away)?;
        let server = server(published.server.as_ref())?;
        let code = pending.trip.code(server, query)?;
        let id_token = self.id_token(server, login, &pending.trip, &code).await?;
        let token = Token::parse(&id_token.0)?;
        claims::check(&token.claims, config, Utc::now())?;
        claims::check_login(&token.claims, &login.client_id, &pending.nonce.0)?;
        self.verify(&token).await.map_err(|error| match error {
            AuthError::IssuerAway { message } => LoginError::away(message),
            _ => Refusal::Signature.into(),
        })?;
        claims::principal(&token.claims, config)?;
        let claims = IdClaims::new(claims::essential(&token.claims, config));
        if claims.ends() > Utc::now().timestamp() { Ok(claims) } else { Err(Refusal::Expired.into()) }
    }

    /// Where a browser is sent for the issuer to end its own session too; it comes back to `back`. `None` where the issuer
    /// has no such page that is safe, or cannot be asked.
    pub async fn logout_url(&self, back: &str) -> Option<Url> {
        let (_, login) = self.login().ok()?;
        let published = self.inner.keyring.published().await.ok()?;
        let mut url = Url::parse(published.server.as_ref()?.end_session_endpoint.as_deref()?).ok()?;
        self.inner.egress.check(&url).ok()?;
        url.set_fragment(None);
        // The ID token itself is not kept: who asks is told by the client's name, and the issuer asks the person.
        url.query_pairs_mut().append_pair("client_id", &login.client_id).append_pair("post_logout_redirect_uri", back);
        Some(url)
    }

    /// By what ID tokens are judged, and as whom they are asked for.
    fn login(&self) -> Result<(&OidcConfig, &OidcLoginConfig), LoginError> {
        let config = self.inner.login.as_ref();
        config.and_then(|config| Some((config, config.login.as_ref()?))).ok_or(LoginError::NotOffered)
    }

    async fn id_token(
        &self,
        server: &ServerMetadata,
        login: &OidcLoginConfig,
        trip: &Trip,
        code: &Hidden,
    ) -> Result<Hidden, LoginError> {
        let config = OAuthConfig {
            client_id: Some(login.client_id.clone()),
            client_secret: login.client_secret.clone(),
            ..OAuthConfig::default()
        };
        let client = Client::configured(&config, server).ok_or(LoginError::NotOffered)?;
        let endpoint = Endpoint {
            egress: &self.inner.egress,
            config: &config,
            issuer: &server.issuer,
            url: &server.token_endpoint,
            client: &client,
        };
        let tokens = endpoint.tokens(&trip.form(code)).await?;
        let none = || LoginError::Refused { cause: "the issuer gave no ID token".into() };
        tokens.id_token.ok_or_else(none)
    }
}

/// Where people log in. An issuer that says which ways it knows of protecting codes knows the one that is used.
fn server(published: Option<&ServerMetadata>) -> Result<&ServerMetadata, LoginError> {
    let unfit = |cause: &str| LoginError::Refused { cause: cause.into() };
    let server = published.ok_or_else(|| unfit("the discovery document names no token endpoint"))?;
    let methods = &server.code_challenge_methods_supported;
    match methods.is_empty() || methods.iter().any(|method| method == PKCE) {
        true => Ok(server),
        false => Err(unfit("the issuer does not protect codes by PKCE with S256")),
    }
}
