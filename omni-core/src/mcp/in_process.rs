//! MCP servers in this process.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use rmcp::{ServerHandler, ServiceExt};
use tokio::{
    io::{DuplexStream, duplex, split},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::{
    CallContext, Connector, McpError, McpTransport,
    client::{Client, Lifecycle, millis, refused},
    lines::{Keeper, Lines},
    tap::{Reach, Tap},
};
use crate::redact::Redactor;

/// Bytes on the way in one direction before the sender waits.
const PIPE_BYTES: usize = 64 * 1024;

type Serve = dyn Fn(DuplexStream) -> JoinHandle<()> + Send + Sync;

/// A server that lives in this process: an rmcp service made anew for each connection.
pub struct InProcess {
    serve: Box<Serve>,
    tells_caller: bool,
}

/// The key of `_meta` under which a server in this process is told for whom a request is made: a
/// [`Principal`](crate::Principal). Only omni writes it; what a client writes there is taken out.
pub const CALLER: &str = "omni/caller";

impl InProcess {
    /// A server from whatever makes its service.
    pub fn new<S, F>(factory: F) -> Self
    where
        S: ServerHandler,
        F: Fn() -> S + Send + Sync + 'static,
    {
        Self {
            serve: Box::new(move |pipe| {
                let service = factory();
                tokio::spawn(async move {
                    if let Ok(running) = service.serve(split(pipe)).await {
                        let _ = running.waiting().await;
                    }
                })
            }),
            tells_caller: false,
        }
    }

    /// The same server, which is told with each request for whom it is made, in `_meta` under [`CALLER`].
    #[must_use]
    pub fn with_caller(mut self) -> Self {
        self.tells_caller = true;
        self
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for InProcess {
    fn kind(&self) -> &'static str {
        "in_process"
    }

    async fn connect(&self, cx: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        let started = Instant::now();
        cx.must_be_shared()?;
        let (ours, theirs) = duplex(PIPE_BYTES);
        let (reader, writer) = split(ours);
        let tap = Tap::new(Redactor::new(), Reach::of(cx, Reach::Sole));
        tap.hears();
        let lines = Lines::new(reader, writer, Task((self.serve)(theirs)), tap.clone());
        match timeout_at(cx.deadline, Client::start(lines, tap, Lifecycle::Legacy)).await {
            Ok(client) => {
                let client = client.map_err(|error| refused(error, &Redactor::new()))?;
                Ok(Arc::new(if self.tells_caller { client.telling_caller() } else { client }))
            }
            Err(_) => Err(McpError::Timeout { after_ms: millis(started.elapsed()) }),
        }
    }
}

/// The server's task.
struct Task(JoinHandle<()>);

#[async_trait]
impl Keeper for Task {
    async fn end(&mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    use super::*;
    use crate::testing::{McpContractServer, mcp_transport_contract};

    /// A server that chooses a revision, whichever is asked for.
    fn choosing(revision: &'static str) -> InProcess {
        let serve = move |pipe: DuplexStream| {
            tokio::spawn(async move {
                let (reader, mut writer) = split(pipe);
                let mut lines = BufReader::new(reader).lines();
                let asked: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
                let own = json!({ "name": "s", "version": "1" });
                let result = json!({ "protocolVersion": revision, "capabilities": {}, "serverInfo": own });
                let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
                writer.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
                while let Ok(Some(_)) = lines.next_line().await {}
            })
        };
        InProcess { serve: Box::new(serve), tells_caller: false }
    }

    #[tokio::test]
    async fn a_server_that_chooses_a_revision_which_nobody_speaks_is_not_used() {
        let cx = CallContext::within(std::time::Duration::from_secs(30));
        for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let transport = choosing(revision).connect(&cx).await.unwrap();
            assert_eq!(transport.capabilities().protocol.as_deref(), Some(revision));
            transport.close().await;
        }
        for revision in ["2099-01-01", "2024-10-07", ""] {
            let refused = choosing(revision).connect(&cx).await.err();
            let is_told = |message: &str| message.contains(&format!("a revision that omni does not: {revision:?}"));
            assert!(
                matches!(&refused, Some(McpError::Connect { message }) if is_told(message)),
                "{revision}: {refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_server_in_this_process_keeps_the_contract() {
        mcp_transport_contract(&InProcess::new(McpContractServer::new)).await;
    }

    #[tokio::test]
    async fn nobody_is_connected_by_credentials_of_their_own_to_what_is_everybodys() {
        let mut cx = CallContext::within(std::time::Duration::from_secs(30));
        cx.credentials = Some([("authorization".to_owned(), "Bearer of-ann".to_owned().into())].into());
        let refused = InProcess::new(McpContractServer::new).connect(&cx).await.err();
        assert!(matches!(refused, Some(McpError::Unauthorized { .. })), "{refused:?}");
    }
}
