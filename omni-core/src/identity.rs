//! Step 1, identity: a credential becomes a [`Principal`].
//!
//! Identity comes only from the channels listed in [`Via`]; nothing that a request says of itself
//! is one. Frontends extract a [`Credential`] and hand it over; the core's [`Authenticator`] alone
//! decides what it is worth.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

mod address;
mod admitted;
mod authenticator;
mod caller_token;
mod claimed;
mod holder;
mod id_claims;
pub mod keys;
#[cfg(feature = "oidc")]
pub mod oidc;
mod proxy;
mod scope;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use address::is_address;
pub(crate) use address::is_subject;
pub use admitted::Admitted;
pub use authenticator::{AuthError, Authenticator};
pub(crate) use caller_token::{CallerToken, TokenDigest};
pub use claimed::{RoleMap, claimed_subject};
pub use holder::Holder;
pub use id_claims::IdClaims;
pub use keys::{ApiKey, KeyError, KeyStore, Keys};
#[cfg(feature = "oidc")]
pub use oidc::{LoginError, Oidc, PendingLogin};
pub use proxy::ProxyHeaders;
pub use scope::{Scope, Scopes};

/// The channel by which an identity was established.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Via {
    /// An API key issued by omni.
    ApiKey,
    /// A token of an OpenID Connect provider.
    Oidc,
    /// A header set by a trusted proxy.
    ProxyHeader,
    /// A signed Slack event.
    Slack,
    /// The operating system's user at the terminal.
    LocalUser,
    /// The owner of a schedule.
    Schedule,
    /// A parked run that goes on under its asker's identity.
    ResumedRun,
    /// The program that embeds omni says so.
    Asserted,
}

/// Who asks: the subject whose rights count, and how that was established.
///
/// `subject` is normalised once, here: e-mail addresses are trimmed and lower-cased.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Principal {
    /// The tenant; `"default"` where there is only one.
    pub tenant: String,
    /// An e-mail address, or `local:<os user>` for an unmapped person at a terminal.
    pub subject: String,
    /// Who acts in the subject's place, if that is somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The channel of the identity.
    pub via: Via,
    /// What the credential may be used for.
    pub scopes: Scopes,
    /// A role that the credential's rights never exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_role: Option<String>,
    /// Roles of which the subject must have one, where the actor may act for these only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_roles: Option<Vec<String>>,
    /// Whom the credential may act for, where it names them: what it gives out names no one else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acts_for: Option<Vec<String>>,
    /// Groups that the identity provider names; of somebody in Slack, the workspace's id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// See [`Principal::claimed_role`]. Only the authenticator sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claimed_role: Option<String>,
    /// Where the question was asked, such as a Slack channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// The tenant where nobody names one.
pub const DEFAULT_TENANT: &str = "default";

impl Principal {
    /// A principal with user scopes; `subject` is normalised.
    #[must_use]
    pub fn new(subject: &str, via: Via) -> Self {
        Self {
            tenant: DEFAULT_TENANT.into(),
            subject: normalise(subject),
            actor: None,
            via,
            scopes: Scopes::user(),
            ceiling_role: None,
            subject_roles: None,
            acts_for: None,
            groups: Vec::new(),
            claimed_role: None,
            place: None,
        }
    }

    /// A person by e-mail address, asserted by the embedding program.
    #[must_use]
    pub fn email(address: &str) -> Self {
        Self::new(address, Via::Asserted)
    }

    /// The operating system's user at the terminal.
    #[must_use]
    pub fn local(os_user: &str) -> Self {
        Self::new(&format!("local:{os_user}"), Via::LocalUser)
    }

    /// The same principal in another tenant.
    #[must_use]
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// The same principal with other scopes.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// The same subject, with `actor` acting in its place.
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// The role that the groups of the identity provider stand for. A policy gives it to somebody
    /// whom it does not name, and never beside a role of its own.
    ///
    /// It counts while the token or the proxy speaks: what goes on later without them has none.
    #[must_use]
    pub fn claimed_role(&self) -> Option<&str> {
        self.claimed_role.as_deref().filter(|_| matches!(self.via, Via::Oidc | Via::ProxyHeader))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject)
    }
}

/// What a frontend extracted from its wire, before anybody judged it or a moment after.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credential {
    /// The person at the terminal, by operating-system user name, perhaps acting as somebody else.
    Local {
        /// The operating system's name of the user.
        os_user: String,
        /// The subject to act as (`--as`).
        act_as: Option<String>,
    },
    /// A principal that the embedding program vouches for.
    Asserted(Principal),
    /// An API key, perhaps used for somebody else.
    ApiKey {
        /// The key.
        key: SecretString,
        /// The subject to act as, where the request names one.
        act_as: Option<String>,
    },
    /// A bearer token that is no key of omni's; see [`Credential::bearer`].
    Bearer {
        /// The token.
        token: SecretString,
        /// Whom the request names, if anybody: nobody but the token's own subject is accepted.
        act_as: Option<String>,
    },
    /// What an issuer said of somebody who logged in at its page; see [`IdClaims`].
    LoggedIn {
        /// What it said.
        claims: IdClaims,
        /// Whom the request names, if anybody: nobody but the person themselves is accepted.
        act_as: Option<String>,
    },
    /// What a trusted proxy says of who asks; see
    /// [`ProxyConfig::credential`](crate::config::ProxyConfig::credential).
    Proxy {
        /// What it says.
        headers: ProxyHeaders,
        /// Whom the request names, if anybody: nobody but the proxy's own user is accepted.
        act_as: Option<String>,
    },
    /// Any of the others, judged a moment ago.
    Admitted(Admitted),
}

impl Credential {
    /// What stands behind `Authorization: Bearer`: a key of omni's, or else somebody's token.
    #[must_use]
    pub fn bearer(text: impl Into<SecretString>) -> Self {
        let text = text.into();
        if keys::is_marked(text.expose_secret()) {
            return Self::api_key(text);
        }
        Self::Bearer { token: text, act_as: None }
    }

    /// The same credential in a request that names whom it is for.
    #[must_use]
    pub fn acting_as(self, subject: Option<String>) -> Self {
        if self.act_as() == subject.as_deref() {
            return self;
        }
        // Whoever acts for somebody else is judged as such.
        let mut brought = self.brought().clone();
        match &mut brought {
            Self::Local { act_as, .. }
            | Self::ApiKey { act_as, .. }
            | Self::Bearer { act_as, .. }
            | Self::LoggedIn { act_as, .. }
            | Self::Proxy { act_as, .. } => *act_as = subject,
            Self::Asserted(_) | Self::Admitted(_) => {}
        }
        brought
    }

    fn act_as(&self) -> Option<&str> {
        match self {
            Self::Local { act_as, .. }
            | Self::ApiKey { act_as, .. }
            | Self::Bearer { act_as, .. }
            | Self::LoggedIn { act_as, .. }
            | Self::Proxy { act_as, .. } => act_as.as_deref(),
            Self::Asserted(_) => None,
            Self::Admitted(admitted) => admitted.credential().act_as(),
        }
    }

    /// What was brought, whether it was judged or not.
    pub(crate) fn brought(&self) -> &Self {
        match self {
            Self::Admitted(admitted) => admitted.credential(),
            other => other,
        }
    }

    /// Somebody who logged in at an issuer's page.
    #[must_use]
    pub fn logged_in(claims: IdClaims) -> Self {
        Self::LoggedIn { claims, act_as: None }
    }

    /// An API key, used for its owner.
    #[must_use]
    pub fn api_key(key: impl Into<SecretString>) -> Self {
        Self::ApiKey { key: key.into(), act_as: None }
    }
}

impl From<Admitted> for Credential {
    fn from(admitted: Admitted) -> Self {
        Self::Admitted(admitted)
    }
}

impl From<Principal> for Credential {
    fn from(principal: Principal) -> Self {
        Self::Asserted(principal)
    }
}

pub(crate) fn normalise(subject: &str) -> String {
    subject.trim().to_lowercase()
}
