//! Limits in memory, by a clock that the tests turn.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::{
    limit::{Limit, Period},
    testing::{rate_limiter_contract, shared_limiter_contract},
};

/// A limiter whose clock stands still until it is turned.
struct Turned {
    limiter: MemoryLimiter,
    millis: Arc<AtomicU64>,
}

impl Turned {
    fn at(utc: &str) -> Self {
        let millis = Arc::new(AtomicU64::new(0));
        let (turned, start) = (millis.clone(), Instant::now());
        let utc: DateTime<Utc> = utc.parse().unwrap();
        let limiter = MemoryLimiter::with_clock(move || {
            let passed = Duration::from_millis(turned.load(Ordering::SeqCst));
            Now { instant: start + passed, utc: utc + passed }
        });
        Self { limiter, millis }
    }

    fn turn(&self, by: Duration) {
        self.millis.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    fn reserve(&self, charges: Vec<Charge>) -> Result<Reservation, LimitError> {
        self.limiter.reserve(&Reserve::new(charges)).now_or_never().unwrap()
    }

    fn refused(&self, charges: Vec<Charge>) -> Refusal {
        match self.reserve(charges) {
            Err(LimitError::Refused(refusal)) => *refusal,
            other => panic!("{other:?}"),
        }
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

fn hourly(max: u64) -> Charge {
    charge("hour", Limit::Window { max, per: HOUR }, 1)
}

fn charge(name: &str, limit: Limit, amount: u64) -> Charge {
    Charge { key: LimitKey::new("default", name), limit, amount }
}

fn limiter() -> Turned {
    Turned::at("2026-11-23T12:00:00Z")
}

#[tokio::test]
async fn the_memory_limiter_keeps_the_contract() {
    let limiter = MemoryLimiter::new();
    rate_limiter_contract(&limiter).await;
    shared_limiter_contract(&limiter, &limiter).await;
}

#[test]
fn a_refusal_says_when_the_oldest_request_leaves_the_window() {
    let limiter = limiter();
    for _ in 0..3 {
        limiter.reserve(vec![hourly(3)]).unwrap();
        limiter.turn(Duration::from_secs(600));
    }
    let refusal = limiter.refused(vec![hourly(3)]);
    assert_eq!(refusal.retry_after, Duration::from_secs(1_800));
    assert_eq!(
        refusal.to_string(),
        "Rate limit exceeded. You've made 3/3 requests in the last hour. Please try again in 30 minutes."
    );
    limiter.turn(Duration::from_secs(1_800) - Duration::from_millis(1));
    limiter.refused(vec![hourly(3)]);
    limiter.turn(Duration::from_millis(1));
    limiter.reserve(vec![hourly(3)]).unwrap();
}

#[test]
fn a_large_charge_waits_for_as_much_as_it_needs() {
    let limiter = limiter();
    let tokens = |amount| charge("tokens", Limit::Window { max: 10, per: HOUR }, amount);
    limiter.reserve(vec![tokens(4)]).unwrap();
    limiter.turn(Duration::from_secs(60));
    limiter.reserve(vec![tokens(4)]).unwrap();
    assert_eq!(limiter.refused(vec![tokens(5)]).retry_after, HOUR - Duration::from_secs(60));
    assert_eq!(limiter.refused(vec![tokens(7)]).retry_after, HOUR);
    assert_eq!(limiter.refused(vec![tokens(11)]).retry_after, HOUR);
}

#[test]
fn the_refusal_names_the_count_that_stays_full_the_longest() {
    let limiter = limiter();
    let minute = || charge("minute", Limit::Window { max: 1, per: Duration::from_secs(60) }, 1);
    limiter.reserve(vec![minute(), hourly(1)]).unwrap();
    assert_eq!(&*limiter.refused(vec![minute(), hourly(1)]).key.name, "hour");
}

#[test]
fn budgets_begin_anew_with_the_calendar() {
    let limiter = Turned::at("2026-12-31T23:00:00Z");
    let spend = |period, amount| charge("money", Limit::Budget { max: 10, period }, amount);
    limiter.reserve(vec![spend(Period::Day, 10), spend(Period::Month, 10)]).unwrap();
    let refusal = limiter.refused(vec![spend(Period::Month, 1)]);
    assert_eq!(refusal.retry_after, HOUR);
    limiter.turn(HOUR);
    limiter.reserve(vec![spend(Period::Day, 10), spend(Period::Month, 10)]).unwrap();
    limiter.turn(24 * HOUR);
    limiter.reserve(vec![spend(Period::Day, 1)]).unwrap();
    assert_eq!(limiter.refused(vec![spend(Period::Month, 1)]).retry_after, 30 * 24 * HOUR);
}

#[test]
fn a_budget_of_a_past_period_is_not_corrected_in_the_present_one() {
    let limiter = Turned::at("2026-11-23T23:59:00Z");
    let day = |amount| charge("money", Limit::Budget { max: 10, period: Period::Day }, amount);
    let request = Reserve::new(vec![day(9)]).with_ttl(HOUR);
    limiter.limiter.reserve(&request).now_or_never().unwrap().unwrap();
    limiter.turn(Duration::from_secs(61));
    limiter.reserve(vec![day(10)]).unwrap();
    let mut settle = Settle::new(request.id);
    settle.actuals = vec![(day(0).key, 1)];
    limiter.limiter.settle(&settle).now_or_never().unwrap().unwrap();
    assert_eq!(limiter.refused(vec![day(1)]).used, 10);
}

#[test]
fn idle_counts_and_lapsed_reservations_are_forgotten() {
    let limiter = limiter();
    for name in 0..100 {
        let request = vec![
            charge(&name.to_string(), Limit::Window { max: 5, per: Duration::from_secs(60) }, 1),
            charge(&name.to_string(), Limit::Concurrent { max: 5 }, 1),
        ];
        limiter.reserve(request).unwrap();
    }
    limiter.turn(Duration::from_secs(120));
    limiter.reserve(vec![hourly(5)]).unwrap();
    let state = limiter.limiter.state();
    assert_eq!((state.counts.len(), state.held.len()), (1, 1));
}

#[test]
fn a_lease_without_an_end_is_held_until_it_is_given_back() {
    let limiter = limiter();
    let place = || charge("places", Limit::Concurrent { max: 1 }, 1);
    let request = Reserve::new(vec![place()]).with_ttl(Duration::MAX);
    limiter.limiter.reserve(&request).now_or_never().unwrap().unwrap();
    limiter.limiter.renew(&request.id).now_or_never().unwrap().unwrap();
    limiter.turn(1_000 * 24 * HOUR);
    limiter.refused(vec![place()]);
    limiter.limiter.settle(&Settle::new(request.id)).now_or_never().unwrap().unwrap();
    limiter.reserve(vec![place()]).unwrap();
}

#[test]
fn budgets_of_which_as_much_is_spent_as_can_be_counted_are_not_idle() {
    let limiter = limiter();
    let most = |period| charge("tokens", Limit::Budget { max: u64::MAX, period }, u64::MAX);
    limiter.reserve(vec![most(Period::Day), most(Period::Month)]).unwrap();
    limiter.turn(Duration::from_secs(120));
    limiter.reserve(vec![hourly(5)]).unwrap();
    assert_eq!(limiter.limiter.state().counts.len(), 2);
}

/// As the requests of an hour are, of somebody who may do a million.
#[test]
fn a_window_of_many_takes_no_more_memory_the_more_there_are_and_allows_no_more() {
    const MOST: u64 = 20_000;
    let limiter = limiter();
    let one = || vec![hourly(MOST)];
    for _ in 0..MOST {
        limiter.turn(HOUR / 40_000);
        limiter.reserve(one()).unwrap();
    }
    let entries = |limiter: &Turned| limiter.limiter.state().counts.values().map(Count::moments).sum::<usize>();
    assert!(entries(&limiter) <= 1_024 + 4_096, "{}", entries(&limiter));
    limiter.refused(one());
    // What is given back of a slot makes room for as much.
    let reserved = Reserve::new(vec![hourly(MOST + 2)]);
    limiter.limiter.reserve(&reserved).now_or_never().unwrap().unwrap();
    limiter.turn(Duration::from_millis(1));
    limiter.reserve(vec![hourly(MOST + 2)]).unwrap();
    limiter.refused(vec![hourly(MOST + 2)]);
    limiter.limiter.settle(&Settle::undo(reserved.id)).now_or_never().unwrap().unwrap();
    limiter.reserve(vec![hourly(MOST + 2)]).unwrap();
    limiter.refused(vec![hourly(MOST + 2)]);
    // Half an hour later the first of them go by, and none of them before.
    limiter.turn(HOUR / 2 - HOUR / 40_000);
    limiter.refused(one());
    limiter.turn(HOUR / 4);
    let freed = (0..MOST).take_while(|_| limiter.reserve(one()).is_ok()).count() as u64;
    assert!((MOST / 2 - 14..=MOST / 2).contains(&freed), "{freed}");
}

#[test]
fn more_counts_than_the_bound_are_refused_not_forgotten() {
    let mut limiter = limiter();
    limiter.limiter.max_held = 2;
    for name in ["a", "b"] {
        limiter.reserve(vec![charge(name, Limit::Window { max: 1, per: HOUR }, 1)]).unwrap();
    }
    assert!(matches!(limiter.reserve(vec![hourly(1)]), Err(LimitError::Unavailable { .. })));
    limiter.turn(HOUR);
    limiter.reserve(vec![hourly(1)]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn n_allowed_means_n_across_threads() {
    let limiter = Arc::new(MemoryLimiter::new());
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.reserve(&Reserve::new(vec![hourly(64)])).await.is_ok() })
        })
        .collect();
    let granted = futures::future::join_all(tasks).await.into_iter().filter(|granted| *granted.as_ref().unwrap());
    assert_eq!(granted.count(), 64);
}

proptest! {
    #[test]
    fn no_window_ever_holds_more_than_its_maximum(
        max in 1_u64..6,
        steps in prop::collection::vec((0_u64..40, 1_u64..3), 1..120),
    ) {
        let limiter = limiter();
        let per = Duration::from_millis(100);
        let mut granted: Vec<(u64, u64)> = Vec::new();
        let mut now = 0;
        for (pause, amount) in steps {
            now += pause;
            limiter.turn(Duration::from_millis(pause));
            let fits = granted.iter().filter(|(at, _)| now - at < 100).map(|(_, amount)| amount).sum::<u64>() + amount <= max;
            let answer = limiter.reserve(vec![charge("w", Limit::Window { max, per }, amount)]);
            // Exact in both directions: never too many, and never one too few.
            prop_assert_eq!(answer.is_ok(), fits);
            if answer.is_ok() {
                granted.push((now, amount));
            } else if let Err(LimitError::Refused(refusal)) = answer {
                let free = refusal.retry_after.as_millis() as u64;
                let then = now + free;
                let left: u64 = granted.iter().filter(|(at, _)| then - at < 100).map(|(_, amount)| amount).sum();
                prop_assert!(amount > max || left + amount <= max, "after retry_after it fits");
            }
        }
    }

    #[test]
    fn leases_never_exceed_their_maximum(max in 1_u64..5, actions in prop::collection::vec((any::<bool>(), 0_usize..8), 1..80)) {
        let limiter = limiter();
        let mut held: Vec<ReservationId> = Vec::new();
        for (take, which) in actions {
            if take {
                let granted = limiter.reserve(vec![charge("l", Limit::Concurrent { max }, 1)]);
                prop_assert_eq!(granted.is_ok(), (held.len() as u64) < max);
                held.extend(granted.ok().map(|reservation| reservation.id));
            } else if !held.is_empty() {
                let id = held.remove(which % held.len());
                limiter.limiter.settle(&Settle::new(id)).now_or_never().unwrap().unwrap();
            }
        }
    }
}
