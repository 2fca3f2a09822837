//! From which level on a server logs: what clients want of it, told on every connection.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::AcqRel, Ordering::Acquire, Ordering::Release},
};

use futures::future::join_all;
use serde_json::{json, value::to_raw_value};
use tokio::time::{Duration, Instant, timeout_at};

use super::{super::connection::Connection, Server, guarded, lane::Lane};
use crate::mcp::{CallContext, McpError, McpRequest};

/// How long a new connection waits until its server has taken note.
const NOTE_WITHIN: Duration = Duration::from_secs(2);

/// How severe a log message is, from 0 (debug) to 7 (emergency).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogLevel(u8);

impl LogLevel {
    /// The least severe of all.
    #[cfg(feature = "gateway")]
    pub(crate) const ALL: Self = Self(0);
    const NAMES: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

    /// The level of a name of the protocol's.
    #[cfg(feature = "gateway")]
    pub(crate) fn of(name: &str) -> Option<Self> {
        Self::NAMES.iter().position(|known| *known == name).and_then(|at| u8::try_from(at).ok()).map(Self)
    }

    #[cfg(feature = "gateway")]
    pub(crate) fn number(self) -> u8 {
        self.0
    }

    /// The level of a number that a level gave.
    pub(crate) fn from_number(number: u8) -> Self {
        Self(number.min(7))
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[usize::from(self.0.min(7))]
    }
}

/// The least severe level that any client wanted so far: what each is told is another matter.
#[derive(Debug)]
pub(super) struct Wanted(AtomicU8);

const NONE: u8 = u8::MAX;

impl Default for Wanted {
    fn default() -> Self {
        Self(NONE.into())
    }
}

impl Wanted {
    fn level(&self) -> Option<LogLevel> {
        Some(self.0.load(Acquire)).filter(|number| *number != NONE).map(LogLevel::from_number)
    }

    /// Wants a level, where it is less severe than what was wanted before.
    fn lower(&self, level: LogLevel) -> Option<Lowered<'_>> {
        let before = self.0.fetch_min(level.0, AcqRel);
        (before > level.0).then(|| Lowered { wanted: self, level, before, is_told: false })
    }
}

/// A level that is wanted from now on, so that new connections learn of it; with this value it is taken back, unless
/// the server was told: whoever wants it next tells.
struct Lowered<'a> {
    wanted: &'a Wanted,
    level: LogLevel,
    before: u8,
    is_told: bool,
}

impl Lowered<'_> {
    fn told(mut self) {
        self.is_told = true;
    }
}

impl Drop for Lowered<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            let _ = self.wanted.0.compare_exchange(self.level.0, self.before, AcqRel, Acquire);
        }
    }
}

impl Server {
    /// Wants what was wanted of the one whose place it takes.
    pub(in crate::mcp::pool) fn logs_like(&self, old: &Self) {
        self.level.0.store(old.level.0.load(Acquire), Release);
    }

    /// Has the server log from a level on, now and on connections to come.
    pub(in crate::mcp::pool) async fn log_from(&self, level: LogLevel, cx: &CallContext) -> Result<(), McpError> {
        let Some(lowered) = self.level.lower(level) else { return Ok(()) };
        let mut lanes = self.lanes.all();
        lanes.push(self.shared.clone());
        let told = join_all(lanes.iter().map(|lane| self.tell_level_on(lane, level, cx.deadline))).await;
        told.into_iter().collect::<Result<(), _>>()?;
        lowered.told();
        Ok(())
    }

    async fn tell_level_on(&self, lane: &Lane, level: LogLevel, deadline: Instant) -> Result<(), McpError> {
        // A connection that is being made may have looked before for what is wanted.
        let Ok(_nobody_connects) = timeout_at(deadline, lane.connecting.lock()).await else { return Ok(()) };
        match lane.present().filter(|connection| connection.is_alive(&self.name)) {
            Some(connection) => self.tell_level(&connection, level, deadline).await,
            None => Ok(()),
        }
    }

    /// Tells a new connection's server what clients wanted before there was one.
    pub(super) async fn log_as_wanted(&self, connection: &Arc<Connection>, deadline: Instant) {
        let Some(level) = self.level.level() else { return };
        let deadline = deadline.min(Instant::now() + NOTE_WITHIN);
        if let Err(error) = self.tell_level(connection, level, deadline).await {
            tracing::debug!(server = %self.name, %error, "a server does not log from another level on");
        }
    }

    async fn tell_level(
        &self,
        connection: &Arc<Connection>,
        level: LogLevel,
        deadline: Instant,
    ) -> Result<(), McpError> {
        if !connection.transport.capabilities().logging() {
            return Ok(());
        }
        let Some(connection) = connection.enter() else { return Ok(()) };
        let mut cx = CallContext::within(NOTE_WITHIN);
        cx.deadline = deadline;
        let params = to_raw_value(&json!({ "level": level.name() })).ok();
        guarded(connection.transport.request(McpRequest::new("logging/setLevel", params), &cx)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_severe_level_that_anybody_wanted_counts() {
        let wanted = Wanted::default();
        assert_eq!(wanted.level(), None);
        let level = LogLevel::from_number;
        wanted.lower(level(4)).unwrap().told();
        wanted.lower(level(1)).unwrap().told();
        assert!(wanted.lower(level(1)).is_none() && wanted.lower(level(7)).is_none());
        assert_eq!(wanted.level().map(LogLevel::name), Some("info"));
    }

    #[test]
    fn a_level_that_the_server_was_not_told_is_told_by_whoever_wants_it_next() {
        let wanted = Wanted::default();
        wanted.lower(LogLevel::from_number(4)).unwrap().told();
        for _ in 0..2 {
            drop(wanted.lower(LogLevel::from_number(1)).unwrap());
            assert_eq!(wanted.level().map(LogLevel::name), Some("error"));
        }
    }
}
