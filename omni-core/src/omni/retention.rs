//! The daily job that removes what is older than it must be.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use uuid::Uuid;

use super::Omni;
use crate::{
    audit::AuditError,
    config::Ack,
    ledger::{
        AdminRecord, Event, Ledger, Record, SealKeys,
        prune::{Pruned, days_ago, prune_proved},
    },
};

/// When the job runs for the first time: not in the short life of a command at a terminal.
const FIRST: Duration = Duration::from_secs(60);
/// How often it runs.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Omni {
    /// Prunes what is older than `days`, soon and then daily, until this `Omni` ends. Rows that were there before
    /// omni stay: nobody has said yet that they may go, and nothing brings them back.
    pub(crate) fn keep_for(&self, days: u32, keys: SealKeys) {
        let Some(reader) = self.parts().reader.clone() else {
            return tracing::warn!("the ledger's store cannot be read, so nothing of it is pruned");
        };
        let ledger = self.ledger().clone();
        self.in_background(async move {
            let mut ticks = interval_at(Instant::now() + FIRST, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let before = days_ago(days);
                report(&ledger, before, prune_proved(&*reader, &keys, before).await).await;
            }
        });
    }
}

/// What goes leaves a record of that, as if an administrator had pruned.
async fn report(ledger: &Ledger, before: DateTime<Utc>, pruned: Result<Pruned, AuditError>) {
    let records = match pruned {
        Ok(pruned) if pruned.records > 0 => pruned.records,
        Ok(_) => return,
        Err(error) => return tracing::error!(%error, "old records could not be pruned; the next day tries again"),
    };
    tracing::info!(%before, records, "old records were pruned");
    let mut said = AdminRecord::new("ledger.prune", "retention");
    said.details = json!({ "before": before, "records": records });
    let record = Record::new(Uuid::now_v7(), None, Event::Admin(said));
    if let Err(error) = ledger.write_with(record, Ack::Local).await {
        tracing::error!(%error, "that old records were pruned is not in the ledger");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Ask, Principal,
        audit::{AuditBackend, LedgerStore as _, memory::MemorySink},
    };

    #[tokio::test(start_paused = true)]
    async fn old_records_go_by_themselves_and_the_job_ends_with_its_omni() {
        let sink = MemorySink::default();
        let backend = AuditBackend::new(sink.clone());
        let omni = Omni::builder().audit_backend(backend).retention_days(Some(0)).build().await.unwrap();
        omni.ask(Ask::new(Principal::email("ada@company.com"), "What can you do?")).await.unwrap();
        omni.ledger().flush(Duration::from_secs(20)).await.unwrap();
        assert!(!sink.records().is_empty());
        tokio::time::sleep(FIRST + Duration::from_secs(1)).await;
        omni.ledger().flush(Duration::from_secs(20)).await.unwrap();
        let left = sink.records();
        let [Record { event: Event::Admin(said), .. }] = &left[..] else { panic!("{left:?}") };
        assert_eq!((&*said.action, &*said.target), ("ledger.prune", "retention"));
        assert_eq!(sink.checkpoints().await.unwrap().len(), 1);
        omni.shutdown().await;
    }
}
