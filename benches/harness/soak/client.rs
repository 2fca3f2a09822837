//! A client: one call after another, each to the next server.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::time::{sleep, timeout};

use super::servers::Servers;
use crate::harness::{
    calls::{call, in_sessions},
    drive::Caller,
};

/// A call that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of all calls.
#[derive(Debug, Default)]
pub(super) struct Tally {
    calls: AtomicU64,
    of_killed: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls that failed while their server was away.
    pub(super) fn of_killed(&self) -> u64 {
        self.of_killed.load(Ordering::Relaxed)
    }

    /// What failed although its server was well.
    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failed(&self, what: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

/// Calls until then. A client whose connection breaks has failed once, and comes back.
pub(super) async fn call_until(
    until: Instant,
    number: usize,
    address: &str,
    key: &str,
    pause: Duration,
    servers: &Servers,
    tally: &Tally,
) {
    let mut next = number;
    while Instant::now() < until {
        let load = in_sessions(address, key, &servers.name(0));
        let connected = timeout(PATIENCE, Caller::connect(&load)).await.context("no connection in time");
        let mut caller = match connected.and_then(|connected| connected) {
            Ok(caller) => caller,
            Err(error) => {
                tally.failed(format!("client {number} could not connect: {error:#}"));
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        while Instant::now() < until {
            next += 1;
            if let Err(error) = one(&mut caller, next % servers.len(), servers, tally).await {
                tally.failed(format!("client {number} lost its connection: {error:#}"));
                break;
            }
            sleep(pause).await;
        }
    }
}

/// One call; an error is one of the connection to omni, which is never in order.
async fn one(caller: &mut Caller, server: usize, servers: &Servers, tally: &Tally) -> Result<()> {
    let before = servers.well_since(server);
    let answer = timeout(PATIENCE, caller.say(call(&servers.name(server)))).await.context("no answer in time")??;
    ensure!(answer.status == 200, "{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    tally.calls.fetch_add(1, Ordering::Relaxed);
    if answer.is_result().unwrap_or(false) {
        return Ok(());
    }
    // It may have been killed while the call ran.
    if before.is_some() && servers.well_since(server) == before {
        tally.failed(format!("{}: {}", servers.name(server), String::from_utf8_lossy(&answer.body)));
    } else {
        tally.of_killed.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
