//! Follows a running ask, until it ends or the person gives it up.

#[cfg(feature = "sql")]
use std::time::Duration;
use std::{future::poll_fn, task::Poll};

use omni_core::{
    Answer, AnswerEvent, AnswerStream, Error, Omni,
    answer::{Failure, Status},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[cfg(feature = "sql")]
use crate::app::App;
use crate::{fault::Fault, render::Render};

/// Ctrl-C and SIGTERM, noted from the moment this is made. Where they cannot be, they end the
/// process, as they always do.
#[derive(Debug)]
pub(super) struct Interruption(Vec<Signal>);

impl Interruption {
    /// From now on an interruption does not end the process.
    pub(super) fn listen() -> Self {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        Self(kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect())
    }

    /// Comes back when the person wants to stop.
    pub(super) async fn arrives(&mut self) {
        poll_fn(|context| {
            let has_arrived = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if has_arrived { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Shows every event until the ask ends, or an interruption ends it at once.
///
/// When nobody reads any more, the stream is dropped, and with it the ask.
pub(super) async fn follow(
    mut stream: AnswerStream,
    interruption: &mut Interruption,
    render: &mut (dyn Render + Send),
) -> Result<Result<Answer, Failure>, Fault> {
    let mut seen = Answer::empty(stream.request_id(), "");
    loop {
        let event = tokio::select! {
            biased;
            () = interruption.arrives() => return Ok(Err(given_up(seen))),
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

/// Does something with a pipeline that has no servers, and ends it: for what is only looked up.
#[cfg(feature = "sql")]
pub(super) async fn without_servers<T>(
    app: &App,
    work: impl AsyncFnOnce(&Omni) -> Result<T, Error>,
    explain: impl FnOnce(Error) -> Fault,
) -> Result<T, Fault> {
    let mut config = app.config()?;
    config.servers.clear();
    let omni = app.build(&config).await?;
    let done = work(&omni).await;
    close(&omni).await;
    done.map_err(explain)
}

/// Ends the pipeline; a second interruption does not wait for it.
pub(super) async fn close(omni: &Omni) {
    closed(omni.shutdown()).await;
}

/// The same, after what still runs had its time.
#[cfg(feature = "sql")]
pub(super) async fn close_within(omni: &Omni, grace: Duration) {
    closed(omni.shutdown_within(grace)).await;
}

async fn closed(closing: impl Future<Output = ()>) {
    let mut interruption = Interruption::listen();
    tokio::select! {
        () = closing => {}
        () = interruption.arrives() => tracing::warn!("interrupted while closing"),
    }
}

/// Keeps what was seen, should there be no last event.
fn note(seen: &mut Answer, event: &AnswerEvent) {
    match event {
        AnswerEvent::Started { user, role, model, thread, .. } => {
            seen.thread.clone_from(thread);
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
