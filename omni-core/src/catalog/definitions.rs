//! What a server offers beside its tools, as the server defined it, and what it says of itself.

use std::sync::Arc;

use serde_json::{Map, Value, value::RawValue, value::to_raw_value};

use super::{ToolDef, empty_schema};

/// A prompt of one server.
#[derive(Debug)]
#[non_exhaustive]
pub struct PromptDef {
    /// The server's name in the configuration.
    pub server: Arc<str>,
    /// The prompt's name at the server.
    pub name: Arc<str>,
    /// A title for people.
    pub title: Option<String>,
    /// The server's description: untrusted text, cut to a cap.
    pub description: String,
    /// The whole definition, byte for byte as the server sent it.
    pub raw: Box<RawValue>,
}

/// A resource of one server.
#[derive(Debug)]
#[non_exhaustive]
pub struct ResourceDef {
    /// The server's name in the configuration.
    pub server: Arc<str>,
    /// What it is read by.
    pub uri: Arc<str>,
    /// What it is called.
    pub name: String,
    /// The server's description: untrusted text, cut to a cap.
    pub description: String,
    /// Its media type.
    pub mime: Option<String>,
    /// The whole definition, byte for byte as the server sent it.
    pub raw: Box<RawValue>,
}

/// A family of resources of one server.
#[derive(Debug)]
#[non_exhaustive]
pub struct ResourceTemplateDef {
    /// The server's name in the configuration.
    pub server: Arc<str>,
    /// The URI with places to fill in (RFC 6570).
    pub uri_template: Arc<str>,
    /// What the family is called.
    pub name: String,
    /// The whole definition, byte for byte as the server sent it.
    pub raw: Box<RawValue>,
}

impl PromptDef {
    /// A prompt of which only the name is known.
    #[must_use]
    pub fn new(server: impl Into<Arc<str>>, name: impl Into<Arc<str>>, raw: Box<RawValue>) -> Self {
        Self { server: server.into(), name: name.into(), title: None, description: String::new(), raw }
    }
}

impl ResourceDef {
    /// A resource of which only the URI is known.
    #[must_use]
    pub fn new(server: impl Into<Arc<str>>, uri: impl Into<Arc<str>>, raw: Box<RawValue>) -> Self {
        let (server, uri) = (server.into(), uri.into());
        Self { server, name: uri.to_string(), uri, description: String::new(), mime: None, raw }
    }
}

impl ResourceTemplateDef {
    /// A family of which only the template is known.
    #[must_use]
    pub fn new(server: impl Into<Arc<str>>, uri_template: impl Into<Arc<str>>, raw: Box<RawValue>) -> Self {
        let (server, uri_template) = (server.into(), uri_template.into());
        Self { server, name: uri_template.to_string(), uri_template, raw }
    }
}

/// Something that a server lists by a name of its own.
pub(crate) trait Definition {
    /// The name or address that no two of a server have.
    fn key(&self) -> &Arc<str>;

    /// Whether the server says the same of both.
    fn is_same(&self, other: &Self) -> bool;
}

macro_rules! defined {
    ($($kind:ty: $key:ident),*) => {$(
        impl Definition for $kind {
            fn key(&self) -> &Arc<str> {
                &self.$key
            }

            fn is_same(&self, other: &Self) -> bool {
                self.raw.get() == other.raw.get()
            }
        }
    )*};
}

defined!(PromptDef: name, ResourceDef: uri, ResourceTemplateDef: uri_template);

/// What a connected server says that it can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerCapabilities {
    /// The protocol revision that is spoken with it, such as `2025-11-25`.
    pub protocol: Option<String>,
    /// Its name and version.
    pub implementation: Option<String>,
    /// How to use it, in its own words: untrusted text, cut to a cap.
    pub instructions: Option<String>,
    /// Its capabilities, as it sent them; null where they are not known.
    pub raw: Value,
}

impl ServerCapabilities {
    /// The capabilities of a server that speaks `protocol`.
    #[must_use]
    pub fn new(protocol: impl Into<String>, raw: Value) -> Self {
        Self { protocol: Some(protocol.into()), raw, ..Self::default() }
    }

    /// Whether it has prompts.
    #[must_use]
    pub fn prompts(&self) -> bool {
        self.has("/prompts")
    }

    /// Whether it has resources.
    #[must_use]
    pub fn resources(&self) -> bool {
        self.has("/resources")
    }

    /// Whether it tells when a resource changes.
    #[must_use]
    pub fn subscribe(&self) -> bool {
        self.raw.pointer("/resources/subscribe") == Some(&Value::Bool(true))
    }

    /// Whether it completes arguments.
    #[must_use]
    pub fn completions(&self) -> bool {
        self.has("/completions")
    }

    /// Whether it logs.
    #[must_use]
    pub fn logging(&self) -> bool {
        self.has("/logging")
    }

    /// Whether it may go on with a call in the background (tasks extension).
    #[must_use]
    pub fn tasks(&self) -> bool {
        self.has("/tasks") || self.has("/extensions/io.modelcontextprotocol~1tasks")
    }

    fn has(&self, pointer: &str) -> bool {
        self.raw.pointer(pointer).is_some_and(|value| !value.is_null())
    }
}

impl Definition for ToolDef {
    fn key(&self) -> &Arc<str> {
        &self.name
    }

    fn is_same(&self, other: &Self) -> bool {
        self.definition().get() == other.definition().get()
    }
}

/// A tool's definition, made of what is known of it.
pub(super) fn of_tool(tool: &ToolDef) -> Box<RawValue> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| value.map(|value| fields.insert(name.into(), value));
    put("name", Some(tool.name.to_string().into()));
    put("title", tool.title.clone().map(Value::from));
    put("description", Some(tool.description.clone()).filter(|text| !text.is_empty()).map(Value::from));
    put("inputSchema", Some(serde_json::from_str(tool.input_schema.get()).unwrap_or_else(|_| empty_schema())));
    put("outputSchema", tool.output_schema.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()));
    let hints = serde_json::to_value(&tool.annotations).ok();
    put("annotations", hints.filter(|hints| hints.as_object().is_some_and(|hints| !hints.is_empty())));
    to_raw_value(&fields).unwrap_or_default()
}
