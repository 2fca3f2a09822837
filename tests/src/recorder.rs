//! A sink that keeps records in memory, decoded.

use std::sync::{Arc, Mutex};

use omni_core::{
    AuditSink,
    audit::{AuditError, SealedRecord},
    ledger::{Event, Outcome, Record},
};
use uuid::Uuid;

/// Every record that the ledger delivered, in order.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Record>>>);

impl Recorder {
    /// All records.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.0.lock().unwrap().clone()
    }

    /// The outcomes of all closing records of one ask or direct call.
    #[must_use]
    pub fn closings(&self, request_id: Uuid) -> Vec<Outcome> {
        let records = self.records().into_iter().filter(|record| record.request_id == request_id);
        records
            .filter_map(|record| match record.event {
                Event::Ask(ask) => Some(ask.outcome),
                Event::DirectCall(call) => Some(call.outcome),
                _ => None,
            })
            .collect()
    }

    /// The outcomes of all tool calls of one ask, by tool.
    #[must_use]
    pub fn tool_calls(&self, request_id: Uuid) -> Vec<(String, Outcome)> {
        let records = self.records().into_iter().filter(|record| record.request_id == request_id);
        records
            .filter_map(|record| match record.event {
                Event::ToolCall(call) => Some((call.tool, call.outcome)),
                _ => None,
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl AuditSink for Recorder {
    async fn append(&self, batch: &[SealedRecord]) -> Result<(), AuditError> {
        let records = batch.iter().map(|sealed| serde_json::from_slice(&sealed.bytes).unwrap());
        self.0.lock().unwrap().extend(records);
        Ok(())
    }
}
