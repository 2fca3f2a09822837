//! One JSON message a line, over any pair of byte streams: child processes and in-process servers.

use std::{
    future::{Future, pending},
    io,
    sync::Arc,
    time::Duration,
};

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
    time::timeout,
};

use super::{
    McpError,
    tap::{Fault, MAX_MESSAGE_BYTES, Tap},
};

/// How long what an ended server wrote is waited for.
const LAST_OUTPUT: Duration = Duration::from_millis(300);

/// What keeps the other end alive, and ends it.
#[async_trait]
pub(super) trait Keeper: Send {
    /// Waits until the other end has gone, where that is known otherwise than by the end of its output:
    /// what it started may hold that open. Once it has gone, this is over at once.
    async fn gone(&mut self) {
        pending().await
    }

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
    begun: bool,
}

impl<R: AsyncRead + Unpin, W, K: Keeper> Lines<R, W, K> {
    pub(super) fn new(reader: R, writer: W, keeper: K, tap: Arc<Tap>) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            line: Vec::new(),
            writer: Arc::new(Mutex::new(Some(writer))),
            keeper,
            tap,
            begun: false,
        }
    }

    /// The next line; what was read stays when this is cancelled.
    async fn next_line(&mut self) -> Result<Option<Vec<u8>>, String> {
        tokio::select! {
            biased;
            line = read_line(&mut self.reader, &mut self.line) => line,
            () = self.keeper.gone() => {
                let rest = read_line(&mut self.reader, &mut self.line);
                timeout(LAST_OUTPUT, rest).await.unwrap_or(Ok(None))
            }
        }
    }

    async fn farewell(&mut self) -> String {
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
        let first = !std::mem::replace(&mut self.begun, true);
        async move {
            let mut line = serde_json::to_vec(&item).map_err(|error| lost(&error.to_string(), true))?;
            line.push(b'\n');
            let mut writer = writer.lock().await;
            let Some(open) = writer.as_mut() else { return Err(Fault(tap.lost(true))) };
            match write(open, &line).await {
                // A server that ended before it was spoken to: its output says why.
                Err(_) if first => Ok(()),
                written => written.map_err(|error| lost(&error.to_string(), false)),
            }
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let line = match self.next_line().await {
                Ok(Some(line)) => line,
                Ok(None) => {
                    let reason = self.farewell().await;
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

async fn read_line<R>(reader: &mut BufReader<R>, line: &mut Vec<u8>) -> Result<Option<Vec<u8>>, String>
where
    R: AsyncRead + Unpin,
{
    loop {
        let chunk = reader.fill_buf().await.map_err(|error| error.to_string())?;
        if chunk.is_empty() {
            return Ok(None);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        line.extend_from_slice(&chunk[..end.unwrap_or(taken)]);
        reader.consume(taken);
        if line.len() > MAX_MESSAGE_BYTES {
            return Err(format!("the server sent a message of more than {MAX_MESSAGE_BYTES} bytes"));
        }
        if end.is_some() {
            return Ok(Some(std::mem::take(line)));
        }
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), line: &[u8]) -> io::Result<()> {
    writer.write_all(line).await?;
    writer.flush().await
}

fn lost(message: &str, unsent: bool) -> Fault {
    Fault(McpError::Closed { message: message.into(), unsent })
}
