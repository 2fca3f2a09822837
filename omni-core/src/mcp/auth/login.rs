//! A person logs in: authorization code with PKCE.
//!
//! What the authorization server names is an address and nothing else: it is parsed, it is https (http on
//! this machine alone), and whoever opens it is shown where it leads.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::{Url, form_urlencoded};

use super::{
    Hidden, OAuthError,
    challenge::Challenge,
    client::Client,
    discover::{Found, discover},
    grant::{Access, Grant, Granted},
    scope,
    source::OAuth,
    token::Endpoint,
    words,
};

/// The way of making a challenge of a verifier that is not a promise alone.
const PKCE: &str = "S256";
/// Longest address that a browser is sent back to, in bytes.
const MAX_CALLBACK: usize = 16 << 10;
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
    state: Hidden,
    verifier: Hidden,
    redirect_uri: String,
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
        parameters(callback).is_ok_and(|said| self.is_own(&said))
    }

    fn is_own(&self, said: &BTreeMap<String, String>) -> bool {
        let state = said.get("state").map_or("", String::as_str);
        state.as_bytes().ct_eq(self.state.0.as_bytes()).into()
    }

    /// The code of the address that the browser came back to.
    fn code(&self, callback: &str) -> Result<Hidden, OAuthError> {
        let mut said = parameters(callback)?;
        if !self.is_own(&said) {
            return Err(OAuthError::answer("the browser came back from another login than this one"));
        }
        self.check_issuer(said.get("iss").map(String::as_str))?;
        if let Some(code) = said.get("error") {
            let description = said.get("error_description").map(|text| words(text));
            return Err(OAuthError::Refused { code: words(code), description });
        }
        let code = said.remove("code").filter(|code| !code.is_empty());
        code.map(Hidden).ok_or_else(|| OAuthError::answer("the browser came back without a code"))
    }

    /// Whether the answer is of whom it was asked (RFC 9207), letter by letter.
    fn check_issuer(&self, said: Option<&str>) -> Result<(), OAuthError> {
        let server = &self.found.server;
        match said {
            Some(issuer) if issuer == server.issuer => Ok(()),
            Some(issuer) => Err(OAuthError::answer(format!(
                "the answer is of {}, and {} was asked",
                words(issuer),
                words(&server.issuer)
            ))),
            None if server.authorization_response_iss_parameter_supported => {
                Err(OAuthError::answer(format!("the answer does not say that it is of {}", words(&server.issuer))))
            }
            None => Ok(()),
        }
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
            None => Client::for_login(egress, config, &found.server, &options.redirect_uri, &scopes).await?,
        };
        self.remember_client(&found, &options.redirect_uri, &client);
        let (state, verifier) = (random()?, random()?);
        let mut url = authorization_endpoint(&found)?;
        egress.check(&url)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", &options.redirect_uri)
            .append_pair("state", &state.0)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier.0)))
            .append_pair("code_challenge_method", PKCE)
            .append_pair("resource", &found.resource);
        if !scopes.is_empty() {
            url.query_pairs_mut().append_pair("scope", &scopes.join(" "));
        }
        Ok(Login { url, state, verifier, redirect_uri: options.redirect_uri, client, found, scopes })
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
        let code = login.code(callback)?;
        let Login { found, client, redirect_uri, verifier, scopes, .. } = login;
        let endpoint = Endpoint {
            egress: self.egress()?,
            config: self.config(),
            issuer: &found.server.issuer,
            url: &found.server.token_endpoint,
            client: &client,
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code.0),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", &verifier.0),
            ("resource", &found.resource),
        ];
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

fn authorization_endpoint(found: &Found) -> Result<Url, OAuthError> {
    let unusable =
        |what: &str| OAuthError::discovery(format!("the authorization server {} {what}", words(&found.server.issuer)));
    let text = found.server.authorization_endpoint.as_deref().ok_or_else(|| unusable("lets no person log in"))?;
    let mut url = Url::parse(text).map_err(|_| unusable("names no address where people log in"))?;
    url.set_fragment(None);
    Ok(url)
}

/// What a browser came back with. A parameter that is there twice could be read in two ways.
fn parameters(callback: &str) -> Result<BTreeMap<String, String>, OAuthError> {
    let query = callback.split_once('?').map_or(callback, |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    if query.len() > MAX_CALLBACK {
        return Err(OAuthError::answer("the browser came back with too much"));
    }
    let mut said = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if said.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(OAuthError::answer("the browser came back with a parameter twice"));
        }
    }
    Ok(said)
}

/// 256 random bits, as text.
fn random() -> Result<Hidden, OAuthError> {
    let mut bytes = [0; 32];
    let failed = |_| OAuthError::Store { message: "the operating system has no randomness".into() };
    SystemRandom::new().fill(&mut bytes).map_err(failed)?;
    Ok(Hidden(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests;
