//! Processes that are measured, and what the system says of them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

/// How long a process has to end by itself: longer than omni gives those who still wait for an answer.
const END_WITHIN: Duration = Duration::from_secs(40);

/// A process that ends with this.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    pub(super) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Asks it to end, and gives it time: a program that counts which way it takes writes that down when it ends.
    pub(super) fn ask_to_end(&mut self) {
        let asked = Instant::now();
        if self.has_ended() || signal("-TERM", self.pid()).is_err() {
            return;
        }
        while !self.has_ended() && asked.elapsed() < END_WITHIN {
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program once more, in another role, at an address.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) address: String,
    _process: Process,
}

impl Role {
    /// Starts it with these arguments, and waits until it says where it serves.
    pub(super) fn start(args: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("its output is ours")?;
        let process = Process::of(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line.split_whitespace().next().unwrap_or_default().to_owned();
        ensure!(!address.is_empty(), "{args:?} ended before it served");
        Ok(Self { address, _process: process })
    }
}

/// Processor time that a process took so far.
pub(super) fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // What comes before the last bracket may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')').context("a name")?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Resident memory in bytes.
pub(super) fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it has ended")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
}

/// Open descriptors.
pub(super) fn descriptors(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Threads.
pub(super) fn threads(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count())
}

/// Processes that a process has started and not yet let go, with how each was called.
pub(super) fn children(pid: u32) -> Result<Vec<(u32, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that ends meanwhile is none.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if parent == Some(&pid.to_string()) {
            let called = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            found.push((id, String::from_utf8_lossy(&called).replace('\0', " ")));
        }
    }
    Ok(found)
}

/// Ends a process at once.
pub(super) fn kill(pid: u32) -> Result<()> {
    signal("-KILL", pid)
}

fn signal(signal: &str, pid: u32) -> Result<()> {
    // The shell's own, for not every machine has the program.
    let mut command = Command::new("sh");
    let sent = command.args(["-c", r#"kill "$0" "$1""#, signal, &pid.to_string()]).stderr(Stdio::null()).status()?;
    ensure!(sent.success(), "there is no process {pid}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_to_end_writes_down_what_it_has_to_first() {
        let dir = tempfile::tempdir().unwrap();
        let told = dir.path().join("told");
        let script = r#"trap 'echo all > "$0"; exit 0' TERM; echo ready; while :; do sleep 0.05; done"#;
        let mut command = Command::new("sh");
        let mut child = command.args(["-c", script]).arg(&told).stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let mut process = Process::of(child);
        BufReader::new(out).read_line(&mut String::new()).unwrap();
        process.ask_to_end();
        assert!(process.has_ended());
        assert_eq!(fs::read_to_string(told).unwrap(), "all\n");
    }
}
