//! What servers say of themselves.

use serde::Deserialize;

use crate::oauth::metadata::texts;

/// Metadata of a protected resource (RFC 9728).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ResourceMetadata {
    pub(super) resource: String,
    #[serde(default, deserialize_with = "texts")]
    pub(super) authorization_servers: Vec<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) scopes_supported: Vec<String>,
}
