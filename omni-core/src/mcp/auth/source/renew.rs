//! A person's tokens: renewed by whoever has the lease, and nobody else.
//!
//! A refresh token is used by one at a time, in whichever process. It is used a second time only where
//! whoever used it died in the middle, or got no answer: nobody else can tell what came of that.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use secrecy::SecretString;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::{Cached, OAuth, OTHER_ISSUER, Origin, RENEW_WITHIN, Renewed, late};
use crate::mcp::auth::{
    OAuthError,
    grant::Grant,
    store::Lease,
    token::{Endpoint, Tokens},
};

/// How long nobody else renews: longer than a request and all attempts to keep what came of it take.
const LEASE: Duration = Duration::from_secs(RENEW_WITHIN.as_secs() * 2);
/// How often it is looked whether somebody else has renewed.
const LOOK: Duration = Duration::from_millis(100);
/// How often new tokens are written before they are given up for the next time.
const SAVES: u32 = 4;
/// How long the store may take for one of these.
const SAVE_WITHIN: Duration = Duration::from_secs(10);

/// What there is before anything is renewed.
enum Ready {
    /// A token that counts.
    Token(Arc<Cached>),
    /// The right to renew this revision.
    Leased(Uuid, Box<Grant>),
}

impl OAuth {
    /// A token that counts and is not the refused one.
    pub(super) async fn refreshed(&self, refused: Option<&SecretString>) -> Renewed {
        let until = Instant::now() + RENEW_WITHIN;
        loop {
            // Only what comes before a token is used may be cut: an answer that nobody takes is a login lost.
            let ready = timeout_at(until, self.ready(refused)).await.unwrap_or_else(|_| Err(late()))?;
            let (revision, grant) = match ready {
                Ready::Token(cached) => return Ok(cached),
                Ready::Leased(revision, grant) => (revision, grant),
            };
            if let Some(cached) = self.refresh(revision, *grant).await? {
                return Ok(cached);
            }
        }
    }

    /// The stored token, where it counts and is not the refused one, else the right to renew it.
    async fn ready(&self, refused: Option<&SecretString>) -> Result<Ready, OAuthError> {
        loop {
            let found = self.vault().load(self.key(), self.url().as_str()).await?;
            let Some((revision, grant)) = found else { return Err(self.login_needed("nobody is logged in")) };
            if let Some(why) = &grant.ended {
                return Err(self.login_needed(format!("the login has ended: {why}")));
            }
            if !self.is_of_issuer(&grant) {
                return Err(self.login_needed(OTHER_ISSUER));
            }
            if let Some(access) = grant.access.as_ref().filter(|access| access.is_fresh(Utc::now())) {
                let cached = Cached::of(access.clone(), Origin::Stored(revision))?;
                if refused.is_none_or(|refused| !cached.is(refused)) {
                    return Ok(Ready::Token(cached));
                }
            }
            if grant.refresh.is_none() {
                return Err(self.login_needed("the login has ended, and its token cannot be renewed"));
            }
            if self.vault().lease(self.key(), &self.lease(revision, LEASE)).await? {
                return Ok(Ready::Leased(revision, Box::new(grant)));
            }
            sleep(LOOK).await;
        }
    }

    fn lease(&self, revision: Uuid, ttl: Duration) -> Lease {
        Lease::new(revision, self.inner.holder, ttl)
    }

    /// Renews what is leased; `None` where somebody logged in or out meanwhile.
    async fn refresh(&self, revision: Uuid, grant: Grant) -> Result<Option<Arc<Cached>>, OAuthError> {
        match self.ask_for_more(&grant).await {
            Ok(tokens) => {
                let grant = grant.renewed(tokens, Utc::now());
                let Some(revision) = self.kept(revision, &grant).await else { return Ok(None) };
                tracing::debug!(server = %self.inner.server, "a token for a server was renewed");
                grant.access.map(|access| Cached::of(access, Origin::Stored(revision))).transpose()
            }
            Err(error) if error.is_final() => {
                let why = error.to_string();
                if self.kept(revision, &grant.ended(why.clone())).await.is_none() {
                    // What was refused is not what is stored by now.
                    return Ok(None);
                }
                tracing::warn!(server = %self.inner.server, %error, "the login at a server has ended");
                Err(self.login_needed(format!("the login has ended: {why}")))
            }
            Err(error) => {
                let given_back = self.lease(revision, Duration::ZERO);
                let _ = timeout(SAVE_WITHIN, self.vault().lease(self.key(), &given_back)).await;
                Err(error)
            }
        }
    }

    async fn ask_for_more(&self, grant: &Grant) -> Result<Tokens, OAuthError> {
        let endpoint = Endpoint {
            egress: self.egress()?,
            config: self.config(),
            issuer: &grant.issuer,
            url: &grant.token_endpoint,
            client: &grant.client,
        };
        let refresh = grant.refresh.as_ref().map(|token| token.0.as_str()).unwrap_or_default();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("resource", &grant.resource)];
        endpoint.tokens(&form).await
    }

    /// Keeps what came, in the place of what it came from; the revision that is stored then, and `None` where
    /// that is somebody else's. A store that is away for a moment loses no login.
    async fn kept(&self, revision: Uuid, grant: &Grant) -> Option<Uuid> {
        let slow = |_| Err(OAuthError::Store { message: "the store did not answer in time".into() });
        for attempt in 1..=SAVES {
            let saving = self.vault().save(self.key(), self.url().as_str(), grant, Some(revision));
            match timeout(SAVE_WITHIN, saving).await.unwrap_or_else(slow) {
                Ok(kept) => return kept,
                Err(error) if attempt == SAVES => {
                    tracing::error!(server = %self.inner.server, %error, "a renewed token cannot be kept");
                }
                Err(_) => sleep(LOOK * attempt).await,
            }
        }
        // It counts for this process all the same.
        Some(revision)
    }

    /// Forgets the tokens, and asks whoever gave them out to do so too, unless mcps.yaml names somebody else by
    /// now; returns whether there were any.
    ///
    /// # Errors
    /// [`OAuthError::Store`].
    pub async fn logout(&self) -> Result<bool, OAuthError> {
        // Tokens that cannot be read any more can be forgotten all the same.
        let grant = self.vault().load(self.key(), self.url().as_str()).await.ok().flatten();
        let was_there = self.vault().remove(self.key()).await?;
        self.forget_cached();
        let Some((_, grant)) = grant.filter(|(_, grant)| self.is_of_issuer(grant)) else { return Ok(was_there) };
        let (Some(url), Ok(egress)) = (&grant.revocation_endpoint, self.egress()) else { return Ok(was_there) };
        let endpoint = Endpoint { egress, config: self.config(), issuer: &grant.issuer, url, client: &grant.client };
        let tokens = grant.refresh.iter().chain(grant.access.as_ref().map(|access| &access.token));
        for token in tokens {
            if let Err(error) = endpoint.revoke(token).await {
                tracing::info!(server = %self.inner.server, %error, "a token was not taken back; it ends by itself");
            }
        }
        Ok(was_there)
    }
}
