//! How long a service takes until it listens, and what it is then.

use std::{path::Path, time::Duration};

use anyhow::Result;
use serde::Serialize;

use super::{
    child::resident,
    home::{Home, Setup},
};

/// Starts of which the middle one counts.
const STARTS: usize = 5;

/// A service without servers.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Start {
    /// In a directory where there was nothing, with a database to make.
    pub(super) first_ms: f64,
    /// Where it ran before.
    pub(super) again_ms: f64,
    /// Resident memory when nobody asks, in bytes.
    pub(super) idle: u64,
}

pub(super) async fn measure(program: &Path) -> Result<Start> {
    let home = Home::new(program, &Setup::default())?;
    let millis = |after: Duration| after.as_secs_f64() * 1e3;
    let first_ms = millis(home.serve()?.ready_after);
    let mut again = Vec::new();
    let mut idle = 0;
    for _ in 0..STARTS {
        let serving = home.serve()?;
        again.push(serving.ready_after);
        tokio::time::sleep(Duration::from_millis(300)).await;
        idle = resident(serving.pid())?;
    }
    again.sort_unstable();
    Ok(Start { first_ms, again_ms: millis(again[STARTS / 2]), idle })
}
