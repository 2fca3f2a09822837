//! One page a file: what is shown, made of what the core said and of nothing else.
//!
//! A view is the document of its page too: what only the page wants, such as pictures, is left out of it.

pub(super) mod approvals;
pub(super) mod ask;
pub(super) mod audit;
pub(super) mod keys;
pub(super) mod limits;
pub(super) mod overview;
pub(super) mod rights;
pub(super) mod server;
pub(super) mod servers;
pub(super) mod settings;
pub(super) mod tool;
pub(super) mod user;
pub(super) mod users;
pub(super) mod written;

use omni_core::uptime;

use super::{
    chart::{self, Svg},
    show,
};

/// How something is going, as a class of the sheet of styles.
fn mark_of(status: &str) -> &'static str {
    match status {
        "success" | "healthy" | "closed" | "active" | "approved" | "done" | "allow" => "ok",
        "warning" | "rate_limited" | "cancelled" | "half_open" | "pending" | "running" | "unknown_outcome" => "warn",
        "error" | "timeout" | "denied" | "unhealthy" | "open" | "blocked" | "deny" => "bad",
        _ => "dim",
    }
}

/// The class of a portion of time in which nothing was called.
const NO_CALL: &str = "none";

/// How calls went in a portion of time: so many, and so many of them failed.
fn cell(name: &str, (calls, failed): (u64, u64)) -> (&'static str, String) {
    let class = match failed {
        _ if calls == 0 => NO_CALL,
        0 => "ok",
        some if some * 5 < calls => "warn",
        _ => "bad",
    };
    (class, format!("{name}: {calls} calls, {failed} failed"))
}

/// How a server did over time, in portions of these names.
fn health_strip(server: &str, portions: &[uptime::Portion], names: &[String]) -> Svg {
    let cells: Vec<_> = portions.iter().zip(names).map(|(portion, name)| health_cell(name, *portion)).collect();
    chart::strip(&format!("Health of {server} over time"), &cells)
}

/// How a server did in a portion of time.
fn health_cell(name: &str, portion: uptime::Portion) -> (&'static str, String) {
    let uptime::Portion { watched_ms, away_ms, .. } = portion;
    match away_ms {
        _ if watched_ms == 0 => ("none", format!("{name}: not watched")),
        0 => ("ok", format!("{name}: healthy")),
        some => {
            let class = if some * 5 < watched_ms { "warn" } else { "bad" };
            (class, format!("{name}: away for {} of {}", show::duration(some), show::duration(watched_ms)))
        }
    }
}
