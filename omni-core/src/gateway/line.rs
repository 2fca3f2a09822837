//! The line between a call that runs and the client that made it: what its server reports, tells and asks in the
//! middle of it. The two ends are on tasks of their own, and the client is asked only by the one that holds its
//! request, because an answer stream is known by the request that it belongs to.

use async_trait::async_trait;
use rmcp::{
    RoleServer,
    model::{
        ClientResult, CustomNotification, CustomRequest, ProgressNotificationParam, ProgressToken, ServerNotification,
        ServerRequest,
    },
    service::{self, PeerRequestOptions, ServiceError},
};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::mcp::{LogLevel, McpError, Peer, PeerCapabilities, Progress, ProgressFn};

/// What waits to be passed on; more reports and log messages are left out.
const WAITING: usize = 64;
/// How long a client may take to take something.
pub(super) const TAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take to answer; a call's own deadline is sooner.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// The notifications of a server that are a client's business in the middle of a call.
const MESSAGE: &str = "notifications/message";
const COMPLETE: &str = "notifications/elicitation/complete";
/// Most addresses of one call whose end its client is told of.
const OPENED: usize = 64;

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
    /// What a person does at an address that they were asked to open is done.
    Completed(Box<RawValue>),
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
    /// The addresses that its client was asked to open, by the server's names of them.
    opened: Arc<Mutex<Vec<String>>>,
}

/// A line to a client that can this, and the end that its request holds.
pub(super) fn line(can: PeerCapabilities, is_new: bool, takes_tasks: bool) -> (Arc<Line>, mpsc::Receiver<Said>) {
    let (said, heard) = mpsc::channel(WAITING);
    (Arc::new(Line { can, is_new, takes_tasks, said, opened: Arc::default() }), heard)
}

impl Line {
    /// Where reports of progress go.
    pub(super) fn progress(&self) -> ProgressFn {
        let said = self.said.clone();
        Arc::new(move |report| {
            let _ = said.try_send(Said::Progress(report));
        })
    }

    fn opened(&self) -> MutexGuard<'_, Vec<String>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server's name of an address that somebody is asked to open.
fn elicitation(params: &RawValue) -> Option<String> {
    let params: Value = serde_json::from_str(params.get()).ok()?;
    params.get("elicitationId")?.as_str().map(str::to_owned)
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
        if let Some(id) = elicitation(&params) {
            let mut opened = self.opened();
            if opened.len() < OPENED {
                opened.push(id);
            }
        }
        let (answer, answered) = oneshot::channel();
        let question = Question { method: method.into(), params, answer };
        self.said.send(Said::Asked(question)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    fn tell(&self, method: &str, params: Box<RawValue>) {
        let said = match method {
            MESSAGE => Said::Log(params),
            COMPLETE if elicitation(&params).is_some_and(|id| self.opened().contains(&id)) => Said::Completed(params),
            _ => return,
        };
        let _ = self.said.try_send(said);
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
        let Ok(params) = serde_json::from_str::<Value>(params.get()) else { return };
        let level = params.get("level").and_then(|level| level.as_str()).and_then(LogLevel::of);
        if self.level.is_none_or(|least| level.is_some_and(|level| level < least)) {
            return;
        }
        self.notify(MESSAGE, params).await;
    }

    /// Tells that what a person does at an address is done.
    pub(super) async fn completed(&self, params: &RawValue) {
        let Ok(params) = serde_json::from_str(params.get()) else { return };
        self.notify(COMPLETE, params).await;
    }

    async fn notify(&self, method: &str, params: Value) {
        let note = ServerNotification::CustomNotification(CustomNotification::new(method, Some(params)));
        let _ = timeout(TAKE_WITHIN, self.peer.send_notification(note)).await;
    }

    /// Puts a question of the server's to the client, and takes it back when nobody waits for the answer any more, or
    /// the request that it belongs to is `over`. Only older clients are asked like this.
    pub(super) async fn answer(&self, question: Question, over: &CancellationToken) {
        let Question { method, params, mut answer } = question;
        let params = serde_json::from_str(params.get()).ok();
        let request = ServerRequest::CustomRequest(CustomRequest::new(method, params));
        let asked = self.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
        let Ok(mut asked) = asked else {
            let _ = answer.send(Err(gone()));
            return;
        };
        let told = tokio::select! {
            biased;
            told = &mut asked.rx => Ok(answered(told.unwrap_or(Err(ServiceError::TransportClosed)))),
            () = answer.closed() => Err(gone()),
            () = over.cancelled() => Err(gone()),
            () = sleep(ANSWER_WITHIN) => Err(McpError::Timeout { after_ms: 1_000 * ANSWER_WITHIN.as_secs() }),
        };
        let is_taken_back = told.is_err();
        let _ = answer.send(told.unwrap_or_else(Err));
        if is_taken_back {
            let reason = Some("nobody waits for an answer any more".to_owned());
            let _ = timeout(TAKE_WITHIN, asked.cancel(reason)).await;
        }
    }
}

/// What a client said to a question, as its server gets it.
fn answered(said: Result<ClientResult, ServiceError>) -> Result<Box<RawValue>, McpError> {
    match said {
        Ok(result) => to_raw_value(&result).map_err(|error| McpError::Protocol { message: error.to_string() }),
        Err(ServiceError::McpError(error)) => {
            Err(McpError::rpc(i64::from(error.code.0), error.message.into_owned()).with_data(error.data))
        }
        Err(_) => Err(gone()),
    }
}

#[cfg(test)]
mod tests {
    use rmcp::ServerHandler;
    use serde_json::from_str;
    use tokio::io::{AsyncBufReadExt as _, BufReader, duplex};

    use super::*;

    struct Silent;

    impl ServerHandler for Silent {}

    fn params(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.into()).unwrap()
    }

    #[tokio::test]
    async fn a_client_is_told_the_end_of_what_it_was_asked_to_open_and_of_nothing_else() {
        let (line, mut heard) = line(PeerCapabilities::everything(), false, false);
        let answers = async {
            let Some(Said::Asked(question)) = heard.recv().await else { panic!("nothing is asked") };
            question.answer.send(Ok(params(r#"{"action":"accept"}"#))).unwrap();
        };
        let question = params(r#"{"mode":"url","message":"Go","url":"https://a.b","elicitationId":"own"}"#);
        let (answered, ()) = tokio::join!(line.ask("elicitation/create", question), answers);
        answered.unwrap();
        line.tell(COMPLETE, params(r#"{"elicitationId":"another"}"#));
        line.tell(COMPLETE, params(r#"{"elicitationId":"own"}"#));
        let Ok(Said::Completed(told)) = heard.try_recv() else { panic!("it is not told") };
        assert_eq!(told.get(), r#"{"elicitationId":"own"}"#);
        assert!(heard.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_question_whose_answer_nobody_waits_for_any_more_is_taken_back_at_the_client() {
        for is_over in [false, true] {
            let (ours, theirs) = duplex(4_096);
            let running = service::serve_directly::<RoleServer, _, _, _, _>(Silent, ours, None);
            let client = Client { peer: running.peer().clone(), token: None, level: None };
            let (answer, answered) = oneshot::channel();
            let question = Question { method: "elicitation/create".into(), params: params("{}"), answer };
            let (over, mut lines) = (CancellationToken::new(), BufReader::new(theirs).lines());
            let reads = async {
                let asked: Value = from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
                // Either the request ends, or whoever asked does not wait.
                let waits = is_over.then_some(answered);
                if is_over {
                    over.cancel();
                }
                let told: Value = from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
                drop(waits);
                (asked, told)
            };
            let ((), (asked, told)) = tokio::join!(client.answer(question, &over), reads);
            assert_eq!(asked["method"], "elicitation/create");
            assert_eq!(told["method"], "notifications/cancelled", "{is_over}");
            assert_eq!(told["params"]["requestId"], asked["id"]);
        }
    }
}
