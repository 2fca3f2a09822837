//! omni's own tokens: it lets itself in, with a secret or a key. Nothing is kept: another token is had for
//! the asking.

use chrono::Utc;

use super::{Cached, OAuth, Renewed, lock};
use crate::mcp::auth::{OAuthError, client::Client, discover::discover, grant::Access, scope, token::Endpoint};

impl OAuth {
    pub(super) async fn let_in(&self) -> Renewed {
        let (egress, config) = (self.egress()?, self.config());
        let challenge = self.probe().await?;
        let found = discover(egress, self.url(), &challenge, config.issuer.as_deref()).await?;
        let client = Client::configured(config, &found.server)
            .ok_or_else(|| OAuthError::discovery("client_credentials needs a client_id in mcps.yaml"))?;
        let more: Vec<String> = lock(&self.inner.more_scopes).iter().cloned().collect();
        let scopes = scope::wanted(&config.scopes, &challenge, &found, &more).join(" ");
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
        Cached::of(Access::of(&tokens, Utc::now()))
    }
}
