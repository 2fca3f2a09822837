//! `settings.yaml`, `security`: whose tokens and which proxies are believed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::OneOrMany;

/// The OpenID Connect provider whose tokens count.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(extend("x-own" = true))]
pub(crate) struct OidcSpec {
    /// The issuer, letter by letter as its tokens name it. omni asks
    /// `<issuer>/.well-known/openid-configuration` for its keys.
    pub(crate) issuer: String,
    /// What a token must be for: one of these.
    pub(crate) audience: OneOrMany,
    /// Clients to whom a token may have been given (`azp`); absent: any.
    #[serde(default)]
    pub(crate) clients: Option<OneOrMany>,
    /// The claim that names the person, as users.yaml does; absent: `email`.
    #[serde(default)]
    pub(crate) user_claim: Option<String>,
    /// The claim with the person's groups or roles; absent: `groups`. A path such as
    /// `realm_access.roles` leads into a claim.
    #[serde(default)]
    pub(crate) roles_claim: Option<String>,
    /// Roles of people whom nobody named, by what that claim says. Of several the first counts.
    #[serde(default)]
    pub(crate) roles: BTreeMap<String, String>,
    /// The claim with the tenant; absent: all are of one.
    #[serde(default)]
    pub(crate) tenant_claim: Option<String>,
    /// How people log in to the admin pages at the provider's own page; absent: they do not.
    #[serde(default)]
    pub(crate) login: Option<OidcLoginSpec>,
}

/// omni as a client of the provider: it sends people there to log in, and they come back to `/ui/callback`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(extend("x-own" = true))]
pub(crate) struct OidcLoginSpec {
    /// omni's name at the provider; its ID tokens must be for it.
    pub(crate) client_id: String,
    /// omni's secret there; absent: it has none, and PKCE alone protects the login.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) client_secret: Option<SecretString>,
    /// What is asked for; absent: `openid profile email`.
    #[serde(default)]
    pub(crate) scopes: Option<OneOrMany>,
}

/// Proxies that say who asks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(extend("x-own" = true))]
pub(crate) struct ProxySpec {
    /// The proxies' addresses, or networks such as `10.0.0.0/8`.
    pub(crate) trusted: OneOrMany,
    /// The header with the person's name.
    #[serde(default)]
    pub(crate) user_header: Option<String>,
    /// The header with the person's e-mail address, which comes before the name.
    #[serde(default)]
    pub(crate) email_header: Option<String>,
    /// The header with the person's groups, separated by commas.
    #[serde(default)]
    pub(crate) groups_header: Option<String>,
    /// Roles of people whom nobody named, by group. Of several the first counts.
    #[serde(default)]
    pub(crate) roles: BTreeMap<String, String>,
}

/// What is asked that others name: metadata, keys and tokens of issuers and servers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct EgressSpec {
    /// Hosts, and networks such as `10.0.0.0/8`, that may be asked beside the internet.
    pub(crate) allow: Vec<String>,
    /// Whether requests go through the proxy of the environment, which resolves names by itself.
    pub(crate) proxy: bool,
}

/// Where the tokens of servers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenStoreSpec {
    /// Encrypted files in the data directory.
    File,
    /// The ledger's database, encrypted.
    Database,
}
