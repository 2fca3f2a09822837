//! Step 10, settle: tokens become money, in integer nano-dollars.

use std::{fmt, iter::Sum, ops::Add};

use serde::{Deserialize, Serialize};

use crate::llm::Usage;

mod table;

pub use table::{PriceTable, alias, known_models, model_info, models_of, replacement};
pub(crate) use table::{family, is_vendor, retired};

/// Billionths of a US dollar. What a turn takes is reckoned exactly and rounded up to whole ones, once; sums of that are
/// exact.
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

/// Pico-dollars in a nano-dollar.
pub(crate) const PICOS: u128 = 1_000;

/// Prices of one band, in pico-dollars per token (= millionths of a dollar per million tokens).
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
    /// Rates in nano-dollars per token (= thousandths of a dollar per million tokens).
    #[must_use]
    pub const fn new(input: u64, output: u64, cache_write: u64, cache_write_1h: u64, cache_read: u64) -> Self {
        const fn picos(nanos: u64) -> u64 {
            nanos.saturating_mul(PICOS as u64)
        }
        Self::in_picos(picos(input), picos(output), picos(cache_write), picos(cache_write_1h), picos(cache_read))
    }

    /// Rates in pico-dollars per token (= millionths of a dollar per million tokens), for what is finer.
    #[must_use]
    pub const fn in_picos(input: u64, output: u64, cache_write: u64, cache_write_1h: u64, cache_read: u64) -> Self {
        Self { input, output, cache_write, cache_write_1h, cache_read }
    }

    /// What tokens cost, in pico-dollars.
    fn picos(&self, usage: &Usage) -> u128 {
        let amounts = [
            (usage.input, self.input),
            (usage.output, self.output),
            (usage.cache_write, self.cache_write),
            (usage.cache_write_1h, self.cache_write_1h),
            (usage.cache_read, self.cache_read),
        ];
        // One product always fits; the numbers are a vendor's, and all five may be anything.
        let products = amounts.into_iter().map(|(tokens, rate)| u128::from(tokens) * u128::from(rate));
        products.fold(0, u128::saturating_add)
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

    /// What one turn costs. A fraction of a nano-dollar counts as a whole one, so that what costs something is never
    /// free; more than a [`NanoUsd`] holds is all that it holds.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let amount = self.rates(usage.prompt()).picos(usage).div_ceil(PICOS);
        NanoUsd(u64::try_from(amount).unwrap_or(u64::MAX))
    }

    /// Most output tokens with which a turn costs no more than `most`, where `prompt` takes all the rest; `None` where
    /// `most` does not pay for the prompt alone.
    pub(crate) fn output_within(&self, most: NanoUsd, prompt: &Usage) -> Option<u64> {
        let rates = self.rates(prompt.prompt());
        let left = (u128::from(most.0) * PICOS).checked_sub(rates.picos(prompt))?;
        let tokens = left.checked_div(u128::from(rates.output));
        Some(tokens.map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX)))
    }

    /// The rates of a turn with a prompt of so many tokens.
    fn rates(&self, prompt: u64) -> Rates {
        match self.above {
            Some((limit, rates)) if prompt > limit => rates,
            Some(_) | None => self.base,
        }
    }
}
