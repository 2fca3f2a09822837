//! What was asked, at a glance.

use chrono::{DateTime, Utc};

use super::Admin;
use crate::{
    analytics::{
        Analytics,
        overview::{Overview, Stretch},
    },
    error::Error,
    policy::Permission,
};

impl Admin {
    /// What everybody asked of late, by one door or by all, in sums over time. `None` where the ledger is in no database.
    ///
    /// # Errors
    /// An [`Error`] when it may not be told, or cannot be read.
    pub async fn overview(
        &self,
        stretch: Stretch,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Overview>, Error> {
        self.require(Permission::CanViewAuditLogs)?;
        let Some(tables) = &self.parts.tables else { return Ok(None) };
        let analytics = Analytics::of(tables.clone());
        let found = analytics.overview(&self.principal.tenant, stretch, source, now).await;
        found.map(Some).map_err(|error| Error::Analytics { message: error.to_string() })
    }
}
