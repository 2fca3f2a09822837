//! The contract of stores of parked runs.

#![allow(clippy::expect_used, reason = "this is test code")]

use std::time::Duration;

use chrono::Utc;
use futures::future::join_all;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{
    ask::Source,
    confirm::{Change, Confirmation, MAX_RUN_BYTES, ParkedRun, RunStore, State, Whose},
};

/// Longer than any of these tests.
const LONG: Duration = Duration::from_secs(600);
const BODY: &str = "{ \"b\":1.0, \"a\" : \"é \\u0000 'x' \u{1f980}\" }";

/// Checks a store of parked runs that nobody else uses meanwhile: what lapses and what is left is told to one caller.
///
/// # Panics
/// Where the contract is broken.
pub async fn run_store_contract(store: &dyn RunStore) {
    what_is_read_is_what_was_parked(store).await;
    what_is_too_large_is_not_parked(store).await;
    the_pending_are_listed_by_asker_and_tenant(store).await;
    a_step_is_taken_once_and_only_from_where_it_begins(store, store).await;
    a_run_is_claimed_once_and_not_before_all_is_decided(store, store).await;
    a_call_begins_only_while_its_run_is_claimed(store).await;
    what_a_run_leaves_is_told_once(store).await;
    nobody_agrees_to_what_is_over_and_it_expires_once(store).await;
    a_lease_that_runs_out_makes_what_ran_unknown(store).await;
    what_is_decided_and_left_is_found_until_somebody_takes_it_on(store).await;
    what_still_waits_when_its_run_ends_is_void(store).await;
    that_a_decision_is_recorded_is_kept(store).await;
    what_waits_may_become_the_word_of_somebody_else(store).await;
}

/// Checks that two stores over the same backend, each with connections of its own, are one.
///
/// # Panics
/// Where the contract is broken.
pub async fn shared_run_store_contract(one: &dyn RunStore, other: &dyn RunStore) {
    a_step_is_taken_once_and_only_from_where_it_begins(one, other).await;
    a_run_is_claimed_once_and_not_before_all_is_decided(one, other).await;
}

/// A call that waits.
#[must_use]
pub fn confirmation(run: Uuid, subject: &str) -> Confirmation {
    let now = Utc::now();
    Confirmation {
        id: Uuid::now_v7(),
        run,
        call_id: "call_0_0".into(),
        tenant: "default".into(),
        subject: subject.into(),
        actor: None,
        source: Source::Http,
        thread: None,
        server: "lab".into(),
        tool: "wipe".into(),
        arguments: RawValue::from_string("{ \"table\":\"é \\u0000\" }".into()).unwrap_or_default(),
        tool_digest: "t".into(),
        rule: "mcps.lab.confirm: wipe".into(),
        rule_digest: "r".into(),
        digest: "d".into(),
        created_at: now,
        expires_at: now,
        state: State::Pending,
        decided_by: None,
        decided_at: None,
        reason: None,
        recorded_at: None,
    }
}

/// A run with so many calls, parked for some time.
async fn parked(store: &dyn RunStore, calls: usize, expiry: Duration) -> Vec<Confirmation> {
    let run = Uuid::now_v7();
    let subject = format!("{}@x.org", run.simple());
    let waiting: Vec<_> = (0..calls).map(|_| confirmation(run, &subject)).collect();
    store.park(ParkedRun::new(run, BODY, &waiting, expiry)).await.expect("a run can be parked");
    read(store, run).await
}

async fn read(store: &dyn RunStore, run: Uuid) -> Vec<Confirmation> {
    store.of_run(run).await.expect("they can be read")
}

async fn states(store: &dyn RunStore, run: Uuid) -> Vec<State> {
    read(store, run).await.iter().map(|one| one.state).collect()
}

async fn change(store: &dyn RunStore, id: Uuid, from: State, to: State) -> bool {
    store.change(Change::new(id, from, to).by("eve@x.org")).await.expect("a step can be taken")
}

async fn approve(store: &dyn RunStore, one: &Confirmation) -> bool {
    change(store, one.id, State::Pending, State::Approved).await
}

async fn claim(store: &dyn RunStore, run: Uuid, lease: Duration) -> bool {
    store.claim(run, lease).await.expect("a run can be claimed")
}

async fn what_is_read_is_what_was_parked(store: &dyn RunStore) {
    let run = Uuid::now_v7();
    let (mut first, second) = (confirmation(run, "ada@x.org"), confirmation(run, "ada@x.org"));
    (first.actor, first.thread) = (Some("bot".into()), Some("t 1".into()));
    (first.call_id, first.rule, first.digest) = ("toolu_é'\"".into(), "mcps.lab.confirm: w*pe".into(), "d 1".into());
    (first.tool_digest, first.rule_digest) = ("t 1".into(), "r 1".into());
    store.park(ParkedRun::new(run, BODY, &[first.clone(), second.clone()], LONG)).await.expect("it can be parked");
    assert_eq!(store.body(run).await.expect("it can be read").as_deref(), Some(BODY), "byte for byte");
    let kept = read(store, run).await;
    assert_eq!(kept.iter().map(|one| one.id).collect::<Vec<_>>(), [first.id, second.id], "in their order");
    let one = store.confirmation(first.id).await.expect("it can be read").expect("it is there");
    assert_eq!(one.arguments.get(), first.arguments.get(), "byte for byte");
    assert_eq!(one.bound().digest(), first.bound().digest());
    assert_eq!((one.call_id, one.rule, one.digest), (first.call_id.clone(), first.rule.clone(), first.digest.clone()));
    assert_eq!((one.tool_digest, one.rule_digest), (first.tool_digest.clone(), first.rule_digest.clone()));
    assert_eq!((one.actor, one.thread, one.source), (first.actor, first.thread, first.source));
    assert_eq!((one.state, one.decided_by, one.reason), (State::Pending, None, None));
    let waits = one.expires_at - one.created_at;
    assert_eq!(waits.num_seconds(), i64::try_from(LONG.as_secs()).unwrap_or(0));
    assert!(store.confirmation(Uuid::now_v7()).await.expect("it can be looked for").is_none());
    assert!(store.body(Uuid::now_v7()).await.expect("it can be looked for").is_none());
    let again = store.park(ParkedRun::new(run, BODY, &[confirmation(run, "ada@x.org")], LONG)).await;
    assert!(again.is_err() && store.body(run).await.expect("it can be read").is_some());
    assert_eq!(read(store, run).await.len(), 2, "what was there is as it was");
}

async fn what_is_too_large_is_not_parked(store: &dyn RunStore) {
    let run = Uuid::now_v7();
    let body = "x".repeat(MAX_RUN_BYTES + 1);
    assert!(store.park(ParkedRun::new(run, &body, &[confirmation(run, "ada@x.org")], LONG)).await.is_err());
    assert!(read(store, run).await.is_empty());
}

async fn the_pending_are_listed_by_asker_and_tenant(store: &dyn RunStore) {
    let (run, tenant) = (Uuid::now_v7(), Uuid::new_v4().simple().to_string());
    let of = |subject: &str| Confirmation { tenant: tenant.clone(), ..confirmation(run, subject) };
    let waiting = [of("ada@x.org"), of("eve@x.org"), of("ada@x.org")];
    store.park(ParkedRun::new(run, BODY, &waiting, LONG)).await.expect("it can be parked");
    let list = async |whose: Whose<'_>, limit: usize| {
        let found = store.pending(whose, limit).await.expect("they can be listed");
        found.iter().map(|one| one.id).collect::<Vec<_>>()
    };
    let ids: Vec<Uuid> = waiting.iter().map(|one| one.id).collect();
    assert_eq!(list(Whose::all(&tenant), 10).await, ids);
    assert_eq!(list(Whose::all(&tenant), 2).await, ids[..2]);
    assert_eq!(list(Whose::of(&tenant, "ada@x.org"), 10).await, [ids[0], ids[2]]);
    assert!(list(Whose::of("default", &tenant), 10).await.is_empty());
    assert!(approve(store, &waiting[0]).await);
    assert_eq!(list(Whose::all(&tenant), 10).await, ids[1..], "what is decided is not pending");
}

async fn a_step_is_taken_once_and_only_from_where_it_begins(one: &dyn RunStore, other: &dyn RunStore) {
    let waiting = parked(one, 1, LONG).await;
    let id = waiting[0].id;
    assert!(!change(one, id, State::Pending, State::Running).await, "there is no such step");
    assert!(!change(one, id, State::Approved, State::Running).await, "it is not there");
    let stores = [one, other];
    let tries = (0..16).map(|n| {
        let to = if n % 3 == 0 { State::Denied } else { State::Approved };
        change(stores[n % 2], id, State::Pending, to)
    });
    let won = join_all(tries).await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1, "one decides");
    let now = read(other, waiting[0].run).await.remove(0);
    assert!(now.decided_at.is_some() && now.decided_by.as_deref() == Some("eve@x.org"));
    assert!(!change(one, Uuid::now_v7(), State::Pending, State::Approved).await, "there is none");
}

async fn a_run_is_claimed_once_and_not_before_all_is_decided(one: &dyn RunStore, other: &dyn RunStore) {
    let waiting = parked(one, 2, LONG).await;
    let run = waiting[0].run;
    assert!(approve(one, &waiting[0]).await && !claim(other, run, LONG).await, "one is not decided");
    let because = Change::new(waiting[1].id, State::Pending, State::Denied).by("eve@x.org").because(Some("no"));
    assert!(other.change(because).await.expect("it can be decided"));
    let stores = [one, other];
    let won = join_all((0..8).map(|n| claim(stores[n % 2], run, LONG))).await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    assert!(other.renew(run, LONG).await.expect("it can be renewed"));
    assert!(one.body(run).await.expect("it can be looked for").is_none(), "somebody has it");
    assert_eq!(read(one, run).await[1].reason.as_deref(), Some("no"));
    one.end(run, Some("{}")).await.expect("it can end");
    assert!(!claim(other, run, LONG).await && !other.renew(run, LONG).await.expect("it can be tried"));
}

async fn a_call_begins_only_while_its_run_is_claimed(store: &dyn RunStore) {
    let waiting = parked(store, 1, LONG).await;
    let (id, run) = (waiting[0].id, waiting[0].run);
    assert!(approve(store, &waiting[0]).await);
    assert!(!change(store, id, State::Approved, State::Running).await, "nobody has the run");
    assert!(claim(store, run, LONG).await);
    assert!(change(store, id, State::Approved, State::Running).await);
    assert!(!change(store, id, State::Approved, State::Running).await, "it is used once");
    assert!(change(store, id, State::Running, State::Done).await);
    store.end(run, None).await.expect("it can end");
    assert_eq!(states(store, run).await, [State::Done]);
}

async fn what_a_run_leaves_is_told_once(store: &dyn RunStore) {
    let waiting = parked(store, 3, LONG).await;
    let run = waiting[0].run;
    for one in &waiting {
        assert!(approve(store, one).await);
    }
    assert!(claim(store, run, LONG).await);
    for (one, to) in [(&waiting[0], State::Done), (&waiting[1], State::Running)] {
        assert!(change(store, one.id, State::Approved, State::Running).await);
        assert!(to == State::Running || change(store, one.id, State::Running, to).await);
    }
    let left = store.end(run, Some("\"told\"")).await.expect("it can end");
    let mut told: Vec<_> = left.iter().map(|one| (one.id, one.state)).collect();
    told.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(told, [(waiting[1].id, State::UnknownOutcome), (waiting[2].id, State::Void)]);
    assert_eq!(states(store, run).await, [State::Done, State::UnknownOutcome, State::Void]);
    assert!(store.end(run, Some("\"again\"")).await.expect("it can be tried").is_empty());
    assert_eq!(store.result(run).await.expect("it can be read").as_deref(), Some("\"told\""));
    assert!(store.body(run).await.expect("it can be looked for").is_none());
}

async fn nobody_agrees_to_what_is_over_and_it_expires_once(store: &dyn RunStore) {
    let waiting = parked(store, 1, Duration::ZERO).await;
    let (run, id) = (waiting[0].run, waiting[0].id);
    assert!(!approve(store, &waiting[0]).await && !change(store, id, State::Pending, State::Denied).await);
    assert!(store.pending(Whose::of("default", &waiting[0].subject), 10).await.expect("they are listed").is_empty());
    let mut told = 0;
    for _ in 0..3 {
        let lapsed = store.lapse().await.expect("time can pass");
        told += lapsed.iter().filter(|one| one.id == id && one.state == State::Expired).count();
    }
    assert_eq!(told, 1);
    assert_eq!(states(store, run).await, [State::Expired]);
    assert!(claim(store, run, LONG).await, "all is decided");
    store.end(run, None).await.expect("it can end");
}

async fn a_lease_that_runs_out_makes_what_ran_unknown(store: &dyn RunStore) {
    let waiting = parked(store, 2, LONG).await;
    let run = waiting[0].run;
    for one in &waiting {
        assert!(approve(store, one).await);
    }
    assert!(claim(store, run, LONG).await);
    assert!(change(store, waiting[0].id, State::Approved, State::Running).await);
    store.lapse().await.expect("time can pass");
    assert_eq!(states(store, run).await, [State::Running, State::Approved], "its lease holds");
    assert!(store.renew(run, Duration::ZERO).await.expect("it can be renewed"));
    assert!(!change(store, waiting[1].id, State::Approved, State::Running).await, "its lease is over");
    store.lapse().await.expect("time can pass");
    assert_eq!(states(store, run).await, [State::UnknownOutcome, State::Void]);
    assert!(!change(store, waiting[0].id, State::Running, State::Done).await, "nobody knows any more");
    assert!(!store.renew(run, LONG).await.expect("it can be tried"), "it is over");
}

async fn what_is_decided_and_left_is_found_until_somebody_takes_it_on(store: &dyn RunStore) {
    let found = async |run: Uuid| store.decided(1_000).await.expect("they can be looked for").contains(&run);
    let waiting = parked(store, 2, LONG).await;
    let run = waiting[0].run;
    assert!(approve(store, &waiting[0]).await && !found(run).await, "one is not decided");
    assert!(change(store, waiting[1].id, State::Pending, State::Denied).await && found(run).await);
    assert!(store.decided(0).await.expect("they can be looked for").is_empty());
    assert!(claim(store, run, LONG).await && !found(run).await, "somebody has it");
    let unanswered = parked(store, 1, Duration::ZERO).await;
    store.lapse().await.expect("time can pass");
    assert_eq!(states(store, unanswered[0].run).await, [State::Expired]);
    assert!(!found(unanswered[0].run).await, "nobody answered");
}

async fn what_still_waits_when_its_run_ends_is_void(store: &dyn RunStore) {
    let waiting = parked(store, 2, LONG).await;
    let run = waiting[0].run;
    assert!(change(store, waiting[0].id, State::Pending, State::Denied).await);
    let left = store.end(run, None).await.expect("it can end");
    assert_eq!(left.iter().map(|one| (one.id, one.state)).collect::<Vec<_>>(), [(waiting[1].id, State::Void)]);
    assert!(!approve(store, &waiting[1]).await && states(store, run).await == [State::Denied, State::Void]);
}

async fn that_a_decision_is_recorded_is_kept(store: &dyn RunStore) {
    let waiting = parked(store, 2, LONG).await;
    let run = waiting[0].run;
    for one in &waiting {
        assert!(approve(store, one).await);
    }
    store.recorded(waiting[0].id, "eve@x.org").await.expect("it can be noted");
    store.recorded(waiting[1].id, "bob@x.org").await.expect("it is not theirs");
    store.recorded(Uuid::now_v7(), "eve@x.org").await.expect("it can be tried");
    let is_recorded = |all: &[Confirmation]| all.iter().map(|one| one.recorded_at.is_some()).collect::<Vec<_>>();
    assert_eq!(is_recorded(&read(store, run).await), [true, false]);
    let mut left = store.end(run, None).await.expect("it can end");
    left.sort_unstable_by_key(|one| one.id);
    assert_eq!(is_recorded(&left), [true, false]);
}

async fn what_waits_may_become_the_word_of_somebody_else(store: &dyn RunStore) {
    let waiting = parked(store, 1, LONG).await;
    let (id, run) = (waiting[0].id, waiting[0].run);
    let left = async || {
        let listed = store.agreed(Whose::of("default", &waiting[0].subject), 10).await.expect("they can be listed");
        listed.iter().map(|one| one.id).collect::<Vec<_>>()
    };
    let again = async || store.agree_again(id, "eve@x.org", "bob@x.org").await.expect("it can be tried");
    assert!(!again().await, "nobody agreed");
    assert!(left().await.is_empty() && approve(store, &waiting[0]).await);
    store.recorded(id, "eve@x.org").await.expect("it can be noted");
    assert_eq!(left().await, [id]);
    assert!(again().await && !again().await, "it is not hers any more");
    let now = read(store, run).await.remove(0);
    assert_eq!((now.state, now.decided_by.as_deref(), now.recorded_at), (State::Approved, Some("bob@x.org"), None));
    let back = async || store.agree_again(id, "bob@x.org", "eve@x.org").await.expect("it can be tried");
    assert!(claim(store, run, LONG).await && left().await.is_empty());
    assert!(!back().await, "it is carried out");
    store.end(run, None).await.expect("it can end");
    assert!(!back().await, "it is over");
}
