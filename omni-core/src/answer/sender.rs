//! The sending end of an answer: bounded, and text for a slow reader is joined.

use tokio::sync::mpsc;

use super::AnswerEvent;

/// Sends events of one ask to whoever reads, at the reader's pace.
#[derive(Debug)]
pub(crate) struct EventSender {
    events: mpsc::Sender<AnswerEvent>,
    pending: String,
}

impl EventSender {
    pub(crate) fn new(events: mpsc::Sender<AnswerEvent>) -> Self {
        Self { events, pending: String::new() }
    }

    /// Sends text now if there is room; otherwise it is joined to what waits.
    pub(crate) fn text(&mut self, text: &str) {
        self.pending.push_str(text);
        if let Ok(permit) = self.events.try_reserve() {
            permit.send(AnswerEvent::Text { text: std::mem::take(&mut self.pending) });
        }
    }

    /// Sends an event after all text before it; waits for room. A reader who is gone is no error.
    pub(crate) async fn send(&mut self, event: AnswerEvent) {
        if !self.pending.is_empty() {
            let text = std::mem::take(&mut self.pending);
            let _ = self.events.send(AnswerEvent::Text { text }).await;
        }
        let _ = self.events.send(event).await;
    }
}
