//! What several rounds of the same measurement add up to.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use serde::Serialize;

use super::{
    child::cpu,
    drive::{Driven, Load, drive},
    home::{Drained, Serving},
};

/// What is measured, and from how many connections at once.
pub(super) type What = (&'static str, usize);

/// All that was measured so far.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sums: BTreeMap<What, Sum>,
    /// In which order they first came.
    order: Vec<What>,
    /// The worst of what waited for a ledger's store when a load ended.
    pub(super) drained: Drained,
}

#[derive(Debug, Default)]
struct Sum {
    driven: Driven,
    cpu: Option<Duration>,
}

/// One of them, worked out.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) at_once: usize,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p95_us: f64,
    pub(super) p99_us: f64,
    /// Processor time of omni for each, until it is in the ledger's store.
    pub(super) cpu_us: Option<f64>,
    /// Those who were told to come back.
    pub(super) refused: u64,
}

impl Sums {
    /// Drives a load and adds what comes of it. `serving` is whose processor time counts: that of what the load left to
    /// be written too.
    pub(super) async fn measure(
        &mut self,
        what: What,
        load: &Load,
        seconds: f64,
        serving: Option<&Serving>,
    ) -> Result<Driven> {
        let Some(serving) = serving else {
            let driven = drive(load, what.1, seconds).await?;
            self.add(what, &driven, None);
            return Ok(driven);
        };
        let before = cpu(serving.pid())?;
        let driven = drive(load, what.1, seconds).await?;
        self.drain(serving).await?;
        self.add(what, &driven, Some(cpu(serving.pid())?.saturating_sub(before)));
        Ok(driven)
    }

    /// Waits until a ledger's store has all that was left to be written.
    pub(super) async fn drain(&mut self, serving: &Serving) -> Result<()> {
        self.drained = self.drained.or_worse(serving.drained().await?);
        Ok(())
    }

    /// Adds what was measured otherwise.
    pub(super) fn add(&mut self, what: What, driven: &Driven, cpu: Option<Duration>) {
        if !self.sums.contains_key(&what) {
            self.order.push(what);
        }
        let sum = self.sums.entry(what).or_default();
        sum.driven.times.extend(&driven.times);
        sum.driven.in_time += driven.in_time;
        sum.driven.seconds += driven.seconds;
        sum.driven.results += driven.results;
        sum.driven.refused += driven.refused;
        if let Some(cpu) = cpu {
            *sum.cpu.get_or_insert_default() += cpu;
        }
    }

    /// All of them, in the order in which they were measured.
    pub(super) fn rows(mut self) -> Rows {
        Rows(self.order.iter().filter_map(|what| self.sums.remove(what).map(|sum| row(*what, sum))).collect())
    }
}

fn row((what, at_once): What, mut sum: Sum) -> Row {
    sum.driven.times.sort_unstable();
    let times = &sum.driven.times;
    let at = |part: f64| {
        times.get((times.len().saturating_sub(1) as f64 * part) as usize).map_or(0.0, |ns| *ns as f64 / 1e3)
    };
    Row {
        what,
        at_once,
        per_second: sum.driven.in_time as f64 / sum.driven.seconds,
        p50_us: at(0.5),
        p95_us: at(0.95),
        p99_us: at(0.99),
        cpu_us: sum.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / sum.driven.results.max(1) as f64),
        refused: sum.driven.refused,
    }
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Rows(pub(super) Vec<Row>);

impl Rows {
    pub(super) fn of(&self, what: &str, at_once: usize) -> Option<&Row> {
        self.0.iter().find(|row| row.what == what && row.at_once == at_once)
    }
}
