//! The sending end of an answer: bounded, and text for a slow reader is joined.

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};

use super::AnswerEvent;

/// Sends events of one ask to whoever reads, at the reader's pace.
#[derive(Debug)]
pub(crate) struct EventSender {
    events: mpsc::Sender<AnswerEvent>,
    /// The place of the last event: whoever reads at all learns how it ended.
    last: Option<mpsc::OwnedPermit<AnswerEvent>>,
    pending: String,
    /// Whether anybody looks at what comes before the last event.
    is_followed: bool,
}

impl EventSender {
    /// A sender into a channel, one place of which it keeps for the last event.
    pub(crate) fn new(events: mpsc::Sender<AnswerEvent>) -> Self {
        let last = events.clone().try_reserve_owned().ok();
        Self { events, last, pending: String::new(), is_followed: true }
    }

    /// A sender for somebody who waits for the last event alone: each one before it would wake them for nothing.
    pub(crate) fn of_the_end(events: mpsc::Sender<AnswerEvent>) -> Self {
        Self { is_followed: false, ..Self::new(events) }
    }

    /// Sends text now if there is room; otherwise it is joined to what waits.
    pub(crate) fn text(&mut self, text: &str) {
        if !self.is_followed {
            return;
        }
        self.pending.push_str(text);
        if self.pending.is_empty() {
            return;
        }
        if let Ok(permit) = self.events.try_reserve() {
            permit.send(AnswerEvent::Text { text: std::mem::take(&mut self.pending) });
        }
    }

    /// Sends the last events. A reader who does not read cannot keep the ask from ending, and finds
    /// the very last one whenever they go on.
    pub(crate) async fn end(&mut self, mut events: Vec<AnswerEvent>, within: Duration) {
        let Some(last) = events.pop() else { return };
        let all = async {
            for event in events {
                self.send(event).await;
            }
            self.flush().await;
        };
        if timeout(within, all).await.is_err() {
            tracing::debug!("nobody reads the end of an answer");
        }
        match self.last.take() {
            Some(place) => drop(place.send(last)),
            None => drop(self.events.try_send(last)),
        }
    }

    /// Sends an event after all text before it; waits for room. A reader who is gone is no error.
    pub(crate) async fn send(&mut self, event: AnswerEvent) {
        self.flush().await;
        if self.is_followed {
            let _ = self.events.send(event).await;
        }
    }

    async fn flush(&mut self) {
        if !self.pending.is_empty() {
            let text = std::mem::take(&mut self.pending);
            let _ = self.events.send(AnswerEvent::Text { text }).await;
        }
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
        let (sender, mut receiver) = mpsc::channel(2);
        let mut events = EventSender::new(sender);
        for piece in ["a", "b", "c", ""] {
            events.text(piece);
        }
        assert_eq!(text(receiver.recv().await), "a");
        events.text("d");
        assert_eq!(text(receiver.recv().await), "bcd");
    }

    #[tokio::test]
    async fn a_reader_who_does_not_read_does_not_keep_an_ask_from_ending_and_still_learns_how_it_ended() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut events = EventSender::new(sender);
        events.text("fills the channel");
        let ends = ["has no room", "the last"].map(|text| AnswerEvent::Text { text: text.into() });
        events.end(ends.into(), Duration::from_millis(20)).await;
        drop(events);
        assert_eq!(text(receiver.recv().await), "fills the channel");
        assert_eq!(text(receiver.recv().await), "the last");
        assert!(receiver.recv().await.is_none());
    }

    #[tokio::test]
    async fn who_waits_for_the_end_is_told_nothing_before_it() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut events = EventSender::of_the_end(sender);
        events.text("a word");
        let ends = ["a warning", "the last"].map(|text| AnswerEvent::Text { text: text.into() });
        events.send(AnswerEvent::Text { text: "more".into() }).await;
        events.end(ends.into(), Duration::from_millis(20)).await;
        drop(events);
        assert_eq!(text(receiver.recv().await), "the last");
        assert!(receiver.recv().await.is_none());
    }

    #[tokio::test]
    async fn no_text_is_no_event() {
        let (sender, mut receiver) = mpsc::channel(1);
        EventSender::new(sender).text("");
        assert!(receiver.recv().await.is_none());
    }
}
