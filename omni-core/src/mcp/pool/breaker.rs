//! Keeps calls from a server whose connections fail, and lets a few through to find out whether it
//! is back. Who only looks at servers leaves one alone as soon as it fails, at first for a moment.

use std::{collections::VecDeque, time::Duration};

use chrono::Utc;
use tokio::time::Instant;

use super::jitter::spread;
use crate::{
    catalog::BreakerState,
    clock,
    mcp::{BreakerOptions, McpError},
};

/// How long a server that failed is left alone at first by whoever only looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a probe takes, as far as those are told who come meanwhile.
const PROBING: Duration = Duration::from_secs(1);

/// Decides; knows neither server nor clock.
#[derive(Debug)]
pub(super) struct Breaker {
    rules: BreakerOptions,
    state: State,
    /// What failed lately.
    faults: VecDeque<Fault>,
    in_row: u32,
    /// How often it opened since it was last well for a while, and when.
    openings: u32,
    opened_at: Option<Instant>,
    /// How often in a row looking failed, and when to look again.
    looks: u32,
    look_at: Option<Instant>,
    rounds: u64,
    spread: fn(Duration) -> Duration,
}

#[derive(Debug)]
struct Fault {
    at: Instant,
    is_timeout: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { round: u64, probing: u32 },
}

/// A call that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// As all are.
    Free,
    /// To find out whether the server is back; of which round of such calls.
    Probe(u64),
}

impl Breaker {
    pub(super) fn new(rules: BreakerOptions) -> Self {
        Self {
            rules,
            state: State::Closed,
            faults: VecDeque::new(),
            in_row: 0,
            openings: 0,
            opened_at: None,
            looks: 0,
            look_at: None,
            rounds: 0,
            spread,
        }
    }

    /// Lets a call through, or says how long to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Pass, Duration> {
        if let Some(wait) = self.refuses(now) {
            return Err(wait);
        }
        if let State::Open { .. } = self.state {
            self.rounds += 1;
            self.state = State::HalfOpen { round: self.rounds, probing: 0 };
        }
        match &mut self.state {
            State::HalfOpen { round, probing } => {
                *probing += 1;
                Ok(Pass::Probe(*round))
            }
            State::Closed | State::Open { .. } => Ok(Pass::Free),
        }
    }

    /// A call that was let through has ended, whatever came of it: another one may try.
    pub(super) fn ended(&mut self, pass: Pass) {
        match (&mut self.state, pass) {
            (State::HalfOpen { round, probing }, Pass::Probe(of)) if *round == of => {
                *probing = probing.saturating_sub(1);
            }
            (State::Closed | State::Open { .. } | State::HalfOpen { .. }, Pass::Free | Pass::Probe(_)) => {}
        }
    }

    /// The server answered a request; whether calls are let through again because of it.
    pub(super) fn answered(&mut self) -> bool {
        self.in_row = 0;
        let was_probing = matches!(self.state, State::HalfOpen { .. });
        if was_probing {
            self.close();
        }
        was_probing
    }

    /// The server showed that it lives: whatever took too long was the tool's matter. That requests
    /// work is shown by requests alone.
    pub(super) fn lives(&mut self) {
        self.faults.retain(|fault| !fault.is_timeout);
        self.in_row = 0;
    }

    /// Somebody asked the server whatever was known, and it answered.
    pub(super) fn is_back(&mut self) {
        if self.state != State::Closed {
            self.close();
        }
    }

    fn close(&mut self) {
        (self.state, self.in_row) = (State::Closed, 0);
        self.faults.clear();
    }

    /// A request failed because of the connection; whether calls are kept away from now on.
    pub(super) fn failed(&mut self, error: &McpError, now: Instant) -> bool {
        match self.state {
            State::Open { .. } => false,
            State::HalfOpen { .. } => self.open(now),
            State::Closed => {
                self.faults.push_back(Fault { at: now, is_timeout: matches!(error, McpError::Timeout { .. }) });
                self.forget(now);
                self.in_row += 1;
                let most = usize::try_from(self.rules.failures).unwrap_or(usize::MAX);
                let too_many = self.faults.len() >= most || self.in_row >= self.rules.failures;
                most > 0 && too_many && self.open(now)
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        /// Where calls are never kept away nobody counts them.
        const MANY: usize = 1_000;
        while self.faults.len() > MANY
            || self.faults.front().is_some_and(|fault| clock::after(fault.at, self.rules.window) <= now)
        {
            self.faults.pop_front();
        }
    }

    fn open(&mut self, now: Instant) -> bool {
        let was_well = |at| clock::after(clock::after(at, self.rules.max_pause), self.rules.window) < now;
        if self.opened_at.is_none_or(was_well) {
            self.openings = 0;
        }
        self.openings = self.openings.saturating_add(1);
        self.opened_at = Some(now);
        let pause = grown(self.rules.pause, self.openings, self.rules.max_pause);
        self.state = State::Open { until: now + (self.spread)(pause) };
        self.faults.clear();
        self.in_row = 0;
        true
    }

    /// Looking found out what there is to know.
    pub(super) fn seen(&mut self) {
        (self.looks, self.look_at) = (0, None);
    }

    /// Looking took so long and failed. What fails fast is looked at again soon; what costs everybody
    /// a long wait is not.
    pub(super) fn not_seen(&mut self, took: Duration, now: Instant) {
        self.looks = self.looks.saturating_add(1);
        let pause = grown(LOOK_AGAIN, self.looks, self.rules.max_pause).max(took);
        self.look_at = Some(now + (self.spread)(pause));
    }

    /// When whoever only looks may look again; `None` is at any time.
    pub(super) fn look_at(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::HalfOpen { .. } => self.refuses(now).map(|wait| now + wait).or(self.look_at),
        }
    }

    /// Whether looking would only cost time.
    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        self.look_at(now).is_some_and(|at| now < at)
    }

    /// For how long calls are kept away; `None` where they are not.
    pub(super) fn refuses(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            State::Open { until } => until.checked_duration_since(now).filter(|wait| !wait.is_zero()),
            State::HalfOpen { probing, .. } => (probing >= self.rules.probes.max(1)).then_some(PROBING),
        }
    }

    /// A connection was lost: it may be made anew at once, and after a while when that happens often.
    pub(super) fn restart(&mut self, now: Instant) {
        let again = u32::try_from(self.faults.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if again > 0 {
            let at = now + (self.spread)(grown(LOOK_AGAIN, again, self.rules.max_pause));
            self.look_at = self.look_at.max(Some(at));
        }
    }

    /// How it is, for people.
    pub(super) fn shown(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } => BreakerState::Open { until: Utc::now() + until.saturating_duration_since(now) },
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

/// `base`, doubled with every time after the first, up to `most`.
fn grown(base: Duration, times: u32, most: Duration) -> Duration {
    let factor = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(most)
}

#[cfg(test)]
mod tests;
