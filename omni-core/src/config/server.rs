//! One server, as `mcps.yaml` has it and the environment completes it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use secrecy::SecretString;

use super::OAuthConfig;
use crate::{mcp::CredentialSource, policy::SourceRef};

/// How to authenticate at an HTTP server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ServerAuth {
    /// No credentials.
    None,
    /// `Authorization: Bearer …`.
    Bearer(SecretString),
    /// `Authorization: Basic …`.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A header of the server's own.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: SecretString,
    },
    /// Tokens of an OAuth 2.1 authorization server.
    OAuth(Box<OAuthConfig>),
    /// The token with which whoever calls came to omni.
    PassThrough(PassThrough),
}

/// How callers' own tokens are passed on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PassThrough {
    /// What a token's `aud` has to name, so that it is for the server.
    pub audience: String,
    /// With what the server is asked for its tools. Absent: with nothing, and where it does not want that, on the
    /// connection of whoever comes first.
    pub discovery_token: Option<SecretString>,
}

impl PassThrough {
    /// Tokens that are for `audience`.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        Self { audience: audience.into(), discovery_token: None }
    }

    /// The same with a token of omni's own for questions of what there is.
    #[must_use]
    pub fn with_discovery_token(mut self, token: SecretString) -> Self {
        self.discovery_token = Some(token);
        self
    }
}

impl ServerAuth {
    /// Its type's name in `mcps.yaml`; `None` where there are no credentials.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Bearer(_) => Some("bearer"),
            Self::Basic { .. } => Some("basic"),
            Self::Header { .. } => Some("api_key"),
            Self::OAuth(_) => Some("oauth"),
            Self::PassThrough(_) => Some("pass_through"),
        }
    }

    /// What nobody may see of it.
    pub(crate) fn secrets(&self) -> Vec<&SecretString> {
        match self {
            Self::None => Vec::new(),
            Self::Bearer(secret) | Self::Basic { password: secret, .. } | Self::Header { value: secret, .. } => {
                vec![secret]
            }
            Self::PassThrough(own) => own.discovery_token.iter().collect(),
            Self::OAuth(oauth) => oauth.client_secret.iter().chain(&oauth.private_key).collect(),
        }
    }
}

/// The kind of servers of the program's own.
pub(crate) const BUILTIN: &str = "builtin";

/// A variable of the environment within an argument of a program or within an address.
#[derive(Debug, Clone)]
pub(crate) struct ArgVariable {
    /// Which argument; 0 in an address.
    pub(crate) at: usize,
    /// The variable.
    pub(crate) name: String,
    /// What it brought.
    pub(crate) value: SecretString,
}

/// One entry of `mcps.yaml`, live.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The name.
    pub name: String,
    /// The transport's kind: `http`, `sse`, `stdio`, or one that an embedder registered.
    pub kind: String,
    /// A server of the program's own, in this process: its name in the registry. There is no address then.
    pub builtin: Option<String>,
    /// The address, with the original's `/mcp` rule applied.
    pub url: Option<String>,
    /// What it took from the environment.
    pub(crate) url_variables: Vec<ArgVariable>,
    /// The program.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// What its arguments took from the environment.
    pub(crate) arg_variables: Vec<ArgVariable>,
    /// Its working directory.
    pub cwd: Option<PathBuf>,
    /// Its environment: allow-listed variables of omni's own, and those set for it.
    pub env: BTreeMap<String, SecretString>,
    /// Credentials.
    pub auth: ServerAuth,
    /// More headers.
    pub headers: BTreeMap<String, SecretString>,
    /// Where its credentials come from that change with time; what `auth` describes needs one to be made.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// Free labels.
    pub tags: Vec<String>,
    /// How the pool treats it.
    pub options: crate::mcp::ServerOptions,
    /// Where it stands.
    pub source: Option<SourceRef>,
}

impl ServerConfig {
    /// A server of the program's own, with everything else at its default.
    #[must_use]
    pub fn builtin(name: impl Into<String>, builtin: impl Into<String>) -> Self {
        Self { builtin: Some(builtin.into()), ..Self::new(name, BUILTIN) }
    }

    /// A server with everything else at its default.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            builtin: None,
            url: None,
            url_variables: Vec::new(),
            command: None,
            args: Vec::new(),
            arg_variables: Vec::new(),
            cwd: None,
            env: BTreeMap::new(),
            auth: ServerAuth::None,
            headers: BTreeMap::new(),
            credentials: None,
            tags: Vec::new(),
            options: crate::mcp::ServerOptions::default(),
            source: None,
        }
    }
}
