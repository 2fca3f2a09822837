//! Step 10, settle: tokens become money, in integer nano-dollars.

use std::{fmt, iter::Sum, ops::Add};

use serde::{Deserialize, Serialize};

use crate::llm::Usage;

mod table;

pub use table::{PriceTable, alias, known_models, model_info, models_of, replacement};
pub(crate) use table::{family, is_vendor, retired};

/// Billionths of a US dollar. Prices per million tokens make whole nano-dollars per token, so sums are exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// From dollars, rounded to the nearest nano-dollar; negative and non-finite amounts are zero.
    #[must_use]
    pub fn from_usd(usd: f64) -> Self {
        Self((usd * 1e9).round() as u64)
    }

    /// In dollars, for display and JSON.
    #[must_use]
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Add for NanoUsd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Self::add)
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.6}", self.as_usd())
    }
}

/// Prices of one band, in nano-dollars per token (= thousandths of a dollar per million tokens).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rates {
    /// Input that no cache is involved in.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input written to a five-minute cache.
    pub cache_write: u64,
    /// Input written to a one-hour cache.
    pub cache_write_1h: u64,
    /// Input read from a cache.
    pub cache_read: u64,
}

impl Rates {
    /// Rates in nano-dollars per token.
    #[must_use]
    pub const fn new(input: u64, output: u64, cache_write: u64, cache_write_1h: u64, cache_read: u64) -> Self {
        Self { input, output, cache_write, cache_write_1h, cache_read }
    }
}

/// A model's price: one band, or another above a prompt length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Price {
    /// The rates.
    pub base: Rates,
    /// `(prompt tokens, rates)`: rates of the WHOLE request when its prompt is longer than that.
    pub above: Option<(u64, Rates)>,
}

impl Price {
    /// One band.
    #[must_use]
    pub const fn flat(base: Rates) -> Self {
        Self { base, above: None }
    }

    /// What one turn costs.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let rates = match self.above {
            Some((limit, rates)) if usage.prompt() > limit => rates,
            Some(_) | None => self.base,
        };
        let amount = u128::from(usage.input) * u128::from(rates.input)
            + u128::from(usage.output) * u128::from(rates.output)
            + u128::from(usage.cache_write) * u128::from(rates.cache_write)
            + u128::from(usage.cache_write_1h) * u128::from(rates.cache_write_1h)
            + u128::from(usage.cache_read) * u128::from(rates.cache_read);
        NanoUsd(u64::try_from(amount).unwrap_or(u64::MAX))
    }
}
