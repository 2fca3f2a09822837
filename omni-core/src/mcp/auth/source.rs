//! Tokens for one server, handed out with each request and renewed by one at a time.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use chrono::Utc;
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use http::header::{ACCEPT, WWW_AUTHENTICATE};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use super::{
    LoginState, OAuthError,
    challenge::Challenge,
    client::Client,
    discover::Found,
    grant::{Access, Grant},
    store::{TokenKey, Vault},
};
use crate::{
    config::{Config, EgressConfig, OAuthConfig, OAuthGrant, ServerAuth, ServerConfig},
    mcp::{CredentialSource, McpError, Refused, ServerCredential},
    net::{self, ClientOptions, describe, egress::Egress},
    registry::BuildError,
};

mod machine;
mod recheck;
mod renew;

/// How long anybody waits for the renewal of a token, with all that is asked for it.
const RENEW_WITHIN: Duration = Duration::from_secs(30);
/// How long nobody is asked again after that failed.
const PAUSE: Duration = Duration::from_secs(3);
/// How often a token is renewed because it was refused, within a while: a server that refuses all of them is not
/// put right by more.
const MAX_REFUSED: usize = 5;
const WHILE: Duration = Duration::from_secs(30);
/// Why a login does not count that was made before the configuration named somebody else.
const OTHER_ISSUER: &str = "the login is of another issuer than mcps.yaml names";

type Renewed = Result<Arc<Cached>, OAuthError>;
type Flight = Shared<BoxFuture<'static, Renewed>>;

/// Tokens for one server. Clones share them.
#[derive(Clone)]
pub struct OAuth {
    inner: Arc<Inner>,
}

struct Inner {
    server: Arc<str>,
    url: Url,
    config: OAuthConfig,
    egress_config: EgressConfig,
    egress: OnceLock<Egress>,
    vault: Vault,
    key: TokenKey,
    /// Who renews, as leases name it.
    holder: Uuid,
    cached: ArcSwapOption<Cached>,
    /// The renewal that is under way: all who need one wait for it. Never held across an await.
    flight: Mutex<Option<Flight>>,
    /// Why the last renewal failed, and when.
    failed: Mutex<Option<(Instant, OAuthError)>>,
    /// When tokens were renewed because they were refused.
    refusals: Mutex<VecDeque<Instant>>,
    /// What refusals asked for beside what is configured.
    more_scopes: Mutex<BTreeSet<String>>,
    /// The client that this process registered: at whom, and for which redirect.
    registered: Mutex<Option<(String, String, Client)>>,
    /// When it was last looked whether the token is the stored one.
    looked: Mutex<Instant>,
    /// Renewals, which go on when nobody waits.
    tasks: TaskTracker,
}

/// A token as it is sent.
#[derive(Debug)]
struct Cached {
    credential: ServerCredential,
    access: Access,
    origin: Origin,
}

/// Where a token comes from.
#[derive(Debug)]
enum Origin {
    /// From the store, in this revision.
    Stored(Uuid),
    /// It was asked for, with this beside what is configured.
    Asked(BTreeSet<String>),
}

impl Cached {
    fn of(access: Access, origin: Origin) -> Renewed {
        let credential = ServerCredential::bearer(&access.secret());
        let credential = credential.ok_or_else(|| OAuthError::answer("the token is none that can be sent"))?;
        Ok(Arc::new(Self { credential, access, origin }))
    }

    fn is(&self, token: &SecretString) -> bool {
        self.access.token.0 == token.expose_secret()
    }
}

impl OAuth {
    /// Tokens for the server at `url`, kept in `vault`.
    ///
    /// # Errors
    /// The address is none that tokens may be sent to.
    pub fn new(
        server: impl Into<Arc<str>>,
        url: &str,
        config: OAuthConfig,
        egress: EgressConfig,
        vault: Vault,
    ) -> Result<Self, BuildError> {
        let server = server.into();
        let wrong = |what: &str| BuildError::invalid(format!("the server {server:?}: {what}"));
        let url = Url::parse(url).map_err(|_| wrong("its url is no address"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && net::is_loopback(&url)) {
            return Err(wrong("tokens are sent over https only, or over http on this machine"));
        }
        let inner = Inner {
            key: TokenKey::shared(&*server),
            server,
            url,
            config,
            egress_config: egress,
            egress: OnceLock::new(),
            vault,
            holder: Uuid::new_v4(),
            cached: ArcSwapOption::empty(),
            flight: Mutex::default(),
            failed: Mutex::default(),
            refusals: Mutex::default(),
            more_scopes: Mutex::default(),
            registered: Mutex::default(),
            looked: Mutex::new(Instant::now()),
            tasks: TaskTracker::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Tokens for a server of a configuration; `None` where it wants none.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_config(config: &Config, server: &ServerConfig) -> Result<Option<Self>, BuildError> {
        let ServerAuth::OAuth(oauth) = &server.auth else { return Ok(None) };
        let url = server.url.as_deref().unwrap_or_default();
        let vault = Vault::of_config(config);
        Self::new(&*server.name, url, (**oauth).clone(), config.egress.clone(), vault).map(Some)
    }

    /// Whether somebody is logged in.
    ///
    /// # Errors
    /// [`OAuthError::Store`].
    pub async fn state(&self) -> Result<LoginState, OAuthError> {
        if self.config().grant == OAuthGrant::ClientCredentials {
            return Ok(LoginState::Machine);
        }
        let found = self.vault().load(self.key(), self.url().as_str()).await?;
        Ok(match found {
            None => LoginState::LoggedOut,
            Some((_, grant)) if self.is_of_issuer(&grant) => grant.state(Utc::now()),
            Some(_) => LoginState::Ended { why: OTHER_ISSUER.into() },
        })
    }

    /// Whether omni lets itself in, so that nobody logs in.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        self.config().grant == OAuthGrant::ClientCredentials
    }

    /// The port of this machine that a browser comes back to; 0 is any.
    #[must_use]
    pub fn redirect_port(&self) -> u16 {
        self.config().redirect_port
    }

    pub(super) fn config(&self) -> &OAuthConfig {
        &self.inner.config
    }

    pub(super) fn url(&self) -> &Url {
        &self.inner.url
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    pub(super) fn key(&self) -> &TokenKey {
        &self.inner.key
    }

    /// Whether a login is of the issuer that the configuration names, where it names one: what it gave is
    /// shown to nobody else, and neither is the client's secret.
    fn is_of_issuer(&self, grant: &Grant) -> bool {
        self.config().issuer.as_ref().is_none_or(|issuer| *issuer == grant.issuer)
    }

    pub(super) fn forget_cached(&self) {
        self.inner.cached.store(None);
    }

    /// The client of whoever is asked, built at first use.
    pub(super) fn egress(&self) -> Result<&Egress, OAuthError> {
        if let Some(egress) = self.inner.egress.get() {
            return Ok(egress);
        }
        let made = Egress::for_server(&self.inner.url, &self.inner.egress_config);
        let egress = made.map_err(|error| OAuthError::discovery(error.to_string()))?;
        Ok(self.inner.egress.get_or_init(|| egress))
    }

    /// The client that this process registered already for the same login.
    pub(super) fn known_client(&self, found: &Found, redirect_uri: &str) -> Option<Client> {
        let registered = lock(&self.inner.registered);
        let known =
            registered.as_ref().filter(|(issuer, uri, _)| *issuer == found.server.issuer && uri == redirect_uri);
        known.map(|(_, _, client)| client.clone())
    }

    pub(super) fn remember_client(&self, found: &Found, redirect_uri: &str, client: &Client) {
        let known = (found.server.issuer.clone(), redirect_uri.to_owned(), client.clone());
        *lock(&self.inner.registered) = Some(known);
    }

    /// What the server says to somebody without a token.
    pub(super) async fn probe(&self) -> Result<Challenge, OAuthError> {
        let failed = |message: String| OAuthError::discovery(format!("the server cannot be asked: {message}"));
        let options = ClientOptions::for_url(&self.inner.url).with_connect_timeout(net::egress::WITHIN);
        let client = net::client(&options).map_err(|error| failed(error.to_string()))?;
        // Nothing comes of it where the server lets everybody in.
        let ping = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
        let request = client.post(self.inner.url.clone()).json(&ping).timeout(net::egress::WITHIN);
        let request = request.header(ACCEPT, "application/json, text/event-stream");
        let response = request.send().await.map_err(|error| failed(describe(&error)))?;
        let said = response.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        Ok(Challenge::of(said))
    }

    /// A token that is not the refused one. All who need one wait for the same renewal, each for a while;
    /// it goes on when nobody does: what an authorization server gave must be kept.
    async fn renew(&self, refused: Option<&SecretString>) -> Renewed {
        if let Some(cached) = self.inner.cached.load_full()
            && cached.access.is_fresh(Utc::now())
            && refused.is_none_or(|refused| !cached.is(refused))
        {
            return Ok(cached);
        }
        if let Some((at, error)) = &*lock(&self.inner.failed)
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        let flight = self.flight(refused);
        timeout(RENEW_WITHIN, flight).await.unwrap_or_else(|_| Err(late()))
    }

    /// A new token; the last one, while it counts, where nobody can renew it now. Where somebody has to log in there
    /// is none.
    async fn renewed_or_last(&self) -> Renewed {
        match self.renew(None).await {
            Err(error) if !matches!(error, OAuthError::LoginNeeded { .. } | OAuthError::ScopeNeeded { .. }) => {
                let last = self.inner.cached.load_full().filter(|cached| cached.access.counts(Utc::now()));
                last.ok_or(error)
            }
            renewed => renewed,
        }
    }

    fn flight(&self, refused: Option<&SecretString>) -> Flight {
        let mut flying = lock(&self.inner.flight);
        if let Some(flight) = flying.as_ref().filter(|flight| flight.peek().is_none()) {
            return flight.clone();
        }
        let (own, refused) = (self.clone(), refused.cloned());
        if refused.is_some() {
            lock(&self.inner.refusals).push_back(Instant::now());
        }
        // Ends by itself: all that it waits for has its time.
        let task = self.inner.tasks.spawn(async move { own.renewed_now(refused).await });
        let broken = || OAuthError::answer("the renewal of the token broke off");
        let flight = async move { task.await.unwrap_or_else(|_| Err(broken())) }.boxed().shared();
        *flying = Some(flight.clone());
        flight
    }

    async fn renewed_now(&self, refused: Option<SecretString>) -> Renewed {
        let renewed = match self.config().grant {
            // Where that breaks off nothing is lost.
            OAuthGrant::ClientCredentials => timeout(RENEW_WITHIN, self.let_in()).await.unwrap_or_else(|_| Err(late())),
            OAuthGrant::AuthorizationCode => self.refreshed(refused.as_ref()).await,
        };
        match &renewed {
            Ok(cached) => {
                self.inner.cached.store(Some(cached.clone()));
                *lock(&self.inner.failed) = None;
            }
            // Somebody may log in at any moment, in another process too.
            Err(OAuthError::LoginNeeded { .. }) => self.forget_cached(),
            Err(error) => {
                tracing::warn!(server = %self.inner.server, %error, "a token for a server cannot be renewed");
                *lock(&self.inner.failed) = Some((Instant::now(), error.clone()));
            }
        }
        renewed
    }

    /// Whether so many tokens were refused lately that another one is not worth asking for.
    fn is_refused_too_often(&self) -> bool {
        let mut refusals = lock(&self.inner.refusals);
        while refusals.front().is_some_and(|at| at.elapsed() > WHILE) {
            refusals.pop_front();
        }
        refusals.len() >= MAX_REFUSED
    }

    fn login_needed(&self, why: impl Into<String>) -> OAuthError {
        OAuthError::LoginNeeded { server: self.inner.server.clone(), why: why.into() }
    }
}

fn late() -> OAuthError {
    OAuthError::answer("the authorization server did not answer in time")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl CredentialSource for OAuth {
    async fn credential(&self) -> Result<ServerCredential, McpError> {
        self.look_again().await;
        if let Some(cached) = self.inner.cached.load_full()
            && cached.access.is_fresh(Utc::now())
        {
            return Ok(cached.credential.clone());
        }
        Ok(self.renewed_or_last().await?.credential.clone())
    }

    async fn renewed(
        &self,
        refused: &ServerCredential,
        refusal: &Refused,
    ) -> Result<Option<ServerCredential>, McpError> {
        let challenge = Challenge::of(refusal.challenges.iter().map(String::as_str));
        if challenge.is_insufficient_scope() {
            let cached = self.stepped_up(refused, &challenge).await?;
            return Ok(cached.map(|cached| cached.credential.clone()));
        }
        if refusal.status != 401 {
            return Ok(None);
        }
        let is_newest = self.inner.cached.load().as_ref().is_none_or(|cached| cached.is(refused.secret()));
        if is_newest && self.is_refused_too_often() {
            return Ok(None);
        }
        let cached = self.renew(Some(refused.secret())).await?;
        Ok((!cached.is(refused.secret())).then(|| cached.credential.clone()))
    }

    async fn settle(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

impl fmt::Debug for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth").field("server", &self.inner.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
