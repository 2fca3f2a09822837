//! Known models and their prices.

use std::collections::BTreeMap;

use super::{Price, Rates};
use crate::llm::ModelInfo;

/// Prices by model id: the built-in ones, and those that an operator sets over them.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    own: BTreeMap<String, Price>,
}

impl PriceTable {
    /// The same table with a price of the operator's own for one model.
    #[must_use]
    pub fn with_price(mut self, model: impl Into<String>, price: Price) -> Self {
        self.own.insert(model.into(), price);
        self
    }

    /// The models of which the operator set the price.
    pub(crate) fn own_models(&self) -> impl Iterator<Item = &str> {
        self.own.keys().map(String::as_str)
    }

    /// The price of a model; dated ids match their family. `None` where it is not known, never a guess.
    #[must_use]
    pub fn price(&self, model: &str) -> Option<Price> {
        let own = self.own.get(model).or_else(|| self.own.get(family(model)));
        own.copied().or_else(|| known(model).and_then(|known| known.price))
    }
}

/// One row of the built-in table.
struct Known {
    /// The id, dated where the vendor has no other.
    id: &'static str,
    provider: &'static str,
    context_window: u64,
    max_output: u32,
    cache_min_tokens: Option<u64>,
    price: Option<Price>,
}

/// The longest prefix that any of Anthropic's models needs before it is cached.
const LONGEST_CACHE_MIN: u64 = 4_096;

const ANTHROPIC: &str = "anthropic";
const OPENAI: &str = "openai";

const fn claude(id: &'static str, cache_min_tokens: u64, price: Option<Price>) -> Known {
    Known {
        id,
        provider: ANTHROPIC,
        context_window: 200_000,
        max_output: 64_000,
        cache_min_tokens: Some(cache_min_tokens),
        price,
    }
}

const fn gpt(id: &'static str, price: Price) -> Known {
    Known {
        id,
        provider: OPENAI,
        context_window: 128_000,
        max_output: 16_384,
        cache_min_tokens: Some(1_024),
        price: Some(price),
    }
}

const fn flat(input: u64, output: u64, write: u64, write_1h: u64, read: u64) -> Option<Price> {
    Some(Price::flat(Rates::new(input, output, write, write_1h, read)))
}

/// Haiku 5.5 has two bands: the length of the prompt decides the price of the whole request.
const HAIKU_5_5: Price =
    Price { base: Rates::new(100, 500, 125, 200, 10), above: Some((100_000, Rates::new(500, 2_500, 625, 1_000, 50))) };

/// Newest first within a provider; rates in thousandths of a dollar per million tokens, as of November 2026.
const MODELS: &[Known] = &[
    claude("claude-haiku-5-5", 1_024, Some(HAIKU_5_5)),
    claude("claude-sonnet-5-5", 1_024, flat(2_000, 10_000, 2_500, 4_000, 100)),
    Known {
        context_window: 1_000_000,
        max_output: 128_000,
        ..claude("claude-opus-5-5", 512, flat(4_000, 20_000, 5_000, 8_000, 200))
    },
    claude("claude-fable-5-1", 512, flat(10_000, 50_000, 12_500, 20_000, 250)),
    claude("claude-sonnet-5", 1_024, flat(2_000, 10_000, 2_500, 4_000, 200)),
    claude("claude-opus-5", 512, flat(5_000, 25_000, 6_250, 10_000, 500)),
    claude("claude-opus-4-8", 1_024, None),
    claude("claude-opus-4-7", 2_048, None),
    claude("claude-opus-4-6", 4_096, None),
    claude("claude-sonnet-4-6", 1_024, None),
    claude("claude-haiku-4-5", 4_096, flat(1_000, 5_000, 1_250, 2_000, 100)),
    claude("claude-opus-4-5", 4_096, None),
    claude("claude-sonnet-4-5", 1_024, None),
    Known { max_output: 8_192, ..claude("claude-3-5-haiku-20241022", 2_048, flat(800, 4_000, 1_000, 1_600, 80)) },
    Known { max_output: 8_192, ..claude("claude-3-5-sonnet-20241022", 1_024, flat(3_000, 15_000, 3_750, 6_000, 300)) },
    gpt("gpt-6-luna", Price::flat(Rates::new(100, 500, 100, 100, 10))),
    gpt("gpt-6-sol", Price::flat(Rates::new(2_000, 10_000, 2_000, 2_000, 200))),
];

fn known(model: &str) -> Option<&'static Known> {
    let exact = MODELS.iter().find(|known| known.id == model);
    exact.or_else(|| MODELS.iter().find(|known| family(known.id) == family(model)))
}

/// The id without its date: `-20261001`, `-2026-10-01` or `-latest`.
pub(crate) fn family(model: &str) -> &str {
    if let Some(family) = model.strip_suffix("-latest") {
        return family;
    }
    let bytes = model.as_bytes();
    for date in ["-dddddddd", "-dddd-dd-dd"] {
        let Some(start) = bytes.len().checked_sub(date.len()).filter(|&start| start > 0) else { continue };
        let fits = |(byte, sign): (&u8, u8)| if sign == b'd' { byte.is_ascii_digit() } else { *byte == sign };
        if bytes[start..].iter().zip(date.bytes()).all(fits) {
            return &model[..start];
        }
    }
    model
}

/// What is known of a model, or a cautious description of one that is not in the table.
///
/// `provider` is the kind through which the model is reached; its rules for names and numbers of tools hold.
#[must_use]
pub fn model_info(provider: &'static str, id: &str) -> ModelInfo {
    let mut info = ModelInfo::new(provider, id);
    if let Some(known) = known(id) {
        info.context_window = known.context_window;
        info.max_output = Some(known.max_output);
        info.cache_min_tokens = known.cache_min_tokens;
        info.price = known.price;
    }
    match provider {
        ANTHROPIC => {
            info.tool_name_len = 128;
            // The vendor caches for all its models; a marker before too short a prefix does no harm.
            info.cache_min_tokens.get_or_insert(LONGEST_CACHE_MIN);
        }
        OPENAI => info.max_tools = Some(128),
        _ => {}
    }
    info
}

/// Whether a provider's models are in the table, so that one that is not is one of an unknown price.
/// An embedding program's own provider says itself what is known of its models.
pub(crate) fn is_vendor(provider: &str) -> bool {
    MODELS.iter().any(|known| known.provider == provider)
}

/// The models of one provider, its default first.
#[must_use]
pub fn models_of(provider: &'static str) -> Vec<ModelInfo> {
    MODELS.iter().filter(|known| known.provider == provider).map(|known| model_info(provider, known.id)).collect()
}

/// The model that an alias (`haiku`, `sonnet`, `opus`) stands for: the newest of its family.
#[must_use]
pub fn alias(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "haiku" => Some("claude-haiku-5-5"),
        "sonnet" => Some("claude-sonnet-5-5"),
        "opus" => Some("claude-opus-5-5"),
        _ => None,
    }
}

/// What to take instead of a model that its vendor no longer has: the newest of its family.
#[must_use]
pub fn replacement(model: &str) -> Option<&'static str> {
    let newest = if model.starts_with("claude") {
        let family = ["opus", "sonnet"].into_iter().find(|family| model.contains(family));
        alias(family.unwrap_or("haiku"))
    } else if model.starts_with("gpt") {
        Some(if model.contains("mini") || model.contains("nano") { "gpt-6-luna" } else { "gpt-6-sol" })
    } else {
        None
    };
    newest.filter(|newest| *newest != model)
}

/// How ids begin that Anthropic no longer has, as of December 2026.
const RETIRED: [&str; 5] = ["claude-instant-", "claude-1.", "claude-2.", "claude-3-", "claude-sonnet-4-5"];

/// What replaces a model that its vendor no longer has; `None` for any other, also where nobody knows.
pub(crate) fn retired(model: &str) -> Option<&'static str> {
    RETIRED.into_iter().find(|start| model.starts_with(start)).and_then(|_| replacement(model))
}

/// Ids of the built-in table.
#[must_use]
pub fn known_models() -> Vec<&'static str> {
    MODELS.iter().map(|known| known.id).collect()
}

#[cfg(test)]
mod tests;
