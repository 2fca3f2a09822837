//! The parts of a tool's result.

use omni_core::mcp::Content;
use serde::Serialize;
use utoipa::ToSchema;

/// A part of a result, as MCP has it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Part {
    /// Text.
    Text { text: String },
    /// A picture, in base64.
    Image {
        data: String,
        #[serde(rename = "mimeType")]
        mime_type: String,
    },
    /// A sound, in base64.
    Audio {
        data: String,
        #[serde(rename = "mimeType")]
        mime_type: String,
    },
    /// A resource with its content.
    Resource { resource: Embedded },
    /// A resource that can be read at the server.
    ResourceLink {
        uri: String,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        #[serde(rename = "mimeType", skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
    },
}

/// A resource within a result.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Embedded {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<String>,
    /// Its text, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Its bytes in base64, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<String>,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        match content {
            Content::Text { text } => Self::Text { text },
            Content::Image { mime: mime_type, data } => Self::Image { data, mime_type },
            Content::Audio { mime: mime_type, data } => Self::Audio { data, mime_type },
            Content::Resource { uri, mime: mime_type, text, blob } => {
                Self::Resource { resource: Embedded { uri, mime_type, text, blob } }
            }
            Content::ResourceLink { uri, name, description, mime: mime_type } => {
                Self::ResourceLink { uri, name, description, mime_type }
            }
            _ => Self::Text { text: "[content of a kind that is not known here]".into() },
        }
    }
}
