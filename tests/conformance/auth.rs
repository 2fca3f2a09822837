//! The person in the suite's OAuth scenarios, who agrees to every login: the browser is a request, and where
//! it is sent back to is the answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use omni_core::{
    config::{EgressConfig, OAuthConfig, OAuthGrant},
    mcp::{
        CredentialSource, McpError, Refused, ServerCredential,
        auth::{LoginOptions, LoginState, OAuth, OAuthError, store::Vault},
    },
    net::{self, ClientOptions},
};
use serde_json::Value;

use crate::{Failure, SERVER};

/// Where the suite takes a client's description to be.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
const REDIRECT: &str = "http://127.0.0.1:9876/callback";
/// Most logins of one scenario.
const LOGINS: usize = 4;

/// Tokens for the suite's server.
pub(crate) fn source(scenario: &str, url: &str, context: &Value) -> Result<Arc<dyn CredentialSource>, Failure> {
    let text = |name: &str| context[name].as_str().map(str::to_owned);
    let mut config = OAuthConfig::default();
    config.client_id = text("client_id");
    config.client_secret = text("client_secret").map(Into::into);
    config.private_key = text("private_key_pem").map(Into::into);
    config.client_metadata_url = Some(DOCUMENT.into());
    if scenario.starts_with("auth/client-credentials") {
        config.grant = OAuthGrant::ClientCredentials;
    }
    let oauth = OAuth::new(SERVER, url, config, EgressConfig::default(), Vault::in_memory())?;
    Ok(Arc::new(Agreeing { oauth, logins: AtomicUsize::new(0) }))
}

#[derive(Debug)]
struct Agreeing {
    oauth: OAuth,
    logins: AtomicUsize,
}

impl Agreeing {
    async fn log_in(&self, challenges: Option<Vec<String>>) -> Result<(), OAuthError> {
        // Enough is enough, as people say.
        if self.logins.fetch_add(1, Ordering::SeqCst) >= LOGINS {
            return Err(OAuthError::Answer { message: "the person does not log in once more".into() });
        }
        let before = match self.oauth.state().await? {
            LoginState::LoggedIn(granted) => granted.scopes,
            _ => Vec::new(),
        };
        let mut options = LoginOptions::new(REDIRECT).with_scopes(before);
        options.challenges = challenges;
        let login = self.oauth.begin_login(options).await?;
        let back = browse(login.url().as_str()).await.map_err(|message| OAuthError::Answer { message })?;
        self.oauth.finish_login(login, &back).await?;
        Ok(())
    }
}

/// Where a browser is sent back to.
async fn browse(url: &str) -> Result<String, String> {
    let client = net::client(&ClientOptions::default()).map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| net::describe(&error))?;
    let back = answer.headers().get("location").and_then(|value| value.to_str().ok());
    back.map(str::to_owned).ok_or_else(|| format!("the page of the login answered {}", answer.status()))
}

#[async_trait]
impl CredentialSource for Agreeing {
    async fn credential(&self) -> Result<ServerCredential, McpError> {
        if !self.oauth.is_machine() && self.oauth.state().await? == LoginState::LoggedOut {
            self.log_in(None).await?;
        }
        self.oauth.credential().await
    }

    async fn renewed(
        &self,
        refused: &ServerCredential,
        refusal: &Refused,
    ) -> Result<Option<ServerCredential>, McpError> {
        match self.oauth.renewed(refused, refusal).await {
            Ok(None) | Err(McpError::Unauthorized { .. }) if !self.oauth.is_machine() => {
                self.log_in(Some(refusal.challenges.clone())).await?;
                self.oauth.credential().await.map(Some)
            }
            other => other,
        }
    }
}
