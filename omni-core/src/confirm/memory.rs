//! Parked runs in memory: bounded, and gone with the process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Change, Confirmation, GRACE, KEPT, LEFT, MAX_RUN_BYTES, ParkedRun, RunError, RunStore, State, TOO_LATE, Whose,
};
use crate::clock;

/// Most runs.
const MAX_RUNS: usize = 1_000;
/// Most bytes of all runs together.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Parked runs of one process. When there is no room for more, those go that ended first; where none has
/// ended, no more are taken.
pub struct MemoryRuns {
    state: Mutex<HashMap<Uuid, Run>>,
    max_runs: usize,
    max_bytes: usize,
}

struct Run {
    phase: Phase,
    confirmations: Vec<Confirmation>,
    /// Until when somebody may decide.
    expires: Instant,
}

enum Phase {
    Parked { body: String },
    Claimed { until: Instant },
    Ended { at: Instant, result: Option<String> },
}

impl Run {
    fn bytes(&self) -> usize {
        let own = match &self.phase {
            Phase::Parked { body } => body.len(),
            Phase::Ended { result: Some(result), .. } => result.len(),
            Phase::Claimed { .. } | Phase::Ended { result: None, .. } => 0,
        };
        own + self.confirmations.iter().map(|one| one.arguments.get().len() + 512).sum::<usize>()
    }

    fn ended_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ended { at, .. } => Some(at),
            Phase::Parked { .. } | Phase::Claimed { .. } => None,
        }
    }

    fn end(&mut self, result: Option<String>) -> Vec<Confirmation> {
        self.phase = Phase::Ended { at: Instant::now(), result };
        let left = |one: &mut Confirmation| {
            let (_, to, why) = LEFT.into_iter().find(|(from, ..)| *from == one.state)?;
            (one.state, one.reason) = (to, Some(why.to_owned()));
            Some(one.clone())
        };
        self.confirmations.iter_mut().filter_map(left).collect()
    }

    /// Calls that nobody decided on in time.
    fn expire(&mut self, now: DateTime<Utc>) -> Vec<Confirmation> {
        if Instant::now() < self.expires {
            return Vec::new();
        }
        let pending = self.confirmations.iter_mut().filter(|one| one.state == State::Pending);
        let expired = pending.map(|one| {
            (one.state, one.decided_at, one.reason) = (State::Expired, Some(now), Some(TOO_LATE.to_owned()));
            one.clone()
        });
        expired.collect()
    }

    /// Whether all of its calls are decided, and nobody has taken it on.
    fn is_decided(&self) -> bool {
        matches!(self.phase, Phase::Parked { .. }) && self.confirmations.iter().all(Confirmation::is_decided)
    }

    /// Whether whoever has it is gone, or nobody came for it.
    fn is_left_behind(&self) -> bool {
        match self.phase {
            Phase::Parked { .. } => Instant::now() >= self.expires + GRACE,
            Phase::Claimed { until } => Instant::now() >= until,
            Phase::Ended { .. } => false,
        }
    }
}

impl Default for MemoryRuns {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRuns").field("runs", &self.runs().len()).finish_non_exhaustive()
    }
}

impl MemoryRuns {
    /// Room for a thousand runs and 64 MiB of them.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room(MAX_RUNS, MAX_BYTES)
    }

    /// Other room.
    #[must_use]
    pub fn with_room(max_runs: usize, max_bytes: usize) -> Self {
        Self { state: Mutex::default(), max_runs, max_bytes }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<Uuid, Run>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for so many more runs and bytes by what ended first.
    fn make_room(&self, runs: &mut HashMap<Uuid, Run>, more_runs: usize, more: usize) -> Result<(), RunError> {
        let mut bytes: usize = runs.values().map(Run::bytes).sum();
        while runs.len() + more_runs > self.max_runs || bytes + more > self.max_bytes {
            let ended = runs.iter().filter_map(|(id, run)| Some((run.ended_at()?, *id)));
            let (_, oldest) = ended.min().ok_or_else(|| RunError::new("there is no room for more of them"))?;
            bytes -= runs.remove(&oldest).map_or(0, |run| run.bytes());
        }
        Ok(())
    }
}

#[async_trait]
impl RunStore for MemoryRuns {
    async fn park(&self, run: ParkedRun<'_>) -> Result<(), RunError> {
        if run.body.len() > MAX_RUN_BYTES {
            return Err(RunError::new(format!("a run may have {MAX_RUN_BYTES} bytes")));
        }
        let expiry = run.expiry.min(clock::FAR);
        let (now, expires) = (Utc::now(), clock::from_now(expiry));
        let at = |one: &Confirmation| {
            let mut one = one.clone();
            (one.created_at, one.expires_at, one.state) = (now, now + expiry, State::Pending);
            one
        };
        let confirmations = run.confirmations.iter().map(at).collect();
        let parked = Run { phase: Phase::Parked { body: run.body.to_owned() }, confirmations, expires };
        let mut runs = self.runs();
        if runs.contains_key(&run.id) {
            return Err(RunError::new(format!("there is a run {} already", run.id)));
        }
        self.make_room(&mut runs, 1, parked.bytes())?;
        runs.insert(run.id, parked);
        Ok(())
    }

    async fn confirmation(&self, id: Uuid) -> Result<Option<Confirmation>, RunError> {
        let runs = self.runs();
        Ok(runs.values().flat_map(|run| &run.confirmations).find(|one| one.id == id).cloned())
    }

    async fn of_run(&self, run: Uuid) -> Result<Vec<Confirmation>, RunError> {
        Ok(self.runs().get(&run).map(|run| run.confirmations.clone()).unwrap_or_default())
    }

    async fn pending(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        let runs = self.runs();
        let in_time = runs.values().filter(|run| Instant::now() < run.expires).flat_map(|run| &run.confirmations);
        let theirs = in_time.filter(|one| one.state == State::Pending && whose.has(one));
        let mut found: Vec<Confirmation> = theirs.cloned().collect();
        found.sort_by_key(|one| (one.created_at, one.id));
        found.truncate(limit);
        Ok(found)
    }

    async fn change(&self, change: Change<'_>) -> Result<bool, RunError> {
        let mut runs = self.runs();
        let holder = runs.values_mut().find(|run| run.confirmations.iter().any(|one| one.id == change.id));
        let Some(run) = holder else { return Ok(false) };
        let is_in_time = Instant::now() < run.expires;
        let is_claimed = matches!(run.phase, Phase::Claimed { until } if Instant::now() < until);
        let is_open = match change.to {
            State::Approved | State::Denied => is_in_time,
            State::Running => is_claimed,
            _ => true,
        };
        let one = run.confirmations.iter_mut().find(|one| one.id == change.id && one.state == change.from);
        let Some(one) = one.filter(|_| is_open && change.from.may_become(change.to)) else { return Ok(false) };
        one.state = change.to;
        if let Some(by) = change.by {
            (one.decided_by, one.decided_at) = (Some(by.to_owned()), Some(Utc::now()));
        }
        one.reason = change.reason.map(str::to_owned).or_else(|| one.reason.take());
        Ok(true)
    }

    async fn agreed(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        let runs = self.runs();
        let decided = runs.values().filter(|run| run.is_decided()).flat_map(|run| &run.confirmations);
        let theirs = decided.filter(|one| one.state == State::Approved && whose.has(one));
        let mut found: Vec<Confirmation> = theirs.cloned().collect();
        found.sort_by_key(|one| (one.created_at, one.id));
        found.truncate(limit);
        Ok(found)
    }

    async fn agree_again(&self, id: Uuid, from: &str, by: &str) -> Result<bool, RunError> {
        let mut runs = self.runs();
        let parked = runs.values_mut().filter(|run| matches!(run.phase, Phase::Parked { .. }));
        let mut agreed = parked.flat_map(|run| &mut run.confirmations).filter(|one| one.state == State::Approved);
        let is_theirs = |one: &&mut Confirmation| one.id == id && one.decided_by.as_deref() == Some(from);
        let Some(one) = agreed.find(is_theirs) else { return Ok(false) };
        (one.decided_by, one.decided_at, one.recorded_at) = (Some(by.to_owned()), Some(Utc::now()), None);
        Ok(true)
    }

    async fn recorded(&self, id: Uuid, by: &str) -> Result<(), RunError> {
        let mut runs = self.runs();
        let is_theirs = |one: &&mut Confirmation| one.id == id && one.decided_by.as_deref() == Some(by);
        if let Some(one) = runs.values_mut().flat_map(|run| &mut run.confirmations).find(is_theirs) {
            one.recorded_at = Some(Utc::now());
        }
        Ok(())
    }

    async fn body(&self, run: Uuid) -> Result<Option<String>, RunError> {
        Ok(self.runs().get(&run).and_then(|run| match &run.phase {
            Phase::Parked { body } => Some(body.clone()),
            Phase::Claimed { .. } | Phase::Ended { .. } => None,
        }))
    }

    async fn claim(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        let mut runs = self.runs();
        let Some(run) = runs.get_mut(&run) else { return Ok(false) };
        let is_due = run.is_decided();
        if is_due {
            run.phase = Phase::Claimed { until: clock::from_now(lease) };
        }
        Ok(is_due)
    }

    async fn renew(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        let mut runs = self.runs();
        match runs.get_mut(&run).map(|run| &mut run.phase) {
            Some(Phase::Claimed { until }) => {
                *until = clock::from_now(lease);
                Ok(true)
            }
            Some(Phase::Parked { .. } | Phase::Ended { .. }) | None => Ok(false),
        }
    }

    async fn end(&self, run: Uuid, result: Option<&str>) -> Result<Vec<Confirmation>, RunError> {
        let mut runs = self.runs();
        if runs.get(&run).is_none_or(|run| run.ended_at().is_some()) {
            return Ok(Vec::new());
        }
        // Made while the run has not ended: it is not what goes. A result without room is not kept.
        let kept = result.filter(|result| self.make_room(&mut runs, 0, result.len()).is_ok());
        Ok(runs.get_mut(&run).map(|run| run.end(kept.map(str::to_owned))).unwrap_or_default())
    }

    async fn result(&self, run: Uuid) -> Result<Option<String>, RunError> {
        Ok(self.runs().get(&run).and_then(|run| match &run.phase {
            Phase::Ended { result, .. } => result.clone(),
            Phase::Parked { .. } | Phase::Claimed { .. } => None,
        }))
    }

    async fn decided(&self, limit: usize) -> Result<Vec<Uuid>, RunError> {
        let runs = self.runs();
        let decided =
            runs.iter().filter(|(_, run)| run.is_decided() && run.confirmations.iter().any(Confirmation::was_answered));
        let mut found: Vec<_> =
            decided.map(|(id, run)| (run.confirmations.first().map(|one| one.created_at), *id)).collect();
        found.sort_unstable();
        Ok(found.into_iter().take(limit).map(|(_, id)| id).collect())
    }

    async fn lapse(&self) -> Result<Vec<Confirmation>, RunError> {
        let mut runs = self.runs();
        runs.retain(|_, run| run.ended_at().is_none_or(|at| at.elapsed() < KEPT));
        let now = Utc::now();
        let mut changed = Vec::new();
        for run in runs.values_mut() {
            changed.extend(run.expire(now));
            if run.is_left_behind() {
                changed.extend(run.end(None));
            }
        }
        Ok(changed)
    }
}
