//! Requests that have begun and not ended, as far as the ledger knows.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{AskRecord, CallRecord, Event, Outcome, Record};
use crate::audit::SealedRecord;

/// Most requests that are remembered; those beyond are not closed after a crash.
const MAX_REQUESTS: usize = 10_000;

/// What a record means for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The request goes on.
    Continues,
    /// The request has ended.
    Closes,
    /// The chain's own record.
    None,
}

impl Role {
    pub(crate) fn of(event: &Event) -> Self {
        match event {
            Event::AskStarted { .. } | Event::Started(_) | Event::ToolCall(_) => Self::Continues,
            Event::Ask(_) | Event::DirectCall(_) | Event::Admin(_) => Self::Closes,
            Event::ChainOpened { .. } | Event::Gap { .. } => Self::None,
        }
    }
}

/// The sealed records of every request that has not ended.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    requests: HashMap<Uuid, Vec<SealedRecord>>,
}

impl Unsettled {
    pub(crate) fn observe(&mut self, request_id: Uuid, role: Role, record: &SealedRecord) {
        match role {
            Role::Continues if self.requests.len() < MAX_REQUESTS || self.requests.contains_key(&request_id) => {
                self.requests.entry(request_id).or_default().push(record.bare());
            }
            Role::Closes => drop(self.requests.remove(&request_id)),
            Role::Continues | Role::None => {}
        }
    }

    /// The records that close what is still open.
    pub(crate) fn closings(&self) -> Vec<Record> {
        let mut orphans = Orphans::default();
        let records = self.records();
        let records = records.iter().filter_map(|sealed| serde_json::from_slice::<Record>(&sealed.bytes).ok());
        records.for_each(|record| orphans.observe(record));
        orphans.closings()
    }

    /// All of them, in the order of their places.
    pub(crate) fn records(&self) -> Vec<SealedRecord> {
        let mut records: Vec<_> = self.requests.values().flatten().cloned().collect();
        records.sort_by_key(|record| record.seq);
        records
    }
}

/// What dead chains left open. Their order does not matter: what any of them closed is closed.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    begun: HashMap<Uuid, Vec<Record>>,
    closed: HashSet<Uuid>,
}

impl Orphans {
    pub(crate) fn observe(&mut self, record: Record) {
        match Role::of(&record.event) {
            Role::Continues => self.begun.entry(record.request_id).or_default().push(record),
            Role::Closes => drop(self.closed.insert(record.request_id)),
            Role::None => {}
        }
    }

    /// The records that close what was left open: nobody knows how it ended.
    pub(crate) fn closings(self) -> Vec<Record> {
        let mut open: Vec<_> = self.begun.into_iter().filter(|(id, _)| !self.closed.contains(id)).collect();
        open.sort_by_key(|(id, _)| *id);
        open.into_iter().flat_map(|(id, records)| close(id, &records)).collect()
    }
}

/// Closes one request: its open calls, and itself.
fn close(request_id: Uuid, records: &[Record]) -> Vec<Record> {
    let party = records.iter().find_map(|record| record.party.clone());
    let entry = |event| Record::new(request_id, party.clone(), event);
    let open = open_calls(records);
    // A direct call has no id of a model's call, and is closed by its one record.
    if let Some(direct) = open.iter().find(|call| call.call_id.is_empty()) {
        return vec![entry(Event::DirectCall(direct.clone()))];
    }
    let ask = Event::Ask(Box::new(unknown_ask(records, &open)));
    open.into_iter().map(|call| entry(Event::ToolCall(call))).chain([entry(ask)]).collect()
}

fn open_calls(records: &[Record]) -> Vec<CallRecord> {
    let mut open: Vec<CallRecord> = Vec::new();
    let ended: HashSet<&str> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::ToolCall(call) => Some(call.call_id.as_str()),
            _ => None,
        })
        .collect();
    for record in records {
        if let Event::Started(call) = &record.event
            && !ended.contains(call.call_id.as_str())
            && !open.iter().any(|known| known.call_id == call.call_id)
        {
            open.push(unknown_call(call.clone()));
        }
    }
    open
}

const CRASHED: &str = "omni ended in the middle of it; nobody knows how it went";

fn unknown_call(mut call: CallRecord) -> CallRecord {
    call.outcome = Outcome::UnknownOutcome;
    call.error = Some(CRASHED.into());
    call
}

fn unknown_ask(records: &[Record], open: &[CallRecord]) -> AskRecord {
    let mut seen = HashSet::new();
    let ended = records.iter().filter_map(|record| match &record.event {
        Event::ToolCall(call) => Some(call),
        _ => None,
    });
    let calls = ended.chain(open).filter(|call| seen.insert(call.call_id.clone()) && call.was_sent());
    let calls: Vec<&CallRecord> = calls.collect();
    let question = records.iter().find_map(|record| match &record.event {
        Event::AskStarted { question } => Some(question.as_str()),
        _ => None,
    });
    let mut ask = AskRecord::new(question.unwrap_or_default(), Outcome::UnknownOutcome);
    ask.tools_used = calls.iter().map(|call| format!("{}.{}", call.server, call.tool)).collect();
    ask.servers_used = calls.iter().map(|call| call.server.clone()).collect();
    ask.error = Some(CRASHED.into());
    ask
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Principal, Source, ledger::Party};

    fn call(id: &str, outcome: Outcome) -> CallRecord {
        let mut call = CallRecord::new("db", "drop_table", json!({}), outcome);
        call.call_id = id.into();
        call
    }

    fn closings(events: Vec<Event>) -> Vec<Event> {
        let request_id = Uuid::now_v7();
        let party = Party::new(&Principal::email("dba@company.com"), Source::Cli);
        let mut orphans = Orphans::default();
        for event in events {
            orphans.observe(Record::new(request_id, Some(party.clone()), event));
        }
        let closings = orphans.closings();
        for closing in &closings {
            assert_eq!(closing.request_id, request_id);
            assert_eq!(closing.party.as_ref(), Some(&party));
        }
        closings.into_iter().map(|record| record.event).collect()
    }

    #[test]
    fn an_ask_that_was_let_in_is_closed_with_its_question() {
        let events = closings(vec![Event::AskStarted { question: "How many?".into() }]);
        let [Event::Ask(ask)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((ask.question.as_str(), ask.outcome), ("How many?", Outcome::UnknownOutcome));
    }

    #[test]
    fn an_open_call_of_an_ask_closes_the_call_and_the_ask() {
        let events = closings(vec![
            Event::Started(call("1", Outcome::UnknownOutcome)),
            Event::ToolCall(call("1", Outcome::Success)),
            Event::Started(call("2", Outcome::UnknownOutcome)),
        ]);
        let [Event::ToolCall(open), Event::Ask(ask)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((open.call_id.as_str(), open.outcome), ("2", Outcome::UnknownOutcome));
        assert_eq!(ask.outcome, Outcome::UnknownOutcome);
        assert_eq!(ask.tools_used, ["db.drop_table", "db.drop_table"]);
    }

    #[test]
    fn an_open_direct_call_is_closed_by_one_record() {
        let events = closings(vec![Event::Started(call("", Outcome::UnknownOutcome))]);
        let [Event::DirectCall(closed)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(closed.outcome, Outcome::UnknownOutcome);
    }

    #[test]
    fn what_was_closed_stays_closed_in_any_order() {
        let ask = Event::Ask(Box::new(AskRecord::new("", Outcome::Success)));
        assert_eq!(closings(vec![ask, Event::Started(call("1", Outcome::UnknownOutcome))]), []);
        let direct = Event::DirectCall(call("", Outcome::Error));
        assert_eq!(closings(vec![Event::Started(call("", Outcome::UnknownOutcome)), direct]), []);
    }

    #[test]
    fn an_ask_whose_calls_all_ended_is_closed_alone() {
        let events = closings(vec![Event::ToolCall(call("1", Outcome::Success))]);
        assert!(matches!(&events[..], [Event::Ask(ask)] if ask.tools_used == ["db.drop_table"]), "{events:?}");
    }
}
