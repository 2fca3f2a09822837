//! Credentials that change with time: asked for with every request.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use secrecy::{ExposeSecret as _, SecretString};

use super::McpError;

/// What lets omni in at a server: one header.
#[derive(Clone)]
pub struct ServerCredential {
    name: HeaderName,
    secret: SecretString,
    value: HeaderValue,
}

impl ServerCredential {
    /// `Authorization: Bearer …`; `None` where the token is none that a header can have.
    #[must_use]
    pub fn bearer(token: &SecretString) -> Option<Self> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).ok()?;
        value.set_sensitive(true);
        Some(Self { name: AUTHORIZATION, secret: token.clone(), value })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.value.clone())
    }

    /// What nobody may see of it.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }
}

impl fmt::Debug for ServerCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCredential").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a server said when it did not let a request in: the request was not carried out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Refused {
    /// 401 or 403.
    pub status: u16,
    /// What stands in `WWW-Authenticate`.
    pub challenges: Vec<String>,
}

impl Refused {
    /// A refusal.
    #[must_use]
    pub fn new(status: u16, challenges: Vec<String>) -> Self {
        Self { status, challenges }
    }
}

/// Where a server's credentials come from.
///
/// # Contract
/// * `credential` asks nobody while what it has is good, and many may ask at once.
/// * `renewed` is asked after a refusal, at most once for a request, and never hands out what was refused.
/// * What it hands out is for its server alone.
#[async_trait]
pub trait CredentialSource: Send + Sync + fmt::Debug {
    /// What to send now.
    ///
    /// # Errors
    /// [`McpError::Unauthorized`] where somebody has to do something about it, [`McpError::Connect`] where
    /// trying again may help.
    async fn credential(&self) -> Result<ServerCredential, McpError>;

    /// What to send in place of what was refused; `None` where there is nothing else.
    ///
    /// # Errors
    /// As [`Self::credential`].
    async fn renewed(
        &self,
        refused: &ServerCredential,
        refusal: &Refused,
    ) -> Result<Option<ServerCredential>, McpError>;

    /// Waits for what goes on although nobody asks any more, such as a renewal that is to be kept.
    async fn settle(&self) {}
}

#[async_trait]
impl<T: CredentialSource + ?Sized> CredentialSource for Arc<T> {
    async fn credential(&self) -> Result<ServerCredential, McpError> {
        (**self).credential().await
    }

    async fn renewed(
        &self,
        refused: &ServerCredential,
        refusal: &Refused,
    ) -> Result<Option<ServerCredential>, McpError> {
        (**self).renewed(refused, refusal).await
    }

    async fn settle(&self) {
        (**self).settle().await;
    }
}
