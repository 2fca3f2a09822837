//! The minimal MCP server on standard input and output.

use std::io::{BufRead as _, Write as _, stdin, stdout};

use anyhow::Result;

/// Serves until its input ends.
pub(super) fn serve() -> Result<()> {
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        if let Some(reply) = crate::upstream::reply(line?.as_bytes(), 1)? {
            writeln!(out, "{reply}")?;
            out.flush()?;
        }
    }
    Ok(())
}
