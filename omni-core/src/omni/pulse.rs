//! Whether something happened, for whoever shows what happens.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Omni, resumed::within};
use crate::{
    audit::{AuditQuery, Order},
    confirm::{Confirmation, MAX_LISTED, Whose},
    error::Error,
};

/// How things stand with a tenant, as numbers: where one of them is another, something happened. They tell nothing of
/// what, and so it takes nobody's rights to see them; whoever shows what happened asks for that by their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Pulse {
    /// Of the calls that wait for somebody's decision.
    pub waiting: u64,
    /// Of the entry of the log that was stored last: one that comes late is new as well.
    pub newest: i64,
}

impl Omni {
    /// How things stand with a tenant.
    ///
    /// # Errors
    /// An [`Error`] when a store cannot be read.
    pub async fn pulse(&self, tenant: &str) -> Result<Pulse, Error> {
        let parts = self.parts();
        let waiting = self.waiting(tenant).await?;
        let newest = match &parts.reader {
            Some(reader) => {
                let (tenant, order) = (Some(tenant.to_owned()), Order::LastStoredFirst);
                let query = AuditQuery { tenant, order, limit: Some(1), brief: true, ..AuditQuery::default() };
                reader.logs(&query).await?.entries.first().map_or(0, |entry| entry.id)
            }
            None => 0,
        };
        Ok(Pulse { waiting, newest })
    }

    /// Of it what waits for somebody's decision alone, which takes no look at the log.
    ///
    /// # Errors
    /// An [`Error`] when the store cannot be read.
    pub async fn waiting(&self, tenant: &str) -> Result<u64, Error> {
        let (parts, whose) = (self.parts(), Whose::all(tenant));
        let pending = within(parts.runs.pending(whose, MAX_LISTED)).await?;
        let agreed = within(parts.runs.agreed(whose, MAX_LISTED)).await?;
        Ok(number(pending.iter().chain(&agreed)))
    }
}

fn number<'a>(waiting: impl Iterator<Item = &'a Confirmation>) -> u64 {
    let mut number = DefaultHasher::new();
    waiting.for_each(|one| (one.id, one.state.as_str()).hash(&mut number));
    number.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;
    use crate::{
        Principal, Source,
        audit::{AuditBackend, memory::MemorySink},
        identity::DEFAULT_TENANT,
        ledger::{AdminRecord, Event, Party, Record},
    };

    #[tokio::test]
    async fn an_entry_that_comes_late_is_news_whatever_its_time() {
        let backend = AuditBackend::new(MemorySink::default());
        let omni = Omni::builder().audit_backend(backend).build().await.unwrap();
        let mut seen = Vec::new();
        for minutes in [0, 5] {
            let party = Party::new(&Principal::email("ann@x.org"), Source::Http);
            let event = Event::Admin(AdminRecord::new("key.create", "ann@x.org"));
            let mut record = Record::new(Uuid::now_v7(), Some(party), event);
            record.at -= TimeDelta::minutes(minutes);
            omni.ledger().write(record).await.unwrap();
            omni.ledger().flush(Duration::from_secs(30)).await.unwrap();
            seen.push(omni.pulse(DEFAULT_TENANT).await.unwrap().newest);
        }
        assert!(seen[1] > seen[0], "{seen:?}");
    }
}
