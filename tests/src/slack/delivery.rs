//! What is delivered to the bot, its acks, and what becomes of what is not acked.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Ack, Shared, World, answers};

/// How long an ack may take.
pub(super) const ACK_WITHIN: Duration = Duration::from_secs(3);
/// How long after a failed delivery of an event the next is tried.
const RETRIES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(60), Duration::from_secs(300)];
/// An ack of this size is dropped without a word.
const ACK_BYTES: usize = 20_480;

/// Something for the bot.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// By which its outcome is found.
    pub(super) id: String,
    /// `events_api`, `slash_commands` or `interactive`.
    pub(super) kind: &'static str,
    pub(super) body: Value,
    /// Of an event.
    pub(super) event_id: Option<String>,
    pub(super) attempt: u32,
    /// Why it comes again.
    pub(super) reason: &'static str,
    /// Whether the ack may carry a payload.
    pub(super) accepts: bool,
}

impl Delivery {
    pub(super) fn new(kind: &'static str, body: Value, accepts: bool) -> Self {
        let id = Uuid::new_v4().to_string();
        let event_id = body["event_id"].as_str().filter(|_| kind == "events_api").map(str::to_owned);
        Self { id, kind, body, event_id, attempt: 0, reason: "", accepts }
    }

    fn again(mut self, reason: &'static str) -> Self {
        self.attempt += 1;
        self.reason = reason;
        self
    }

    /// How a breach names it.
    fn named(&self) -> String {
        match (&self.event_id, self.body["event"]["type"].as_str()) {
            (Some(id), Some(kind)) => format!("{} {kind} {id}", self.kind),
            _ => self.kind.to_owned(),
        }
    }

    /// The frame that Socket Mode carries.
    fn envelope(&self, envelope_id: &str) -> String {
        let mut envelope = json!({
            "envelope_id": envelope_id, "type": self.kind, "payload": self.body,
            "accepts_response_payload": self.accepts,
        });
        if self.event_id.is_some() {
            envelope["retry_attempt"] = self.attempt.into();
            envelope["retry_reason"] = self.reason.into();
        }
        envelope.to_string()
    }
}

/// How a delivery ended.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Acked(Ack),
    Failed,
}

#[derive(Debug)]
pub(super) struct Envelope {
    delivery: Delivery,
    sent: Duration,
    socket: u64,
    is_acked: bool,
    /// A test wanted it or its ack lost.
    is_lost: bool,
}

/// How the bot is reached.
#[derive(Debug, Default, Clone)]
pub(super) enum Mode {
    #[default]
    Socket,
    Http(Arc<super::http::Urls>),
}

#[derive(Debug, Default)]
pub(super) struct Deliveries {
    pub(super) mode: Mode,
    pub(super) outbox: VecDeque<Delivery>,
    /// What a test holds back.
    pub(super) held: Option<Vec<Delivery>>,
    /// Events for which no connection is open.
    waiting: VecDeque<Delivery>,
    envelopes: HashMap<String, Envelope>,
    outcomes: HashMap<String, Outcome>,
    /// Deliveries without an outcome.
    open: HashSet<String>,
    pub(super) events: HashMap<String, Delivery>,
    pub(super) acks: Vec<Ack>,
}

impl Deliveries {
    pub(super) fn outcome(&self, delivery: &str) -> Option<Outcome> {
        self.outcomes.get(delivery).cloned()
    }

    /// Whether everything came to its end.
    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty() && self.outbox.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn ends(&mut self, delivery: &str, outcome: Outcome) {
        self.open.remove(delivery);
        self.outcomes.insert(delivery.to_owned(), outcome);
    }

    /// What waited for a connection goes out now; Slack's first try is over by then.
    pub(super) fn connected(&mut self) {
        let waiting: Vec<Delivery> = self.waiting.drain(..).collect();
        self.outbox.extend(waiting.into_iter().map(|delivery| delivery.again("timeout")));
    }
}

impl Shared {
    /// Sends what is to be sent.
    pub(super) fn dispatch(self: &Arc<Self>, world: &mut World) {
        while let Some(delivery) = world.deliveries.outbox.pop_front() {
            if let (Some(id), 0) = (&delivery.event_id, delivery.attempt) {
                world.deliveries.events.insert(id.clone(), delivery.clone());
            }
            world.deliveries.open.insert(delivery.id.clone());
            match &mut world.deliveries.held {
                Some(held) => held.push(delivery),
                None => self.send(world, delivery),
            }
        }
    }

    fn send(self: &Arc<Self>, world: &mut World, delivery: Delivery) {
        if let Mode::Http(urls) = world.deliveries.mode.clone() {
            return self.spawn(super::http::deliver(self.clone(), urls, delivery));
        }
        let Some(socket) = world.sockets.next() else {
            if delivery.event_id.is_some() {
                world.deliveries.waiting.push_back(delivery);
            } else {
                world.deliveries.ends(&delivery.id, Outcome::Failed);
            }
            return;
        };
        let envelope_id = Uuid::new_v4().to_string();
        let (number, frame) = (socket.number, delivery.envelope(&envelope_id));
        // What is lost on its way is delivered once more, as what is not acked.
        let is_lost = world.faults.loses_delivery();
        if !is_lost {
            socket.send(frame);
        }
        let sent = world.clock.now();
        let envelope = Envelope { delivery, sent, socket: number, is_acked: false, is_lost };
        world.deliveries.envelopes.insert(envelope_id.clone(), envelope);
        let (shared, clock) = (self.clone(), world.clock.clone());
        self.spawn(async move {
            clock.sleep_until(sent + ACK_WITHIN).await;
            shared.with(|world| world.is_overdue(&shared, &envelope_id));
        });
    }

    /// Tries once more, later.
    pub(super) fn retry(self: &Arc<Self>, world: &mut World, delivery: Delivery, reason: &'static str) {
        let delay = RETRIES.get(delivery.attempt as usize).filter(|_| delivery.event_id.is_some());
        let Some(delay) = delay else { return world.deliveries.ends(&delivery.id, Outcome::Failed) };
        let (shared, clock, at) = (self.clone(), world.clock.clone(), world.clock.now() + *delay);
        self.spawn(async move {
            clock.sleep_until(at).await;
            shared.with(|world| world.deliver(delivery.again(reason)));
        });
    }
}

impl World {
    /// Three seconds passed since an envelope was sent.
    fn is_overdue(&mut self, shared: &Arc<Shared>, envelope_id: &str) {
        let Some(envelope) = self.deliveries.envelopes.get(envelope_id).filter(|envelope| !envelope.is_acked) else {
            return;
        };
        let (delivery, socket, is_lost) = (envelope.delivery.clone(), envelope.socket, envelope.is_lost);
        if self.sockets.is_frozen(socket) {
            self.sockets.remove(socket);
        } else if self.sockets.is_open(socket) && !is_lost {
            self.breach(format!("{}: not acked within 3 s", delivery.named()));
        }
        shared.retry(self, delivery, "timeout");
    }

    /// A frame came over a connection.
    pub(super) fn hears(&mut self, frame: &str) {
        let message: Value = serde_json::from_str(frame).unwrap_or_default();
        let Some(envelope_id) = message["envelope_id"].as_str() else {
            return self.breach(format!("socket: not an ack: {}", frame.chars().take(200).collect::<String>()));
        };
        let Some(envelope) = self.deliveries.envelopes.get(envelope_id) else {
            return self.breach("socket: an ack of an unknown envelope");
        };
        let (delivery, took) = (envelope.delivery.clone(), self.clock.now().saturating_sub(envelope.sent));
        if envelope.is_acked {
            return self.breach(format!("{}: acked twice", delivery.named()));
        }
        if frame.len() >= ACK_BYTES {
            return self.breach(format!("{}: an ack of {} bytes is dropped", delivery.named(), frame.len()));
        }
        let is_lost = self.faults.loses_ack();
        if let Some(envelope) = self.deliveries.envelopes.get_mut(envelope_id) {
            envelope.is_lost |= is_lost;
            envelope.is_acked = !envelope.is_lost && took <= ACK_WITHIN;
        }
        if is_lost || took > ACK_WITHIN {
            return;
        }
        let payload =
            Some(message["payload"].clone()).filter(|payload| payload.as_object().is_some_and(|p| !p.is_empty()));
        self.acked(&delivery, took, payload);
    }

    /// The bot has acked.
    pub(super) fn acked(&mut self, delivery: &Delivery, took: Duration, payload: Option<Value>) {
        if payload.is_some() && !delivery.accepts {
            self.breach(format!("{}: a payload in an ack that accepts none", delivery.named()));
        }
        let ack = Ack {
            kind: delivery.kind.to_owned(),
            took,
            payload: payload.filter(|_| delivery.accepts),
            event_id: delivery.event_id.clone(),
            attempt: delivery.attempt,
        };
        if let (Some(payload), "slash_commands") = (&ack.payload, delivery.kind) {
            answers::command(self, &delivery.body, payload);
        }
        self.deliveries.acks.push(ack.clone());
        self.deliveries.ends(&delivery.id, Outcome::Acked(ack));
    }
}
