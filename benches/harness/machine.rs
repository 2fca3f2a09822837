//! Where and when something was measured.

use std::{fs, process::Command};

use chrono::Utc;
use serde::Serialize;

/// What figures are worth nothing without.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    pub(super) machine: String,
    pub(super) date: String,
    pub(super) commit: String,
    pub(super) command: String,
}

impl Machine {
    pub(super) fn here() -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        Self {
            machine: machine(),
            date: Utc::now().format("%Y-%m-%d %H:%M UTC").to_string(),
            commit: said("git", &["describe", "--always", "--dirty"]),
            command: ["omni-bench".to_owned()].into_iter().chain(args).collect::<Vec<_>>().join(" "),
        }
    }
}

fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        line.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
    let (model, system) = (field("/proc/cpuinfo", "model name"), said("uname", &["-sr"]));
    format!("{cores} cores ({model}), {} GiB, {system}", memory / 1_024 / 1_024)
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success());
    output.map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
