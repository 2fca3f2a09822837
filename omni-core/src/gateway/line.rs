//! The line between a call that runs and the client that made it: what its server reports, tells and asks in the
//! middle of it. The two ends are on tasks of their own, and the client is asked only by the one that holds its
//! request, because an answer stream is known by the request that it belongs to.

use async_trait::async_trait;
use rmcp::{
    RoleServer,
    model::{
        CustomNotification, CustomRequest, ProgressNotificationParam, ProgressToken, ServerNotification, ServerRequest,
    },
    service::{self, ServiceError},
};
use serde_json::value::{RawValue, to_raw_value};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::mcp::{LogLevel, McpError, Peer, PeerCapabilities, Progress, ProgressFn};

/// What waits to be passed on; more reports and log messages are left out.
const WAITING: usize = 64;
/// How long a client may take to take something.
const TAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take to answer; a call's own deadline is sooner.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// The only notification of a server that is a client's business in the middle of a call.
const MESSAGE: &str = "notifications/message";

/// An answer on its way to the server.
pub(super) type Answer = oneshot::Sender<Result<Box<RawValue>, McpError>>;

/// A question of the server's.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) params: Box<RawValue>,
    pub(super) answer: Answer,
}

/// What comes over the line.
#[derive(Debug)]
pub(super) enum Said {
    Progress(Progress),
    Log(Box<RawValue>),
    Asked(Question),
}

/// The call's end.
#[derive(Debug, Clone)]
pub(super) struct Line {
    can: PeerCapabilities,
    /// Whether the client speaks 2026-07-28, and is handed what a server wants in between as it comes.
    is_new: bool,
    /// Whether it is handed what a server goes on with in the background.
    takes_tasks: bool,
    said: mpsc::Sender<Said>,
}

/// A line to a client that can this, and the end that its request holds.
pub(super) fn line(can: PeerCapabilities, is_new: bool, takes_tasks: bool) -> (Arc<Line>, mpsc::Receiver<Said>) {
    let (said, heard) = mpsc::channel(WAITING);
    (Arc::new(Line { can, is_new, takes_tasks, said }), heard)
}

impl Line {
    /// Where reports of progress go.
    pub(super) fn progress(&self) -> ProgressFn {
        let said = self.said.clone();
        Arc::new(move |report| {
            let _ = said.try_send(Said::Progress(report));
        })
    }
}

fn gone() -> McpError {
    McpError::Closed { message: "the client went away".into(), unsent: true }
}

#[async_trait]
impl Peer for Line {
    fn can(&self) -> PeerCapabilities {
        self.can.clone()
    }

    async fn ask(&self, method: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        let (answer, answered) = oneshot::channel();
        let question = Question { method: method.into(), params, answer };
        self.said.send(Said::Asked(question)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    fn tell(&self, method: &str, params: Box<RawValue>) {
        if method == MESSAGE {
            let _ = self.said.try_send(Said::Log(params));
        }
    }

    fn takes_interim(&self) -> bool {
        self.is_new
    }

    fn takes_tasks(&self) -> bool {
        self.takes_tasks
    }
}

/// The client at the other end of a request.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) peer: service::Peer<RoleServer>,
    pub(super) token: Option<ProgressToken>,
    /// The least severe message that it wants; `None` wants none.
    pub(super) level: Option<LogLevel>,
}

impl Client {
    pub(super) async fn report(&self, report: Progress) {
        let Some(token) = self.token.clone() else { return };
        let mut params = ProgressNotificationParam::new(token, report.progress);
        (params.total, params.message) = (report.total, report.message);
        // Whoever does not read holds up nothing for long.
        let _ = timeout(TAKE_WITHIN, self.peer.notify_progress(params)).await;
    }

    pub(super) async fn log(&self, params: &RawValue) {
        let Ok(params) = serde_json::from_str::<serde_json::Value>(params.get()) else { return };
        let level = params.get("level").and_then(|level| level.as_str()).and_then(LogLevel::of);
        if self.level.is_none_or(|least| level.is_some_and(|level| level < least)) {
            return;
        }
        let note = ServerNotification::CustomNotification(CustomNotification::new(MESSAGE, Some(params)));
        let _ = timeout(TAKE_WITHIN, self.peer.send_notification(note)).await;
    }

    /// Puts a question of the server's to the client. Only older clients are asked like this.
    pub(super) async fn answer(&self, question: Question) {
        let Question { method, params, answer } = question;
        let params = serde_json::from_str(params.get()).ok();
        let request = ServerRequest::CustomRequest(CustomRequest::new(method, params));
        let answered = match timeout(ANSWER_WITHIN, self.peer.send_request(request)).await {
            Ok(Ok(result)) => to_raw_value(&result).map_err(|error| McpError::Protocol { message: error.to_string() }),
            Ok(Err(ServiceError::McpError(error))) => {
                Err(McpError::rpc(i64::from(error.code.0), error.message.into_owned()).with_data(error.data))
            }
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(McpError::Timeout { after_ms: 1_000 * ANSWER_WITHIN.as_secs() }),
        };
        let _ = answer.send(answered);
    }
}
