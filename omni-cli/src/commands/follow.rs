//! Follows a running ask, until it ends or the person gives it up.

use omni_core::{
    Answer, AnswerEvent, AnswerStream, Error, Omni,
    answer::{Failure, Status},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{fault::Fault, render::Render};

/// Shows every event until the ask ends; Ctrl-C and SIGTERM end it at once.
///
/// When nobody reads any more, the stream is dropped, and with it the ask.
pub(super) async fn follow(
    mut stream: AnswerStream,
    render: &mut (dyn Render + Send),
) -> Result<Result<Answer, Failure>, Fault> {
    let mut seen = Answer::empty(stream.request_id(), "");
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    loop {
        let event = tokio::select! {
            biased;
            () = &mut interrupted => return Ok(Err(given_up(seen))),
            event = stream.next() => event,
        };
        match event {
            Some(AnswerEvent::Done(answer)) => return Ok(Ok(*answer)),
            Some(AnswerEvent::Error(failure)) => return Ok(Err(*failure)),
            Some(event) => {
                note(&mut seen, &event);
                render.event(&event)?;
            }
            None => return Ok(Err(broken_off(seen))),
        }
    }
}

/// Ends the pipeline; a second interruption does not wait for it.
pub(super) async fn close(omni: &Omni) {
    tokio::select! {
        () = omni.shutdown() => {}
        () = interrupted() => tracing::warn!("interrupted while closing"),
    }
}

/// Comes back when the person wants to stop; never where signals cannot be listened to.
async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    let pressed = async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => {}
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminated => {}
        () = pressed => {}
    }
}

/// Keeps what was seen, should there be no last event.
fn note(seen: &mut Answer, event: &AnswerEvent) {
    match event {
        AnswerEvent::Started { user, role, model, .. } => {
            seen.user.clone_from(user);
            seen.role = Some(role.clone());
            seen.model = Some(model.clone());
        }
        AnswerEvent::Text { text } => seen.text.push_str(text),
        AnswerEvent::ToolFinished(call) => seen.tool_calls.push(call.clone()),
        AnswerEvent::Usage { usage, cost } => {
            seen.usage = *usage;
            seen.cost = *cost;
            seen.iterations += 1;
        }
        AnswerEvent::Warning(warning) => seen.warnings.push(warning.clone()),
        _ => {}
    }
}

fn given_up(mut seen: Answer) -> Failure {
    seen.status = Status::Cancelled;
    Failure::new(Error::Cancelled, seen)
}

fn broken_off(mut seen: Answer) -> Failure {
    seen.status = Status::Failed;
    Failure::new(Error::Internal { message: "the ask ended without a last event".into() }, seen)
}
