//! A person logs in: authorization code with PKCE.
//!
//! What the authorization server names is an address and nothing else: it is parsed, it is https (http on
//! this machine alone), and whoever opens it is shown where it leads.

use std::fmt;

use chrono::Utc;
use url::Url;

use super::{
    OAuthError,
    challenge::Challenge,
    client::Client,
    code::{PKCE, Trip},
    discover::{Found, discover},
    grant::{Access, Grant, Granted},
    registration, scope,
    source::OAuth,
    token::Endpoint,
    words,
};

/// How often tokens are written that somebody else writes at the same time.
const ATTEMPTS: usize = 5;

/// How to log in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoginOptions {
    /// Where the browser is sent back to.
    pub redirect_uri: String,
    /// What is wanted beside what the server asks for.
    pub scopes: Vec<String>,
    /// What the server said when it refused, where that is known; else it is asked.
    pub challenges: Option<Vec<String>>,
}

impl LoginOptions {
    /// A login whose browser comes back to this address.
    #[must_use]
    pub fn new(redirect_uri: impl Into<String>) -> Self {
        Self { redirect_uri: redirect_uri.into(), scopes: Vec::new(), challenges: None }
    }

    /// The same with more to ask for.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Vec<String>) -> Self {
        self.scopes = scopes;
        self
    }

    /// The same with what the server said.
    #[must_use]
    pub fn with_challenges(mut self, challenges: Vec<String>) -> Self {
        self.challenges = Some(challenges);
        self
    }
}

/// A login that waits for its browser.
pub struct Login {
    url: Url,
    trip: Trip,
    client: Client,
    found: Found,
    scopes: Vec<String>,
}

impl Login {
    /// Where the person logs in: an address of https, or of http on this machine.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whose page that is.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Who gives out the tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.found.server.issuer
    }

    /// What is asked for.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether an address, or its query alone, is what a browser comes back to from this login. Anything on
    /// this machine may ask for such an address.
    #[must_use]
    pub fn is_answered_by(&self, callback: &str) -> bool {
        self.trip.is_answered_by(callback)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("at", &self.origin()).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

impl OAuth {
    /// Finds out where a person logs in, and prepares that. The server is asked what it wants, unless the
    /// options say it.
    ///
    /// # Errors
    /// An [`OAuthError`].
    pub async fn begin_login(&self, options: LoginOptions) -> Result<Login, OAuthError> {
        let (egress, config) = (self.egress()?, self.config());
        let challenge = match &options.challenges {
            Some(said) => Challenge::of(said.iter().map(String::as_str)),
            None => self.probe().await?,
        };
        let found = discover(egress, self.url(), &challenge, config.issuer.as_deref()).await?;
        check_pkce(&found)?;
        let beside = self.scopes_beside(options.scopes, &found).await;
        let wanted = scope::wanted(&config.scopes, &challenge, &found, &beside);
        let scopes = scope::with_offline(wanted, &found);
        let client = match self.known_client(&found, &options.redirect_uri) {
            Some(client) => client,
            None => registration::client(egress, config, &found.server, &options.redirect_uri, &scopes).await?,
        };
        self.remember_client(&found, &options.redirect_uri, &client);
        let trip = Trip::begin(options.redirect_uri)?;
        let url = trip.url(&found.server, &client.id, &scopes, &[("resource", &found.resource)])?;
        egress.check(&url)?;
        Ok(Login { url, trip, client, found, scopes })
    }

    /// What is asked for beside what the server wants. Whoever logs in for more keeps what their login is for.
    async fn scopes_beside(&self, mut wanted: Vec<String>, found: &Found) -> Vec<String> {
        if wanted.is_empty() {
            return wanted;
        }
        // A login that cannot be read is for nothing.
        let before = self.vault().load(self.key(), self.url().as_str()).await.ok().flatten();
        let before = before.filter(|(_, grant)| grant.issuer == found.server.issuer && grant.ended.is_none());
        wanted.extend(before.into_iter().flat_map(|(_, grant)| grant.scopes));
        wanted
    }

    /// Takes the code that the browser came back with, gets the tokens and keeps them. `callback` is the
    /// address that it came to, or its query alone.
    ///
    /// # Errors
    /// An [`OAuthError`]. The login is over in any case: a code counts once.
    pub async fn finish_login(&self, login: Login, callback: &str) -> Result<Granted, OAuthError> {
        let Login { found, client, trip, scopes, .. } = login;
        let code = trip.code(&found.server, callback)?;
        let endpoint = Endpoint {
            egress: self.egress()?,
            config: self.config(),
            issuer: &found.server.issuer,
            url: &found.server.token_endpoint,
            client: &client,
        };
        let mut form = trip.form(&code).to_vec();
        form.push(("resource", &found.resource));
        let tokens = endpoint.tokens(&form).await?;
        let now = Utc::now();
        let grant = Grant {
            access: Some(Access::of(&tokens, now)),
            refresh: tokens.refresh,
            // Who does not say otherwise gave all that was asked for.
            scopes: tokens.scopes.unwrap_or(scopes),
            issuer: found.server.issuer,
            resource: found.resource,
            token_endpoint: found.server.token_endpoint,
            revocation_endpoint: found.server.revocation_endpoint,
            client,
            logged_in_at: now,
            ended: None,
        };
        self.keep(&grant).await?;
        Ok(grant.granted())
    }

    /// Keeps a grant, whatever was there before.
    async fn keep(&self, grant: &Grant) -> Result<(), OAuthError> {
        for _ in 0..ATTEMPTS {
            let before = self.vault().revision(self.key()).await?;
            if self.vault().save(self.key(), self.url().as_str(), grant, before).await?.is_some() {
                self.forget_cached();
                return Ok(());
            }
        }
        Err(OAuthError::Store { message: "somebody else writes them at the same time; try again".into() })
    }
}

fn check_pkce(found: &Found) -> Result<(), OAuthError> {
    if found.server.code_challenge_methods_supported.iter().any(|method| method == PKCE) {
        return Ok(());
    }
    Err(OAuthError::discovery(format!(
        "the authorization server {} does not say that it protects codes (PKCE with S256), which MCP requires",
        words(&found.server.issuer)
    )))
}

#[cfg(test)]
mod tests;
