//! Whether something happened, for whoever shows what happens.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Omni;
use crate::{
    audit::AuditQuery,
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
    /// Of the newest entry of the log.
    pub newest: i64,
}

impl Omni {
    /// How things stand with a tenant.
    ///
    /// # Errors
    /// An [`Error`] when a store cannot be read.
    pub async fn pulse(&self, tenant: &str) -> Result<Pulse, Error> {
        let parts = self.parts();
        let whose = Whose::all(tenant);
        let pending = parts.runs.pending(whose, MAX_LISTED).await?;
        let agreed = parts.runs.agreed(whose, MAX_LISTED).await?;
        let newest = match &parts.reader {
            Some(reader) => {
                let query = AuditQuery { tenant: Some(tenant.to_owned()), limit: Some(1), ..AuditQuery::default() };
                reader.logs(&query).await?.entries.first().map_or(0, |entry| entry.id)
            }
            None => 0,
        };
        Ok(Pulse { waiting: number(pending.iter().chain(&agreed)), newest })
    }
}

fn number<'a>(waiting: impl Iterator<Item = &'a Confirmation>) -> u64 {
    let mut number = DefaultHasher::new();
    waiting.for_each(|one| (one.id, one.state.as_str()).hash(&mut number));
    number.finish()
}
