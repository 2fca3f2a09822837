//! A child, its descendants, and the watchdog that ends them when this process is killed.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use async_trait::async_trait;
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
use secrecy::ExposeSecret;
use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{StdioServer, stderr::Stderr};
use crate::mcp::{McpError, lines::Keeper};

/// How long a server may take to end by itself after its input ended.
const BY_ITSELF: Duration = Duration::from_millis(1_500);

/// How long it may take after it was asked by a signal.
const BY_SIGNAL: Duration = Duration::from_millis(700);

/// How long the system may take to end it.
const BY_FORCE: Duration = Duration::from_secs(1);

/// How long the last words of an ended server are waited for.
const LAST_WORDS: Duration = Duration::from_millis(300);

const SIGTERM: i32 = 15;

/// Lives in the child's process group and reads from a pipe that this process holds: when this
/// process dies, however it dies, the pipe ends and the group is killed, the watchdog with it.
/// While it lives its group cannot be confused with a later one of the same number. What this process
/// was itself given to hold for others, such as sockets of a supervisor, it lets go of.
const WATCHDOG: &str = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; trap '' HUP INT TERM; read -r _; kill -9 0";

/// A running child. Dropping it kills its process group.
pub(super) struct Process {
    child: Box<dyn ChildWrapper>,
    watchdog: Option<Child>,
    stderr: Stderr,
    ended: bool,
}

/// Starts a server.
///
/// # Errors
/// [`McpError::Connect`] when its program cannot be started.
pub(super) fn spawn(server: &StdioServer) -> Result<(Process, ChildStdin, ChildStdout), McpError> {
    let mut wrap = CommandWrap::from(command(server));
    wrap.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
    let mut child = wrap.spawn().map_err(|error| cannot_start(server, &error.to_string()))?;
    let watchdog = child.id().and_then(watch);
    let pipes = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(cannot_start(server, "it has no pipes"));
    };
    let stderr = Stderr::read(stderr, server.command.clone(), server.redactor());
    Ok((Process { child, watchdog, stderr, ended: false }, stdin, stdout))
}

fn command(server: &StdioServer) -> Command {
    let mut command = Command::new(&server.command);
    command.args(&server.args).env_clear();
    command.envs(server.env.iter().map(|(name, value)| (name, value.expose_secret())));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(cwd) = &server.cwd {
        command.current_dir(cwd);
    }
    command
}

fn cannot_start(server: &StdioServer, reason: &str) -> McpError {
    let place = server.cwd.as_ref().map(|cwd| format!(" in {}", cwd.display())).unwrap_or_default();
    McpError::Connect { message: format!("cannot start {:?}{place}: {reason}", server.command) }
}

/// Without a watchdog a server still ends with its connection, only not with a killed omni.
fn watch(group: u32) -> Option<Child> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WATCHDOG]).env_clear().current_dir("/").process_group(i32::try_from(group).ok()?);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().inspect_err(|error| tracing::debug!(%error, "a server runs without its watchdog")).ok()
}

impl Process {
    /// Waits for the child alone: its descendants are killed, not waited for.
    async fn exit(&mut self, within: Duration) -> Option<ExitStatus> {
        timeout(within, self.child.inner_mut().wait()).await.ok()?.ok()
    }

    /// Kills the whole group, unless it may be somebody else's by now.
    fn kill(&mut self) {
        if self.watchdog.is_some() || self.child.id().is_some() {
            let _ = self.child.start_kill();
        }
    }
}

#[async_trait]
impl Keeper for Process {
    async fn gone(&mut self) {
        let _ = self.child.inner_mut().wait().await;
    }

    async fn last_words(&mut self) -> Option<String> {
        let status = self.exit(LAST_WORDS).await;
        let words = self.stderr.last_words(LAST_WORDS).await;
        match (status, words) {
            (Some(status), Some(words)) => Some(format!("{status}: {words}")),
            (Some(status), None) => Some(status.to_string()),
            (None, words) => words,
        }
    }

    async fn end(&mut self) {
        if self.exit(BY_ITSELF).await.is_none() {
            let _ = self.child.signal(SIGTERM);
            self.exit(BY_SIGNAL).await;
        }
        self.kill();
        self.exit(BY_FORCE).await;
        if let Some(mut watchdog) = self.watchdog.take() {
            let _ = timeout(BY_FORCE, watchdog.wait()).await;
        }
        self.ended = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}
