//! Resident memory: of a service that waits, of one with 64 busy connections, and of the same when they are gone.

use std::{
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{
    calls::in_sessions,
    child::{Role, resident},
    drive::drive,
    home::{Home, Setup, server},
};

/// Busy connections.
const BUSY: usize = 64;
/// How much more than idle is as good as before.
const RECOVERED: f64 = 1.2;
/// How often somebody looks while they are busy.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What was measured, in bytes.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Memory {
    pub(super) idle: u64,
    /// The most that was seen.
    pub(super) busy: u64,
    /// The last that was seen.
    pub(super) after: u64,
    /// How long that took from the end of the load.
    pub(super) after_seconds: f64,
}

/// Measures one service; its memory has so long to come back.
pub(super) async fn measure(program: &Path, seconds: f64, patience: Duration) -> Result<Memory> {
    let upstream = Role::start(&["upstream"])?;
    let home =
        Home::new(program, &Setup { servers: vec![server("lab", &upstream.address, "/mcp")], ..Setup::default() })?;
    let (key, serving) = (home.key()?, home.serve()?);
    serving.knows(1).await?;
    sleep(Duration::from_millis(500)).await;
    let (pid, load) = (serving.pid(), in_sessions(&serving.address, &key, "lab"));
    let idle = resident(pid)?;
    let mut busy = 0;
    let mut load = pin!(drive(&load, BUSY, seconds));
    while timeout(LOOK_EVERY, &mut load).await.map_or(Ok(true), |driven| driven.map(|_| false))? {
        busy = busy.max(resident(pid)?);
    }
    let ended = Instant::now();
    while resident(pid)? as f64 > idle as f64 * RECOVERED && ended.elapsed() < patience {
        sleep(Duration::from_millis(250)).await;
    }
    Ok(Memory { idle, busy, after: resident(pid)?, after_seconds: ended.elapsed().as_secs_f64() })
}
