//! Whether a call costs more where there is more: two services side by side, one with little and one with much, in turns.

use std::{path::Path, process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};
use omni_core::{analytics::Analytics, db::Db};
use serde::Serialize;
use serde_json::json;

use super::{
    args::{Args, GrowthArgs},
    calls::in_sessions,
    child::Role,
    drive::Load,
    home::{Home, Serving, Setup, server},
    report::{Report, Table, figure},
    round::{Row, Rows, Sums},
};
use crate::history;

const FEW: &str = "few";
const MANY: &str = "many";
const AT_ONCE: [usize; 2] = [1, 16];
/// Of what there are few in the first place.
const FEW_PEOPLE: usize = 10;

/// Little and much of one thing.
#[derive(Debug, Clone)]
struct Case {
    what: &'static str,
    few: Size,
    many: Size,
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
struct Size {
    rows: u64,
    people: usize,
    servers: usize,
}

/// What came of a case, at one number of connections.
#[derive(Debug, Serialize)]
struct Grown {
    what: String,
    few: Row,
    many: Row,
}

pub(super) async fn run(args: &Args, options: &GrowthArgs) -> Result<ExitCode> {
    let program = args.program()?;
    let mut grown = Vec::new();
    for case in cases(options) {
        let rows = compare(args, &program, &case).await?;
        for at_once in AT_ONCE {
            let [few, many] = [FEW, MANY].map(|size| rows.of(size, at_once).cloned());
            let (few, many) = few.zip(many).context("both were measured")?;
            grown.push(Grown { what: case.what.to_owned(), few, many });
        }
    }
    let table = table(&grown, options);
    let figures = json!({ "grown": grown });
    Report { name: "growth", title: "Cost does not grow", tables: vec![table], figures }.tell(args)?;
    Ok(ExitCode::SUCCESS)
}

fn cases(options: &GrowthArgs) -> [Case; 3] {
    let few = Size { rows: 1, people: FEW_PEOPLE, servers: 1 };
    let case = |what, many| Case { what, few, many };
    [
        case("requests in the ledger", Size { rows: options.rows, ..few }),
        case("people", Size { people: options.people, ..few }),
        case("servers", Size { servers: options.servers, ..few }),
    ]
}

/// One side of a case.
struct Side {
    name: &'static str,
    serving: Serving,
    load: Load,
    _home: Home,
}

async fn compare(args: &Args, program: &Path, case: &Case) -> Result<Rows> {
    let upstream = Role::start(&["upstream"])?;
    let few = side(FEW, program, case.few, &upstream).await?;
    let many = side(MANY, program, case.many, &upstream).await?;
    let mut sums = Sums::default();
    for _ in 0..args.turns() {
        for at_once in AT_ONCE {
            for side in [&few, &many] {
                sums.measure((side.name, at_once), &side.load, args.window(), Some(&side.serving)).await?;
            }
        }
    }
    Ok(sums.rows())
}

async fn side(name: &'static str, program: &Path, size: Size, upstream: &Role) -> Result<Side> {
    let servers = (0..size.servers).map(|at| server(&server_name(at), &upstream.address, "/mcp")).collect();
    let home = Home::new(program, &Setup { servers, people: FEW_PEOPLE, in_database: true, model: None })?;
    let key = home.key()?;
    fill(&home, size).await?;
    let serving = home.serve()?;
    serving.knows(size.servers).await?;
    let load = in_sessions(&serving.address, &key, &server_name(size.servers / 2));
    Ok(Side { name, serving, load, _home: home })
}

fn server_name(at: usize) -> String {
    format!("lab{at}")
}

async fn fill(home: &Home, size: Size) -> Result<()> {
    let started = Instant::now();
    let db = Db::open(&format!("sqlite:{}", home.database().display())).await?;
    history::people(&db, FEW_PEOPLE..size.people).await;
    history::load(&db, size.rows).await;
    Analytics::new(db.clone()).catch_up().await?;
    db.close().await;
    let Size { rows, people, .. } = size;
    println!("{people} people, {rows} requests and as many calls are there after {:.1?}", started.elapsed());
    Ok(())
}

fn table(grown: &[Grown], options: &GrowthArgs) -> Table {
    let head = ["of what", "few → many", "c", "/s", "ratio", "p50 µs", "ratio", "p99 µs", "ratio", "CPU µs", "ratio"];
    let mut table = Table::new("The same call where there is little and where there is much", &head);
    for Grown { what, few, many } in grown {
        let sizes = match what.as_str() {
            "people" => format!("{FEW_PEOPLE} → {}", options.people),
            "servers" => format!("1 → {}", options.servers),
            _ => format!("1 → {}", options.rows),
        };
        let pair = |of: fn(&Row) -> f64| {
            let (few, many) = (of(few), of(many));
            [format!("{} → {}", figure(few), figure(many)), figure(many / few)]
        };
        let cells = [pair(|row| row.per_second), pair(|row| row.p50_us), pair(|row| row.p99_us)];
        let cpu = pair(|row| row.cpu_us.unwrap_or(f64::NAN));
        let begin = [what.clone(), sizes, few.at_once.to_string()];
        table.row(begin.into_iter().chain(cells.into_iter().flatten()).chain(cpu));
    }
    table
}
