//! Ways to a server: everybody's, and those of callers who are known there by tokens of their own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwapOption;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::{super::connection::Connection, connecting::Attempts};
use crate::{
    identity::{CallerToken, TokenDigest},
    mcp::{CallContext, McpError},
};

/// Most callers whose own connections to one server are open at once.
pub(super) const MOST_LANES: usize = 256;

/// One connection, made anew when it is lost, and by whose credentials it is made.
pub(in crate::mcp::pool) struct Lane {
    pub(super) connection: ArcSwapOption<Connection>,
    /// Held while connecting, so that all who need the connection wait for one attempt.
    pub(super) connecting: AsyncMutex<Attempts>,
    /// Held while the server is told whose changes are wanted, so that it is told in order.
    pub(super) subscribing: AsyncMutex<()>,
    /// Whoever looks after a caller's own connection is woken when it has come to its end.
    pub(super) woken: Arc<Notify>,
    token: Option<Arc<CallerToken>>,
}

impl Lane {
    /// Everybody's.
    pub(super) fn shared() -> Arc<Self> {
        Arc::new(Self::of(None))
    }

    fn of(token: Option<Arc<CallerToken>>) -> Self {
        Self {
            connection: ArcSwapOption::empty(),
            connecting: AsyncMutex::default(),
            subscribing: AsyncMutex::default(),
            woken: Arc::default(),
            token,
        }
    }

    /// Whose it is; `None` where it is everybody's.
    pub(super) fn key(&self) -> Option<TokenDigest> {
        self.token.as_ref().map(|token| token.digest())
    }

    pub(super) fn token(&self) -> Option<&Arc<CallerToken>> {
        self.token.as_ref()
    }

    /// The connection, whether it still works or not.
    pub(super) fn present(&self) -> Option<Arc<Connection>> {
        self.connection.load_full()
    }

    /// The same request with what the connection is made with.
    pub(super) fn lets_in(&self, mut cx: CallContext) -> CallContext {
        let header = |token: &Arc<CallerToken>| {
            let value = SecretString::from(format!("Bearer {}", token.secret().expose_secret()));
            [("authorization".to_owned(), value)].into()
        };
        cx.credentials = self.token.as_ref().map(header);
        cx
    }
}

struct Seat {
    lane: Arc<Lane>,
    used: u64,
}

/// Callers' own ways, those in use and those that may be used again soon.
#[derive(Default)]
pub(super) struct Lanes(Mutex<Seats>);

#[derive(Default)]
struct Seats {
    by_token: HashMap<TokenDigest, Seat>,
    uses: u64,
}

/// What came of looking for a caller's way.
pub(super) struct Found {
    pub(super) lane: Arc<Lane>,
    pub(super) is_new: bool,
    /// One that had to make room.
    pub(super) gone: Option<Arc<Lane>>,
}

impl Lanes {
    /// The way of whoever has this token. Where there are too many, the one goes that was not used for longest and
    /// that nobody uses: `is_free` says of which that can be said.
    pub(super) fn of(&self, token: &Arc<CallerToken>, is_free: impl Fn(&Lane) -> bool) -> Result<Found, McpError> {
        let mut seats = self.seats();
        seats.uses += 1;
        let now = seats.uses;
        if let Some(seat) = seats.by_token.get_mut(&token.digest()) {
            seat.used = now;
            return Ok(Found { lane: seat.lane.clone(), is_new: false, gone: None });
        }
        let gone = if seats.by_token.len() < MOST_LANES { None } else { Some(seats.make_room(is_free)?) };
        let lane = Arc::new(Lane::of(Some(token.clone())));
        seats.by_token.insert(token.digest(), Seat { lane: lane.clone(), used: now });
        Ok(Found { lane, is_new: true, gone })
    }

    /// The way of a token, if it is there.
    pub(super) fn known(&self, key: TokenDigest) -> Option<Arc<Lane>> {
        self.seats().by_token.get(&key).map(|seat| seat.lane.clone())
    }

    /// Takes a way out, unless somebody uses it.
    pub(super) fn leave(&self, lane: &Arc<Lane>) -> bool {
        // The table has one, whoever asks has another.
        const ASKING: usize = 2;
        let mut seats = self.seats();
        let is_used = Arc::strong_count(lane) > ASKING;
        let Some(key) = lane.key().filter(|_| !is_used) else { return false };
        seats.by_token.remove(&key).is_some()
    }

    /// Takes one out whose token has ended.
    pub(super) fn end(&self, lane: &Lane) {
        if let Some(key) = lane.key() {
            self.seats().by_token.remove(&key);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Lane>> {
        self.seats().by_token.values().map(|seat| seat.lane.clone()).collect()
    }

    pub(super) fn clear(&self) -> Vec<Arc<Lane>> {
        std::mem::take(&mut self.seats().by_token).into_values().map(|seat| seat.lane).collect()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn make_room(&mut self, is_free: impl Fn(&Lane) -> bool) -> Result<Arc<Lane>, McpError> {
        let free = self.by_token.iter().filter(|(_, seat)| Arc::strong_count(&seat.lane) == 1 && is_free(&seat.lane));
        let oldest = free.min_by_key(|(_, seat)| seat.used).map(|(key, _)| *key);
        let seat = oldest.and_then(|key| self.by_token.remove(&key));
        seat.map(|seat| seat.lane).ok_or(McpError::Busy { limit: MOST_LANES })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn token(number: usize) -> Arc<CallerToken> {
        let ends = SystemTime::now() + Duration::from_secs(60);
        Arc::new(CallerToken::new(format!("token {number}").into(), vec!["s".into()], ends))
    }

    #[test]
    fn ways_are_bounded_and_the_one_goes_that_nobody_used_for_longest() {
        let lanes = Lanes::default();
        let all: Vec<_> = (0..MOST_LANES).map(token).collect();
        for token in &all {
            assert!(lanes.of(token, |_| true).unwrap().is_new);
        }
        let used = lanes.of(&all[0], |_| true).unwrap();
        assert!(!used.is_new, "the same token has the same way");
        let gone = lanes.of(&token(MOST_LANES), |_| true).unwrap().gone.unwrap();
        assert_eq!(gone.key(), Some(all[1].digest()), "the first one is used");
        assert_eq!(lanes.all().len(), MOST_LANES);
        let busy = lanes.of(&token(MOST_LANES + 1), |_| false).err();
        assert!(matches!(busy, Some(McpError::Busy { limit: MOST_LANES })), "{busy:?}");
    }

    #[test]
    fn a_way_stays_while_somebody_uses_it() {
        let lanes = Lanes::default();
        let (mine, theirs) = (lanes.of(&token(1), |_| true).unwrap().lane, lanes.known(token(1).digest()));
        assert!(!lanes.leave(&mine));
        drop(theirs);
        assert!(lanes.leave(&mine));
        assert!(lanes.known(token(1).digest()).is_none());
    }

    #[test]
    fn nobody_elses_request_has_the_token() {
        let cx = || CallContext::within(Duration::from_secs(1));
        assert!(Lane::shared().lets_in(cx()).credentials.is_none());
        let own = Lane::of(Some(token(7))).lets_in(cx()).credentials.unwrap();
        assert_eq!(own["authorization"].expose_secret(), "Bearer token 7");
    }
}
