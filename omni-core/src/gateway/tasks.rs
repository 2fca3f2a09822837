//! Tasks of a client's: its requests go to the server that has the task, with the server's own name of it in place of
//! omni's.

use std::sync::Arc;

use rmcp::model::{
    CancelTaskParams, CreateTaskResult, ErrorData, GetTaskParams, GetTaskResult, ResultType, UpdateTaskParams,
};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::{
    Gateway, Visitor,
    call::{Caller, Rest, parsed, raw},
    error,
};
use crate::{
    error::Error,
    identity::Holder,
    mcp::{McpError, McpReply, Nobody, Peer},
    omni::{AboutTask, BackgroundTask, CallReply},
};

/// JSON-RPC: what servers say of a task that they do not know.
const INVALID_PARAMS: i64 = -32_602;

/// Shortest name of a server's that is looked for in its words, in characters: a shorter one may be any word.
const SHORTEST_NAME: usize = 8;

/// What came of a call. A task is given up at its server together with this value, unless it is kept.
pub(super) struct Answered {
    reply: CallReply,
    unkept: Option<Unkept>,
}

/// A task that nobody can ask after.
struct Unkept {
    gateway: Gateway,
    visitor: Visitor,
    server: String,
    task: Arc<BackgroundTask>,
    is_kept: bool,
}

impl Answered {
    pub(super) fn new(gateway: Gateway, visitor: Visitor, call: Uuid, reply: CallReply) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            task_id: String,
        }
        let named = match &reply.raw {
            Some(McpReply::Task(raw)) => serde_json::from_str::<Named>(raw.get()).ok(),
            Some(McpReply::Complete(_) | McpReply::InputRequired(_)) | None => None,
        };
        let (server, tool) = (reply.summary.server.clone(), &reply.summary.tool);
        let unkept = named.filter(|named| !named.task_id.is_empty()).map(|named| {
            let task = Arc::new(BackgroundTask::new(&server, tool, &named.task_id, call));
            Unkept { gateway, visitor, server, task, is_kept: false }
        });
        Self { reply, unkept }
    }
}

impl Drop for Unkept {
    fn drop(&mut self) {
        if self.is_kept || Handle::try_current().is_err() {
            return;
        }
        let about = about(&self.visitor, "tasks/cancel", self.task.clone(), Rest::new(), Arc::new(Nobody));
        let (omni, server) = (self.gateway.omni.clone(), self.server.clone());
        self.gateway.omni.in_background(async move {
            if let Err(error) = omni.about_task(about).await {
                tracing::warn!(%error, server, "a task that nobody can ask after goes on");
            }
        });
    }
}

impl Gateway {
    /// A call's answer as its client gets it: a task has a name of omni's own from now on. `owner` is whose it is,
    /// where the client takes tasks.
    pub(super) fn adopted(&self, answered: Answered, owner: Option<Result<Holder, Error>>) -> Result<McpReply, Error> {
        let Answered { reply, unkept } = answered;
        let raw = match reply.raw {
            Some(McpReply::Task(raw)) => raw,
            Some(other) => return Ok(other),
            None => return Err(Error::Invalid { message: "the call has no client behind it".into() }),
        };
        let failed = |why: &str| {
            let source = McpError::Protocol { message: why.into() };
            Error::Server { server: reply.summary.server.clone(), source }
        };
        let unread = |error: serde_json::Error| failed(&error.to_string());
        let mut created: CreateTaskResult = serde_json::from_str(raw.get()).map_err(unread)?;
        let mut unkept = unkept.ok_or_else(|| failed("its task has no name"))?;
        let owner = owner.ok_or_else(|| failed("it goes on in the background although nobody takes that"))??;
        let Some(name) = self.background.keep(unkept.task.clone(), owner, created.task.ttl_ms) else {
            return Err(Error::Invalid {
                message: "too many calls go on in the background; this one was given up".into(),
            });
        };
        created.task.task_id = name;
        let told = to_raw_value(&created).map(McpReply::Task).map_err(unread)?;
        unkept.is_kept = true;
        Ok(told)
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
                told.message = renamed(&told.message, task.id(), name).into();
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

/// A server's words with omni's name of a task in place of the server's own.
fn renamed(words: &str, own: &str, name: &str) -> String {
    if own.chars().count() < SHORTEST_NAME {
        return words.to_owned();
    }
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let (mut renamed, mut rest) = (String::with_capacity(words.len()), 0);
    for (at, _) in words.match_indices(own) {
        let end = at + own.len();
        if !words[..at].ends_with(is_of_name) && !words[end..].starts_with(is_of_name) {
            renamed.push_str(&words[rest..at]);
            renamed.push_str(name);
            rest = end;
        }
    }
    renamed.push_str(&words[rest..]);
    renamed
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn only_whole_names_of_some_length_are_put_in_another_ones_place() {
        let own = "task-0815";
        for (words, told) in [
            ("there is no task-0815", "there is no omni"),
            ("\"task-0815\": task-0815.", "\"omni\": omni."),
            ("task-08159 and my-task-0815", "task-08159 and my-task-0815"),
            ("", ""),
        ] {
            assert_eq!(renamed(words, own, "omni"), told);
        }
        for short in ["", "7", "working"] {
            assert_eq!(renamed("a working task 7", short, "omni"), "a working task 7");
        }
    }
}
