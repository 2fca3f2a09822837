//! omni's own tokens: it lets itself in, with a secret or a key. Nothing is kept: another token is had for
//! the asking.

use std::{collections::BTreeSet, sync::Arc};

use chrono::Utc;

use super::{Cached, OAuth, Origin, Renewed, lock};
use crate::mcp::{
    ServerCredential,
    auth::{
        OAuthError, challenge::Challenge, client::Client, discover::discover, grant::Access, scope, token::Endpoint,
        words,
    },
};

/// Most that refusals may ask for beside what is configured, and most bytes of each.
const MAX_SCOPES: usize = 64;
const MAX_SCOPE: usize = 256;
/// How often a token is asked for that is for more: a renewal that was under way already asked for less.
const STEPS: usize = 2;

impl OAuth {
    pub(super) async fn let_in(&self) -> Renewed {
        let (egress, config) = (self.egress()?, self.config());
        let challenge = self.probe().await?;
        let found = discover(egress, self.url(), &challenge, config.issuer.as_deref()).await?;
        let client = Client::configured(config, &found.server)
            .ok_or_else(|| OAuthError::discovery("client_credentials needs a client_id in mcps.yaml"))?;
        let more = lock(&self.inner.more_scopes).clone();
        let beside: Vec<String> = more.iter().cloned().collect();
        let scopes = scope::wanted(&config.scopes, &challenge, &found, &beside).join(" ");
        let endpoint = Endpoint {
            egress,
            config,
            issuer: &found.server.issuer,
            url: &found.server.token_endpoint,
            client: &client,
        };
        let mut form = vec![("grant_type", "client_credentials"), ("resource", found.resource.as_str())];
        if !scopes.is_empty() {
            form.push(("scope", &scopes));
        }
        let tokens = endpoint.tokens(&form).await?;
        Cached::of(Access::of(&tokens, Utc::now()), Origin::Asked(more))
    }

    /// A token for more than what there is one for, where omni can ask for it by itself. The one that there
    /// is stays until there is another one.
    pub(super) async fn stepped_up(
        &self,
        refused: &ServerCredential,
        challenge: &Challenge,
    ) -> Result<Option<Arc<Cached>>, OAuthError> {
        let wanted = challenge.scope.as_deref().unwrap_or_default().split_whitespace();
        if !self.is_machine() {
            let scopes = wanted.map(words).collect();
            return Err(OAuthError::ScopeNeeded { server: self.inner.server.clone(), scopes });
        }
        let wanted: BTreeSet<String> = wanted.map(str::to_owned).collect();
        let Some(added) = self.want(&wanted) else { return Ok(None) };
        let stepped = self.renewed_for(refused, &wanted).await;
        if stepped.is_err() {
            // What was not given is not asked for with every token that follows.
            lock(&self.inner.more_scopes).retain(|scope| !added.contains(scope));
        }
        stepped
    }

    /// Adds to what is asked for: what is new, and `None` where that is more than may be.
    fn want(&self, wanted: &BTreeSet<String>) -> Option<BTreeSet<String>> {
        let mut more = lock(&self.inner.more_scopes);
        let added: BTreeSet<String> = wanted.difference(&more).cloned().collect();
        let fits = more.len() + added.len() <= MAX_SCOPES && added.iter().all(|scope| scope.len() <= MAX_SCOPE);
        if !fits {
            return None;
        }
        more.extend(added.iter().cloned());
        Some(added)
    }

    /// A token that was asked for with all of this; `None` where the refused one was already.
    async fn renewed_for(
        &self,
        refused: &ServerCredential,
        wanted: &BTreeSet<String>,
    ) -> Result<Option<Arc<Cached>>, OAuthError> {
        for _ in 0..STEPS {
            let outdated = match self.inner.cached.load_full() {
                Some(cached) if cached.is_for(wanted) => return Ok((!cached.is(refused.secret())).then_some(cached)),
                Some(cached) => cached.access.secret(),
                None => refused.secret().clone(),
            };
            let cached = self.renew(Some(&outdated)).await?;
            if cached.is_for(wanted) {
                return Ok(Some(cached));
            }
        }
        Ok(None)
    }
}

impl Cached {
    fn is_for(&self, wanted: &BTreeSet<String>) -> bool {
        match &self.origin {
            Origin::Asked(more) => wanted.is_subset(more),
            Origin::Stored(_) => false,
        }
    }
}
