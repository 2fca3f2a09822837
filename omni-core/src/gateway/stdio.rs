//! Standard input and output as a wire: for whoever runs the program.

use rmcp::ServiceExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Gateway, Visitor};
use crate::error::Error;

impl Gateway {
    /// Serves one person over this process's standard input and output, until the input ends or `stop`.
    ///
    /// # Errors
    /// When what comes is not the protocol.
    pub async fn serve_stdio(&self, visitor: Visitor, stop: CancellationToken) -> Result<(), Error> {
        self.serve(visitor, tokio::io::stdin(), tokio::io::stdout(), stop).await
    }

    /// The same over any pair of byte streams, one message a line.
    ///
    /// # Errors
    /// When what comes is not the protocol.
    pub async fn serve<R, W>(
        &self,
        visitor: Visitor,
        reader: R,
        writer: W,
        stop: CancellationToken,
    ) -> Result<(), Error>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        use rmcp::service::ServerInitializeError as Begin;
        let running = match self.session_of(visitor).serve_with_ct((reader, writer), stop).await {
            Ok(running) => running,
            // Whoever goes before they said anything wanted nothing.
            Err(Begin::ConnectionClosed(_) | Begin::Cancelled) => return Ok(()),
            Err(error) => {
                let message = format!("the client does not begin as the protocol says: {error}");
                return Err(Error::Invalid { message });
            }
        };
        let ended = running.waiting().await.map_err(|error| Error::Internal { message: error.to_string() })?;
        tracing::debug!(?ended, "the client went");
        Ok(())
    }
}
