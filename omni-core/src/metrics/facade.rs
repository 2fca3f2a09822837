//! The facade, or nothing in its place.

use std::sync::Arc;

use super::Kind;

/// Labels of one series.
pub(super) type Labels<'a> = &'a [(&'static str, Value<'a>)];

/// A label's value. What is there for long is not copied each time something is counted.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "nothing is counted"))]
pub(super) enum Value<'a> {
    /// What the program itself calls something.
    Fixed(&'static str),
    /// A name that is kept.
    Kept(&'a Arc<str>),
    /// Any other.
    Told(&'a str),
}

/// Whether anything is counted.
pub(super) const IS_ON: bool = cfg!(feature = "metrics");

#[cfg(feature = "metrics")]
mod on {
    use ::metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

    use super::{Kind, Labels, Value};

    fn owned(labels: Labels<'_>) -> Vec<Label> {
        let label = |(name, value): &(&'static str, Value<'_>)| match *value {
            Value::Fixed(value) => Label::from_static_parts(name, value),
            Value::Kept(value) => Label::new(*name, value.clone()),
            Value::Told(value) => Label::new(*name, value.to_owned()),
        };
        labels.iter().map(label).collect()
    }

    pub(in crate::metrics) fn add(name: &'static str, labels: Labels<'_>, count: u64) {
        counter!(name, owned(labels)).increment(count);
    }

    pub(in crate::metrics) fn observe(name: &'static str, labels: Labels<'_>, value: f64) {
        histogram!(name, owned(labels)).record(value);
    }

    pub(in crate::metrics) fn set(name: &'static str, labels: Labels<'_>, value: f64) {
        gauge!(name, owned(labels)).set(value);
    }

    pub(in crate::metrics) fn shift(name: &'static str, by: f64) {
        gauge!(name).increment(by);
    }

    /// A gauge is higher by one for as long as this lives: at the recorder that there was when it began, so that one
    /// that comes later is not lowered by what it never saw.
    pub(in crate::metrics) struct Raised(metrics::Gauge);

    pub(in crate::metrics) fn raise(name: &'static str) -> Raised {
        let gauge = gauge!(name);
        gauge.increment(1.0);
        Raised(gauge)
    }

    impl Drop for Raised {
        fn drop(&mut self) {
            self.0.decrement(1.0);
        }
    }

    pub(in crate::metrics) fn describe(kind: Kind, name: &'static str, text: &'static str) {
        match kind {
            Kind::Counter => describe_counter!(name, Unit::Count, text),
            Kind::Gauge => describe_gauge!(name, Unit::Count, text),
            Kind::Seconds => describe_histogram!(name, Unit::Seconds, text),
            Kind::Dollars => describe_histogram!(name, text),
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod off {
    use super::{Kind, Labels};

    pub(in crate::metrics) fn add(_: &'static str, _: Labels<'_>, _: u64) {}

    pub(in crate::metrics) fn observe(_: &'static str, _: Labels<'_>, _: f64) {}

    pub(in crate::metrics) fn set(_: &'static str, _: Labels<'_>, _: f64) {}

    pub(in crate::metrics) fn shift(_: &'static str, _: f64) {}

    pub(in crate::metrics) struct Raised;

    pub(in crate::metrics) fn raise(_: &'static str) -> Raised {
        Raised
    }

    pub(in crate::metrics) fn describe(_: Kind, _: &'static str, _: &'static str) {}
}

#[cfg(not(feature = "metrics"))]
pub(super) use off::{Raised, add, describe, observe, raise, set, shift};
#[cfg(feature = "metrics")]
pub(super) use on::{Raised, add, describe, observe, raise, set, shift};
