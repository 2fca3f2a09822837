//! What all vendors behind HTTP share: settings, sending, refusals, tools. A difference between
//! vendors is data or a [`Decoder`].

use std::collections::VecDeque;

use serde_json::{Map, Value};
use url::Url;

use super::{Block, ChatEvent, LlmError, Message};
use crate::{
    config::LlmConfig,
    cost::{alias, model_info, models_of},
    llm::ModelInfo,
    registry::BuildError,
};

mod endpoint;
pub(super) mod legal;
pub(super) mod refusal;
pub(super) mod tools;
pub(super) mod turn;

pub(super) use endpoint::{Endpoint, key_header};

/// What is fixed about a vendor.
#[derive(Debug)]
pub(super) struct Vendor {
    /// The provider's kind.
    pub(super) kind: &'static str,
    /// The variable that holds the key.
    pub(super) key_variable: &'static str,
    /// The variable that holds the base URL.
    pub(super) url_variable: &'static str,
    /// The variable that holds the model.
    pub(super) model_variable: &'static str,
    /// The vendor's own base URL.
    pub(super) base_url: &'static str,
    /// Whether others that speak its API have its models and its paths too. Chat Completions is
    /// spoken by servers with models and paths of their own.
    pub(super) followed: bool,
}

/// Makes chat events of what a vendor sends.
pub(super) trait Decoder: Send + 'static {
    /// Reads the data of one server-sent event.
    fn event(&mut self, data: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError>;

    /// Reads a whole answer, of a server that does not stream.
    fn whole(&mut self, body: &[u8], out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError>;

    /// The stream ended: the last events, or that it was cut.
    fn end(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<(), LlmError>;

    /// Whether something of the answer was read, even if nothing of it can be given out yet.
    fn has_begun(&self) -> bool;

    /// Whether `Done` was given out.
    fn is_done(&self) -> bool;
}

impl Vendor {
    /// The configuration in the process environment.
    pub(super) fn config_from_env(&self) -> LlmConfig {
        #[allow(clippy::disallowed_methods, reason = "from_env is the one constructor that reads the environment")]
        let read = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let mut config = LlmConfig::new(self.kind);
        config.api_key = read(self.key_variable).map(Into::into);
        config.base_url = read(self.url_variable);
        config.model = read(self.model_variable);
        config
    }

    /// The models on offer, the configured one first; the operator's prices come before the known ones.
    pub(super) fn models(&self, config: &LlmConfig) -> Vec<ModelInfo> {
        let mut models = models_of(self.kind);
        if let Some(id) = &config.model {
            let id = alias(id).unwrap_or(id);
            models.retain(|model| model.id != id);
            models.insert(0, model_info(self.kind, id));
        }
        if config.base_url.is_some() && !self.followed {
            models.truncate(1);
        }
        for id in config.prices.own_models() {
            if !models.iter().any(|model| model.id == id) {
                models.push(model_info(self.kind, id));
            }
        }
        for model in &mut models {
            model.price = config.prices.price(&model.id);
        }
        models
    }

    /// Where `endpoint` is under the base URL. Bases with and without a trailing slash or `/v1` do,
    /// and so does the full address.
    pub(super) fn url(&self, config: &LlmConfig, endpoint: &str) -> Result<Url, BuildError> {
        let base = config.base_url.as_deref().unwrap_or(self.base_url).trim();
        let invalid = |why: &str| {
            BuildError::invalid(format!(
                "the base URL of {} cannot be used ({why}); set llm.base_url or {} to something like {}",
                self.kind, self.url_variable, self.base_url
            ))
        };
        let mut url = Url::parse(base).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("it is neither http nor https"));
        }
        let path = url.path().trim_end_matches('/');
        let path = path.strip_suffix(endpoint).unwrap_or(path).trim_end_matches('/');
        let version = if path.is_empty() || (self.followed && !path.ends_with("/v1")) { "/v1" } else { "" };
        url.set_path(&format!("{path}{version}{endpoint}"));
        Ok(url)
    }
}

/// What to tell in this turn: in an ask's later turns, which bring results, it was all told before.
pub(super) fn told_once(warnings: Vec<String>, messages: &[Message]) -> Vec<String> {
    let is_result = |block: &Block| matches!(block, Block::ToolResult { .. });
    let later = messages.last().is_some_and(|newest| newest.blocks.iter().any(is_result));
    if later { Vec::new() } else { warnings }
}

/// The operator's parameters for one request: those of the configuration, and over them those of the request.
pub(super) fn merged(config: &Map<String, Value>, request: &Map<String, Value>) -> Map<String, Value> {
    let mut extra = config.clone();
    extra.extend(request.iter().map(|(key, value)| (key.clone(), value.clone())));
    extra
}
#[cfg(test)]
pub(super) mod fake;
#[cfg(test)]
#[cfg(feature = "anthropic")]
#[cfg(feature = "openai")]
mod tests;
