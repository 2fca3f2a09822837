//! One JSON message a line, over any pair of byte streams: child processes and in-process servers.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use rmcp::{
    RoleClient,
    model::JsonRpcMessage,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::Mutex,
};

use super::{
    McpError,
    tap::{Fault, MAX_MESSAGE_BYTES, Tap},
};

/// What keeps the other end alive, and ends it.
#[async_trait]
pub(super) trait Keeper: Send {
    /// Why the other end may have gone, in its own words.
    async fn last_words(&mut self) -> Option<String> {
        None
    }

    /// Ends the other end, which was told already by the end of its input.
    async fn end(&mut self);
}

/// The transport.
pub(super) struct Lines<R, W, K> {
    reader: BufReader<R>,
    line: Vec<u8>,
    // A tokio lock: a message must be written whole before the next one starts.
    writer: Arc<Mutex<Option<W>>>,
    keeper: K,
    tap: Arc<Tap>,
}

impl<R: AsyncRead + Unpin, W, K: Keeper> Lines<R, W, K> {
    pub(super) fn new(reader: R, writer: W, keeper: K, tap: Arc<Tap>) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            line: Vec::new(),
            writer: Arc::new(Mutex::new(Some(writer))),
            keeper,
            tap,
        }
    }

    /// The next line; what was read stays when this is cancelled.
    async fn next_line(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            let chunk = self.reader.fill_buf().await.map_err(|error| error.to_string())?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            self.line.extend_from_slice(&chunk[..end.unwrap_or(taken)]);
            self.reader.consume(taken);
            if self.line.len() > MAX_MESSAGE_BYTES {
                return Err(format!("the server sent a message of more than {MAX_MESSAGE_BYTES} bytes"));
            }
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
        }
    }

    async fn gone(&mut self) -> String {
        match self.keeper.last_words().await {
            Some(words) => format!("the server ended: {words}"),
            None => "the server ended".into(),
        }
    }
}

impl<R, W, K> Transport<RoleClient> for Lines<R, W, K>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
    K: Keeper,
{
    type Error = Fault;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let (writer, tap) = (self.writer.clone(), self.tap.clone());
        async move {
            let mut line = serde_json::to_vec(&item).map_err(|error| lost(&error.to_string(), true))?;
            line.push(b'\n');
            let mut writer = writer.lock().await;
            let Some(open) = writer.as_mut() else { return Err(Fault(tap.lost(true))) };
            open.write_all(&line).await.map_err(|error| lost(&error.to_string(), false))?;
            open.flush().await.map_err(|error| lost(&error.to_string(), false))
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let line = match self.next_line().await {
                Ok(Some(line)) => line,
                Ok(None) => {
                    let reason = self.gone().await;
                    self.tap.close(reason);
                    return None;
                }
                Err(reason) => {
                    self.tap.close(reason);
                    return None;
                }
            };
            match self.tap.decode(line.trim_ascii()) {
                // An error without an id belongs to nobody, and would only be dropped further on.
                Ok(JsonRpcMessage::Error(error)) if error.id.is_none() => {
                    tracing::debug!(code = error.error.code.0, "a server sent an error that answers no request");
                }
                Ok(message) => return Some(message),
                Err(_) if line.trim_ascii().is_empty() => {}
                // Some servers log to their standard output: their words are no reason to end.
                Err(error) => tracing::debug!(%error, bytes = line.len(), "a server sent a line that is no message"),
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.tap.close("the connection was closed");
        // A writer that is stuck in a write is left to the keeper.
        if let Ok(mut writer) = self.writer.try_lock() {
            *writer = None;
        }
        self.keeper.end().await;
        Ok(())
    }
}

fn lost(message: &str, unsent: bool) -> Fault {
    Fault(McpError::Closed { message: message.into(), unsent })
}
