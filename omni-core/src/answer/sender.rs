//! The sending end of an answer: bounded, and text for a slow reader is joined.

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};

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
        if self.pending.is_empty() {
            return;
        }
        if let Ok(permit) = self.events.try_reserve() {
            permit.send(AnswerEvent::Text { text: std::mem::take(&mut self.pending) });
        }
    }

    /// Sends the last events; a reader who does not read cannot keep the ask from ending.
    pub(crate) async fn end(&mut self, events: Vec<AnswerEvent>, within: Duration) {
        let all = async {
            for event in events {
                self.send(event).await;
            }
        };
        if timeout(within, all).await.is_err() {
            tracing::debug!("nobody reads the end of an answer");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(event: Option<AnswerEvent>) -> String {
        match event {
            Some(AnswerEvent::Text { text }) => text,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn text_for_a_slow_reader_is_joined_and_none_is_lost() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut events = EventSender::new(sender);
        for piece in ["a", "b", "c", ""] {
            events.text(piece);
        }
        assert_eq!(text(receiver.recv().await), "a");
        events.text("d");
        assert_eq!(text(receiver.recv().await), "bcd");
    }

    #[tokio::test]
    async fn a_reader_who_never_reads_does_not_keep_an_ask_from_ending() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut events = EventSender::new(sender);
        events.text("fills the channel");
        events.end(vec![AnswerEvent::Text { text: "never read".into() }], Duration::from_millis(20)).await;
    }

    #[tokio::test]
    async fn no_text_is_no_event() {
        let (sender, mut receiver) = mpsc::channel(1);
        EventSender::new(sender).text("");
        assert!(receiver.recv().await.is_none());
    }
}
