//! `cargo bench -p omni-benches --bench analytics`: how long each tool of the analytics server takes, by period.
//!
//! `OMNI_BENCH_SQLITE_ROWS` and `OMNI_BENCH_POSTGRES_ROWS` say how many requests a year has, each with a call of a tool; PostgreSQL
//! is the one that `OMNI_TEST_POSTGRES_URL` names. The goals are 300 ms over 1,000,000 on SQLite and 100 ms over 10,000,000
//! on PostgreSQL.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "benchmarks may stop at a fault and print")]

use std::time::{Duration, Instant};

use omni_benches::history::load;
use omni_core::{
    Principal,
    analytics::{Analytics, tool_names},
    db::Db,
    testing::postgres_schema,
};
use serde_json::{Map, Value, json};

/// Requests of a year where nobody says.
const FEW: u64 = 2_000;
const PERIODS: [&str; 4] = ["today", "week", "month", "all"];
/// How often each question is asked; the middle one counts.
const TIMES: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::TempDir::new().unwrap();
        let sqlite = Db::open(&format!("sqlite:{}", dir.path().join("omni.db").display())).await.unwrap();
        measure("SQLite", &sqlite, rows("OMNI_BENCH_SQLITE_ROWS"), Duration::from_millis(300)).await;
        if let Some(url) = postgres_schema().await {
            let postgres = Db::open(&url).await.unwrap();
            measure("PostgreSQL", &postgres, rows("OMNI_BENCH_POSTGRES_ROWS"), Duration::from_millis(100)).await;
        }
    });
}

fn rows(variable: &str) -> u64 {
    std::env::var_os(variable).and_then(|rows| rows.to_str()?.parse().ok()).unwrap_or(FEW)
}

async fn measure(name: &str, db: &Db, rows: u64, goal: Duration) {
    let began = Instant::now();
    load(db, rows).await;
    let loaded = began.elapsed();
    let analytics = Analytics::new(db.clone());
    analytics.catch_up().await.unwrap();
    let summed = began.elapsed() - loaded;
    println!("{name}: {rows} requests and as many calls of a year, loaded in {loaded:.1?}, summed up in {summed:.1?}");
    println!("{:<28}{:>10}{:>10}{:>10}{:>10}", "", "today", "week", "month", "all");
    let mut slowest = Duration::ZERO;
    for tool in tool_names() {
        let mut line = format!("{tool:<28}");
        for period in PERIODS {
            let took = time(&analytics, &tool, period).await;
            slowest = slowest.max(took);
            line.push_str(&format!("{:>7.1} ms", took.as_secs_f64() * 1e3));
        }
        println!("{line}");
    }
    println!("slowest: {:.1} ms, goal {} ms\n", slowest.as_secs_f64() * 1e3, goal.as_millis());
}

async fn time(analytics: &Analytics, tool: &str, period: &str) -> Duration {
    let caller = Principal::email("user7@company.com");
    let arguments: Map<String, Value> = json!({ "period": period }).as_object().unwrap().clone();
    let mut times = Vec::new();
    for _ in 0..=TIMES {
        let began = Instant::now();
        analytics.ask(&caller, tool, arguments.clone()).await.unwrap();
        times.push(began.elapsed());
    }
    // The first one has everything to find yet.
    times.remove(0);
    times.sort_unstable();
    times[TIMES / 2]
}
