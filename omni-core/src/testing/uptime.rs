//! The contract of how servers did.

#![allow(clippy::expect_used, reason = "this is test code")]

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use uuid::Uuid;

use crate::uptime::{Spell, UptimeStore};

/// Checks a store of how servers did. It removes what was seen last more than four hours ago, whosever it is.
///
/// # Panics
/// Where the contract is broken.
pub async fn uptime_store_contract(store: &dyn UptimeStore) {
    let (server, other) = (name(), name());
    let begin = Utc::now().trunc_subsecs(6) - TimeDelta::hours(5);
    let at = |minute: i64| begin + TimeDelta::minutes(minute);
    let watcher = Uuid::now_v7();
    assert_eq!(of(store, begin, &server).await, []);
    let mut up = Spell::new(&*server, watcher, begin, None);
    store.keep(std::slice::from_ref(&up)).await.expect("spells can be written");
    up.last_at = at(10);
    let mut away = Spell::new(&*server, watcher, at(10), Some("refused ä".into()));
    away.last_at = at(20);
    let beside = Spell::new(&*server, Uuid::now_v7(), begin, None);
    let of_other = Spell::new(&*other, watcher, begin, None);
    let all = [up.clone(), away.clone(), beside.clone(), of_other.clone()];
    store.keep(&all).await.expect("spells can be written");
    store.keep(&all).await.expect("spells can be written again");
    let expected = [away.clone(), up.clone(), beside.clone()];
    assert_eq!(of(store, begin, &server).await, expected, "one that goes on is one, and the latest comes first");
    assert_eq!(of(store, at(10), &server).await, [away.clone(), up], "what was seen until then counts");
    assert_eq!(of(store, begin, &other).await, std::slice::from_ref(&of_other));
    let everything = store.since(begin, None).await.expect("spells can be read");
    assert!(everything.contains(&of_other) && everything.contains(&away));
    store.sweep(at(20)).await.expect("what is old can be removed");
    assert_eq!(of(store, begin, &server).await, [away], "what was seen later stays");
    assert_eq!(of(store, begin, &other).await, []);
}

fn name() -> String {
    format!("server-{}", Uuid::new_v4().simple())
}

async fn of(store: &dyn UptimeStore, since: DateTime<Utc>, server: &str) -> Vec<Spell> {
    store.since(since, Some(server)).await.expect("spells can be read")
}
