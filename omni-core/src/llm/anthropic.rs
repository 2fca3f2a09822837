//! Anthropic's Messages API, and servers that speak it.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{
    ChatRequest, ChatStream, LlmError, LlmProvider, ModelInfo,
    vendor::{Endpoint, Vendor, key_header, merged, told_once},
};
use crate::{
    config::LlmConfig,
    cost::alias,
    registry::{BuildError, Registry},
};

#[cfg(feature = "testing")]
pub mod bench;
mod request;
mod stream;
#[cfg(test)]
mod tests;

const VENDOR: Vendor = Vendor {
    kind: "anthropic",
    key_variable: "ANTHROPIC_API_KEY",
    url_variable: "ANTHROPIC_BASE_URL",
    model_variable: "ANTHROPIC_MODEL",
    base_url: "https://api.anthropic.com",
    followed: true,
};

/// The API version that is asked for unless the configuration says otherwise.
pub const DEFAULT_API_VERSION: &str = "2023-06-01";

/// Claude, through Anthropic's Messages API. A clone shares connections.
#[derive(Debug, Clone)]
pub struct Anthropic {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    models: Vec<ModelInfo>,
    endpoint: Endpoint,
    api_version: String,
    extra: Map<String, Value>,
}

impl Anthropic {
    /// A provider to be set up step by step.
    #[must_use]
    pub fn builder() -> AnthropicBuilder {
        AnthropicBuilder { config: LlmConfig::new(VENDOR.kind) }
    }

    /// A provider from `ANTHROPIC_API_KEY`, `ANTHROPIC_BASE_URL` and `ANTHROPIC_MODEL` of the process.
    ///
    /// # Errors
    /// [`BuildError::Invalid`], naming the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, BuildError> {
        Self::from_config(&VENDOR.config_from_env())
    }

    /// A provider from its configuration.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when the key is missing or a placeholder, or the base URL is none.
    pub fn from_config(config: &LlmConfig) -> Result<Self, BuildError> {
        let key = key_header(&VENDOR, config.api_key.as_ref(), "")?.ok_or_else(|| {
            let variable = VENDOR.key_variable;
            BuildError::invalid(format!("there is no key for Anthropic; set {variable} or llm.api_key"))
        })?;
        let api_version = config.api_version.clone().unwrap_or_else(|| DEFAULT_API_VERSION.into());
        let version = HeaderValue::from_str(&api_version)
            .map_err(|_| BuildError::invalid("llm.api_version is no version; leave it out, or set a date"))?;
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("x-api-key"), key),
            (HeaderName::from_static("anthropic-version"), version),
        ]);
        let endpoint = Endpoint::new(&VENDOR, config, "/messages", headers)?;
        let inner = Inner { models: VENDOR.models(config), endpoint, api_version, extra: config.extra.clone() };
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn turn(&self, request: &ChatRequest) -> Result<ChatStream, LlmError> {
        let inner = &*self.inner;
        let given = if request.model.is_empty() { &inner.models[0].id } else { &request.model };
        let model = alias(given).unwrap_or(given).to_owned();
        let extra = merged(&inner.extra, &request.extra);
        let made = request::make(request, &model, &inner.api_version, extra)?;
        let decoder = || stream::Messages::new(&model);
        let warnings = told_once(made.warnings, &request.messages);
        inner.endpoint.turn(&model, made.body, request.deadline, warnings, decoder).await
    }
}

/// Sets up an [`Anthropic`].
#[derive(Debug, Clone)]
pub struct AnthropicBuilder {
    config: LlmConfig,
}

impl AnthropicBuilder {
    /// The API key.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<SecretString>) -> Self {
        self.config.api_key = Some(key.into());
        self
    }

    /// The default model: an id, or `haiku`, `sonnet`, `opus`.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.config.model = Some(model.into());
        self
    }

    /// Another server that speaks the Messages API.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.config.base_url = Some(url.into());
        self
    }

    /// The API version, such as `2026-10-21`.
    #[must_use]
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.config.api_version = Some(version.into());
        self
    }

    /// How long until an answer begins, retries included, and how long it may be silent after that.
    #[must_use]
    pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// Most attempts beyond the first, none of which is charged; where it is not 0, a turn of which nothing came
    /// though it was sent is made once more as well.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.config.max_retries = retries;
        self
    }

    /// The provider.
    ///
    /// # Errors
    /// As [`Anthropic::from_config`].
    pub fn build(self) -> Result<Anthropic, BuildError> {
        Anthropic::from_config(&self.config)
    }
}

/// Adds the kind `anthropic`.
pub fn register(registry: &mut Registry) {
    registry.llm.register(VENDOR.kind, |config| {
        Box::pin(async move { Ok(Arc::new(Anthropic::from_config(&config)?) as Arc<dyn LlmProvider>) })
    });
}

#[async_trait]
impl LlmProvider for Anthropic {
    fn models(&self) -> &[ModelInfo] {
        &self.inner.models
    }

    /// A thought is taken back only behind the very text that it came after, and of a run that goes on later other
    /// tools or another prompt may stand before it. Then the turn is made without any; what was refused is not charged.
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, LlmError> {
        let refused = match self.turn(&request).await {
            Err(error) if is_of_a_thought(&error) => error,
            made => return made,
        };
        let Some(plain) = request::without_thoughts(&request) else { return Err(refused) };
        tracing::info!(error = %refused, "the model's thoughts of before are not taken back; the turn is made without them");
        match self.turn(&plain).await {
            // A model that is told to think may want its thoughts back all the same.
            Err(LlmError::InvalidRequest { .. }) => Err(refused),
            made => made,
        }
    }

    fn makes_again(&self) -> bool {
        self.inner.endpoint.retries()
    }
}

/// Whether a request was refused for a thought in it that belongs to another text. Only the words tell.
fn is_of_a_thought(error: &LlmError) -> bool {
    const SAID: [&str; 2] = ["bound to a different conversation", "invalid `signature` in `thinking` block"];
    let LlmError::InvalidRequest { status: 400, message, .. } = error else { return false };
    let message = message.to_lowercase();
    SAID.iter().any(|words| message.contains(words))
}
