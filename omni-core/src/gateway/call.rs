//! A tool is called: the pipeline's direct call, with what the two ends have to say to each other meanwhile.

use std::{sync::Arc, time::Duration};

use rmcp::{
    RoleServer,
    model::{CallToolRequestParams, CallToolResult, ContentBlock, ErrorData, ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use serde_json::{Value, json, value::to_raw_value};
use tokio::{sync::mpsc, time::timeout};

use super::{Gateway, Visitor, error};
use crate::{
    Source,
    ask::DirectCall,
    error::Error,
    mcp::{Content, Progress, ProgressFn, ToolOutput},
};

/// Reports of progress that wait to be passed on; more are left out.
const PROGRESS: usize = 64;
/// How long a client may take to take a report.
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// Calls a tool on behalf of a visitor.
pub(super) async fn run(
    gateway: &Gateway,
    visitor: Visitor,
    params: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let name = params.name.to_string();
    // Written anew: what policy judges and what the server gets can be read in one way only.
    let arguments = to_raw_value(&params.arguments.unwrap_or_default());
    let arguments = arguments.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    let token = context.meta.get_progress_token();
    let (told, reports) = mpsc::channel(PROGRESS);
    let progress = token.is_some().then(|| -> ProgressFn {
        Arc::new(move |report| {
            let _ = told.try_send(report);
        })
    });
    let call = DirectCall::offered(visitor.credential, name.clone(), gateway.names, arguments)
        .with_source(Source::Mcp)
        .with_client(visitor.client)
        .with_progress(progress);
    let call = async {
        // Dropping it gives the call up, at the server too.
        let called = context.ct.run_until_cancelled(gateway.omni.call_tool(call)).await;
        called.unwrap_or(Err(Error::Cancelled))
    };
    let teller = Teller { token, peer: context.peer.clone() };
    match teller.beside(call, reports).await {
        Ok(reply) => Ok(result(reply.output)),
        Err(error) => error::of_call(&error, &name),
    }
}

/// Passes reports of progress on.
struct Teller {
    token: Option<ProgressToken>,
    peer: Peer<RoleServer>,
}

impl Teller {
    /// Carries a call to its end, and passes on what is reported of it: never after its end.
    async fn beside<T>(&self, call: impl Future<Output = T>, mut reports: mpsc::Receiver<Progress>) -> T {
        let mut call = std::pin::pin!(call);
        let ended = loop {
            tokio::select! {
                biased;
                Some(report) = reports.recv() => self.tell(report).await,
                ended = &mut call => break ended,
            }
        };
        while let Ok(report) = reports.try_recv() {
            self.tell(report).await;
        }
        ended
    }

    async fn tell(&self, report: Progress) {
        let Some(token) = self.token.clone() else { return };
        let mut params = ProgressNotificationParam::new(token, report.progress);
        (params.total, params.message) = (report.total, report.message);
        // Whoever does not read holds up nothing for long.
        let _ = timeout(TELL_WITHIN, self.peer.notify_progress(params)).await;
    }
}

/// A tool's output as it goes over the wire.
fn result(output: ToolOutput) -> CallToolResult {
    let content: Vec<ContentBlock> =
        output.content.into_iter().filter_map(|part| serde_json::from_value(part_of(part)).ok()).collect();
    let mut result = if output.is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = output.structured;
    result
}

fn part_of(part: Content) -> Value {
    match part {
        Content::Text { text } => json!({ "type": "text", "text": text }),
        Content::Image { mime, data } => json!({ "type": "image", "mimeType": mime, "data": data }),
        Content::Audio { mime, data } => json!({ "type": "audio", "mimeType": mime, "data": data }),
        Content::Resource { uri, mime, text, blob } => {
            json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": text, "blob": blob } })
        }
        Content::ResourceLink { uri, name, description, mime } => {
            json!({ "type": "resource_link", "uri": uri, "name": name, "description": description, "mimeType": mime })
        }
    }
}
