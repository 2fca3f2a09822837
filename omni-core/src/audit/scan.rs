//! Queries over stores that hold records and no tables: each goes through all of them.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{
    AuditQuery, AuditStats, CallEntry, Cursor, LogEntry, LogPage, MAX_PAGE, SealedRecord,
    entry::Entries,
    query::{ADMIN, Group, Sums},
};
use crate::ledger::{Event, Record, TurnRecord};

fn entries(id: i64, sealed: &SealedRecord) -> Entries {
    let mut entries = serde_json::from_slice(&sealed.bytes).map(|record| Entries::of(&record)).unwrap_or_default();
    entries.log.iter_mut().for_each(|log| log.id = id);
    entries.call.iter_mut().for_each(|call| call.id = id);
    entries
}

/// Collects a page, of which it never holds more than one entry too many, beside those before it.
pub(super) struct Paging {
    query: AuditQuery,
    found: BTreeMap<Cursor, LogEntry>,
}

impl Paging {
    pub(super) fn new(query: AuditQuery) -> Self {
        Self { query, found: BTreeMap::new() }
    }

    /// Sees the record with the number `id`.
    pub(super) fn see(&mut self, id: i64, sealed: &SealedRecord) {
        let log = entries(id, sealed).log;
        let Some(mut log) = log.filter(|log| self.query.finds(log) && self.query.follows(log)) else { return };
        if self.query.brief {
            (log.message, log.tool_params) = (None, None);
        }
        let order = self.query.order;
        self.found.insert(order.place(Cursor::of(&log)), log);
        if self.found.len() > self.query.offset.saturating_add(self.query.page_size() + 1) {
            if order.is_ascending() {
                self.found.pop_last()
            } else {
                self.found.pop_first()
            };
        }
    }

    pub(super) fn page(self) -> LogPage {
        let (entries, offset) = (self.found.into_values(), self.query.offset);
        let entries = match self.query.order.is_ascending() {
            true => entries.skip(offset).collect(),
            false => entries.rev().skip(offset).collect(),
        };
        LogPage::new(entries, self.query.page_size())
    }
}

/// Adds up.
pub(super) struct Counting {
    query: AuditQuery,
    sums: HashMap<Group, Sums>,
}

impl Counting {
    pub(super) fn new(query: AuditQuery) -> Self {
        Self { query, sums: HashMap::new() }
    }

    pub(super) fn see(&mut self, sealed: &SealedRecord) {
        if let Some(log) = entries(0, sealed).log.filter(|log| self.query.finds(log)) {
            let group = (log.status.clone(), log.request_type == ADMIN);
            self.sums.entry(group).or_default().add(&log);
        }
    }

    pub(super) fn stats(self) -> AuditStats {
        self.sums.into_iter().collect()
    }
}

/// The answer that a record has.
pub(super) fn answer_of(sealed: &SealedRecord) -> Option<String> {
    match serde_json::from_slice::<Record>(&sealed.bytes).ok()?.event {
        Event::Ask(ask) => Some(ask.answer).filter(|answer| !answer.is_empty()),
        _ => None,
    }
}

/// The model's turns that a record has.
pub(super) fn turns_of(sealed: &SealedRecord) -> Vec<TurnRecord> {
    match serde_json::from_slice::<Record>(&sealed.bytes).map(|record| record.event) {
        Ok(Event::Ask(ask)) => ask.turns,
        _ => Vec::new(),
    }
}

/// The call that a record is, if it is one of `request_id` and there is room for it.
pub(super) fn call_of(request_id: Uuid, id: i64, sealed: &SealedRecord, calls: &mut Vec<CallEntry>) {
    let call = entries(id, sealed).call;
    calls.extend(call.filter(|call| call.request_id == request_id && calls.len() < MAX_PAGE));
}
