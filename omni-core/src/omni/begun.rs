//! Asks and calls, each of which is a task of its own: whoever waits may go away, and its record is written all the same.

use tokio::{sync::mpsc, task::JoinHandle};
use tracing::{Instrument as _, Span};

use super::{Omni, ask, direct};
use crate::{
    answer::{Answer, AnswerEvent, AnswerStream, CallSummary, EventSender, Failure},
    ask::{Ask, DirectCall},
    error::Error,
    mcp::{McpReply, ToolOutput},
    trace,
};

/// Events that wait for a slow reader, and the last one.
pub(super) const EVENT_BUFFER: usize = 32 + 1;

/// The end of a direct call.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallReply {
    /// The call in short.
    pub summary: CallSummary,
    /// What the tool returned.
    pub output: ToolOutput,
    /// The same as the server sent it, where the call has a [`Relay`](crate::ask::Relay); there is no `output` then.
    pub raw: Option<McpReply>,
}

impl CallReply {
    /// What a person reads of the result.
    #[must_use]
    pub fn text(&self) -> String {
        self.output.for_person()
    }

    /// The result as the server sent it.
    pub(crate) fn into_raw(self) -> Result<McpReply, Error> {
        self.raw.ok_or_else(|| Error::Invalid { message: "the call has no client behind it".into() })
    }
}

/// What a task comes to, or why it did not end.
pub(super) async fn returned<T>(task: JoinHandle<Result<T, Error>>) -> Result<T, Error> {
    task.await.unwrap_or_else(|error| Err(Error::Internal { message: error.to_string() }))
}

impl Omni {
    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// An [`Error`] when the ask was refused or failed. An ask that ran into one of its bounds is
    /// no error: its answer has what there was, and a warning.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, Error> {
        self.ask_whole(ask).await.map_err(|failure| failure.error)
    }

    /// The same, where a failure has what there was of the answer.
    ///
    /// # Errors
    /// The [`Failure`], as [`AnswerStream::collect`].
    pub async fn ask_whole(&self, ask: Ask) -> Result<Answer, Failure> {
        self.begin(ask, 1, EventSender::of_the_end).collect().await
    }

    /// Asks, event by event. Must be called within a Tokio runtime.
    ///
    /// Dropping the stream gives the ask up; its record is written all the same. An ask goes on only as fast as its
    /// events are read: whoever holds the stream and reads no more stops it, while its time runs on.
    #[must_use]
    pub fn ask_stream(&self, ask: Ask) -> AnswerStream {
        self.begin(ask, EVENT_BUFFER, EventSender::new)
    }

    fn begin(
        &self,
        ask: Ask,
        buffer: usize,
        events: impl FnOnce(mpsc::Sender<AnswerEvent>) -> EventSender,
    ) -> AnswerStream {
        let (sender, receiver) = mpsc::channel(buffer);
        let cancel = self.inner.kill.child_token();
        let stream = AnswerStream::new(ask.request_id, receiver, cancel.clone());
        let events = events(sender);
        let parts = self.parts();
        // Made here, so that it is part of what the caller does.
        let span = trace::ask(&ask);
        self.spawn(span, async move { ask::run(&parts, &ask, None, cancel, events).await });
        stream
    }

    /// Calls a tool without a model. Passes the same steps as an ask, save thread and agent.
    ///
    /// Dropping the future gives the call up; its record is written all the same.
    ///
    /// # Errors
    /// An [`Error`]. A tool that says it failed is an `Ok` whose output says so.
    pub async fn call_tool(&self, call: DirectCall) -> Result<CallReply, Error> {
        self.call_tool_then(call, |reply| reply).await
    }

    /// The same, where `then` sees the reply also when nobody waits for it any more. It begins at once.
    pub(crate) fn call_tool_then<T: Send + 'static, F: FnOnce(CallReply) -> T + Send + 'static>(
        &self,
        call: DirectCall,
        then: F,
    ) -> impl Future<Output = Result<T, Error>> + Send + use<T, F> {
        let (parts, cancel) = (self.parts(), self.inner.kill.child_token());
        let guard = cancel.clone().drop_guard();
        let span = trace::direct(&call);
        let mut call = Box::new(call);
        let task = self.spawn(span, async move { direct::run(&parts, &mut call, cancel).await.map(then) });
        async move {
            let reply = returned(task).await;
            drop(guard);
            reply
        }
    }

    /// The same, which goes on when nobody waits for it any more, and is given up by `until`.
    #[cfg(feature = "gateway")]
    pub(crate) fn call_tool_until<U: Future<Output = ()> + Send + 'static>(
        &self,
        call: DirectCall,
        until: U,
    ) -> impl Future<Output = Result<CallReply, Error>> + Send + use<U> {
        let (parts, cancel) = (self.parts(), self.inner.kill.child_token());
        let span = trace::direct(&call);
        let mut call = Box::new(call);
        returned(self.spawn(span, async move {
            // Pinned where they are: handed to `select!` they would have a second place there.
            let mut running = std::pin::pin!(direct::run(&parts, &mut call, cancel.clone()));
            let mut until = std::pin::pin!(until);
            tokio::select! {
                biased;
                reply = &mut running => reply,
                () = &mut until => {
                    cancel.cancel();
                    running.await
                }
            }
        }))
    }

    /// Runs something under a span as a task of its own. In a box before it is handed on: it is large, and moves
    /// several times.
    pub(super) fn spawn<W: Future<Output: Send> + Send + 'static>(&self, span: Span, work: W) -> JoinHandle<W::Output> {
        self.inner.tasks.spawn(Box::pin(work).instrument(span))
    }

    /// Calls a tool for an MCP client, and gives its result as the server sent it. The call has a
    /// [`Relay`](crate::ask::Relay).
    ///
    /// # Errors
    /// As [`Omni::call_tool`].
    pub async fn call_tool_raw(&self, call: DirectCall) -> Result<McpReply, Error> {
        self.call_tool(call).await?.into_raw()
    }
}
