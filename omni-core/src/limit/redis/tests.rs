//! Limits in a real Redis.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::*;
use crate::{
    limit::Limit,
    testing::{self, rate_limiter_contract, shared_limiter_contract},
};

fn limiter(url: &str, prefix: &str) -> RedisLimiter {
    RedisLimiter::new(&url.to_owned().into(), prefix).unwrap()
}

async fn client(url: &str) -> redis::aio::MultiplexedConnection {
    Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_redis_limiter_keeps_the_contract() {
    let Some((url, prefix)) = testing::redis() else { return };
    let limiter = limiter(&url, &prefix);
    rate_limiter_contract(&limiter).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_limiters_over_one_redis_are_one() {
    let Some((url, prefix)) = testing::redis() else { return };
    shared_limiter_contract(&limiter(&url, &prefix), &limiter(&url, &prefix)).await;
}

#[tokio::test]
async fn every_key_has_the_tenant_as_its_hash_tag_and_expires_by_itself() {
    let Some((url, prefix)) = testing::redis() else { return };
    let charge = |limit| Charge { key: LimitKey::new("acme", "k"), limit, amount: 1 };
    let request = Reserve::new(vec![
        charge(Limit::Window { max: 5, per: Duration::from_secs(60) }),
        charge(Limit::Concurrent { max: 5 }),
        charge(Limit::Budget { max: 5, period: Period::Day }),
        charge(Limit::Budget { max: 5, period: Period::Month }),
    ]);
    let limiter = limiter(&url, &prefix);
    limiter.reserve(&request).await.unwrap();
    limiter.renew(&request.id).await.unwrap();
    let mut connection = client(&url).await;
    let pattern = format!("{prefix}:*");
    let keys: Vec<String> = redis::cmd("KEYS").arg(&pattern).query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 5, "{keys:?}");
    for key in keys {
        assert!(key.starts_with(&format!("{prefix}:{{acme}}:")), "{key}");
        let ttl: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
        assert!(ttl > 0, "{key} expires");
    }
    limiter.settle(&Settle::new(request.id)).await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg(&pattern).query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 3, "a settled reservation and its lease are gone: {keys:?}");
}

#[tokio::test]
async fn the_scripts_know_the_calendar() {
    let Some((url, _)) = testing::redis() else { return };
    let mut connection = client(&url).await;
    let body = "local c = calendar() return { num(c.day.left), num(c.month.left) }";
    let script = Script::new(&format!("local time = {{ ARGV[1], '0' }}\n{SHARED}{body}"));
    for now in [
        "1970-01-01T00:00:00Z",
        "2000-02-28T12:00:01Z",
        "2000-02-29T23:59:59Z",
        "2026-02-28T23:00:00Z",
        "2026-11-30T00:00:00Z",
        "2026-12-31T23:59:59Z",
        "2028-02-01T08:30:00Z",
        "2028-03-01T00:00:00Z",
        "2100-02-28T00:00:00Z",
    ] {
        let now: DateTime<Utc> = now.parse().unwrap();
        let left: Vec<String> = script.arg(now.timestamp()).invoke_async(&mut connection).await.unwrap();
        let expected = [Period::Day, Period::Month].map(|period| period.remaining(now).as_micros().to_string());
        assert_eq!(left, expected, "{now}");
    }
}

#[tokio::test]
async fn a_redis_that_is_away_is_unavailable_and_does_not_keep_anybody_from_starting() {
    let limiter = limiter("redis://127.0.0.1:1", "omni");
    let refused = limiter.reserve(&Reserve::new(Vec::new())).await;
    assert!(matches!(refused, Err(LimitError::Unavailable { .. })), "{refused:?}");
    assert!(limiter.settle(&Settle::new(ReservationId::new("t"))).await.is_err());
}

#[tokio::test]
async fn a_url_that_is_none_is_said_without_its_password() {
    let url = format!("http://:{}@127.0.0.1", Uuid::new_v4());
    let error = RedisLimiter::new(&url.clone().into(), "omni").unwrap_err().to_string();
    assert!(!error.contains(&url[8..40]), "{error}");
}

#[tokio::test]
async fn a_redis_that_takes_connections_and_says_nothing_is_away_too() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let limiter = limiter(&format!("redis://{}", silent.local_addr().unwrap()), "omni");
    let answer = limiter.reserve(&Reserve::new(Vec::new())).await;
    assert!(matches!(answer, Err(LimitError::Unavailable { .. })), "{answer:?}");
}
