//! The ledger against real databases, real disks and real processes, and what goes wrong with them.

use std::{collections::HashSet, path::Path, sync::Arc};

use omni_core::{
    Omni, OmniBuilder, Principal,
    ask::DirectCall,
    audit::{AuditBackend, AuditQuery, AuditReader, LogEntry, MAX_PAGE, Order, sql::SqlAudit},
    ledger::{SealKey, verify::verify},
    llm::scripted::Scripted,
};
use omni_tests::server::FakeServer;
use serde_json::{json, value::RawValue};
use uuid::Uuid;

mod disk;
mod killed;
mod refused;
mod stopped;

fn ada() -> Principal {
    Principal::email("ada@company.com")
}

fn echo() -> DirectCall {
    DirectCall::new(ada(), "lab", "echo", RawValue::from_string(json!({ "message": "hi" }).to_string()).unwrap())
}

/// A pipeline with one server, `lab`, that keeps its ledger in `dir` and in `store`.
fn pipeline(dir: &Path, store: &SqlAudit) -> OmniBuilder {
    let llm = Scripted::from_fn(|_| Ok(omni_core::llm::scripted::text_turn("ok")));
    let builder = Omni::builder().llm(llm).server("lab", FakeServer::echo());
    builder.ledger_dir(dir).audit_backend(AuditBackend::new(store.clone()))
}

/// Every entry that there is, page by page.
async fn everything(store: &dyn AuditReader) -> Vec<LogEntry> {
    let mut query = AuditQuery::default();
    (query.order, query.limit) = (Order::OldestFirst, Some(MAX_PAGE));
    let mut all = Vec::new();
    loop {
        let page = store.logs(&query).await.unwrap();
        all.extend(page.entries);
        query.after = page.next;
        if query.after.is_none() {
            return all;
        }
    }
}

/// Each of `requests` has exactly one entry, and every chain and row is as the ledger wrote it.
async fn assert_whole(store: &SqlAudit, dir: &Path, requests: &HashSet<Uuid>) {
    let entries = everything(store).await;
    let ids: HashSet<Uuid> = entries.iter().map(|entry| entry.request_id).collect();
    assert_eq!(ids.len(), entries.len(), "a request has two entries");
    assert_eq!(requests.difference(&ids).count(), 0, "requests without an entry");
    let verified = verify(store, &SealKey::load(dir).unwrap()).await.unwrap();
    assert_eq!(verified.first_break, None);
}

fn shared<T>(value: T) -> Arc<T> {
    Arc::new(value)
}
