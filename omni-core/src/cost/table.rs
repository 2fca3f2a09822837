//! Known models and their prices.

use super::Price;

/// Prices by model id.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {}

impl PriceTable {
    /// The price of a model; dated ids match their family.
    #[must_use]
    pub fn price(&self, _model: &str) -> Option<Price> {
        None
    }
}

/// The model that an alias (`haiku`, `sonnet`, `opus`) stands for.
#[must_use]
pub fn alias(_name: &str) -> Option<&'static str> {
    None
}

/// Ids of the built-in table.
#[must_use]
pub fn known_models() -> Vec<&'static str> {
    Vec::new()
}
