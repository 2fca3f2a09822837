//! What is kept no longer.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{Admin, record};
use crate::{
    error::Error,
    ledger::{
        AdminRecord, SealKeys,
        prune::{Pruned, prune},
    },
    policy::Permission,
};

impl Admin {
    /// Removes what the ledger has that is older than `before`, and leaves a record of that.
    ///
    /// # Errors
    /// An [`Error`] when it may not be done, or the ledger cannot be read or written.
    pub async fn prune(&self, keys: impl Into<SealKeys>, before: DateTime<Utc>) -> Result<Pruned, Error> {
        let pruning = async {
            let message = "the ledger's store cannot be read, so nothing of it is pruned";
            let reader = self.parts.reader.as_ref().ok_or_else(|| Error::Invalid { message: message.into() })?;
            Ok(prune(&**reader, keys, before).await?)
        };
        let said = record("ledger.prune", "ledger", json!({ "before": before }));
        let counted = |said: &mut AdminRecord, pruned: &Pruned| {
            said.details = json!({ "before": before, "records": pruned.records, "unproved": pruned.unproved });
        };
        self.run_and_tell(Permission::CanDeleteData, said, pruning, counted).await
    }
}
