//! The state behind one key.

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::time::Instant;

use super::{
    super::{Charge, Limit, LimitKey, Period, ReservationId},
    Now,
};

mod leases;

use leases::Leases;

/// What is taken from one key, by kind of limit.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// By length of the window; seldom more than one.
    logs: Vec<Log>,
    leases: Leases,
    day: Spent,
    month: Spent,
}

/// One charge of a reservation, as it was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) key: LimitKey,
    limit: Limit,
    amount: u64,
    /// When it was taken.
    at: Instant,
    /// The period that a budget's amount was taken from.
    start: Option<NaiveDate>,
}

impl Count {
    /// Whether the charge fits on top of `before`; if not, what is used and when it would fit.
    pub(super) fn check(&mut self, charge: &Charge, before: u64, now: Now) -> Result<(), (u64, Duration)> {
        let (used, reset) = self.standing(&charge.limit, now);
        let max = charge.limit.max();
        let wanted = used.saturating_add(before).saturating_add(charge.amount);
        if wanted <= max {
            return Ok(());
        }
        let retry_after = match charge.limit {
            Limit::Window { per, .. } => self.log(per, now.instant).free_after(wanted - max, now.instant),
            Limit::Concurrent { .. } | Limit::Budget { .. } => reset,
        };
        Err((used, retry_after))
    }

    /// What is used, and when the oldest part of it is free again.
    pub(super) fn standing(&mut self, limit: &Limit, now: Now) -> (u64, Duration) {
        match limit {
            Limit::Window { per, .. } => self.log(*per, now.instant).standing(now.instant),
            Limit::Concurrent { .. } => self.leases.standing(now.instant),
            Limit::Budget { period, .. } => (self.spent(*period).at(*period, now.utc), period.remaining(now.utc)),
        }
    }

    pub(super) fn take(&mut self, charge: &Charge, id: &ReservationId, until: Instant, now: Now) -> Taken {
        let start = match charge.limit {
            Limit::Window { per, .. } => {
                self.log(per, now.instant).push(charge.amount, now.instant);
                None
            }
            Limit::Concurrent { .. } => {
                self.leases.take(id.id, charge.amount, until);
                None
            }
            Limit::Budget { period, .. } => {
                let spent = self.spent(period);
                spent.amount = spent.at(period, now.utc).saturating_add(charge.amount);
                spent.start
            }
        };
        Taken { key: charge.key.clone(), limit: charge.limit, amount: charge.amount, at: now.instant, start }
    }

    /// Gives a lease back, and corrects a budget whose period is still running.
    pub(super) fn settle(&mut self, taken: &Taken, id: &ReservationId, actual: Option<u64>, now: Now) {
        match (taken.limit, actual) {
            (Limit::Concurrent { .. }, _) => self.leases.give_back(id.id),
            (Limit::Budget { period, .. }, Some(actual)) => {
                let spent = self.spent(period);
                let used = spent.at(period, now.utc);
                if spent.start == taken.start {
                    spent.amount = used.saturating_sub(taken.amount).saturating_add(actual);
                }
            }
            (Limit::Window { .. } | Limit::Budget { .. }, _) => {}
        }
    }

    /// Gives everything back.
    pub(super) fn undo(&mut self, taken: &Taken, id: &ReservationId, now: Now) {
        match taken.limit {
            Limit::Window { per, .. } => self.log(per, now.instant).give_back(taken.amount, taken.at, now.instant),
            Limit::Concurrent { .. } | Limit::Budget { .. } => self.settle(taken, id, Some(0), now),
        }
    }

    pub(super) fn renew(&mut self, id: &ReservationId, until: Instant) {
        self.leases.renew(id.id, until);
    }

    pub(super) fn is_idle(&mut self, now: Now) -> bool {
        let (leased, _) = self.leases.standing(now.instant);
        let spent = self.day.at(Period::Day, now.utc).max(self.month.at(Period::Month, now.utc));
        self.logs.retain_mut(|log| log.standing(now.instant).0 > 0);
        self.logs.is_empty() && leased == 0 && spent == 0
    }

    /// How many moments are told apart.
    #[cfg(test)]
    pub(super) fn moments(&self) -> usize {
        self.logs.iter().map(|log| log.entries.len()).sum()
    }

    fn log(&mut self, per: Duration, now: Instant) -> &mut Log {
        let at = self.logs.iter().position(|log| log.per == per).unwrap_or_else(|| {
            self.logs.push(Log { per, entries: VecDeque::new(), total: 0, began: now });
            self.logs.len() - 1
        });
        &mut self.logs[at]
    }

    fn spent(&mut self, period: Period) -> &mut Spent {
        match period {
            Period::Day => &mut self.day,
            Period::Month => &mut self.month,
        }
    }
}

/// So many moments of a window are told apart. Where there are more, what falls into the same slot is taken together, as
/// if all of it were taken at the last of its moments: never more is allowed for that, and a limit of millions takes no
/// more memory than one of thousands.
const TOLD_APART: usize = 1_024;
/// Slots of a window: less than a second of an hour each.
const SLOTS: u32 = 4_096;

/// When how much was taken within a window, oldest first.
#[derive(Debug)]
struct Log {
    per: Duration,
    entries: VecDeque<(Instant, u64)>,
    total: u64,
    /// From when on slots are counted.
    began: Instant,
}

impl Log {
    fn push(&mut self, amount: u64, now: Instant) {
        if amount == 0 {
            return;
        }
        self.total = self.total.saturating_add(amount);
        let is_full = self.entries.len() >= TOLD_APART;
        let last = self.entries.back().map(|(at, _)| *at);
        let is_same = last.is_some_and(|last| last == now || (is_full && self.slot(last) == self.slot(now)));
        match self.entries.back_mut() {
            Some((at, same)) if is_same => (*at, *same) = (now, same.saturating_add(amount)),
            Some(_) | None => self.entries.push_back((now, amount)),
        }
    }

    fn slot(&self, at: Instant) -> u128 {
        at.duration_since(self.began).as_nanos() / (self.per / SLOTS).as_nanos().max(1)
    }

    /// Takes back what was taken at a moment, unless it has gone by.
    fn give_back(&mut self, amount: u64, at: Instant, now: Instant) {
        let index = self.entries.partition_point(|(taken_at, _)| *taken_at < at);
        let is_there = now.duration_since(at) < self.per;
        let Some((_, held)) = self.entries.get_mut(index).filter(|_| is_there) else { return };
        let given_back = amount.min(*held);
        *held -= given_back;
        self.total = self.total.saturating_sub(given_back);
        if *held == 0 {
            self.entries.remove(index);
        }
    }

    /// How much the window holds, and when the oldest part of it has gone by.
    fn standing(&mut self, now: Instant) -> (u64, Duration) {
        let per = self.per;
        while let Some((_, amount)) = self.entries.pop_front_if(|(at, _)| now.duration_since(*at) >= per) {
            self.total = self.total.saturating_sub(amount);
        }
        let oldest = self.entries.front().map(|(at, _)| per.saturating_sub(now.duration_since(*at)));
        (self.total, oldest.unwrap_or_default())
    }

    /// How long until `excess` of the window has gone by; the whole window when it never fits.
    fn free_after(&self, excess: u64, now: Instant) -> Duration {
        let mut freed = 0_u64;
        for (at, amount) in &self.entries {
            freed = freed.saturating_add(*amount);
            if freed >= excess {
                return self.per.saturating_sub(now.duration_since(*at));
            }
        }
        self.per
    }
}

/// What was spent in the period that began at `start`.
#[derive(Debug, Default)]
struct Spent {
    start: Option<NaiveDate>,
    amount: u64,
}

impl Spent {
    /// What is spent at a moment; a new period begins with nothing.
    fn at(&mut self, period: Period, now: DateTime<Utc>) -> u64 {
        let start = period.start(now);
        if self.start != Some(start) {
            *self = Self { start: Some(start), amount: 0 };
        }
        self.amount
    }
}
