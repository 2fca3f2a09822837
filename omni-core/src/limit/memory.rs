//! A sliding window in memory, for one process: exact, and beyond a thousand moments by a slot late, never early.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use tokio::time::Instant;

use super::{
    Charge, LimitError, LimitKey, RateLimiter, Refusal, Reservation, ReservationId, Reserve, Settle, Standing,
};
use crate::{Registry, clock};

mod count;

#[cfg(test)]
mod tests;

use count::{Count, Taken};

/// How often idle counts are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How often at most, when there are too many counts.
const SWEEP_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// Most counts, and most reservations that are not settled; beyond them everything new is refused.
const MAX_HELD: usize = 250_000;

/// A moment, by the clock that measures and by the one on the wall.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For windows and leases.
    pub instant: Instant,
    /// For calendar periods.
    pub utc: DateTime<Utc>,
}

impl Now {
    /// This moment.
    #[must_use]
    pub fn of_the_system() -> Self {
        Self { instant: Instant::now(), utc: Utc::now() }
    }
}

/// Counts in memory. What it knows ends with the process.
pub struct MemoryLimiter {
    state: Mutex<State>,
    clock: Arc<dyn Fn() -> Now + Send + Sync>,
    max_held: usize,
}

struct State {
    counts: HashMap<LimitKey, Count>,
    held: HashMap<ReservationId, Held>,
    swept: Instant,
}

/// A reservation that is not settled.
struct Held {
    taken: Vec<Taken>,
    ttl: Duration,
    until: Instant,
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryLimiter").field("counts", &state.counts.len()).field("held", &state.held.len()).finish()
    }
}

impl MemoryLimiter {
    /// A limiter by the system's clocks.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Now::of_the_system)
    }

    /// A limiter by another clock.
    #[must_use]
    pub fn with_clock(clock: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        let state = State { counts: HashMap::new(), held: HashMap::new(), swept: clock().instant };
        Self { state: Mutex::new(state), clock: Arc::new(clock), max_held: MAX_HELD }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state at a moment that no earlier caller came after.
    fn now(&self) -> (MutexGuard<'_, State>, Now) {
        let state = self.state();
        let now = (self.clock)();
        (state, now)
    }
}

impl State {
    fn reserve(&mut self, request: &Reserve, now: Now, max_held: usize) -> Result<Reservation, LimitError> {
        let held = self.held.get(&request.id).is_some_and(|held| held.until > now.instant);
        if !held {
            self.make_room(request, now, max_held)?;
            self.check(request, now)?;
            self.take(request, now);
        }
        let standings = request.charges.iter().map(|charge| self.standing(charge, now)).collect();
        Ok(Reservation::new(request.id.clone(), standings))
    }

    /// Whether every charge fits, those of the same request before it included.
    fn check(&mut self, request: &Reserve, now: Now) -> Result<(), LimitError> {
        let mut worst: Option<Refusal> = None;
        for (index, charge) in request.charges.iter().enumerate() {
            let before = same_count(&request.charges[..index], charge);
            let count = self.counts.entry(charge.key.clone()).or_default();
            let Err((used, retry_after)) = count.check(charge, before, now) else { continue };
            if worst.as_ref().is_none_or(|known| known.retry_after < retry_after) {
                worst = Some(Refusal::new(charge.key.clone(), charge.limit, used, retry_after));
            }
        }
        worst.map_or(Ok(()), |refusal| Err(LimitError::Refused(Box::new(refusal))))
    }

    fn take(&mut self, request: &Reserve, now: Now) {
        let until = clock::after(now.instant, request.ttl);
        let take = |charge: &Charge| {
            let count = self.counts.entry(charge.key.clone()).or_default();
            count.take(charge, &request.id, until, now)
        };
        let taken = request.charges.iter().map(take).collect();
        self.held.insert(request.id.clone(), Held { taken, ttl: request.ttl, until });
    }

    fn standing(&mut self, charge: &Charge, now: Now) -> Standing {
        let count = self.counts.entry(charge.key.clone()).or_default();
        let (used, reset_after) = count.standing(&charge.limit, now);
        Standing { key: charge.key.clone(), used, max: charge.limit.max(), reset_after }
    }

    /// The same without making a count that is not there.
    fn peek(&mut self, charge: &Charge, now: Now) -> Standing {
        if self.counts.contains_key(&charge.key) {
            return self.standing(charge, now);
        }
        let (used, reset_after) = Count::default().standing(&charge.limit, now);
        Standing { key: charge.key.clone(), used, max: charge.limit.max(), reset_after }
    }

    fn settle(&mut self, settle: &Settle, now: Now) {
        let Some(held) = self.held.remove(&settle.id).filter(|held| held.until > now.instant) else { return };
        for taken in held.taken {
            let actual = settle.actuals.iter().find(|(key, _)| *key == taken.key).map(|(_, amount)| *amount);
            let Some(count) = self.counts.get_mut(&taken.key) else { continue };
            match settle.undo {
                true => count.undo(&taken, &settle.id, now),
                false => count.settle(&taken, &settle.id, actual, now),
            }
        }
    }

    fn renew(&mut self, id: &ReservationId, now: Now) {
        // A lease that has lapsed may be somebody else's by now.
        let Some(held) = self.held.get_mut(id).filter(|held| held.until > now.instant) else { return };
        held.until = clock::after(now.instant, held.ttl);
        for taken in &held.taken {
            if let Some(count) = self.counts.get_mut(&taken.key) {
                count.renew(id, held.until);
            }
        }
    }

    /// Forgets what is idle, from time to time or when there is too much of it.
    fn make_room(&mut self, request: &Reserve, now: Now, max_held: usize) -> Result<(), LimitError> {
        let fits = |state: &Self| state.counts.len().max(state.held.len()) + request.charges.len() <= max_held;
        let pause = if fits(self) { SWEEP_EVERY } else { SWEEP_AT_MOST_EVERY };
        if now.instant.duration_since(self.swept) >= pause {
            self.sweep(now);
        }
        if !fits(self) {
            return Err(LimitError::Unavailable { message: format!("it counts {max_held} things already") });
        }
        Ok(())
    }

    fn sweep(&mut self, now: Now) {
        self.held.retain(|_, held| held.until > now.instant);
        self.counts.retain(|_, count| !count.is_idle(now));
        self.swept = now.instant;
    }
}

/// What earlier charges of a request take from the count that `charge` draws on.
fn same_count(earlier: &[Charge], charge: &Charge) -> u64 {
    let same = |other: &&Charge| other.key == charge.key && other.limit.count() == charge.limit.count();
    earlier.iter().filter(same).fold(0, |sum, other| sum.saturating_add(other.amount))
}

#[async_trait]
impl RateLimiter for MemoryLimiter {
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
        let (mut state, now) = self.now();
        state.reserve(request, now, self.max_held)
    }

    async fn settle(&self, settle: &Settle) -> Result<(), LimitError> {
        let (mut state, now) = self.now();
        state.settle(settle, now);
        Ok(())
    }

    async fn renew(&self, id: &ReservationId) -> Result<(), LimitError> {
        let (mut state, now) = self.now();
        state.renew(id, now);
        Ok(())
    }

    async fn peek(&self, charges: &[Charge]) -> Result<Vec<Standing>, LimitError> {
        let (mut state, now) = self.now();
        Ok(charges.iter().map(|charge| state.peek(charge, now)).collect())
    }
}

/// Adds the kind `memory`.
pub fn register(registry: &mut Registry) {
    registry
        .limiters
        .register("memory", |_| async { Ok(Arc::new(MemoryLimiter::new()) as Arc<dyn RateLimiter>) }.boxed());
}
