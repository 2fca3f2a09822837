//! Those who know people by other means than omni's own, as doors need them: as the configuration of
//! now has them.

use std::net::IpAddr;

use http::HeaderMap;
#[cfg(feature = "oidc")]
use url::Url;

use super::Omni;
use crate::identity::Credential;
#[cfg(feature = "oidc")]
use crate::{
    error::Error,
    identity::{AuthError, IdClaims, LoginError, PendingLogin},
};

impl Omni {
    /// Whether the other end of a connection is a proxy that is believed.
    #[must_use]
    pub fn trusts_proxy(&self, peer: IpAddr) -> bool {
        self.parts().authenticator.proxy().is_some_and(|proxy| proxy.trusts(peer))
    }

    /// What a trusted proxy says of who asks; `None` where `peer`, the other end of the connection,
    /// is none, or says nothing. Somebody with a credential of their own is judged by that.
    #[must_use]
    pub fn proxy_credential(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Credential> {
        self.parts().authenticator.proxy()?.credential(peer, headers)
    }

    /// Asks the issuer of tokens for its keys, or takes what it said a moment ago: how many can be
    /// used. `None` where no issuer is configured.
    ///
    /// # Errors
    /// Why it cannot be asked.
    #[cfg(feature = "oidc")]
    pub async fn issuer(&self) -> Option<Result<usize, Error>> {
        let parts = self.parts();
        let looked = parts.authenticator.oidc()?.look().await;
        Some(looked.map_err(|message| AuthError::IssuerAway { message }.into()))
    }

    /// Whose page people log in at; `None` where they do not.
    #[cfg(feature = "oidc")]
    #[must_use]
    pub fn login_issuer(&self) -> Option<String> {
        let parts = self.parts();
        let config = parts.authenticator.oidc()?.config();
        config.login.as_ref().map(|_| config.issuer.clone())
    }

    /// Prepares a login at the issuer's page: where the browser is sent, and what is to be kept, sealed, until it comes
    /// back to `redirect_uri`.
    ///
    /// # Errors
    /// A [`LoginError`].
    #[cfg(feature = "oidc")]
    pub async fn begin_login(&self, redirect_uri: &str) -> Result<(Url, PendingLogin), LoginError> {
        self.parts().authenticator.oidc().ok_or(LoginError::NotOffered)?.begin_login(redirect_uri).await
    }

    /// Who came back from there with this query. They are a credential from now on
    /// ([`Credential::logged_in`]), until [`IdClaims::ends`].
    ///
    /// # Errors
    /// A [`LoginError`].
    #[cfg(feature = "oidc")]
    pub async fn finish_login(&self, pending: PendingLogin, query: &str) -> Result<IdClaims, LoginError> {
        self.parts().authenticator.oidc().ok_or(LoginError::NotOffered)?.finish_login(pending, query).await
    }

    /// Where a browser is sent for the issuer to end its own session too; it comes back to `back`. `None` where people do
    /// not log in there, or it has no such page.
    #[cfg(feature = "oidc")]
    pub async fn logout_url(&self, back: &str) -> Option<Url> {
        self.parts().authenticator.oidc()?.logout_url(back).await
    }
}
