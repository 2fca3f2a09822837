//! The daily job that removes what is older than it must be.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Omni;
use crate::{
    audit::{AuditError, AuditReader},
    ledger::{
        SealKeys,
        prune::{Pruned, prune},
    },
};

/// When the job runs for the first time: not in the short life of a command at a terminal.
const FIRST: Duration = Duration::from_secs(60);
/// How often it runs.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

impl Omni {
    /// Prunes what is older than `days`, soon and then daily, until this `Omni` ends.
    pub(crate) fn keep_for(&self, days: u32, keys: SealKeys) {
        let Some(reader) = self.parts().reader.clone() else {
            return tracing::warn!("the ledger's store cannot be read, so nothing of it is pruned");
        };
        let ended = self.inner.idle.clone();
        self.inner.tasks.spawn(async move {
            let mut ticks = interval_at(Instant::now() + FIRST, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let work = async {
                loop {
                    ticks.tick().await;
                    report(days, older_than(&reader, &keys, days).await);
                }
            };
            tokio::select! {
                () = work => {}
                () = ended.cancelled() => {}
            }
        });
    }
}

async fn older_than(reader: &Arc<dyn AuditReader>, keys: &SealKeys, days: u32) -> Result<Pruned, AuditError> {
    prune(&**reader, keys, Utc::now() - TimeDelta::days(days.into())).await
}

fn report(days: u32, pruned: Result<Pruned, AuditError>) {
    match pruned {
        Ok(pruned) if pruned.records + pruned.unproved > 0 => {
            tracing::info!(days, records = pruned.records, unproved = pruned.unproved, "old records were pruned");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(%error, "old records could not be pruned; the next day tries again"),
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
        assert!(sink.records().is_empty());
        assert_eq!(sink.checkpoints().await.unwrap().len(), 1);
        omni.shutdown().await;
    }
}
