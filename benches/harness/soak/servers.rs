//! The servers: most over HTTP, which are this program's children, and every fifth on standard input and output, which is
//! omni's. Killed and started again, one after the other.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::{
    child::{Role, children, kill},
    home::{entry, server},
};

/// How long a killed server stays away.
const AWAY: Duration = Duration::from_secs(3);
/// How long after that calls may still be kept from it: omni leaves a server that failed often alone for
/// [`PAUSE_SECONDS`], a little more where its luck is bad, and then looks.
const RECOVERING: Duration = Duration::from_secs(8);
/// `breaker.pause_seconds`, and how long a pause may grow to: the same, so that the time is known by when it has recovered.
const PAUSE_SECONDS: f64 = 2.0;
/// Every so many is on standard input and output.
const STDIO_EVERY: usize = 5;

#[derive(Debug)]
struct Slot {
    name: String,
    /// Where it serves; none where it is omni's child.
    address: Option<String>,
    /// Its process, where it is not.
    role: Option<Role>,
    /// Since when it was well without a break; none while it is away, and a little after.
    well_since: Option<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Servers(Vec<Mutex<Slot>>);

impl Servers {
    pub(super) fn start(count: usize) -> Result<Self> {
        let slot = |at: usize| {
            let role = (!at.is_multiple_of(STDIO_EVERY)).then(|| Role::start(&["upstream"])).transpose()?;
            let address = role.as_ref().map(|role| role.address.clone());
            Ok(Mutex::new(Slot { name: format!("s{at}"), address, role, well_since: Some(Instant::now()) }))
        };
        Ok(Self((0..count).map(slot).collect::<Result<_>>()?))
    }

    fn slot(&self, at: usize) -> MutexGuard<'_, Slot> {
        self.0[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn name(&self, at: usize) -> String {
        self.slot(at).name.clone()
    }

    pub(super) fn well_since(&self, at: usize) -> Option<Instant> {
        self.slot(at).well_since
    }

    /// Their entries of `mcps.yaml`.
    pub(super) fn entries(&self) -> Result<Vec<Value>> {
        let program = std::env::current_exe()?;
        let program = program.to_str().context("a path that can be written down")?;
        let configured = |at: usize| {
            let slot = self.slot(at);
            let mut configured = match &slot.address {
                Some(address) => server(&slot.name, address, "/mcp"),
                None => {
                    let args = ["stdio", "--name", &slot.name];
                    entry(&slot.name, json!({ "protocol": "stdio", "command": program, "args": args }))
                }
            };
            configured["breaker"] = json!({ "pause_seconds": PAUSE_SECONDS, "max_pause_seconds": PAUSE_SECONDS });
            configured
        };
        Ok((0..self.len()).map(configured).collect())
    }

    /// Ends a server at once; `omni` is whose child it is, if it is not this program's.
    fn kill(&self, at: usize, omni: u32) -> Result<()> {
        let mut slot = self.slot(at);
        slot.well_since = None;
        if slot.role.take().is_none() {
            let called = format!("--name {} ", slot.name);
            let pid = children(omni)?.into_iter().find(|(_, line)| line.contains(&called)).map(|(pid, _)| pid);
            kill(pid.with_context(|| format!("omni has no child {called}"))?)?;
        }
        Ok(())
    }

    /// Starts it again where it was; omni starts its own.
    fn start_again(&self, at: usize) -> Result<()> {
        let mut slot = self.slot(at);
        if let Some(address) = slot.address.clone() {
            slot.role = Some(Role::start(&["upstream", "--bind", &address])?);
        }
        Ok(())
    }
}

/// Kills one server after the other until then; how many.
pub(super) async fn kill_until(servers: Arc<Servers>, until: Instant, every: f64, omni: u32) -> Result<usize> {
    let every = Duration::from_secs_f64(every).max(AWAY + RECOVERING);
    let mut killed = 0;
    loop {
        sleep((every - AWAY - RECOVERING).min(until.saturating_duration_since(Instant::now()))).await;
        if Instant::now() + AWAY + RECOVERING >= until {
            return Ok(killed);
        }
        // A stride that has every kind of them early on.
        let at = killed * 7 % servers.len();
        servers.kill(at, omni)?;
        killed += 1;
        sleep(AWAY).await;
        servers.start_again(at)?;
        sleep(RECOVERING).await;
        servers.slot(at).well_since = Some(Instant::now());
    }
}
