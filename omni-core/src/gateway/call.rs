//! A tool is called, a prompt got, a resource read: the pipeline's own way, with what server and client have to
//! say to each other in the middle of it.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use futures::stream::{FuturesUnordered, StreamExt as _};
use rmcp::{
    RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, ErrorData, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
        InputRequiredResult, InputResponses, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
        ResultType,
    },
    service::RequestContext,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Gateway, Visitor, error,
    line::{self, Client, Line, Question, Said, TAKE_WITHIN},
    parked::{self, Parked, Running, Wanted},
    result,
    tasks::Answered,
};
use crate::{
    Source,
    ask::{DirectCall, Relay},
    confirm::{Approver, ConfirmRequest, Verdict},
    error::Error,
    identity::{Holder, Scope},
    mcp::{McpReply, Peer as _, PeerCapabilities},
    omni::{Asked, Passing},
    scan::visible_json,
};

/// Longest arguments that a person is asked to agree to, in bytes: what is not shown is not agreed to.
const MAX_SHOWN: usize = 2_000;

/// One request of a client's, and the client.
pub(super) struct Caller<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) visitor: Visitor,
    pub(super) client: Client,
    pub(super) is_new: bool,
    pub(super) context: RequestContext<RoleServer>,
}

/// What a request brings that is not the pipeline's business.
pub(super) type Rest = BTreeMap<String, Box<RawValue>>;

/// How a request came on.
enum Came {
    Through(Result<McpReply, Error>),
    /// The client has to say something first.
    ToWait(InputRequiredResult),
}

impl Caller<'_> {
    pub(super) async fn call_tool(self, params: CallToolRequestParams) -> Result<CallToolResponse, ErrorData> {
        let name = params.name.to_string();
        let rest = self.rest(params.input_responses.as_ref(), params.request_state.as_deref())?;
        let came = match self.resumed(&name, params.input_responses.as_ref(), params.request_state.as_deref()).await? {
            Some(came) => came,
            None => {
                let bare = params.arguments.is_none();
                // Written anew: what policy judges and what the server gets can be read in one way only.
                let arguments = raw(&params.arguments.unwrap_or_default())?;
                let (line, heard) = self.line();
                let relay = Relay::new(line.clone(), rest, bare);
                let takes_tasks = line.takes_tasks();
                let call = DirectCall::offered(self.visitor.credential.clone(), &name, self.gateway.names, arguments)
                    .with_source(Source::Mcp)
                    .with_client(self.visitor.client.clone())
                    .with_progress(self.client.token.is_some().then(|| line.progress()))
                    .with_approver(Arc::new(ByClient(line)))
                    .with_relay(relay);
                self.converse(&name, self.running(call, takes_tasks), heard).await?
            }
        };
        match came {
            Came::ToWait(wanted) => Ok(wanted.into()),
            Came::Through(Ok(McpReply::Complete(raw))) => Ok(result::of_tool(&raw, self.is_new)?.into()),
            Came::Through(Ok(McpReply::InputRequired(raw))) => Ok(parsed::<InputRequiredResult>(&raw)?.into()),
            Came::Through(Ok(McpReply::Task(raw))) => Ok(CallToolResponse::Task(parsed(&raw)?)),
            Came::Through(Err(error)) => Ok(error::of_call(&error, &name)?.into()),
        }
    }

    /// A call that goes on by itself, to the answer that its client gets.
    fn running(&self, call: DirectCall, takes_tasks: bool) -> Running<McpReply> {
        let (gateway, visitor) = (self.gateway.clone(), self.visitor.clone());
        Box::pin(async move {
            // Before the call: once there is a task, nothing is waited for.
            let owner = if takes_tasks { Some(gateway.owner(&visitor).await) } else { None };
            let (id, own) = (call.request_id, gateway.clone());
            let answered = move |reply| Answered::new(own, visitor, id, reply);
            gateway.adopted(gateway.omni.call_tool_then(call, answered).await?, owner)
        })
    }

    pub(super) async fn get_prompt(self, params: GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
        let mut rest = self.rest(params.input_responses.as_ref(), params.request_state.as_deref())?;
        if let Some(arguments) = &params.arguments {
            rest.insert("arguments".into(), raw(arguments)?);
        }
        let name = params.name;
        match self.pass(Asked::Prompt(name), rest, params.input_responses, params.request_state).await? {
            Came::ToWait(wanted) => Ok(GetPromptResponse::InputRequired(wanted)),
            Came::Through(Ok(McpReply::Complete(raw))) => {
                let mut result: GetPromptResult = parsed(&raw)?;
                result.result_type = Some(ResultType::COMPLETE);
                Ok(GetPromptResponse::Complete(result))
            }
            Came::Through(Ok(McpReply::InputRequired(raw))) => Ok(GetPromptResponse::InputRequired(parsed(&raw)?)),
            Came::Through(Ok(McpReply::Task(_))) => Err(error::not_understood()),
            Came::Through(Err(error)) => Err(error::of(&error)),
        }
    }

    pub(super) async fn read_resource(
        self,
        params: ReadResourceRequestParams,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let rest = self.rest(params.input_responses.as_ref(), params.request_state.as_deref())?;
        let uri = params.uri;
        let asked = Asked::Resource(uri.clone());
        match self.pass(asked, rest, params.input_responses, params.request_state).await? {
            Came::ToWait(wanted) => Ok(ReadResourceResponse::InputRequired(wanted)),
            Came::Through(Ok(McpReply::Complete(raw))) => {
                let mut result: ReadResourceResult = parsed(&raw)?;
                result.result_type = Some(ResultType::COMPLETE);
                Ok(ReadResourceResponse::Complete(result))
            }
            Came::Through(Ok(McpReply::InputRequired(raw))) => Ok(ReadResourceResponse::InputRequired(parsed(&raw)?)),
            Came::Through(Ok(McpReply::Task(_))) => Err(error::not_understood()),
            Came::Through(Err(error)) => Err(error::of_resource(&error, &uri)),
        }
    }

    /// A request that is no call and has no rounds.
    pub(super) async fn simply(self, asked: Asked, rest: Rest) -> Result<McpReply, ErrorData> {
        match self.pass(asked, rest, None, None).await? {
            Came::Through(reply) => reply.map_err(|error| error::of(&error)),
            Came::ToWait(_) => Err(error::not_understood()),
        }
    }

    async fn pass(
        self,
        asked: Asked,
        rest: Rest,
        responses: Option<InputResponses>,
        state: Option<String>,
    ) -> Result<Came, ErrorData> {
        let called = format!("{asked:?}");
        if let Some(came) = self.resumed(&called, responses.as_ref(), state.as_deref()).await? {
            return Ok(came);
        }
        let (line, heard) = self.line();
        let passing = Passing {
            credential: self.visitor.credential.clone(),
            client: self.visitor.client.clone(),
            asked,
            names: self.gateway.names,
            rest,
            progress: self.client.token.is_some().then(|| line.progress()),
            peer: line,
            request_id: Uuid::now_v7(),
            is_again: false,
        };
        let omni = self.gateway.omni.clone();
        self.converse(&called, Box::pin(async move { omni.pass(passing).await }), heard).await
    }

    pub(super) fn line(&self) -> (Arc<Line>, mpsc::Receiver<Said>) {
        let can = self.context.client_capabilities();
        let takes_tasks = self.is_new && can.as_ref().is_some_and(|can| can.supports_tasks());
        let can = can.and_then(|can| serde_json::to_value(can).ok()).unwrap_or_default();
        line::line(PeerCapabilities::of_client(&can), self.is_new, takes_tasks)
    }

    /// What goes on to the server as it came.
    pub(super) fn rest(&self, responses: Option<&InputResponses>, state: Option<&str>) -> Result<Rest, ErrorData> {
        let mut rest = Rest::new();
        let meta = raw(&self.context.meta)?;
        if meta.get() != "{}" {
            rest.insert("_meta".into(), meta);
        }
        if let Some(responses) = responses {
            rest.insert("inputResponses".into(), raw(responses)?);
        }
        if let Some(state) = state {
            rest.insert("requestState".into(), raw(state)?);
        }
        Ok(rest)
    }

    /// Goes on with a parked call, where the client gives the name of one back.
    async fn resumed(
        &self,
        called: &str,
        responses: Option<&InputResponses>,
        state: Option<&str>,
    ) -> Result<Option<Came>, ErrorData> {
        let Some(state) = state.filter(|state| parked::is_ours(state)) else { return Ok(None) };
        let grant = self.gateway.omni.grant(self.visitor.credential.clone()).await;
        let grant = grant.map_err(|error| error::of(&error))?;
        grant.require(Scope::Tools).map_err(|error| error::of(&error.into()))?;
        let holder = Holder::new(&grant.principal, &self.visitor.credential);
        let parked = self.gateway.parking.take(state, &holder, called);
        let mut parked =
            parked.ok_or_else(|| ErrorData::invalid_params("requestState: nothing waits under this name", None))?;
        parked.answer(responses.unwrap_or(&BTreeMap::new()));
        if !parked.questions.is_empty() {
            let full = || ErrorData::invalid_request("too many calls wait for answers; the call was given up", None);
            return self.park(parked).map(Came::ToWait).ok_or_else(full).map(Some);
        }
        let Parked { call, heard, .. } = parked;
        self.converse(called, call, heard).await.map(Some)
    }

    /// Carries a request to its end, or to where its client has to say something.
    async fn converse(
        &self,
        called: &str,
        mut call: Running<McpReply>,
        mut heard: mpsc::Receiver<Said>,
    ) -> Result<Came, ErrorData> {
        let (given_up, over) = (self.context.ct.clone(), CancellationToken::new());
        let mut answers = FuturesUnordered::new();
        let ended = loop {
            let question = tokio::select! {
                biased;
                () = given_up.cancelled() => break None,
                Some(said) = heard.recv() => match said {
                    Said::Asked(question) => question,
                    other => {
                        self.tell(other).await;
                        continue;
                    }
                },
                Some(()) = answers.next() => continue,
                ended = &mut call => break Some(ended),
            };
            if !self.is_new {
                answers.push(self.client.answer(question, &over));
                continue;
            }
            match self.wait(called, question, call, heard).await? {
                Ok(wanted) => return Ok(Came::ToWait(wanted)),
                Err((running, hearing)) => (call, heard) = (running, hearing),
            }
        };
        // It ends here where its client gave it up. A person who still looks at a question of its need not answer.
        drop(call);
        over.cancel();
        let _ = timeout(TAKE_WITHIN, async { while answers.next().await.is_some() {} }).await;
        let Some(ended) = ended else { return Ok(Came::Through(Err(Error::Cancelled))) };
        while let Ok(said) = heard.try_recv() {
            self.tell(said).await;
        }
        Ok(Came::Through(ended))
    }

    /// Parks a call whose server asks; or gives it back, and the server no answer, where there is no room.
    async fn wait(
        &self,
        called: &str,
        first: Question,
        call: Running<McpReply>,
        mut heard: mpsc::Receiver<Said>,
    ) -> Result<Result<InputRequiredResult, (Running<McpReply>, mpsc::Receiver<Said>)>, ErrorData> {
        let owner = self.gateway.owner(&self.visitor).await.map_err(|error| error::of(&error))?;
        let mut questions = BTreeMap::new();
        let mut ask = |question: Question| {
            let Question { method, params, answer } = question;
            let request = json!({ "method": method, "params": params });
            questions.insert(format!("question-{}", questions.len() + 1), Wanted { request, answer });
        };
        ask(first);
        while let Ok(said) = heard.try_recv() {
            match said {
                Said::Asked(question) => ask(question),
                other => self.tell(other).await,
            }
        }
        let parked = Parked { owner, called: called.into(), call, heard, questions, stays: None };
        Ok(self.gateway.parking.park(parked, &self.gateway.omni))
    }

    fn park(&self, parked: Parked<McpReply>) -> Option<InputRequiredResult> {
        self.gateway.parking.park(parked, &self.gateway.omni).ok()
    }

    async fn tell(&self, said: Said) {
        match said {
            Said::Progress(report) => self.client.report(report).await,
            Said::Log(params) => self.client.log(&params).await,
            // Only older clients know of it: the newer revision asks and answers in whole requests.
            Said::Completed(params) if !self.is_new => self.client.completed(&params).await,
            Said::Completed(_) => {}
            // Dropped: the server learns that nobody answers.
            Said::Asked(_) => {}
        }
    }
}

/// Asks the person behind the client whether a call may be made.
#[derive(Debug)]
pub(super) struct ByClient(Arc<Line>);

impl ByClient {
    pub(super) fn new(line: Arc<Line>) -> Self {
        Self(line)
    }
}

#[async_trait]
impl Approver for ByClient {
    async fn decide(&self, request: &ConfirmRequest) -> Verdict {
        let declined = |reason: &str| Verdict::Decline { reason: reason.into() };
        if !self.0.can().fills_forms() {
            return declined("it takes a person's agreement, and this client can ask nobody (it has no elicitation)");
        }
        let arguments = visible_json(request.arguments.get());
        if arguments.len() > MAX_SHOWN {
            return declined("its arguments are too long for a person to agree to");
        }
        let message = format!("{}.{} may change something. Run it with {arguments}?", request.server, request.tool);
        let schema = json!({ "type": "object", "required": ["approve"],
            "properties": { "approve": { "type": "boolean", "title": "Run it" } } });
        let Ok(params) = to_raw_value(&json!({ "message": message, "requestedSchema": schema })) else {
            return declined("it cannot be shown");
        };
        let answer = self.0.ask("elicitation/create", params).await;
        let answer = answer.ok().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()).unwrap_or_default();
        match answer["action"] == "accept" && answer["content"]["approve"] == true {
            true => Verdict::Approve,
            false => declined("the person at the client did not agree"),
        }
    }
}

pub(super) fn raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, ErrorData> {
    to_raw_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

pub(super) fn parsed<T: DeserializeOwned>(raw: &RawValue) -> Result<T, ErrorData> {
    serde_json::from_str(raw.get()).map_err(|_| error::not_understood())
}
