//! Parked runs in a list.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use omni_core::{
    confirm::{
        Change, Confirmation, GRACE, KEPT, LEFT, MAX_RUN_BYTES, ParkedRun, RunError, RunStore, State, TOO_LATE, Whose,
    },
    testing::{confirmation, run_store_contract, shared_run_store_contract},
};
use uuid::Uuid;

/// The run that was parked last is the last one.
#[derive(Debug, Default)]
struct Runs(Mutex<Vec<Run>>);

#[derive(Debug)]
struct Run {
    id: Uuid,
    phase: Phase,
    calls: Vec<Confirmation>,
    expires_at: DateTime<Utc>,
}

#[derive(Debug)]
enum Phase {
    /// With its body.
    Parked(String),
    /// Until then.
    Claimed(DateTime<Utc>),
    /// Since then, with what came of it.
    Ended(DateTime<Utc>, Option<String>),
}

impl Run {
    fn is_decided(&self) -> bool {
        matches!(self.phase, Phase::Parked(_)) && self.calls.iter().all(Confirmation::is_decided)
    }

    fn is_left_behind(&self, now: DateTime<Utc>) -> bool {
        match self.phase {
            Phase::Parked(_) => self.expires_at + GRACE <= now,
            Phase::Claimed(until) => until <= now,
            Phase::Ended(..) => false,
        }
    }

    fn end(&mut self, result: Option<&str>, now: DateTime<Utc>) -> Vec<Confirmation> {
        self.phase = Phase::Ended(now, result.map(str::to_owned));
        let mut left = Vec::new();
        for one in &mut self.calls {
            let Some((_, to, why)) = LEFT.into_iter().find(|(from, ..)| *from == one.state) else { continue };
            (one.state, one.reason) = (to, Some(why.to_owned()));
            left.push(read(one));
        }
        left
    }

    fn expire(&mut self, now: DateTime<Utc>) -> Vec<Confirmation> {
        let is_over = self.expires_at <= now;
        let over = self.calls.iter_mut().filter(|one| is_over && one.state == State::Pending);
        let expired = over.map(|one| {
            (one.state, one.decided_at, one.reason) = (State::Expired, Some(now), Some(TOO_LATE.to_owned()));
            read(one)
        });
        expired.collect()
    }
}

/// As a store reads it that has columns.
fn read(kept: &Confirmation) -> Confirmation {
    let times = (kept.created_at, kept.expires_at);
    let (call_id, digest) = (kept.call_id.as_str(), kept.digest.as_str());
    let mut one = Confirmation::stored(kept.id, kept.run, call_id, kept.source, &kept.bound(), digest, times);
    (one.thread, one.rule, one.state) = (kept.thread.clone(), kept.rule.clone(), kept.state);
    (one.decided_by, one.decided_at) = (kept.decided_by.clone(), kept.decided_at);
    (one.reason, one.recorded_at) = (kept.reason.clone(), kept.recorded_at);
    one
}

impl Runs {
    fn runs(&self) -> MutexGuard<'_, Vec<Run>> {
        self.0.lock().unwrap()
    }

    /// The calls that are wanted, oldest first.
    fn calls(&self, limit: usize, is_wanted: impl Fn(&Run, &Confirmation) -> bool) -> Vec<Confirmation> {
        let runs = self.runs();
        let calls = runs.iter().flat_map(|run| run.calls.iter().map(move |one| (run, one)));
        let wanted = calls.filter(|(run, one)| is_wanted(run, one));
        let mut found: Vec<Confirmation> = wanted.map(|(_, one)| read(one)).collect();
        found.sort_by_key(|one| (one.created_at, one.id));
        found.truncate(limit);
        found
    }

    /// Does something with a run, if there is one.
    fn with<T: Default>(&self, id: Uuid, act: impl FnOnce(&mut Run) -> T) -> T {
        self.runs().iter_mut().find(|run| run.id == id).map(act).unwrap_or_default()
    }
}

#[async_trait]
impl RunStore for Runs {
    async fn park(&self, run: ParkedRun<'_>) -> Result<(), RunError> {
        let (mut runs, now) = (self.runs(), Utc::now());
        if run.body.len() > MAX_RUN_BYTES || runs.iter().any(|known| known.id == run.id) {
            return Err(RunError::new("it is too large, or there already"));
        }
        let expires_at = now + run.expiry;
        let mut calls = run.confirmations.to_vec();
        for one in &mut calls {
            (one.created_at, one.expires_at, one.state) = (now, expires_at, State::Pending);
        }
        runs.push(Run { id: run.id, phase: Phase::Parked(run.body.to_owned()), calls, expires_at });
        Ok(())
    }

    async fn confirmation(&self, id: Uuid) -> Result<Option<Confirmation>, RunError> {
        Ok(self.calls(1, |_, one| one.id == id).pop())
    }

    async fn of_run(&self, run: Uuid) -> Result<Vec<Confirmation>, RunError> {
        Ok(self.with(run, |run| run.calls.iter().map(read).collect()))
    }

    async fn pending(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        let now = Utc::now();
        Ok(self.calls(limit, |run, one| now < run.expires_at && one.state == State::Pending && whose.has(one)))
    }

    async fn change(&self, change: Change<'_>) -> Result<bool, RunError> {
        let (mut runs, now) = (self.runs(), Utc::now());
        let holder = runs.iter_mut().find(|run| run.calls.iter().any(|one| one.id == change.id));
        let Some(run) = holder else { return Ok(false) };
        let is_open = match change.to {
            State::Approved | State::Denied => now < run.expires_at,
            State::Running => matches!(run.phase, Phase::Claimed(until) if now < until),
            _ => true,
        };
        let one = run.calls.iter_mut().find(|one| one.id == change.id && one.state == change.from);
        let Some(one) = one.filter(|_| is_open && change.from.may_become(change.to)) else { return Ok(false) };
        one.state = change.to;
        if let Some(by) = change.by {
            (one.decided_by, one.decided_at) = (Some(by.to_owned()), Some(now));
        }
        if let Some(reason) = change.reason {
            one.reason = Some(reason.to_owned());
        }
        Ok(true)
    }

    async fn agreed(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        Ok(self.calls(limit, |run, one| run.is_decided() && one.state == State::Approved && whose.has(one)))
    }

    async fn agree_again(&self, id: Uuid, from: &str, by: &str) -> Result<bool, RunError> {
        let mut runs = self.runs();
        let parked = runs.iter_mut().filter(|run| matches!(run.phase, Phase::Parked(_)));
        let mut agreed = parked.flat_map(|run| &mut run.calls).filter(|one| one.state == State::Approved);
        let Some(one) = agreed.find(|one| one.id == id && one.decided_by.as_deref() == Some(from)) else {
            return Ok(false);
        };
        (one.decided_by, one.decided_at, one.recorded_at) = (Some(by.to_owned()), Some(Utc::now()), None);
        Ok(true)
    }

    async fn recorded(&self, id: Uuid, by: &str) -> Result<(), RunError> {
        for one in self.runs().iter_mut().flat_map(|run| &mut run.calls) {
            if one.id == id && one.decided_by.as_deref() == Some(by) {
                one.recorded_at = Some(Utc::now());
            }
        }
        Ok(())
    }

    async fn body(&self, run: Uuid) -> Result<Option<String>, RunError> {
        Ok(self.with(run, |run| match &run.phase {
            Phase::Parked(body) => Some(body.clone()),
            Phase::Claimed(_) | Phase::Ended(..) => None,
        }))
    }

    async fn claim(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        Ok(self.with(run, |run| {
            let is_due = run.is_decided();
            if is_due {
                run.phase = Phase::Claimed(Utc::now() + lease);
            }
            is_due
        }))
    }

    async fn renew(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        Ok(self.with(run, |run| match &mut run.phase {
            Phase::Claimed(until) => {
                *until = Utc::now() + lease;
                true
            }
            Phase::Parked(_) | Phase::Ended(..) => false,
        }))
    }

    async fn end(&self, run: Uuid, result: Option<&str>) -> Result<Vec<Confirmation>, RunError> {
        Ok(self.with(run, |run| match run.phase {
            Phase::Ended(..) => Vec::new(),
            Phase::Parked(_) | Phase::Claimed(_) => run.end(result, Utc::now()),
        }))
    }

    async fn result(&self, run: Uuid) -> Result<Option<String>, RunError> {
        Ok(self.with(run, |run| match &run.phase {
            Phase::Ended(_, result) => result.clone(),
            Phase::Parked(_) | Phase::Claimed(_) => None,
        }))
    }

    async fn decided(&self, limit: usize) -> Result<Vec<Uuid>, RunError> {
        let runs = self.runs();
        let decided = runs.iter().filter(|run| run.is_decided() && run.calls.iter().any(Confirmation::was_answered));
        Ok(decided.take(limit).map(|run| run.id).collect())
    }

    async fn lapse(&self) -> Result<Vec<Confirmation>, RunError> {
        let (mut runs, now) = (self.runs(), Utc::now());
        runs.retain(|run| !matches!(run.phase, Phase::Ended(at, _) if at + KEPT <= now));
        let mut changed = Vec::new();
        for run in runs.iter_mut() {
            changed.extend(run.expire(now));
            if run.is_left_behind(now) {
                changed.extend(run.end(None, now));
            }
        }
        Ok(changed)
    }
}

#[tokio::test]
async fn parked_runs_of_a_programs_own_keep_the_contract() {
    let runs = Runs::default();
    run_store_contract(&runs).await;
    shared_run_store_contract(&runs, &runs).await;
}

#[test]
fn a_call_that_a_store_makes_again_of_its_columns_is_the_one_that_was_kept() {
    let mut kept = confirmation(Uuid::now_v7(), "ada@x.org");
    (kept.actor, kept.thread, kept.state) = (Some("bot".into()), Some("t 1".into()), State::Running);
    (kept.decided_by, kept.decided_at) = (Some("eve@x.org".into()), Some(kept.created_at));
    kept.digest = kept.bound().digest();
    let again = read(&kept);
    assert!(again.holds_for(&kept.bound()).is_ok(), "what was agreed to is agreed to");
    let times = |one: &Confirmation| [Some(one.created_at), Some(one.expires_at), one.decided_at, one.recorded_at];
    assert_eq!(times(&again), times(&kept));
    let texts = |one: &Confirmation| (one.call_id.clone(), one.rule.clone(), one.thread.clone(), one.state.as_str());
    assert_eq!(texts(&again), texts(&kept));
}
