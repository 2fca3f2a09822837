//! Whose tokens and which proxies are believed.

use std::{net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Cidr, EgressConfig};
use crate::identity::{Credential, ProxyHeaders, RoleMap};

mod build;

#[cfg(feature = "oidc")]
pub(crate) use build::issuer;
pub(super) use build::{LOGIN_SECRET, check_roles, oidc, proxy};

/// How often the issuer is asked for its keys at most.
const MIN_REFRESH: Duration = Duration::from_secs(10);
/// What is asked for at a login.
const LOGIN_SCOPES: [&str; 3] = [OPENID, "profile", "email"];
/// Without it an issuer says nothing of who logged in.
const OPENID: &str = "openid";
/// Longest header of a proxy that is read, in bytes.
const MAX_HEADER: usize = 8 << 10;

/// The OpenID Connect provider whose tokens count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OidcConfig {
    /// The issuer, letter by letter as its tokens and its discovery document name it.
    pub issuer: String,
    /// What a token must be for: one of these. Never empty.
    pub audience: Vec<String>,
    /// Clients to whom a token may have been given; `None` is any.
    pub clients: Option<Vec<String>>,
    /// The claim that names the person.
    pub user_claim: String,
    /// The claim with the person's groups, or a path to it.
    pub roles_claim: String,
    /// Which role these groups stand for.
    pub roles: RoleMap,
    /// The claim with the tenant; `None`: all are of one.
    pub tenant_claim: Option<String>,
    /// How people log in at its page; `None`: they do not.
    pub login: Option<OidcLoginConfig>,
    /// How often the issuer is asked for its keys at most, whoever comes with whatever token.
    pub min_refresh: Duration,
    /// Where it may be asked beside the internet; it itself may be anywhere.
    pub egress: EgressConfig,
}

impl OidcConfig {
    /// An issuer whose tokens for this audience name people by their e-mail address.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            audience: vec![audience.into()],
            clients: None,
            user_claim: "email".into(),
            roles_claim: "groups".into(),
            roles: RoleMap::default(),
            tenant_claim: None,
            login: None,
            min_refresh: MIN_REFRESH,
            egress: EgressConfig::default(),
        }
    }
}

/// omni as a client of the provider, so that people log in at its page.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OidcLoginConfig {
    /// omni's name there. ID tokens must be for it.
    pub client_id: String,
    /// omni's secret there, where it has one.
    pub client_secret: Option<SecretString>,
    /// What is asked for; `openid` always is.
    pub scopes: Vec<String>,
}

impl OidcLoginConfig {
    /// A client without a secret, which asks who people are and for their e-mail address.
    #[must_use]
    pub fn new(client_id: impl Into<String>) -> Self {
        let scopes = LOGIN_SCOPES.map(str::to_owned).to_vec();
        Self { client_id: client_id.into(), client_secret: None, scopes }
    }
}

impl PartialEq for OidcLoginConfig {
    fn eq(&self, other: &Self) -> bool {
        let secret = |config: &Self| config.client_secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        self.client_id == other.client_id && self.scopes == other.scopes && secret(self) == secret(other)
    }
}

impl Eq for OidcLoginConfig {}

/// Proxies that say who asks, and in which headers they do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// Where they are.
    pub trusted: Vec<Cidr>,
    /// The header with the person's name.
    pub user_header: Option<String>,
    /// The header with the person's e-mail address, which comes before the name.
    pub email_header: Option<String>,
    /// The header with the person's groups, separated by commas.
    pub groups_header: Option<String>,
    /// Which role these groups stand for.
    pub roles: RoleMap,
}

impl ProxyConfig {
    /// Proxies at these addresses, which say nothing yet.
    #[must_use]
    pub fn new(trusted: Vec<Cidr>) -> Self {
        Self { trusted, user_header: None, email_header: None, groups_header: None, roles: RoleMap::default() }
    }

    /// Whether the peer of a connection is one of them.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }

    /// What a request's headers say of who asks; `None` where `peer` is no trusted proxy, or says
    /// nothing of it. `peer` is the other end of the connection, never what a header says of it.
    ///
    /// A header that is there twice may be somebody's own beside the proxy's: it names nobody, and
    /// the credential is refused.
    #[must_use]
    pub fn credential(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Credential> {
        let named: Vec<&str> = self.email_header.iter().chain(&self.user_header).map(String::as_str).collect();
        if !self.trusts(peer) || !named.iter().any(|name| headers.contains_key(*name)) {
            return None;
        }
        Some(Credential::Proxy { headers: self.read(headers).unwrap_or_default(), act_as: None })
    }

    fn read(&self, headers: &HeaderMap) -> Result<ProxyHeaders, Unclear> {
        let one = |name: &Option<String>| name.as_ref().map_or(Ok(None), |name| single(headers, name));
        let groups = one(&self.groups_header)?.unwrap_or_default();
        let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned);
        Ok(ProxyHeaders { user: one(&self.user_header)?, email: one(&self.email_header)?, groups: groups.collect() })
    }
}

/// A header that could be read in more than one way.
struct Unclear;

/// The one value of a header; `None` where it is empty or not there.
fn single(headers: &HeaderMap, name: &str) -> Result<Option<String>, Unclear> {
    let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    match values.as_slice() {
        [] => Ok(None),
        [value] if value.len() <= MAX_HEADER => {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Unclear)?.trim();
            Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
        }
        _ => Err(Unclear),
    }
}
