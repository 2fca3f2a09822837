//! `omni --demo`, whatever the command is.

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
    #[cfg(feature = "serve")]
    let is_service = command.is_service();
    #[cfg(not(feature = "serve"))]
    let is_service = false;
    let work = async {
        Box::pin(app.prepare()).await?;
        carrying_out.await
    };
    tokio::select! {
        biased;
        () = interrupted(is_service) => Err(Error::Cancelled.into()),
        done = work => done,
    }
}

/// Comes back when an interruption is to end a command that does not hear it.
async fn interrupted(is_service: bool) {
    // A service reads its files anew with SIGHUP.
    let mut interruption = if is_service { Interruption::overhear_but_hangup() } else { Interruption::overhear() };
    // It ends by itself, if it is there by then; whoever asks once more does not want to wait.
    let mut is_left_alone = is_service;
    loop {
        interruption.arrives().await;
        if !Interruption::is_heard() && !std::mem::take(&mut is_left_alone) {
            return;
        }
    }
}
