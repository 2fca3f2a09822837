//! The state behind one key.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use tokio::time::Instant;

use super::{
    super::{Charge, Limit, LimitKey, Period, ReservationId},
    Now,
};

/// What is taken from one key, by kind of limit.
#[derive(Debug, Default)]
pub(super) struct Count {
    log: Log,
    leases: HashMap<ReservationId, Lease>,
    day: Spent,
    month: Spent,
}

#[derive(Debug)]
struct Lease {
    amount: u64,
    until: Instant,
}

/// One charge of a reservation, as it was taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) key: LimitKey,
    limit: Limit,
    amount: u64,
    /// The period that a budget's amount was taken from.
    start: Option<NaiveDate>,
}

impl Count {
    /// Whether the charge fits on top of `before`; if not, what is used and when it would fit.
    pub(super) fn check(&mut self, charge: &Charge, before: u64, now: Now) -> Result<(), (u64, Duration)> {
        let (used, reset) = self.standing(&charge.limit, now);
        let (Limit::Window { max, .. } | Limit::Concurrent { max } | Limit::Budget { max, .. }) = charge.limit;
        let wanted = used.saturating_add(before).saturating_add(charge.amount);
        if wanted <= max {
            return Ok(());
        }
        let retry_after = match charge.limit {
            Limit::Window { per, .. } => self.log.free_after(wanted - max, per, now.instant),
            Limit::Concurrent { .. } | Limit::Budget { .. } => reset,
        };
        Err((used, retry_after))
    }

    /// What is used, and when the oldest part of it is free again.
    pub(super) fn standing(&mut self, limit: &Limit, now: Now) -> (u64, Duration) {
        match limit {
            Limit::Window { per, .. } => self.log.standing(*per, now.instant),
            Limit::Concurrent { .. } => {
                self.leases.retain(|_, lease| lease.until > now.instant);
                let used = self.leases.values().fold(0_u64, |sum, lease| sum.saturating_add(lease.amount));
                let next = self.leases.values().map(|lease| lease.until - now.instant).min();
                (used, next.unwrap_or_default())
            }
            Limit::Budget { period, .. } => (self.spent(*period).at(*period, now.utc), remaining(*period, now.utc)),
        }
    }

    pub(super) fn take(&mut self, charge: &Charge, id: ReservationId, until: Instant, now: Now) -> Taken {
        let start = match charge.limit {
            Limit::Window { per, .. } => {
                self.log.push(charge.amount, per, now.instant);
                None
            }
            Limit::Concurrent { .. } => {
                let lease = self.leases.entry(id).or_insert(Lease { amount: 0, until });
                lease.amount = lease.amount.saturating_add(charge.amount);
                None
            }
            Limit::Budget { period, .. } => {
                let spent = self.spent(period);
                spent.amount = spent.at(period, now.utc).saturating_add(charge.amount);
                spent.start
            }
        };
        Taken { key: charge.key.clone(), limit: charge.limit, amount: charge.amount, start }
    }

    /// Gives a lease back, and corrects a budget whose period is still running.
    pub(super) fn settle(&mut self, taken: &Taken, id: ReservationId, actual: Option<u64>, now: Now) {
        match (taken.limit, actual) {
            (Limit::Concurrent { .. }, _) => drop(self.leases.remove(&id)),
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

    pub(super) fn renew(&mut self, id: ReservationId, until: Instant) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.until = until;
        }
    }

    pub(super) fn is_idle(&mut self, now: Now) -> bool {
        self.leases.retain(|_, lease| lease.until > now.instant);
        let spent = self.day.at(Period::Day, now.utc) + self.month.at(Period::Month, now.utc);
        self.log.standing(Duration::ZERO, now.instant);
        self.log.entries.is_empty() && self.leases.is_empty() && spent == 0
    }

    fn spent(&mut self, period: Period) -> &mut Spent {
        match period {
            Period::Day => &mut self.day,
            Period::Month => &mut self.month,
        }
    }
}

/// When how much was taken, oldest first.
#[derive(Debug, Default)]
struct Log {
    entries: VecDeque<(Instant, u64)>,
    total: u64,
    /// The longest window that was ever asked for; older entries are gone.
    horizon: Duration,
}

impl Log {
    fn push(&mut self, amount: u64, per: Duration, now: Instant) {
        self.horizon = self.horizon.max(per);
        if amount == 0 {
            return;
        }
        self.total = self.total.saturating_add(amount);
        match self.entries.back_mut() {
            Some((at, same)) if *at == now => *same = same.saturating_add(amount),
            Some(_) | None => self.entries.push_back((now, amount)),
        }
    }

    fn standing(&mut self, per: Duration, now: Instant) -> (u64, Duration) {
        let horizon = self.horizon;
        while let Some((_, amount)) = self.entries.pop_front_if(|(at, _)| now.duration_since(*at) >= horizon) {
            self.total = self.total.saturating_sub(amount);
        }
        if per == self.horizon {
            let oldest = self.entries.front().map(|(at, _)| per.saturating_sub(now.duration_since(*at)));
            return (self.total, oldest.unwrap_or_default());
        }
        let within = || self.entries.iter().filter(|(at, _)| now.duration_since(*at) < per);
        let oldest = within().next().map(|(at, _)| per.saturating_sub(now.duration_since(*at)));
        (within().fold(0, |sum, (_, amount)| sum.saturating_add(*amount)), oldest.unwrap_or_default())
    }

    /// How long until `excess` of the window has gone by; the whole window when it never fits.
    fn free_after(&self, excess: u64, per: Duration, now: Instant) -> Duration {
        let mut freed = 0_u64;
        for (at, amount) in self.entries.iter().filter(|(at, _)| now.duration_since(*at) < per) {
            freed = freed.saturating_add(*amount);
            if freed >= excess {
                return per.saturating_sub(now.duration_since(*at));
            }
        }
        per
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
        let start = start_of(period, now);
        if self.start != Some(start) {
            *self = Self { start: Some(start), amount: 0 };
        }
        self.amount
    }
}

fn start_of(period: Period, now: DateTime<Utc>) -> NaiveDate {
    let today = now.date_naive();
    match period {
        Period::Day => today,
        Period::Month => today.with_day(1).unwrap_or(today),
    }
}

/// How long the period goes on.
fn remaining(period: Period, now: DateTime<Utc>) -> Duration {
    let start = start_of(period, now);
    let next = match period {
        Period::Day => start.checked_add_days(Days::new(1)),
        Period::Month => start.checked_add_months(Months::new(1)),
    };
    let end = next.unwrap_or(start).and_time(chrono::NaiveTime::MIN).and_utc();
    (end - now).to_std().unwrap_or_default()
}
