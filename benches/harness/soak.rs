//! Many clients call many servers for long, and every so often a server is killed and comes back. No call fails whose
//! server was well, and nothing grows: memory, descriptors, threads and processes.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    args::{Args, SoakArgs},
    child::{children, descriptors, resident, threads},
    home::{Home, Serving, Setup},
    report::{Report, Table, figure},
};

mod client;
mod growth;
mod servers;

use client::Tally;
use growth::{Sample, growth};
use servers::Servers;

/// How often somebody looks.
const SAMPLES: f64 = 24.0;

pub(super) async fn run(args: &Args, options: &SoakArgs) -> Result<ExitCode> {
    let servers = Arc::new(Servers::start(options.servers)?);
    let home = Home::new(&args.program()?, &Setup { servers: servers.entries()?, ..Setup::default() })?;
    let (key, mut serving) = (home.key()?, home.serve()?);
    serving.knows(options.servers).await?;
    let (tally, until) = (Arc::new(Tally::default()), Instant::now() + Duration::from_secs_f64(options.minutes * 60.0));
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let (servers, tally, address, key) = (servers.clone(), tally.clone(), serving.address.clone(), key.clone());
        let pause = Duration::from_millis(options.pause_ms);
        clients.spawn(async move {
            client::call_until(until, number, &address, &key, pause, &servers, &tally).await;
        });
    }
    let killing = tokio::spawn(servers::kill_until(servers.clone(), until, options.kill_every, serving.pid()));
    let samples = watch(&mut serving, &tally, until, options.minutes * 60.0 / SAMPLES).await?;
    clients.join_all().await;
    let killed = killing.await??;
    let drained = serving.drained().await?;
    let (failures, growth) = (tally.failures(), growth(&samples));
    let figures = json!({ "samples": samples, "calls": tally.calls(), "killed": killed, "failed": failures.len(),
        "failures": failures.iter().take(20).collect::<Vec<_>>(), "refused_of_killed": tally.of_killed(),
        "growth": growth, "drained": drained });
    let mut summary = Table::new("Outcome", &["what", "measured"]);
    let told = [
        ("calls", tally.calls().to_string()),
        ("servers killed", killed.to_string()),
        ("failed calls to killed servers", tally.of_killed().to_string()),
        ("failed calls to healthy servers", failures.len().to_string()),
        ("what grew", if growth.is_empty() { "nothing".to_owned() } else { growth.join("; ") }),
        ("ledger drained after", format!("{} s", figure(drained.seconds))),
    ];
    told.into_iter().for_each(|(what, measured)| summary.row([what.to_owned(), measured]));
    Report { name: "soak", title: "Soak", tables: vec![over_time(&samples), summary], figures }.tell(args)?;
    for failure in failures.iter().take(20) {
        println!("{failure}");
    }
    let is_well = failures.is_empty() && growth.is_empty() && tally.calls() > 0;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Looks at the service until the end.
async fn watch(serving: &mut Serving, tally: &Tally, until: Instant, every: f64) -> Result<Vec<Sample>> {
    let (began, mut samples) = (Instant::now(), Vec::new());
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_secs_f64(every)).await;
        anyhow::ensure!(!serving.process.has_ended(), "omni has ended");
        let pid = serving.pid();
        samples.push(Sample {
            seconds: began.elapsed().as_secs_f64(),
            calls: tally.calls(),
            failed: tally.failures().len(),
            resident: resident(pid)?,
            descriptors: descriptors(pid)?,
            threads: threads(pid)?,
            processes: children(pid)?.len(),
            backlog: serving.backlog().await?,
        });
    }
    Ok(samples)
}

fn over_time(samples: &[Sample]) -> Table {
    let head = ["after s", "calls", "failed", "MB", "descriptors", "threads", "processes", "backlog"];
    let mut table = Table::new("Over time", &head);
    for sample in samples {
        let counts = [sample.descriptors, sample.threads, sample.processes].map(|count| count.to_string());
        let begin = [figure(sample.seconds), sample.calls.to_string(), sample.failed.to_string()];
        let megabytes = figure(sample.resident as f64 / 1e6);
        table.row(begin.into_iter().chain([megabytes]).chain(counts).chain([sample.backlog.to_string()]));
    }
    table
}
