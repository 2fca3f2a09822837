//! The overview says what the tools say.

use super::{
    super::overview::{Others, Stretch, Sum},
    *,
};
use crate::db::{Dialect, Row};

#[tokio::test]
async fn the_portions_of_an_overview_are_all_that_was_asked() {
    for store in stores().await {
        append(&store, &history().chain(&SealKey::generate())).await;
        let analytics = Analytics::new(store.db().clone());
        let tenant = Principal::email("dba@company.com").tenant;
        for (stretch, portions, since) in [
            (Stretch::Day, 24, "2026-03-30T16:00:00Z"),
            (Stretch::Week, 7, "2026-03-25T00:00:00Z"),
            (Stretch::Month, 30, "2026-03-02T00:00:00Z"),
        ] {
            let found = analytics.overview(&tenant, stretch, None, now()).await.unwrap();
            assert_eq!(found.portions.len(), portions);
            assert_eq!(found.portions[0].begins, since.parse::<DateTime<Utc>>().unwrap());
            let caller = Principal::email("dba@company.com");
            let ask = async |tool: &str, more: Value| {
                let mut args = arguments(json!({ "since": since }));
                args.extend(arguments(more));
                analytics.ask_at(&caller, tool, args, now()).await.unwrap().document
            };
            let costs = ask("get_cost_summary", json!({})).await;
            assert_eq!(costs["totals"]["queries"], found.all.requests, "{stretch:?}: {costs}");
            let usd = costs["totals"]["cost_usd"].as_f64().unwrap();
            assert!((usd - found.all.cost as f64 / 1e9).abs() < 1e-6, "{stretch:?}: {usd} {:?}", found.all);
            let waits = ask("get_latency_percentiles", json!({ "group_by": "request" })).await;
            assert_eq!(json!(found.p95_ms), waits["requests"][0]["p95_ms"], "{stretch:?}: {waits}");
            let calls: u64 =
                found.portions.iter().flat_map(|portion| portion.servers.values()).map(|(all, _)| all).sum();
            let tools = ask("get_tool_popularity", json!({ "limit": 100 })).await;
            assert_eq!(tools["totals"]["calls"], calls, "{stretch:?}: {tools}");
            let rest = |others: Option<Others>| others.map_or(0, |others| others.sum.requests);
            let models: u64 = found.models.iter().map(|(_, sum)| sum.requests).sum();
            assert_eq!(models + rest(found.other_models), found.all.requests, "{stretch:?}");
            let people: u64 = found.people.iter().map(|(_, sum)| sum.requests).sum();
            assert_eq!(people + rest(found.other_people), found.all.requests, "{stretch:?}");
            assert!(found.people.iter().all(|(name, _)| name.contains('@') || name == "–"), "{:?}", found.people);
            assert!(found.before.requests > 0, "{stretch:?}");
        }
        let other = analytics.overview("other", Stretch::Month, None, now()).await.unwrap();
        assert_eq!((other.all.requests, other.p95_ms), (0, None));
    }
}

#[tokio::test]
async fn what_came_by_each_door_is_all_that_came() {
    for store in stores().await {
        append(&store, &history().chain(&SealKey::generate())).await;
        let analytics = Analytics::new(store.db().clone());
        let tenant = Principal::email("dba@company.com").tenant;
        // Once as the rows are, and once as they are summed up.
        for _ in 0..2 {
            let of = async |source| analytics.overview(&tenant, Stretch::Month, source, now()).await.unwrap();
            let all = of(None).await;
            let (mut together, mut before) = (Sum::default(), Sum::default());
            let doors: BTreeSet<&String> = all.portions.iter().flat_map(|portion| portion.sources.keys()).collect();
            assert!(doors.len() > 2, "{doors:?}");
            let mut waits = BTreeSet::new();
            for door in &doors {
                let one = of(Some(door)).await;
                assert!(one.all.requests > 0 && one.all.requests < all.all.requests, "{door}: {:?}", one.all);
                let people: u64 = one.people.iter().map(|(_, sum)| sum.requests).sum();
                assert_eq!(people + one.other_people.map_or(0, |others| others.sum.requests), one.all.requests);
                assert_eq!(one.portions[9].sources, all.portions[9].sources, "which other doors there are is told");
                waits.insert(one.p95_ms);
                for (sum, own) in [(&mut together, one.all), (&mut before, one.before)] {
                    sum.requests += own.requests;
                    sum.failed += own.failed;
                    sum.refused += own.refused;
                    sum.cost += own.cost;
                    sum.unpriced += own.unpriced;
                    sum.tokens += own.tokens;
                }
            }
            assert_eq!((together, before), (all.all, all.before));
            assert!(waits.len() > 1 && !waits.contains(&None), "each door has waits of its own: {waits:?}");
            let none = of(Some("no such door")).await;
            assert_eq!((none.all, none.p95_ms, none.people.len()), (Sum::default(), None, 0));
            analytics.catch_up().await.unwrap();
        }
    }
}

/// What is summed up of waits, in order.
async fn waits(db: &Db) -> Vec<(i64, i64, String, i64, i64)> {
    let sql = "SELECT CAST(grain AS BIGINT) AS grain, start, source, bucket, requests FROM analytics_waits";
    let row = |row: &Row| {
        let number = |name: &str| row.int(name).unwrap();
        (number("grain"), number("start"), row.text("source").unwrap(), number("bucket"), number("requests"))
    };
    let mut rows: Vec<_> = db.fetch_all(sql, &[]).await.unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn waits_of_a_database_of_an_earlier_build_are_made_again_by_door() {
    for store in stores().await {
        let db = store.db();
        append(&store, &history().chain(&SealKey::generate())).await;
        Analytics::new(db.clone()).catch_up().await.unwrap();
        let kept = waits(db).await;
        assert!(kept.len() > 100, "{}", kept.len());
        let step = match db.dialect() {
            Dialect::Sqlite => include_str!("../../../migrations/sqlite/0017_overview.sql"),
            Dialect::Postgres => include_str!("../../../migrations/postgres/0017_overview.sql"),
        };
        db.execute("DELETE FROM analytics_waits", &[]).await.unwrap();
        for statement in step.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            db.execute(statement, &[]).await.unwrap();
        }
        assert_eq!(waits(db).await, kept);
    }
}
