//! OpenAI's Chat Completions API, and the many servers that speak it.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, header::AUTHORIZATION};
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

mod calls;
mod request;
mod stream;
#[cfg(test)]
mod tests;

const VENDOR: Vendor = Vendor {
    kind: "openai",
    key_variable: "OPENAI_API_KEY",
    url_variable: "OPENAI_BASE_URL",
    model_variable: "OPENAI_MODEL",
    base_url: "https://api.openai.com/v1",
    followed: false,
};

/// A model behind Chat Completions: OpenAI, Ollama, vLLM, llama.cpp, LiteLLM. A clone shares connections.
///
/// Text and tool calls are kept. What some servers add to them, such as `reasoning_content` or
/// `extra_content`, is not, and is not sent back: a model that insists on it is to be used through an
/// API that has a place for it.
#[derive(Debug, Clone)]
pub struct OpenAi {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    models: Vec<ModelInfo>,
    endpoint: Endpoint,
    extra: Map<String, Value>,
}

impl OpenAi {
    /// A provider to be set up step by step.
    #[must_use]
    pub fn builder() -> OpenAiBuilder {
        OpenAiBuilder { config: LlmConfig::new(VENDOR.kind) }
    }

    /// A provider from `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `OPENAI_MODEL` of the process.
    ///
    /// # Errors
    /// [`BuildError::Invalid`], naming the variable that is missing or wrong.
    pub fn from_env() -> Result<Self, BuildError> {
        Self::from_config(&VENDOR.config_from_env())
    }

    /// A provider from its configuration. A server of one's own, with a base URL, needs no key.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] when the key is missing or a placeholder, or the base URL is none.
    pub fn from_config(config: &LlmConfig) -> Result<Self, BuildError> {
        let key = key_header(&VENDOR, config.api_key.as_ref(), "Bearer ")?;
        if key.is_none() && config.base_url.is_none() {
            return Err(BuildError::invalid(format!(
                "there is no key for OpenAI; set {} or llm.api_key, or {} for a server of your own",
                VENDOR.key_variable, VENDOR.url_variable
            )));
        }
        let headers: HeaderMap = key.map(|key| (AUTHORIZATION, key)).into_iter().collect();
        let endpoint = Endpoint::new(&VENDOR, config, "/chat/completions", headers)?;
        let inner = Inner { models: VENDOR.models(config), endpoint, extra: config.extra.clone() };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// Sets up an [`OpenAi`].
#[derive(Debug, Clone)]
pub struct OpenAiBuilder {
    config: LlmConfig,
}

impl OpenAiBuilder {
    /// The API key.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<SecretString>) -> Self {
        self.config.api_key = Some(key.into());
        self
    }

    /// The default model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.config.model = Some(model.into());
        self
    }

    /// Another server that speaks Chat Completions.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.config.base_url = Some(url.into());
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
    /// As [`OpenAi::from_config`].
    pub fn build(self) -> Result<OpenAi, BuildError> {
        OpenAi::from_config(&self.config)
    }
}

/// Adds the kind `openai`.
pub fn register(registry: &mut Registry) {
    registry.llm.register(VENDOR.kind, |config| {
        Box::pin(async move { Ok(Arc::new(OpenAi::from_config(&config)?) as Arc<dyn LlmProvider>) })
    });
}

#[async_trait]
impl LlmProvider for OpenAi {
    fn models(&self) -> &[ModelInfo] {
        &self.inner.models
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, LlmError> {
        let inner = &*self.inner;
        let given = if request.model.is_empty() { &inner.models[0].id } else { &request.model };
        let model = alias(given).unwrap_or(given).to_owned();
        let extra = merged(&inner.extra, &request.extra);
        let made = request::make(&request, &model, inner.endpoint.host(), extra)?;
        let prompt_bytes = made.body.len();
        let decoder = || stream::Completion::new(&model, prompt_bytes);
        let warnings = told_once(made.warnings, &request.messages);
        inner.endpoint.turn(&model, made.body, request.deadline, warnings, decoder).await
    }

    fn makes_again(&self) -> bool {
        self.inner.endpoint.retries()
    }
}
