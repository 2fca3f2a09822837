//! Follows a running ask, until it ends or the person gives it up.

use std::{
    fs,
    future::poll_fn,
    io::{self, IsTerminal as _},
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
    time::Duration,
};

use omni_core::{
    Answer, AnswerEvent, AnswerStream, Error, Omni,
    answer::{Failure, Status},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

#[cfg(feature = "sql")]
use crate::app::App;
use crate::{fault::Fault, render::Render};

/// How long an ask that is given up has to tell what it took; it is written down however long that takes.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How many listen in this process: its signals are the process's, whoever hears them.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// Ctrl-C, SIGTERM and a terminal that is closed, noted from the moment this is made. Where they cannot be, they end
/// the process, as they always do.
#[derive(Debug)]
pub(super) struct Interruption {
    signals: Vec<(SignalKind, Signal)>,
    is_final: bool,
    _listening: Option<Listening>,
}

impl Interruption {
    /// From now on an interruption does not end the process.
    pub(super) fn listen() -> Self {
        Self { _listening: Some(Listening::begin()), ..Self::overhear() }
    }

    /// The same for whoever does not end with the terminal, or is ending already: whoever closes one may say so twice.
    pub(super) fn listen_but_hangup() -> Self {
        Self { _listening: Some(Listening::begin()), ..Self::overhear_but_hangup() }
    }

    /// Notes them for whoever acts only where nobody listens.
    pub(super) fn overhear() -> Self {
        let mut own = Self::overhear_but_hangup();
        // Once it is listened for, it is not ignored any more.
        if !ignores_hangup() {
            own.note(SignalKind::hangup());
        }
        own
    }

    /// The same without the terminal's end.
    pub(super) fn overhear_but_hangup() -> Self {
        let mut own = Self { signals: Vec::new(), is_final: false, _listening: None };
        own.note(SignalKind::interrupt());
        own.note(SignalKind::terminate());
        own
    }

    fn note(&mut self, kind: SignalKind) {
        self.signals.extend(signal(kind).ok().map(|signal| (kind, signal)));
    }

    /// Whether somebody listens.
    #[cfg(feature = "demo")]
    pub(super) fn is_heard() -> bool {
        LISTENING.load(Ordering::SeqCst) > 0
    }

    /// Comes back when the person wants to stop, or the process is to end.
    pub(super) async fn arrives(&mut self) {
        let kind = poll_fn(|context| {
            let mut signals = self.signals.iter_mut();
            let arrived = signals.find_map(|(kind, signal)| signal.poll_recv(context).is_ready().then_some(*kind));
            arrived.map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        self.is_final |= kind != SignalKind::interrupt();
    }

    /// Whether the process is to end: something else than Ctrl-C has arrived.
    pub(super) fn is_final(&self) -> bool {
        self.is_final
    }
}

/// Somebody who listens.
#[derive(Debug)]
struct Listening;

impl Listening {
    fn begin() -> Self {
        LISTENING.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether the process was started to outlive its terminal, as by `nohup`.
fn ignores_hangup() -> bool {
    match fs::read_to_string("/proc/self/status") {
        Ok(status) => is_hangup_ignored(&status),
        // Where the kernel does not say so, `nohup` leaves no terminal to write to.
        Err(_) => !io::stderr().is_terminal(),
    }
}

/// The same by what the kernel says of a process: SIGHUP is the lowest of the signals in the mask.
fn is_hangup_ignored(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// Shows every event until the ask ends, or is given up: by an interruption, or whoever else gives up.
///
/// When nobody reads any more, the stream is dropped, and with it the ask.
pub(super) async fn follow(
    mut stream: AnswerStream,
    interruption: &mut Interruption,
    gives_up: impl Future<Output = ()>,
    render: &mut (dyn Render + Send),
) -> Result<Result<Answer, Failure>, Fault> {
    let mut seen = Answer::empty(stream.request_id(), "");
    let mut gives_up = pin!(gives_up);
    loop {
        let event = tokio::select! {
            biased;
            () = interruption.arrives() => return Ok(Err(give_up(stream, seen, interruption).await)),
            () = gives_up.as_mut() => return Ok(Err(give_up(stream, seen, interruption).await)),
            event = stream.next() => event,
        };
        match event {
            Some(AnswerEvent::Done(answer)) => return Ok(Ok(*answer)),
            Some(AnswerEvent::Error(failure)) => return Ok(Err(*failure)),
            Some(event) => {
                note(&mut seen, &event);
                render.event(&event)?;
            }
            None => {
                let error = Error::Internal { message: "the ask ended without a last event".into() };
                return Ok(Err(without_end(seen, Status::Failed, error)));
            }
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
    let mut interruption = Interruption::listen_but_hangup();
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

/// Gives the ask up, and waits to be told what it took until then, as it is written down. Nothing of it is shown any
/// more, and another interruption does not wait.
async fn give_up(mut stream: AnswerStream, mut seen: Answer, interruption: &mut Interruption) -> Failure {
    stream.cancel();
    let end = async {
        while let Some(event) = stream.next().await {
            match event {
                // It was over already, and its asker did not wait for it.
                AnswerEvent::Done(answer) => return Some(Failure::new(Error::Cancelled, *answer)),
                AnswerEvent::Error(failure) => return Some(*failure),
                event => note(&mut seen, &event),
            }
        }
        None
    };
    let told = tokio::select! {
        biased;
        () = interruption.arrives() => None,
        told = timeout(LAST_WORDS, end) => told.ok().flatten(),
    };
    let Some(mut failure) = told else { return without_end(seen, Status::Cancelled, Error::Cancelled) };
    if matches!(failure.error, Error::Cancelled) {
        failure.answer.status = Status::Cancelled;
    }
    failure
}

/// What was seen of an ask that does not tell how it ended: nobody knows what it cost in the end.
fn without_end(mut seen: Answer, status: Status, error: Error) -> Failure {
    seen.status = status;
    seen.usage.estimated = true;
    seen.cost = None;
    Failure::new(error, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_started_to_outlive_the_terminal_is_known_by_what_the_kernel_says() {
        for (mask, is_ignored) in [("0001", true), ("1006", false), ("1007", true)] {
            let status = format!("SigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
            assert_eq!(is_hangup_ignored(&status), is_ignored, "{mask}");
        }
        assert!(!is_hangup_ignored("Name:\tomni\n"));
    }
}
