//! Step 3, limit: all charges of an ask at once, or a refusal.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod budget;
mod charges;
pub mod fail_open;
pub mod memory;
mod period;
#[cfg(feature = "redis")]
pub mod redis;
mod refusal;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;
pub mod unlimited;
mod unsettled;

pub(crate) use budget::TurnSpend;
pub use budget::{Budget, BudgetScope, Spend};
pub(crate) use charges::lease_for;
pub use charges::{charges_for, server_charges};
pub use period::Period;
pub use refusal::Refusal;
pub(crate) use refusal::time;
pub(crate) use unsettled::Unsettled;

/// Identifies a reservation; settling it twice changes nothing. It names its tenant, so that a
/// backend finds a reservation where it keeps the tenant's counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReservationId {
    /// The tenant of every charge of the reservation.
    pub tenant: Arc<str>,
    /// Unique in the world.
    pub id: Uuid,
}

impl ReservationId {
    /// A new one.
    pub fn new(tenant: impl Into<Arc<str>>) -> Self {
        Self { tenant: tenant.into(), id: Uuid::now_v7() }
    }
}

/// What is counted: a tenant and a name within it, such as `ask:dba@company.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LimitKey {
    /// The tenant; no two tenants share a count.
    pub tenant: Arc<str>,
    /// The name within the tenant.
    pub name: Arc<str>,
}

impl LimitKey {
    /// A key.
    pub fn new(tenant: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { tenant: tenant.into(), name: name.into() }
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

/// How much of something is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// At most `max` within any stretch of `per` (a sliding window). A backend may hold what is taken for a few
    /// thousandths of `per` longer where there is very much of it, never shorter.
    Window {
        /// Most that fits into the window.
        max: u64,
        /// The window's length.
        per: Duration,
    },
    /// At most `max` held at the same time: a lease that ends with `settle`, or by its `ttl`.
    Concurrent {
        /// Most at the same time.
        max: u64,
    },
    /// At most `max` (nano-dollars, tokens) in a calendar period; settled to what it really was.
    Budget {
        /// Most in a period.
        max: u64,
        /// The period.
        period: Period,
    },
}

impl Limit {
    /// How much is allowed.
    #[must_use]
    pub fn max(&self) -> u64 {
        let (Self::Window { max, .. } | Self::Concurrent { max } | Self::Budget { max, .. }) = *self;
        max
    }

    /// Which count of a key the limit is about: equal for limits that differ only in `max`.
    pub(crate) fn count(&self) -> CountKind {
        match *self {
            Self::Window { per, .. } => CountKind::Window(per),
            Self::Concurrent { .. } => CountKind::Leases,
            Self::Budget { period, .. } => CountKind::Budget(period),
        }
    }
}

/// What of a key is counted: each is a count of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum CountKind {
    /// Within a stretch of this length.
    Window(Duration),
    /// Held now.
    Leases,
    /// Since the period began.
    Budget(Period),
}

impl fmt::Display for CountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window(per) => write!(f, "window-{}", per.as_micros()),
            Self::Leases => f.write_str("leases"),
            Self::Budget(Period::Day) => f.write_str("day"),
            Self::Budget(Period::Month) => f.write_str("month"),
        }
    }
}

/// One count that an ask draws on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What is counted.
    pub key: LimitKey,
    /// How much is allowed.
    pub limit: Limit,
    /// How much this ask takes.
    pub amount: u64,
}

/// All charges of one ask.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reserve {
    /// The reservation to make.
    pub id: ReservationId,
    /// Every count it draws on.
    pub charges: Vec<Charge>,
    /// How long a lease lives without `renew`.
    pub ttl: Duration,
}

impl Reserve {
    /// A reservation of `charges`, all of one tenant, whose leases live for a minute.
    #[must_use]
    pub fn new(charges: Vec<Charge>) -> Self {
        let tenant = charges.first().map_or_else(|| "".into(), |charge| charge.key.tenant.clone());
        Self { id: ReservationId::new(tenant), charges, ttl: Duration::from_secs(60) }
    }

    /// The same with another lease time.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }
}

/// The state of one count after a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is counted.
    pub key: LimitKey,
    /// How much is taken, this reservation included.
    pub used: u64,
    /// How much is allowed.
    pub max: u64,
    /// When the oldest part of it is free again.
    pub reset_after: Duration,
}

/// A granted reservation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reservation {
    /// Its identity.
    pub id: ReservationId,
    /// One standing per charge, in the order of the charges.
    pub standings: Vec<Standing>,
}

impl Reservation {
    /// A granted reservation.
    #[must_use]
    pub fn new(id: ReservationId, standings: Vec<Standing>) -> Self {
        Self { id, standings }
    }
}

/// What a reservation really took. A charge not named keeps its reserved amount.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settle {
    /// The reservation.
    pub id: ReservationId,
    /// Real amounts of budgets, by key.
    pub actuals: Vec<(LimitKey, u64)>,
    /// Whether all of it is given back, windows too: nothing was done for it.
    pub undo: bool,
}

impl Settle {
    /// Settles with the reserved amounts and gives leases back.
    #[must_use]
    pub fn new(id: ReservationId) -> Self {
        Self { id, actuals: Vec::new(), undo: false }
    }

    /// Takes the reservation back, as if it had never been made.
    #[must_use]
    pub fn undo(id: ReservationId) -> Self {
        Self { undo: true, ..Self::new(id) }
    }
}

/// Why nothing was reserved.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// A count is full.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The backend cannot be asked. Fail closed.
    #[error("the rate limiter cannot be reached: {message}")]
    Unavailable {
        /// What went wrong.
        message: String,
    },
}

impl LimitError {
    /// What was full.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unavailable { .. } => None,
        }
    }
}

/// Counts what people do, exactly, and refuses what is too much.
///
/// # Contract
/// * **Atomic**: `reserve` takes all charges or none; N allowed means N, under any concurrency and
///   across every instance that shares the backend. A refused reservation counts nothing.
/// * **Shared**: what one instance reserved, any other that shares the backend may settle, undo and renew.
/// * **Idempotent**: `reserve` with an id that is held already changes nothing and returns its
///   standings; `settle` of an unknown or settled id is `Ok`.
/// * **Counts** are told apart by key, kind of limit, and the window's length or budget's period.
///   Charges of one reservation are of one tenant; several of one count add up.
/// * **Leases** end with `settle`, or when `ttl` passes without `renew`; windows keep their charge.
/// * **Undone**, a reservation whose `ttl` runs leaves no charge behind, in windows and budgets neither.
/// * **Budgets** are settled while the reservation's `ttl` runs, also to more than was reserved or is allowed; after it
///   the reserved amount stays, and neither `settle` nor undoing changes anything.
/// * **Clock**: the backend's own, monotonic or the server's; never the caller's.
/// * **Cancellation**: a dropped `reserve` leaves either nothing or a reservation that its ttl ends.
#[async_trait]
pub trait RateLimiter: Send + Sync + fmt::Debug {
    /// Takes all charges, or refuses all.
    ///
    /// # Errors
    /// [`LimitError::Refused`] with the count that stays full the longest, [`LimitError::Unavailable`] when the backend is away.
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError>;

    /// Corrects budgets to what was really used and gives leases back, or everything.
    ///
    /// # Errors
    /// [`LimitError::Unavailable`].
    async fn settle(&self, settle: &Settle) -> Result<(), LimitError>;

    /// Keeps the leases of a reservation alive for another ttl.
    ///
    /// # Errors
    /// [`LimitError::Unavailable`].
    async fn renew(&self, id: &ReservationId) -> Result<(), LimitError>;

    /// How the counts of charges of one tenant stand, also where more is taken by now than may be. Nothing is taken,
    /// whatever the amounts say. Unless a backend knows better, it is asked for nothing of each.
    ///
    /// # Errors
    /// [`LimitError::Unavailable`].
    async fn peek(&self, charges: &[Charge]) -> Result<Vec<Standing>, LimitError> {
        let mut standings = Vec::with_capacity(charges.len());
        for charge in charges {
            let (key, max) = (charge.key.clone(), charge.limit.max());
            let nothing = Reserve::new(vec![Charge { amount: 0, ..charge.clone() }]);
            standings.push(match self.reserve(&nothing).await {
                Ok(counted) => {
                    self.settle(&Settle::undo(counted.id)).await?;
                    let none = || Standing { key, used: 0, max, reset_after: Duration::ZERO };
                    counted.standings.into_iter().next().unwrap_or_else(none)
                }
                Err(LimitError::Refused(full)) => Standing { key, used: full.used, max, reset_after: full.retry_after },
                Err(away) => return Err(away),
            });
        }
        Ok(standings)
    }
}

#[async_trait]
impl<T: RateLimiter + ?Sized> RateLimiter for Arc<T> {
    async fn reserve(&self, request: &Reserve) -> Result<Reservation, LimitError> {
        (**self).reserve(request).await
    }

    async fn settle(&self, settle: &Settle) -> Result<(), LimitError> {
        (**self).settle(settle).await
    }

    async fn renew(&self, id: &ReservationId) -> Result<(), LimitError> {
        (**self).renew(id).await
    }

    async fn peek(&self, charges: &[Charge]) -> Result<Vec<Standing>, LimitError> {
        (**self).peek(charges).await
    }
}
