//! `omni --demo`, whatever the command is.

use std::sync::atomic::{AtomicBool, Ordering};

use omni_core::Error;

use super::follow::Interruption;
use crate::{app::App, args::Command, exit::Exit, fault::Fault};

/// Makes the demo, and carries a command out in it. However that is interrupted, the process ends by itself: what was
/// made goes with it.
pub(super) async fn within(
    app: &App,
    command: &Command,
    carrying_out: impl Future<Output = Result<Exit, Fault>>,
) -> Result<Exit, Fault> {
    if matches!(command, Command::Init(_)) {
        return Err(Fault::usage("--demo keeps nothing, and `omni init` writes files: it is one or the other"));
    }
    let is_made = AtomicBool::new(false);
    let work = async {
        Box::pin(app.prepare()).await?;
        is_made.store(true, Ordering::SeqCst);
        carrying_out.await
    };
    tokio::select! {
        biased;
        () = interrupted(ends_by_itself(command), &is_made) => Err(Error::Cancelled.into()),
        done = work => done,
    }
}

/// Whether a command goes on until it is told to end, and hears that itself.
fn ends_by_itself(command: &Command) -> bool {
    #[cfg(feature = "slack")]
    if matches!(command, Command::Slack(args) if args.fake) {
        return true;
    }
    #[cfg(feature = "serve")]
    return command.is_service();
    #[cfg(not(feature = "serve"))]
    return false;
}

/// Comes back when an interruption is to end a command that does not hear it.
async fn interrupted(is_service: bool, is_made: &AtomicBool) {
    // A service reads its files anew with SIGHUP.
    let mut interruption = if is_service { Interruption::overhear_but_hangup() } else { Interruption::overhear() };
    // It ends by itself, if it is there by then; whoever asks once more does not want to wait.
    let mut is_left_alone = is_service;
    loop {
        interruption.arrives().await;
        if Interruption::is_heard() {
            continue;
        }
        // While the demo is made there is no service that could.
        if !is_made.load(Ordering::SeqCst) || !std::mem::take(&mut is_left_alone) {
            return;
        }
    }
}
