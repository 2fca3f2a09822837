//! One turn on its way from a vendor.

use std::{collections::VecDeque, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use sse_stream::Sse;
use tokio::time::{Instant, timeout, timeout_at};

use super::Decoder;
use crate::llm::{ChatEvent, ChatStream, LlmError};

/// How long the end of a body is waited for once the turn is complete: only a connection whose
/// body was read to its end can serve the next request.
const END_OF_BODY: Duration = Duration::from_millis(50);

/// One turn: bytes in, chat events out.
pub(in crate::llm) struct Turn<D> {
    provider: &'static str,
    deadline: Option<Instant>,
    events: BoxStream<'static, Result<Sse, LlmError>>,
    decoder: D,
    ready: VecDeque<ChatEvent>,
    over: bool,
}

impl<D: Decoder> Turn<D> {
    /// A turn that is streamed.
    pub(in crate::llm) fn events(
        provider: &'static str,
        deadline: Option<Instant>,
        events: BoxStream<'static, Result<Sse, LlmError>>,
        decoder: D,
    ) -> Self {
        Self { provider, deadline, events, decoder, ready: VecDeque::new(), over: false }
    }

    /// A turn that came as a whole.
    pub(super) fn whole(provider: &'static str, body: &[u8], mut decoder: D) -> Result<Self, LlmError> {
        let mut ready = VecDeque::new();
        decoder.whole(body, &mut ready)?;
        Ok(Self { provider, deadline: None, events: Box::pin(stream::empty()), decoder, ready, over: true })
    }

    /// Waits for the first event: until then the request can be made again, here or by who pays for it.
    pub(super) async fn begin(&mut self) -> Result<(), LlmError> {
        while self.ready.is_empty() && !self.decoder.has_begun() && !self.over {
            self.read().await?;
        }
        Ok(())
    }

    /// The chat events; an error is the last item.
    pub(in crate::llm) fn into_stream(self) -> ChatStream {
        Box::pin(stream::unfold(self, |mut turn| async { turn.next().await.map(|event| (event, turn)) }))
    }

    async fn next(&mut self) -> Option<Result<ChatEvent, LlmError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.read().await {
                self.over = true;
                // The error is the last item: half of what a broken event held is not shown.
                self.ready.clear();
                return Some(Err(error));
            }
        }
    }

    async fn read(&mut self) -> Result<(), LlmError> {
        let event = match self.deadline {
            Some(deadline) => timeout_at(deadline, self.events.next())
                .await
                .map_err(|_| LlmError::Timeout { provider: self.provider })?,
            None => self.events.next().await,
        };
        match event {
            Some(event) => {
                if let Some(data) = event?.data {
                    self.decoder.event(&data, &mut self.ready)?;
                }
            }
            None => {
                self.over = true;
                self.decoder.end(&mut self.ready)?;
            }
        }
        if self.decoder.is_done() && !self.over {
            self.over = true;
            let _end_or_not = timeout(END_OF_BODY, self.events.next()).await;
        }
        Ok(())
    }
}
