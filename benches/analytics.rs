//! `cargo bench -p omni-benches --bench analytics`: how long each tool of the analytics server takes, by period.
//!
//! `OMNI_BENCH_SQLITE_ROWS` and `OMNI_BENCH_POSTGRES_ROWS` say how many requests a year has, each with a call of a tool; PostgreSQL
//! is the one that `OMNI_TEST_POSTGRES_URL` names. The goals are 300 ms over 1,000,000 on SQLite and 100 ms over 10,000,000
//! on PostgreSQL.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "benchmarks may stop at a fault and print")]

use std::time::{Duration, Instant};

use omni_core::{
    Principal,
    analytics::{Analytics, tool_names},
    db::{Db, Dialect},
    testing::postgres_schema,
};
use serde_json::{Map, Value, json};

/// Requests of a year where nobody says.
const FEW: u64 = 2_000;
const PERIODS: [&str; 4] = ["today", "week", "month", "all"];
/// How often each question is asked; the middle one counts.
const TIMES: usize = 5;
/// Indexes are made after so many rows.
const MANY: u64 = 100_000;

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

/// Rows of a year that follow from their numbers: 200 people, three servers, twenty tools.
async fn load(db: &Db, rows: u64) {
    let is_large = rows >= MANY;
    let indexes = if is_large { take_indexes(db).await } else { Vec::new() };
    let parts = Parts::of(db.dialect(), rows);
    for statement in [parts.logs(), parts.calls()] {
        db.execute(&statement, &[]).await.unwrap();
    }
    for index in indexes {
        db.execute(&index, &[]).await.unwrap();
    }
    db.execute("ANALYZE", &[]).await.unwrap();
}

/// What makes the indexes again that are taken away here.
async fn take_indexes(db: &Db) -> Vec<String> {
    let list = match db.dialect() {
        Dialect::Sqlite => {
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
            AND tbl_name IN ('audit_logs', 'tool_calls')"
        }
        Dialect::Postgres => {
            "SELECT CAST(indexname AS TEXT) AS name, indexdef AS sql FROM pg_indexes
            WHERE schemaname = current_schema() AND tablename IN ('audit_logs', 'tool_calls')
            AND indexdef NOT LIKE 'CREATE UNIQUE%'"
        }
    };
    if db.dialect() == Dialect::Postgres {
        // What searches texts has nothing to do with it.
        db.execute("ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_search_update", &[]).await.unwrap();
    }
    let mut made = Vec::new();
    for row in db.fetch_all(list, &[]).await.unwrap() {
        made.push(row.text("sql").unwrap());
        db.execute(&format!("DROP INDEX {}", row.text("name").unwrap()), &[]).await.unwrap();
    }
    made
}

/// What the two databases say differently.
struct Parts {
    numbers: String,
    at: String,
    tools: &'static str,
    servers: &'static str,
    yes: &'static str,
    no: &'static str,
    json: &'static str,
}

impl Parts {
    fn of(dialect: Dialect, rows: u64) -> Self {
        let step = 365.0 * 86_400.0 / rows as f64;
        match dialect {
            Dialect::Sqlite => Self {
                numbers: format!(
                    "(WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < {rows})
                      SELECT g, (g * 2654435761) % 4294967296 AS h FROM n)"
                ),
                at: format!("strftime('%Y-%m-%d %H:%M:%f000', 'now', (-({rows} - g) * {step}) || ' seconds')"),
                tools: "json_array('server' || (h % 3) || '.tool' || (h % 20))",
                servers: "json_array('server' || (h % 3))",
                yes: "1",
                no: "0",
                json: "'{}'",
            },
            Dialect::Postgres => Self {
                numbers: format!(
                    "(SELECT g, (g * 2654435761) % 4294967296 AS h FROM generate_series(CAST(1 AS BIGINT), {rows}) g)"
                ),
                at: format!("now() - ({rows} - g) * interval '{step} seconds'"),
                tools: "ARRAY['server' || (h % 3) || '.tool' || (h % 20)]",
                servers: "ARRAY['server' || (h % 3)]",
                yes: "true",
                no: "false",
                json: "CAST('{}' AS jsonb)",
            },
        }
    }

    fn logs(&self) -> String {
        let Self { numbers, at, tools, servers, yes, no, .. } = self;
        format!(
            "INSERT INTO audit_logs (chain_id, seq, timestamp, created_at, request_id, tenant, user_email, user_role,
                source, request_type, message, message_preview, model, iterations, tool_calls_count, tools_used,
                mcps_accessed, tokens_input, tokens_output, tokens_cached, tokens_cache_write, cost_nano_usd, success,
                status, duration_ms, error_message, was_blocked, block_reason)
             SELECT 'bench', g, {at}, {at}, 'r' || g, 'default', 'user' || (h % 200) || '@company.com', 'role' || (h % 8),
                CASE h % 3 WHEN 0 THEN 'cli' WHEN 1 THEN 'http' ELSE 'slack' END, 'chat', 'What about number ' || g || '?',
                'What about number ' || g || '?', CASE WHEN h % 4 = 0 THEN 'claude-sonnet-4-5' ELSE 'claude-haiku-4-5' END,
                1 + h / 7 % 6, 1, {tools}, {servers}, 100 + h % 900, 50 + h % 450, h % 8000, 0, 100000 + h % 90000000,
                CASE WHEN h / 11 % 100 < 95 THEN {yes} ELSE {no} END,
                CASE WHEN h / 11 % 100 < 95 THEN 'success' WHEN h / 11 % 100 < 98 THEN 'error' ELSE 'denied' END,
                300 + h / 13 % 4000 + CASE WHEN h % 50 = 0 THEN h / 17 % 60000 ELSE 0 END,
                CASE WHEN h / 11 % 100 >= 95 THEN 'failure number ' || (h % 12) END,
                CASE WHEN h / 11 % 100 >= 98 THEN {yes} ELSE {no} END,
                CASE WHEN h / 11 % 100 >= 98 THEN 'not for you' END
             FROM {numbers} x"
        )
    }

    fn calls(&self) -> String {
        let Self { numbers, at, json, .. } = self;
        format!(
            "INSERT INTO tool_calls (chain_id, seq, request_id, created_at, tenant, user_email, server, tool, arguments,
                status, duration_ms, bytes, cost_nano_usd, error, rule)
             SELECT 'bench-calls', g, 'r' || g, {at}, 'default', 'user' || (h % 200) || '@company.com', 'server' || (h % 3),
                'tool' || (h % 20), {json}, CASE WHEN h / 11 % 100 < 96 THEN 'success' WHEN h / 11 % 100 < 98 THEN 'error'
                ELSE 'denied' END, 20 + h / 13 % 900, h % 9000, 50000 + h % 40000000,
                CASE WHEN h / 11 % 100 >= 96 THEN 'call failure ' || (h % 12) END,
                CASE WHEN h / 11 % 100 >= 98 THEN 'mcps.server.deny: tool' || (h % 5) END
             FROM {numbers} x"
        )
    }
}
