//! The contract of rate limiters.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::limit::{
    Charge, Limit, LimitError, LimitKey, Period, RateLimiter, Refusal, Reservation, ReservationId, Reserve, Settle,
};

/// Longer than any suite takes.
const LONG: Duration = Duration::from_secs(600);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);
/// How often something is tried that the clock may come in between of.
const MANY: u32 = 60;
/// How many want the same at once.
const CALLERS: u32 = 1_000;

/// Checks a limiter by the system's clock, for a few seconds. It needs a backend that answers: one that is away
/// breaks the contract.
///
/// # Panics
/// Where the contract is broken.
pub async fn rate_limiter_contract(limiter: &dyn RateLimiter) {
    a_window_grants_exactly_its_maximum(limiter).await;
    a_refused_reservation_counts_nothing(limiter).await;
    a_reservation_is_idempotent(limiter).await;
    a_window_slides(limiter).await;
    windows_of_other_lengths_are_other_counts(limiter).await;
    a_large_charge_waits_for_as_much_as_it_needs(limiter).await;
    a_lease_ends_with_settle(limiter).await;
    what_is_undone_was_never_taken(limiter).await;
    a_renewed_lease_lives_longer(limiter, limiter).await;
    a_lease_that_lapsed_is_somebody_elses(limiter).await;
    a_ttl_ends_leases_and_nothing_else_and_what_comes_after_it_changes_nothing(limiter).await;
    a_reserve_that_is_dropped_holds_nothing_beyond_its_ttl(limiter).await;
    a_budget_is_settled_to_what_it_was(limiter).await;
    a_budget_may_be_settled_to_more_than_was_reserved(limiter).await;
    budgets_of_a_day_and_a_month_are_two(limiter).await;
    tenants_do_not_share_a_count(limiter).await;
    no_two_names_are_one_count(limiter).await;
    charges_of_one_reservation_add_up(limiter).await;
    the_refusal_names_the_count_that_stays_full_the_longest(limiter).await;
    a_reservation_of_nothing_is_granted(limiter).await;
    whoever_looks_takes_nothing_and_sees_what_is_taken(limiter).await;
    what_is_reserved_by_many_at_once_never_exceeds_the_maximum(limiter, limiter).await;
}

/// Checks that two limiters over the same backend, each with connections of its own, are one. Of a limiter that is for
/// one process alone both are the same.
///
/// # Panics
/// Where the contract is broken.
pub async fn shared_limiter_contract(one: &dyn RateLimiter, other: &dyn RateLimiter) {
    what_is_reserved_by_many_at_once_never_exceeds_the_maximum(one, other).await;
    budgets_are_never_overspent_by_many_at_once(one, other).await;
    let key = key();
    let held = Reserve::new(vec![lease(&key)]).with_ttl(LONG);
    assert!(reserve(one, &held).await.is_ok());
    assert!(!grants(other, lease(&key)).await, "what one instance holds, another knows");
    settle(other, &Settle::new(held.id)).await;
    assert!(grants(one, lease(&key)).await, "what one instance reserved, another may settle");
    what_one_instance_took_another_takes_back(one, other).await;
    a_renewed_lease_lives_longer(one, other).await;
}

fn key() -> LimitKey {
    LimitKey::new("contract", Uuid::new_v4().to_string())
}

fn charge(key: &LimitKey, limit: Limit, amount: u64) -> Charge {
    Charge { key: key.clone(), limit, amount }
}

fn window(key: &LimitKey, max: u64, per: Duration) -> Charge {
    charge(key, Limit::Window { max, per }, 1)
}

fn lease(key: &LimitKey) -> Charge {
    charge(key, Limit::Concurrent { max: 1 }, 1)
}

fn budget(key: &LimitKey, amount: u64) -> Charge {
    charge(key, Limit::Budget { max: 100, period: Period::Month }, amount)
}

/// The reservation, or the refusal; a limiter that is away fails the suite.
async fn reserve(limiter: &dyn RateLimiter, request: &Reserve) -> Result<Reservation, Refusal> {
    match limiter.reserve(request).await {
        Ok(reservation) => Ok(reservation),
        Err(LimitError::Refused(refusal)) => Err(*refusal),
        Err(error) => {
            assert_eq!(error.to_string(), "", "the limiter answers");
            Ok(Reservation::new(request.id.clone(), Vec::new()))
        }
    }
}

async fn grants(limiter: &dyn RateLimiter, charge: Charge) -> bool {
    reserve(limiter, &Reserve::new(vec![charge])).await.is_ok()
}

async fn settle(limiter: &dyn RateLimiter, settle: &Settle) {
    let settled = limiter.settle(settle).await;
    assert!(settled.is_ok(), "settling works: {settled:?}");
}

async fn a_window_grants_exactly_its_maximum(limiter: &dyn RateLimiter) {
    let key = key();
    for used in 1..=3 {
        let granted = reserve(limiter, &Reserve::new(vec![window(&key, 3, LONG)])).await;
        let standing = granted.ok().and_then(|reservation| reservation.standings.into_iter().next());
        assert_eq!(standing.map(|standing| (standing.used, standing.max)), Some((used, 3)), "standings count up");
    }
    let refusal = reserve(limiter, &Reserve::new(vec![window(&key, 3, LONG)])).await.err();
    let Some(refusal) = refusal else { return assert!(refusal.is_some(), "the fourth of three is refused") };
    assert_eq!((refusal.key, refusal.used), (key, 3), "a refusal says what was taken");
    assert!(refusal.retry_after <= LONG && refusal.retry_after > LONG / 2, "a refusal says when to come back");
}

async fn whoever_looks_takes_nothing_and_sees_what_is_taken(limiter: &dyn RateLimiter) {
    let key = key();
    let charges = [window(&key, 2, LONG), lease(&key), budget(&key, 70)];
    let used = async |charges: &[Charge]| {
        let standings = limiter.peek(charges).await;
        standings.map(|all| all.iter().map(|one| (one.used, one.max)).collect::<Vec<_>>()).unwrap_or_default()
    };
    for _ in 0..3 {
        assert_eq!(used(&charges).await, [(0, 2), (0, 1), (0, 100)], "nothing was taken");
    }
    assert!(reserve(limiter, &Reserve::new(charges.to_vec()).with_ttl(LONG)).await.is_ok(), "all of it is left");
    for _ in 0..3 {
        assert_eq!(used(&charges).await, [(1, 2), (1, 1), (70, 100)], "what is full is told too");
    }
    // More may be taken than is allowed by now.
    assert_eq!(used(&[window(&key, 0, LONG)]).await, [(1, 0)]);
    assert!(grants(limiter, window(&key, 2, LONG)).await, "whoever looked is not counted");
    assert!(!grants(limiter, window(&key, 2, LONG)).await);
    let full = limiter.peek(&charges[..1]).await.ok().and_then(|all| all.into_iter().next());
    assert!(full.is_some_and(|full| full.reset_after <= LONG && full.reset_after > LONG / 2), "it says when");
}

async fn what_is_reserved_by_many_at_once_never_exceeds_the_maximum(one: &dyn RateLimiter, other: &dyn RateLimiter) {
    let (most, key) = (64, key());
    let charges = || vec![window(&key, most, LONG), charge(&key, Limit::Concurrent { max: most }, 1)];
    let all = (0..CALLERS).map(async |caller| {
        let limiter = if caller % 2 == 0 { one } else { other };
        u64::from(reserve(limiter, &Reserve::new(charges()).with_ttl(LONG)).await.is_ok())
    });
    let granted: u64 = futures::future::join_all(all).await.into_iter().sum();
    assert_eq!(granted, most, "N allowed means N");
}

async fn budgets_are_never_overspent_by_many_at_once(one: &dyn RateLimiter, other: &dyn RateLimiter) {
    let key = key();
    let all = (0..CALLERS).map(async |caller| {
        let limiter = if caller % 2 == 0 { one } else { other };
        let request = Reserve::new(vec![budget(&key, 7)]);
        if reserve(limiter, &request).await.is_err() {
            return 0;
        }
        let mut actual = Settle::new(request.id);
        actual.actuals = vec![(key.clone(), 3)];
        settle(limiter, &actual).await;
        3
    });
    let spent: u64 = futures::future::join_all(all).await.into_iter().sum();
    assert!(spent > 0 && spent <= 100, "{spent} of 100 were spent");
    let rest = reserve(one, &Reserve::new(vec![budget(&key, 0)])).await;
    assert_eq!(rest.ok().map(|granted| granted.standings[0].used), Some(spent), "what was spent is what is counted");
}

async fn a_refused_reservation_counts_nothing(limiter: &dyn RateLimiter) {
    let (free, full) = (key(), key());
    assert!(grants(limiter, window(&full, 1, LONG)).await);
    let both = Reserve::new(vec![window(&free, 1, LONG), window(&full, 1, LONG)]);
    assert_eq!(reserve(limiter, &both).await.err().map(|refusal| refusal.key), Some(full), "the full count is named");
    assert!(grants(limiter, window(&free, 1, LONG)).await, "the other count is untouched");
}

async fn a_reservation_is_idempotent(limiter: &dyn RateLimiter) {
    let key = key();
    let request = Reserve::new(vec![window(&key, 2, LONG), charge(&key, Limit::Concurrent { max: 1 }, 1)]);
    for _ in 0..3 {
        let used = reserve(limiter, &request).await.map(|granted| granted.standings[0].used);
        assert_eq!(used.ok(), Some(1), "a repeated reservation counts once");
    }
    for id in [request.id.clone(), request.id, ReservationId::new("contract")] {
        settle(limiter, &Settle::new(id)).await;
    }
    assert!(grants(limiter, window(&key, 2, LONG)).await);
    assert!(!grants(limiter, window(&key, 2, LONG)).await, "settling does not free a window");
}

async fn a_window_slides(limiter: &dyn RateLimiter) {
    let key = key();
    assert!(grants(limiter, window(&key, 1, SHORT)).await);
    for _ in 0..MANY {
        let Err(refusal) = reserve(limiter, &Reserve::new(vec![window(&key, 1, SHORT)])).await else { return };
        assert!(refusal.retry_after <= SHORT, "a window is free after itself at the latest");
        sleep(refusal.retry_after).await;
    }
    assert_eq!(MANY, 0, "a window frees what is older than itself");
}

async fn windows_of_other_lengths_are_other_counts(limiter: &dyn RateLimiter) {
    let key = key();
    assert!(grants(limiter, window(&key, 1, LONG)).await);
    assert!(grants(limiter, window(&key, 1, LONG * 2)).await);
    assert!(!grants(limiter, window(&key, 1, LONG)).await && !grants(limiter, window(&key, 1, LONG * 2)).await);
}

async fn a_large_charge_waits_for_as_much_as_it_needs(limiter: &dyn RateLimiter) {
    let key = key();
    let tokens = |amount| charge(&key, Limit::Window { max: 10, per: LONG }, amount);
    for amount in [4, 4] {
        assert!(grants(limiter, tokens(amount)).await);
        sleep(SHORT / 20).await;
    }
    let mut waits = Vec::new();
    for amount in [5, 7, 11] {
        let refusal = reserve(limiter, &Reserve::new(vec![tokens(amount)])).await.err();
        let Some(refusal) = refusal else {
            return assert!(refusal.is_some(), "{amount} on top of 8 of 10 is too much");
        };
        waits.push(refusal.retry_after);
    }
    assert!(waits[0] < waits[1] && waits[1] < waits[2] && waits[2] == LONG, "{waits:?}: more waits for longer");
}

async fn a_lease_ends_with_settle(limiter: &dyn RateLimiter) {
    let key = key();
    let first = Reserve::new(vec![lease(&key)]).with_ttl(LONG);
    assert!(reserve(limiter, &first).await.is_ok());
    assert!(!grants(limiter, lease(&key)).await, "a lease is held");
    settle(limiter, &Settle::new(first.id)).await;
    assert!(grants(limiter, lease(&key)).await, "a settled lease is free");
}

async fn what_is_undone_was_never_taken(limiter: &dyn RateLimiter) {
    let key = key();
    let all = |max| {
        let window = charge(&key, Limit::Window { max, per: LONG }, 2);
        let held = charge(&key, Limit::Concurrent { max }, 1);
        vec![window, held, charge(&key, Limit::Budget { max: 100, period: Period::Month }, 20)]
    };
    let requests: Vec<Reserve> = (0..4).map(|_| Reserve::new(all(9)).with_ttl(LONG)).collect();
    for request in &requests {
        assert!(reserve(limiter, request).await.is_ok());
    }
    // From the middle, the one next to it, and one of them twice.
    for undone in [1, 2, 1] {
        settle(limiter, &Settle::undo(requests[undone].id.clone())).await;
    }
    let used = async || {
        let look = all(u64::MAX).into_iter().map(|look| Charge { amount: 0, ..look }).collect();
        let standings = reserve(limiter, &Reserve::new(look)).await.map(|look| look.standings).unwrap_or_default();
        standings.iter().map(|standing| standing.used).collect::<Vec<_>>()
    };
    assert_eq!(used().await, [4, 2, 40], "nothing of what was undone is left");
    settle(limiter, &Settle::new(requests[3].id.clone())).await;
    settle(limiter, &Settle::undo(requests[3].id.clone())).await;
    assert_eq!(used().await, [4, 1, 40], "what is settled is not undone");
    settle(limiter, &Settle::undo(requests[0].id.clone())).await;
    assert_eq!(used().await, [2, 0, 20], "also the first can be undone");
    assert!(reserve(limiter, &Reserve::new(vec![charge(&key, Limit::Window { max: 9, per: LONG }, 7)])).await.is_ok());
    assert!(!grants(limiter, window(&key, 9, LONG)).await, "the window's sum is right after that");
}

async fn what_one_instance_took_another_takes_back(one: &dyn RateLimiter, other: &dyn RateLimiter) {
    let key = key();
    let all = vec![window(&key, 1, LONG), lease(&key), budget(&key, 100)];
    let taken = Reserve::new(all.clone()).with_ttl(LONG);
    assert!(reserve(one, &taken).await.is_ok());
    settle(other, &Settle::undo(taken.id)).await;
    assert!(reserve(one, &Reserve::new(all)).await.is_ok(), "what one instance reserved, another may undo");
}

/// What `one` reserved and `other` renews.
async fn a_renewed_lease_lives_longer(one: &dyn RateLimiter, other: &dyn RateLimiter) {
    let key = key();
    let first = Reserve::new(vec![lease(&key)]).with_ttl(LONG);
    assert!(reserve(one, &first).await.is_ok());
    let ends_after = async || reserve(one, &Reserve::new(vec![lease(&key)])).await.map_err(|full| full.retry_after);
    for pause in 1..MANY {
        sleep(Duration::from_millis(5) * pause).await;
        let before = ends_after().await;
        let renewed = other.renew(&first.id).await;
        assert!(renewed.is_ok(), "renewing works: {renewed:?}");
        if ends_after().await.err() > before.err() {
            return;
        }
    }
    assert_eq!(MANY, 0, "a renewed lease ends later");
}

async fn a_lease_that_lapsed_is_somebody_elses(limiter: &dyn RateLimiter) {
    let key = key();
    let first = Reserve::new(vec![lease(&key)]).with_ttl(SHORT);
    assert!(reserve(limiter, &first).await.is_ok());
    takes_over(limiter, &key, "a lease that nobody renews ends").await;
    let lapsed = limiter.renew(&first.id).await;
    assert!(lapsed.is_ok(), "{lapsed:?}");
    settle(limiter, &Settle::new(first.id)).await;
    assert!(!grants(limiter, lease(&key)).await, "a lapsed lease takes nothing from its successor");
}

/// Takes a lease for long, once whoever has it for no longer than `SHORT` has it no more.
async fn takes_over(limiter: &dyn RateLimiter, key: &LimitKey, promise: &str) {
    let next = Reserve::new(vec![lease(key)]).with_ttl(LONG);
    let mut tries = 0;
    while let Err(full) = reserve(limiter, &next).await {
        tries += 1;
        assert!(tries < MANY, "{promise}");
        sleep(full.retry_after.min(SHORT)).await;
    }
}

async fn a_ttl_ends_leases_and_nothing_else_and_what_comes_after_it_changes_nothing(limiter: &dyn RateLimiter) {
    let key = key();
    let window = charge(&key, Limit::Window { max: 99, per: LONG }, 2);
    let all = [window, charge(&key, Limit::Concurrent { max: 99 }, 1), budget(&key, 20)];
    let requests: Vec<Reserve> = (0..3).map(|_| Reserve::new(all.to_vec()).with_ttl(SHORT)).collect();
    for request in &requests {
        assert!(reserve(limiter, request).await.is_ok());
    }
    sleep(SHORT + SHORT / 2).await;
    let used = async || {
        let standings = limiter.peek(&all).await.unwrap_or_default();
        standings.iter().map(|standing| standing.used).collect::<Vec<_>>()
    };
    assert_eq!(used().await, [6, 0, 60], "windows and budgets keep what a reservation took that is over");
    let mut late = Settle::new(requests[0].id.clone());
    late.actuals = vec![(key.clone(), 1)];
    settle(limiter, &late).await;
    assert_eq!(used().await, [6, 0, 60], "what is settled late stays as it was reserved");
    settle(limiter, &Settle::undo(requests[1].id.clone())).await;
    assert_eq!(used().await, [6, 0, 60], "nothing is undone any more");
    let renewed = limiter.renew(&requests[2].id).await;
    assert!(renewed.is_ok(), "renewing works: {renewed:?}");
    assert_eq!(used().await, [6, 0, 60], "nothing comes back");
}

async fn a_reserve_that_is_dropped_holds_nothing_beyond_its_ttl(limiter: &dyn RateLimiter) {
    for pause_ms in [0, 1, 3, 10] {
        let key = key();
        let dropped = Reserve::new(vec![lease(&key)]).with_ttl(SHORT);
        // Dropped wherever it is by then, if it has not come to its end.
        let _ = timeout(Duration::from_millis(pause_ms), limiter.reserve(&dropped)).await;
        takes_over(limiter, &key, "a reservation that nobody waited for ends").await;
    }
}

async fn a_budget_is_settled_to_what_it_was(limiter: &dyn RateLimiter) {
    let key = key();
    let first = Reserve::new(vec![budget(&key, 80)]);
    assert!(reserve(limiter, &first).await.is_ok());
    assert!(!grants(limiter, budget(&key, 30)).await, "what is reserved is taken");
    let mut actual = Settle::new(first.id);
    actual.actuals = vec![(key.clone(), 60)];
    settle(limiter, &actual).await;
    actual.actuals = vec![(key.clone(), 0)];
    settle(limiter, &actual).await;
    let next = reserve(limiter, &Reserve::new(vec![budget(&key, 40)])).await;
    assert_eq!(next.ok().map(|granted| granted.standings[0].used), Some(100), "a budget is settled once");
    assert!(!grants(limiter, budget(&key, 1)).await, "a budget that is used up is used up");
}

async fn a_budget_may_be_settled_to_more_than_was_reserved(limiter: &dyn RateLimiter) {
    let key = key();
    let first = Reserve::new(vec![budget(&key, 10)]);
    assert!(reserve(limiter, &first).await.is_ok());
    let mut actual = Settle::new(first.id);
    actual.actuals = vec![(key.clone(), 130)];
    settle(limiter, &actual).await;
    let standing = limiter.peek(&[budget(&key, 0)]).await.ok().and_then(|all| all.into_iter().next());
    let standing = standing.map(|standing| (standing.used, standing.max));
    assert_eq!(standing, Some((130, 100)), "all that was used counts, also what is more than may be");
    assert!(!grants(limiter, budget(&key, 1)).await, "and nothing is left");
}

async fn budgets_of_a_day_and_a_month_are_two(limiter: &dyn RateLimiter) {
    let key = key();
    let of = |period, amount| charge(&key, Limit::Budget { max: 100, period }, amount);
    let request = Reserve::new(vec![of(Period::Day, 60), of(Period::Month, 70)]);
    assert!(reserve(limiter, &request).await.is_ok());
    let mut actual = Settle::new(request.id);
    actual.actuals = vec![(key.clone(), 50)];
    settle(limiter, &actual).await;
    let after = reserve(limiter, &Reserve::new(vec![of(Period::Day, 1), of(Period::Month, 2)])).await;
    let used = after.map(|granted| granted.standings.iter().map(|standing| standing.used).collect::<Vec<_>>());
    assert_eq!(used.ok(), Some(vec![51, 52]), "both are settled by what was used");
}

async fn tenants_do_not_share_a_count(limiter: &dyn RateLimiter) {
    let name = Uuid::new_v4().to_string();
    for tenant in ["contract", "contract-2", "con{tract}", "", "%7d"] {
        let key = LimitKey::new(tenant, name.as_str());
        assert!(grants(limiter, window(&key, 1, LONG)).await, "{tenant:?} has a count of its own");
    }
}

async fn no_two_names_are_one_count(limiter: &dyn RateLimiter) {
    let id = Uuid::new_v4();
    for name in [format!("{id}"), format!("{id}:1"), format!("{id} '\"\\\n"), format!("{id}é"), format!("{id}%")] {
        let key = LimitKey::new("contract", name.as_str());
        assert!(grants(limiter, window(&key, 1, LONG)).await, "{name:?} has a count of its own");
        assert!(!grants(limiter, window(&key, 1, LONG)).await, "{name:?} is the same the next time");
    }
}

async fn the_refusal_names_the_count_that_stays_full_the_longest(limiter: &dyn RateLimiter) {
    let (short, long) = (key(), key());
    let both = || vec![window(&short, 1, LONG), window(&long, 1, LONG * 2)];
    assert!(reserve(limiter, &Reserve::new(both())).await.is_ok());
    let refused = reserve(limiter, &Reserve::new(both())).await.err();
    assert_eq!(refused.map(|refusal| refusal.key), Some(long));
}

async fn a_reservation_of_nothing_is_granted(limiter: &dyn RateLimiter) {
    let nothing = Reserve::new(Vec::new());
    assert!(reserve(limiter, &nothing).await.is_ok_and(|granted| granted.standings.is_empty()));
    settle(limiter, &Settle::new(nothing.id)).await;
}

async fn charges_of_one_reservation_add_up(limiter: &dyn RateLimiter) {
    let key = key();
    let twice = Reserve::new(vec![window(&key, 1, LONG), window(&key, 1, LONG)]);
    assert!(reserve(limiter, &twice).await.is_err(), "two charges of one count are two");
    assert!(grants(limiter, window(&key, 1, LONG)).await);
}
