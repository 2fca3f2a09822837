//! What is done on schedule.

mod files;
mod making;
mod office;
mod running;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use office::{Doors, Office};

/// A Monday, half an hour before nine in Prague, where everybody lives.
const MONDAY: &str = "2026-11-30T07:30:00Z";
/// Nine there, on three days.
const NINE: [&str; 3] = ["2026-11-30T08:00:00Z", "2026-12-01T08:00:00Z", "2026-12-02T08:00:00Z"];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Ann and Bob, and somebody who is an administrator.
fn doors() -> Arc<Doors> {
    Doors::new(&[("ann@company.com", "dba"), ("bob@company.com", "reader"), ("ada@company.com", "admin")])
}
