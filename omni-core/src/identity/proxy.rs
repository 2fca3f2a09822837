//! What a trusted proxy says of who asks.

use super::{Principal, Via, claimed};
use crate::config::ProxyConfig;

/// What the headers of a trusted proxy say. Whoever makes one has made sure that they come from such
/// a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyHeaders {
    /// The user's name.
    pub user: Option<String>,
    /// The user's e-mail address, which comes first.
    pub email: Option<String>,
    /// The user's groups.
    pub groups: Vec<String>,
}

impl ProxyHeaders {
    /// Who that is; `None` where it is nobody.
    pub(super) fn principal(self, config: &ProxyConfig) -> Option<Principal> {
        let name = self.email.or(self.user)?;
        claimed::principal(&name, Via::ProxyHeader, self.groups, &config.roles)
    }
}
