//! The contract of rate limiters.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::limit::{Charge, Limit, LimitError, LimitKey, Period, RateLimiter, Refusal, Reservation, Reserve, Settle};

/// Longer than any suite takes.
const LONG: Duration = Duration::from_secs(600);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);

/// Checks a limiter by the system's clock; takes about two seconds.
///
/// # Panics
/// Where the contract is broken.
pub async fn rate_limiter_contract(limiter: &dyn RateLimiter) {
    a_window_grants_exactly_its_maximum(limiter).await;
    concurrent_reservations_never_exceed_the_maximum(limiter).await;
    a_refused_reservation_counts_nothing(limiter).await;
    a_reservation_is_idempotent(limiter).await;
    a_window_slides(limiter).await;
    a_lease_ends_with_settle(limiter).await;
    a_lease_ends_with_its_ttl_unless_renewed(limiter).await;
    a_budget_is_settled_to_what_it_was(limiter).await;
    tenants_do_not_share_a_count(limiter).await;
    charges_of_one_reservation_add_up(limiter).await;
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
            Ok(Reservation::new(request.id, Vec::new()))
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

async fn concurrent_reservations_never_exceed_the_maximum(limiter: &dyn RateLimiter) {
    let key = key();
    let all = (0..50).map(|_| grants(limiter, window(&key, 20, LONG)));
    let granted = futures::future::join_all(all).await.into_iter().filter(|granted| *granted).count();
    assert_eq!(granted, 20, "N allowed means N");
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
    settle(limiter, &Settle::new(request.id)).await;
    settle(limiter, &Settle::new(request.id)).await;
    settle(limiter, &Settle::new(Uuid::new_v4())).await;
    assert!(grants(limiter, window(&key, 2, LONG)).await);
    assert!(!grants(limiter, window(&key, 2, LONG)).await, "settling does not free a window");
}

async fn a_window_slides(limiter: &dyn RateLimiter) {
    let key = key();
    let start = Instant::now();
    assert!(grants(limiter, window(&key, 1, SHORT)).await);
    while !grants(limiter, window(&key, 1, SHORT)).await {
        assert!(start.elapsed() < LONG, "a window frees what is older than itself");
        sleep(SHORT / 20).await;
    }
    assert!(start.elapsed() >= SHORT, "a window frees nothing before its time");
}

async fn a_lease_ends_with_settle(limiter: &dyn RateLimiter) {
    let key = key();
    let first = Reserve::new(vec![lease(&key)]).with_ttl(LONG);
    assert!(reserve(limiter, &first).await.is_ok());
    assert!(!grants(limiter, lease(&key)).await, "a lease is held");
    settle(limiter, &Settle::new(first.id)).await;
    assert!(grants(limiter, lease(&key)).await, "a settled lease is free");
}

async fn a_lease_ends_with_its_ttl_unless_renewed(limiter: &dyn RateLimiter) {
    let key = key();
    let start = Instant::now();
    let first = Reserve::new(vec![lease(&key)]).with_ttl(SHORT);
    assert!(reserve(limiter, &first).await.is_ok());
    sleep(SHORT / 2).await;
    let renewed = limiter.renew(first.id).await;
    assert!(renewed.is_ok(), "renewing works: {renewed:?}");
    while !grants(limiter, lease(&key)).await {
        assert!(start.elapsed() < LONG, "a lease that nobody renews ends");
        sleep(SHORT / 20).await;
    }
    assert!(start.elapsed() >= SHORT + SHORT / 2, "a renewed lease lives for another ttl");
    let lapsed = limiter.renew(first.id).await;
    assert!(lapsed.is_ok() && !grants(limiter, lease(&key)).await, "a lapsed lease takes nothing from its successor");
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

async fn tenants_do_not_share_a_count(limiter: &dyn RateLimiter) {
    let name = Uuid::new_v4().to_string();
    for tenant in ["contract", "contract-2"] {
        let key = LimitKey::new(tenant, name.as_str());
        assert!(grants(limiter, window(&key, 1, LONG)).await, "{tenant} has a count of its own");
    }
}

async fn charges_of_one_reservation_add_up(limiter: &dyn RateLimiter) {
    let key = key();
    let twice = Reserve::new(vec![window(&key, 1, LONG), window(&key, 1, LONG)]);
    assert!(reserve(limiter, &twice).await.is_err(), "two charges of one count are two");
    assert!(grants(limiter, window(&key, 1, LONG)).await);
}
