//! Speed and footprint: everything in rounds, and what is asked of it.

use std::{
    fs,
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;

use super::{
    args::Args,
    asks::Asks,
    calls::{Calls, STRAIGHT, Seen},
    gates,
    home::Drained,
    list::Lists,
    memory::{self, Memory},
    report::{Report, Table, figure},
    round::{Rows, Sums},
    start::{self, Start},
};

/// How long memory has to come back.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT_PATIENCE: Duration = Duration::from_secs(2);
const DECISIONS: u32 = 100_000;

/// All that is measured.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) rows: Rows,
    pub(super) seen: Seen,
    pub(super) drained: Drained,
    pub(super) memory: Memory,
    pub(super) start: Start,
    pub(super) decision_us: f64,
    pub(super) program_bytes: u64,
    pub(super) lean_bytes: Option<u64>,
}

pub(super) async fn run(args: &Args) -> Result<ExitCode> {
    let figures = measure(args).await?;
    let gates = gates::gates(&figures);
    let report = Report {
        name: "omni-bench",
        title: "Speed and footprint",
        tables: vec![rows(&figures.rows), gates::table(&gates)],
        figures: json!({ "measured": &figures, "gates": &gates }),
    };
    report.tell(args)?;
    // Whatever the speed: each call is passed on once, on the session that is there.
    let seen = figures.seen;
    ensure!(seen.calls == seen.results, "{} calls at the upstream for {} results", seen.calls, seen.results);
    ensure!(seen.sessions == 0, "{} sessions began at the upstream while calls came", seen.sessions);
    let fails = args.strict && gates.iter().any(gates::Gate::fails);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(args: &Args) -> Result<Figures> {
    let (program, seconds) = (args.program()?, args.window());
    let start = start::measure(&program).await?;
    let patience = if args.quick { SHORT_PATIENCE } else { PATIENCE };
    let memory = memory::measure(&program, seconds, patience).await?;
    let mut sums = Sums::default();
    let mut calls = Calls::start(&program).await?;
    for _ in 0..args.turns() {
        calls.round(&mut sums, seconds).await?;
    }
    let seen = calls.seen;
    // What is not measured is not there.
    drop(calls);
    let asks = Asks::start(&program).await?;
    for _ in 0..args.turns() {
        asks.round(&mut sums, seconds).await?;
    }
    drop(asks);
    let lists = Lists::start(&program).await?;
    for _ in 0..args.turns() {
        lists.round(&mut sums, seconds).await?;
    }
    Ok(Figures {
        drained: sums.drained,
        rows: sums.rows(),
        seen,
        memory,
        start,
        decision_us: decision_us(),
        program_bytes: fs::metadata(&program)?.len(),
        lean_bytes: args.lean.as_ref().map(fs::metadata).transpose()?.map(|lean| lean.len()),
    })
}

/// What a decision takes in this process.
fn decision_us() -> f64 {
    let rules = crate::rules(1_000);
    let decide = || black_box(rules.decide(black_box("server_0"), black_box("get_report_998"), None)).is_allowed();
    decide();
    let started = Instant::now();
    for _ in 0..DECISIONS {
        decide();
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
}

fn rows(rows: &Rows) -> Table {
    let head = ["what", "c", "/s", "p50 µs", "p95 µs", "p99 µs", "added p50 µs", "CPU µs", "refused"];
    let mut table = Table::new("Measured", &head);
    for row in &rows.0 {
        let straight =
            rows.of(STRAIGHT, row.at_once).filter(|_| row.what.starts_with("gateway") || row.what.contains("nginx"));
        let added = straight.map_or(String::new(), |straight| figure(row.p50_us - straight.p50_us));
        let [rate, p50, p95, p99] = [row.per_second, row.p50_us, row.p95_us, row.p99_us].map(figure);
        let cpu = row.cpu_us.map_or(String::new(), figure);
        let (what, at_once, refused) = (row.what.to_owned(), row.at_once.to_string(), row.refused.to_string());
        table.row([what, at_once, rate, p50, p95, p99, added, cpu, refused]);
    }
    table
}
