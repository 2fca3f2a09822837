//! One ask whose events are read by somebody who may lose the connection and come back.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use omni_core::{AnswerEvent, AnswerStream, Principal, answer::json::EventJson, elicit::Elicitation, identity::Holder};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use crate::wire::Question;

/// Most bytes of events that wait for a reader, and that are kept of those which were read.
const MAX_BYTES: usize = 256 << 10;

/// An event as it was told.
#[derive(Debug)]
pub(super) struct Told {
    /// Its number; the first one is 1.
    pub(super) seq: u64,
    pub(super) name: &'static str,
    pub(super) json: String,
}

/// One ask, from its first event until some time after its last.
#[derive(Debug)]
pub(super) struct Running {
    id: Uuid,
    /// Who asked, and by what.
    asker: Holder,
    /// Whose answer it is.
    subject: String,
    /// Whether it goes on without anybody who wants to know.
    goes_on: bool,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last events, without gaps.
    events: VecDeque<Arc<Told>>,
    /// Of all of them together.
    bytes: usize,
    /// How many events there were.
    told: u64,
    /// The last event that a reader took.
    read: u64,
    /// The bytes of all after that.
    unread: usize,
    /// Counts readers: the newest one reads.
    readers: u64,
    /// Whether the newest one is there.
    is_read: bool,
    /// Whether whoever asked wants no answer any more.
    is_stopped: bool,
    is_over: bool,
}

impl State {
    fn push(&mut self, name: &'static str, json: String) {
        self.told += 1;
        self.bytes += json.len();
        self.unread += json.len();
        self.events.push_back(Arc::new(Told { seq: self.told, name, json }));
        while self.bytes > MAX_BYTES && self.events.front().is_some_and(|first| first.seq <= self.read) {
            self.bytes -= self.events.pop_front().map_or(0, |gone| gone.json.len());
        }
    }

    /// Whether the event after another one is still here, or yet to come.
    fn reaches(&self, seq: u64) -> bool {
        seq == self.told || (seq < self.told && self.after(seq).is_some())
    }

    /// Somebody reads who has everything up to an event: what comes after it is not read yet, whoever else had it. Their
    /// number.
    fn begin(&mut self, after: u64) -> u64 {
        let lacking = self.events.iter().filter(|event| event.seq > after);
        self.unread = lacking.map(|event| event.json.len()).sum();
        self.read = after;
        self.readers += 1;
        self.is_read = true;
        self.readers
    }

    /// A reader has everything up to an event.
    fn take(&mut self, seq: u64) {
        let behind = usize::try_from(self.told.saturating_sub(self.read)).unwrap_or(usize::MAX);
        let unread = self.events.range(self.events.len().saturating_sub(behind)..);
        let taken = unread.take_while(|event| event.seq <= seq);
        self.unread -= taken.map(|event| event.json.len()).sum::<usize>();
        self.read = self.read.max(seq);
    }

    /// Whether what was not read yet leaves room for more.
    fn has_room(&self) -> bool {
        self.unread < MAX_BYTES
    }

    /// The event after another one, if it was told and is still here.
    fn after(&self, seq: u64) -> Option<Arc<Told>> {
        let first = self.events.front()?.seq;
        let at = usize::try_from((seq + 1).checked_sub(first)?).ok()?;
        self.events.get(at).cloned()
    }
}

impl Running {
    pub(super) fn new(id: Uuid, asker: Holder, subject: String, goes_on: bool) -> Self {
        Self { id, asker, subject, goes_on, state: watch::Sender::default() }
    }

    /// Whose answer it is.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// Whether this one began it, for the person that they are for now: nobody else reads it, nor the same by another
    /// key, which may be worth less.
    pub(super) fn is_of(&self, asker: &Holder, principal: &Principal) -> bool {
        self.asker == *asker && self.subject == principal.subject
    }

    pub(super) fn push(&self, event: &AnswerEvent) {
        let event = EventJson::from(event);
        // All that it fails at is writing JSON into memory.
        let json = serde_json::to_string(&event).unwrap_or_default();
        self.state.send_modify(|state| state.push(event.name(), json));
    }

    /// Tells what a server asks.
    pub(super) fn ask(&self, question: &Elicitation) {
        let json = serde_json::to_string(&Question::from(question)).unwrap_or_default();
        self.state.send_modify(|state| state.push("elicitation", json));
    }

    /// A reader of all events. One that was there before ends.
    pub(super) fn reader(self: &Arc<Self>) -> Reader {
        let mut number = 0;
        self.state.send_modify(|state| number = state.begin(0));
        self.read_by(number, 0)
    }

    /// A reader of what comes after an event, where that is still here or yet to come. One that was there before ends.
    pub(super) fn resumed(self: &Arc<Self>, after: u64) -> Option<Reader> {
        let mut number = None;
        self.state.send_if_modified(|state| {
            number = state.reaches(after).then(|| state.begin(after));
            number.is_some()
        });
        number.map(|number| self.read_by(number, after))
    }

    fn read_by(self: &Arc<Self>, number: u64, at: u64) -> Reader {
        Reader { state: self.state.subscribe(), running: self.clone(), number, at }
    }

    /// Gives the ask up, and waits until it is over; the answer is no where it goes on all the same.
    pub(super) async fn stop(&self) -> bool {
        if self.goes_on {
            return false;
        }
        self.state.send_modify(|state| state.is_stopped = true);
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.is_over).await;
        true
    }

    /// Tells what the ask tells, until its end, or until nobody has read it for `grace`: then it is given
    /// up, and the answer is no. A slow reader slows the ask down. One that is stopped is given up too, and tells how it
    /// ended.
    pub(super) async fn pump(&self, mut answer: AnswerStream, grace: Duration) -> bool {
        let mut room = self.state.subscribe();
        let telling = async {
            loop {
                let _ = room.wait_for(State::has_room).await;
                match answer.next().await {
                    Some(event) => self.push(&event),
                    None => return,
                }
            }
        };
        let is_told = tokio::select! {
            () = telling => true,
            () = self.stopped() => {
                answer.cancel();
                while let Some(event) = answer.next().await {
                    self.push(&event);
                }
                true
            }
            () = self.abandoned(grace) => false,
        };
        self.state.send_modify(|state| state.is_over = true);
        is_told
    }

    /// Ends when somebody stops the ask.
    async fn stopped(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.is_stopped).await;
    }

    /// Ends when there has been no reader for `grace`.
    async fn abandoned(&self, grace: Duration) {
        let mut readers = self.state.subscribe();
        loop {
            let _ = readers.wait_for(|state| !state.is_read).await;
            if timeout(grace, readers.wait_for(|state| state.is_read)).await.is_err() {
                return;
            }
        }
    }
}

/// Somebody who reads. Dropping it leaves the ask alone for a while.
#[derive(Debug)]
pub(super) struct Reader {
    running: Arc<Running>,
    state: watch::Receiver<State>,
    number: u64,
    at: u64,
}

impl Reader {
    /// The ask.
    pub(super) fn ask(&self) -> Uuid {
        self.running.id
    }

    /// The next event; `None` after the last one, or when another reader took over.
    pub(super) async fn next(&mut self) -> Option<Arc<Told>> {
        let (number, at) = (self.number, self.at);
        let is_news = |state: &State| state.readers != number || state.is_over || state.told > at;
        let told = {
            let state = self.state.wait_for(is_news).await.ok()?;
            if state.readers != number { None } else { state.after(at) }
        }?;
        self.at = told.seq;
        self.running.state.send_if_modified(|state| {
            let had_room = state.has_room();
            // Whoever took over says what they have.
            if state.readers == number {
                state.take(told.seq);
            }
            !had_room
        });
        Some(told)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.running.state.send_modify(|state| state.is_read &= state.readers != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> Arc<Running> {
        let ada = Principal::email("ada@company.com");
        let asker = Holder::new(&ada, &ada.clone().into());
        Arc::new(Running::new(Uuid::now_v7(), asker, ada.subject, false))
    }

    fn reaches(running: &Running, seq: u64) -> bool {
        running.state.borrow().reaches(seq)
    }

    fn text(running: &Running, bytes: usize) {
        running.push(&AnswerEvent::Text { text: "x".repeat(bytes) });
    }

    #[tokio::test]
    async fn a_reader_that_comes_back_goes_on_after_the_last_event_that_it_has() {
        let running = running();
        (0..3).for_each(|_| text(&running, 1));
        let mut first = running.reader();
        assert_eq!(first.next().await.unwrap().seq, 1);
        let mut second = running.resumed(1).unwrap();
        assert!(first.next().await.is_none(), "the newest one reads");
        drop(first);
        assert!(running.state.borrow().is_read);
        assert_eq!(second.next().await.unwrap().seq, 2);
        drop(second);
        assert!(!running.state.borrow().is_read);
        assert!(reaches(&running, 0) && reaches(&running, 3) && running.resumed(4).is_none());
    }

    #[tokio::test]
    async fn what_nobody_has_read_is_kept_and_what_was_read_long_ago_is_not() {
        let running = running();
        let half = MAX_BYTES / 2;
        (0..3).for_each(|_| text(&running, half));
        assert!(!running.state.borrow().has_room() && reaches(&running, 0));
        let mut reader = running.reader();
        for seq in 1..=3 {
            assert_eq!(reader.next().await.unwrap().seq, seq);
        }
        assert!(running.state.borrow().has_room());
        text(&running, half);
        assert!(!reaches(&running, 0) && reaches(&running, 3));
    }

    #[tokio::test]
    async fn what_a_reader_that_comes_back_lacks_stays_though_it_was_on_its_way_to_them_before() {
        let running = running();
        let half = MAX_BYTES / 2;
        (0..2).for_each(|_| text(&running, half));
        let mut first = running.reader();
        for seq in 1..=2 {
            assert_eq!(first.next().await.unwrap().seq, seq);
        }
        let mut second = running.resumed(0).unwrap();
        assert!(!running.state.borrow().has_room(), "all of it is to be read again");
        text(&running, half);
        for seq in 1..=3 {
            assert_eq!(second.next().await.unwrap().seq, seq);
        }
        assert!(running.state.borrow().has_room());
    }
}
