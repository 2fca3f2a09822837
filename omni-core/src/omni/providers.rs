//! Those who know people by other means than omni's own, as doors need them: as the configuration of
//! now has them.

use std::net::IpAddr;

use http::HeaderMap;

use super::Omni;
use crate::identity::Credential;
#[cfg(feature = "oidc")]
use crate::{error::Error, identity::AuthError};

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
}
