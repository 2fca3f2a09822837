//! `omni feedback`.

use omni_core::feedback::{Feedback, Verdict};

use super::follow;
use crate::{
    app::App,
    args::{FeedbackArgs, Thumb},
    exit::Exit,
    fault::Fault,
};

/// Keeps a verdict, in the place of an earlier one.
pub(super) async fn run(app: &App, args: &FeedbackArgs) -> Result<Exit, Fault> {
    let verdict = match args.verdict {
        Thumb::Up => Verdict::Up,
        Thumb::Down => Verdict::Down,
    };
    let omni = app.omni().await?;
    let feedback = Feedback::new(args.ask, verdict).because(args.reason.clone());
    let kept = omni.feedback(app.credential(args.act_as.as_deref()), feedback).await;
    follow::close(&omni).await;
    kept?;
    app.console.hint("kept; say it again to change it");
    Ok(Exit::Success)
}
