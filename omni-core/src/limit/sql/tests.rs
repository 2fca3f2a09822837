//! Limits in real databases.

use tempfile::TempDir;

use super::*;
use crate::{
    limit::{Charge, Limit, LimitKey, Period},
    testing::{rate_limiter_contract, shared_limiter_contract},
};

async fn limiter(url: &str) -> SqlLimiter {
    SqlLimiter::new(Db::lazy(url).await.unwrap())
}

fn sqlite() -> (TempDir, String) {
    let dir = TempDir::new().unwrap();
    let url = format!("sqlite:{}", dir.path().join("omni.db").display());
    (dir, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limiter_in_sqlite_keeps_the_contract() {
    let (_dir, url) = sqlite();
    rate_limiter_contract(&limiter(&url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_limiters_over_one_sqlite_file_are_one() {
    let (_dir, url) = sqlite();
    shared_limiter_contract(&limiter(&url).await, &limiter(&url).await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limiter_in_postgres_keeps_the_contract() {
    let Some(url) = crate::testing::postgres_schema().await else { return };
    rate_limiter_contract(&limiter(&url).await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_limiters_over_one_postgres_are_one() {
    let Some(url) = crate::testing::postgres_schema().await else { return };
    shared_limiter_contract(&limiter(&url).await, &limiter(&url).await).await;
}

fn charges(name: &str) -> Vec<Charge> {
    let charge = |limit| Charge { key: LimitKey::new("t", name), limit, amount: 1 };
    vec![
        charge(Limit::Window { max: 5, per: Duration::from_millis(1) }),
        charge(Limit::Concurrent { max: 5 }),
        charge(Limit::Budget { max: 5, period: Period::Month }),
    ]
}

#[tokio::test]
async fn what_is_over_is_removed_and_what_is_spent_stays() {
    let (_dir, url) = sqlite();
    let limiter = limiter(&url).await;
    for name in ["a", "b", "c"] {
        limiter.reserve(&Reserve::new(charges(name)).with_ttl(Duration::from_millis(1))).await.unwrap();
    }
    sleep(Duration::from_millis(20)).await;
    *limiter.swept.lock().unwrap() = None;
    limiter.sweep().await;
    let count = async |table: &str| {
        let sql = format!("SELECT count(*) AS n FROM {table}");
        limiter.db.fetch_optional(&sql, &[]).await.unwrap().unwrap().int("n").unwrap()
    };
    let left = (count("limit_entries").await, count("limit_reservations").await, count("limit_counts").await);
    assert_eq!(left, (0, 0, 3), "the three budgets go on until the month is over");
}

#[tokio::test]
async fn one_operation_removes_no_more_than_somebody_can_wait_for_and_the_next_goes_on() {
    let (_dir, sqlite) = sqlite();
    let mut urls = vec![sqlite];
    #[cfg(feature = "postgres")]
    urls.extend(crate::testing::postgres_schema().await);
    for url in urls {
        let limiter = limiter(&url).await;
        limiter.reserve(&Reserve::new(vec![charges("a").remove(1)])).await.unwrap();
        let (many, past) = (SWEPT_AT_ONCE as usize + 7, chrono::Utc::now() - chrono::TimeDelta::days(1));
        let names: Vec<String> = (0..many).map(|at| at.to_string()).collect();
        let rows: Vec<Vec<crate::db::Val<'_>>> = names
            .iter()
            .map(|name| vec!["t".into(), name.into(), "leases".into(), "r".into(), 1_u64.into(), past.into()])
            .collect();
        let into = "INSERT INTO limit_entries (tenant, name, kind, reservation, amount, ends) VALUES";
        let mut tx = limiter.db.begin().await.unwrap();
        tx.insert_many(into, rows, "").await.unwrap();
        tx.commit().await.unwrap();
        let left = async || {
            let sql = "SELECT count(*) AS n FROM limit_entries WHERE reservation = 'r'";
            limiter.db.fetch_optional(sql, &[]).await.unwrap().unwrap().int("n").unwrap()
        };
        limiter.sweep_again();
        limiter.sweep().await;
        assert_eq!(left().await, 7);
        limiter.sweep().await;
        assert_eq!(left().await, 0);
        assert!(!limiter.is_time_to_sweep(), "everything that is over is gone");
    }
}

#[tokio::test]
async fn many_charges_in_any_order_never_wait_for_each_other_in_a_circle() {
    let (_dir, sqlite) = sqlite();
    let mut urls = vec![sqlite];
    #[cfg(feature = "postgres")]
    urls.extend(crate::testing::postgres_schema().await);
    for url in urls {
        let limiter = limiter(&url).await;
        let names = ["a", "b", "c", "d"];
        let all = (0..100).map(async |turn| {
            let charges: Vec<Charge> = (0..names.len())
                .map(|at| Charge {
                    key: LimitKey::new("t", names[(at * 3 + turn) % names.len()]),
                    limit: Limit::Window { max: 100, per: Duration::from_secs(600) },
                    amount: 1,
                })
                .collect();
            let request = Reserve::new(charges);
            limiter.reserve(&request).await.unwrap();
            limiter.settle(&Settle::new(request.id)).await.unwrap();
        });
        futures::future::join_all(all).await;
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_database_that_is_away_is_unavailable() {
    let limiter = limiter("postgres://nobody@127.0.0.1:1/none").await;
    let refused = timeout(OPERATION * 2, limiter.reserve(&Reserve::new(charges("a")))).await.unwrap();
    assert!(matches!(refused, Err(LimitError::Unavailable { .. })), "{refused:?}");
}
