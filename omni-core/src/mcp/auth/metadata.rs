//! What servers and authorization servers say of themselves.

use serde::Deserialize;

/// Most entries of a list that are taken.
const MAX_ITEMS: usize = 200;

/// Metadata of a protected resource (RFC 9728).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ResourceMetadata {
    pub(super) resource: String,
    #[serde(default, deserialize_with = "texts")]
    pub(super) authorization_servers: Vec<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) scopes_supported: Vec<String>,
}

/// Metadata of an authorization server (RFC 8414, or OpenID Connect Discovery).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ServerMetadata {
    pub(super) issuer: String,
    pub(super) token_endpoint: String,
    #[serde(default)]
    pub(super) authorization_endpoint: Option<String>,
    #[serde(default)]
    pub(super) registration_endpoint: Option<String>,
    #[serde(default)]
    pub(super) revocation_endpoint: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) scopes_supported: Vec<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) code_challenge_methods_supported: Vec<String>,
    #[serde(default, deserialize_with = "optional_texts")]
    pub(super) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub(super) client_id_metadata_document_supported: bool,
}

impl ServerMetadata {
    pub(super) fn has_scope(&self, scope: &str) -> bool {
        self.scopes_supported.iter().any(|known| known == scope)
    }
}

fn texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(optional_texts(deserializer)?.unwrap_or_default())
}

fn optional_texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let mut texts = Option::<Vec<String>>::deserialize(deserializer)?;
    if let Some(texts) = &mut texts {
        texts.truncate(MAX_ITEMS);
    }
    Ok(texts)
}
