//! What an authorization server says of itself.

use serde::Deserialize;

/// Most entries of a list that are taken.
const MAX_ITEMS: usize = 200;

/// Metadata of an authorization server (RFC 8414, or OpenID Connect Discovery).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ServerMetadata {
    pub(crate) issuer: String,
    pub(crate) token_endpoint: String,
    #[serde(default)]
    pub(crate) authorization_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) registration_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) revocation_endpoint: Option<String>,
    /// Where people log out (OpenID Connect RP-Initiated Logout).
    #[serde(default)]
    #[cfg_attr(not(feature = "oidc"), allow(dead_code, reason = "nobody logs in"))]
    pub(crate) end_session_endpoint: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) scopes_supported: Vec<String>,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) code_challenge_methods_supported: Vec<String>,
    #[serde(default, deserialize_with = "optional_texts")]
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub(crate) client_id_metadata_document_supported: bool,
}

impl ServerMetadata {
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes_supported.iter().any(|known| known == scope)
    }
}

/// A list that is cut where it is too long; absent: an empty one.
pub(crate) fn texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(optional_texts(deserializer)?.unwrap_or_default())
}

fn optional_texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let mut texts = Option::<Vec<String>>::deserialize(deserializer)?;
    if let Some(texts) = &mut texts {
        texts.truncate(MAX_ITEMS);
    }
    Ok(texts)
}
