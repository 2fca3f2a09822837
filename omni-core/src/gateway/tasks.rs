//! Tasks of a client's: its requests go to the server that has the task, with the server's own name of it in place of
//! omni's.

use std::sync::Arc;

use rmcp::model::{
    CancelTaskParams, CreateTaskResult, ErrorData, GetTaskParams, GetTaskResult, ResultType, UpdateTaskParams,
};
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use super::{
    Gateway, Visitor,
    call::{Caller, Rest, parsed, raw},
    error,
};
use crate::{
    error::Error,
    identity::Holder,
    mcp::{McpError, McpReply, Peer},
    omni::{AboutTask, BackgroundTask, CallReply},
};

/// JSON-RPC: what servers say of a task that they do not know.
const INVALID_PARAMS: i64 = -32_602;

impl Gateway {
    /// A call's answer as its client gets it: a task has a name of omni's own from now on.
    pub(super) async fn adopted(
        &self,
        reply: CallReply,
        call: Uuid,
        visitor: &Visitor,
        peer: Arc<dyn Peer>,
    ) -> Result<McpReply, Error> {
        let (server, tool) = (reply.summary.server, reply.summary.tool);
        let raw = match reply.raw {
            Some(McpReply::Task(raw)) => raw,
            Some(other) => return Ok(other),
            None => return Err(Error::Invalid { message: "the call has no client behind it".into() }),
        };
        let failed = |error: serde_json::Error| {
            let source = McpError::Protocol { message: error.to_string() };
            Error::Server { server: server.clone(), source }
        };
        let mut created: CreateTaskResult = serde_json::from_str(raw.get()).map_err(failed)?;
        let owner = self.owner(visitor).await?;
        let task = || BackgroundTask::new(&server, &tool, &created.task.task_id, call);
        let Some(name) = self.background.keep(task(), owner, created.task.ttl_ms) else {
            let about = about(visitor, "tasks/cancel", Arc::new(task()), Rest::new(), peer);
            if let Err(error) = self.omni.about_task(about).await {
                tracing::warn!(%error, server, "a task that nobody can ask after goes on");
            }
            return Err(Error::Invalid {
                message: "too many calls go on in the background; this one was given up".into(),
            });
        };
        created.task.task_id = name;
        to_raw_value(&created).map(McpReply::Task).map_err(failed)
    }

    pub(super) async fn owner(&self, visitor: &Visitor) -> Result<Holder, Error> {
        let principal = self.omni.authenticate(visitor.credential.clone()).await?;
        Ok(Holder::new(&principal, &visitor.credential))
    }
}

impl Caller<'_> {
    pub(super) async fn get_task(self, params: GetTaskParams) -> Result<GetTaskResult, ErrorData> {
        let reply = self.of_task("tasks/get", &params.task_id, Rest::new()).await?;
        let mut result: GetTaskResult = parsed(&reply)?;
        self.gateway.background.lasts(&params.task_id, result.task.task.ttl_ms);
        result.task.task.task_id = params.task_id;
        result.result_type = ResultType::COMPLETE;
        Ok(result)
    }

    pub(super) async fn update_task(self, params: UpdateTaskParams) -> Result<(), ErrorData> {
        let rest = Rest::from([("inputResponses".to_owned(), raw(&params.input_responses)?)]);
        self.of_task("tasks/update", &params.task_id, rest).await.map(drop)
    }

    pub(super) async fn cancel_task(self, params: CancelTaskParams) -> Result<(), ErrorData> {
        self.of_task("tasks/cancel", &params.task_id, Rest::new()).await.map(drop)
    }

    async fn of_task(&self, method: &'static str, name: &str, rest: Rest) -> Result<Box<RawValue>, ErrorData> {
        let owner = self.gateway.owner(&self.visitor).await.map_err(|error| error::of(&error))?;
        let task = self.gateway.background.find(name, &owner).ok_or_else(|| error::of(&AboutTask::unknown()))?;
        let mut all = self.rest(None, None)?;
        all.extend(rest);
        // What a server says while it is asked after a task is of no call that runs.
        let (line, _) = self.line();
        let asked = about(&self.visitor, method, task.clone(), all, line);
        match self.gateway.omni.about_task(asked).await {
            Ok(McpReply::Complete(raw)) => Ok(raw),
            Ok(McpReply::InputRequired(_) | McpReply::Task(_)) => Err(error::not_understood()),
            Err(Error::Server { source: McpError::Rpc { code: INVALID_PARAMS, .. }, .. }) if method == "tasks/get" => {
                self.gateway.background.forget(name);
                Err(error::of(&AboutTask::unknown()))
            }
            Err(error) => {
                let mut told = error::of(&error);
                told.message = told.message.replace(task.id(), name).into();
                Err(told)
            }
        }
    }
}

fn about(
    visitor: &Visitor,
    method: &'static str,
    task: Arc<BackgroundTask>,
    rest: Rest,
    peer: Arc<dyn Peer>,
) -> AboutTask {
    AboutTask { credential: visitor.credential.clone(), client: visitor.client.clone(), method, task, rest, peer }
}
