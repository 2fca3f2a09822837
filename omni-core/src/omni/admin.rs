//! What administrators do: each of it is checked, done and recorded here, by whichever door.

use std::{future::Future, sync::Arc};

use serde_json::Value;
use uuid::Uuid;

use super::{Omni, steps};
use crate::{
    ask::{Client, Source},
    error::Error,
    identity::{Credential, Principal, Scope, Scopes},
    ledger::{AdminRecord, Event, Outcome, Party, Record},
    parts::Parts,
    policy::{Grant, Permission, PolicyError, Role, Standing, is_operator},
};

mod health;
mod keys;
mod policy;
mod retention;
mod tools;
#[cfg(all(feature = "analytics", any(feature = "sqlite", feature = "postgres")))]
mod usage;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod users;

#[cfg(test)]
mod tests;

pub use health::Refreshed;
pub use keys::{KeyPage, NewKey};
pub use policy::{Explanation, Rights, ToolRight};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use users::ListedUser;

/// Longest name of a person or a key, in bytes.
const MAX_NAME: usize = 255;
/// Most characters of what somebody wrote that an error repeats.
const MAX_QUOTED: usize = 100;
/// What is written down of an operation that nobody saw the end of.
const LEFT: &str = "whoever did it went away before it was done, or it broke off; how far it came is not known";

/// An administrator at work.
#[derive(Debug)]
pub struct Admin {
    parts: Arc<Parts>,
    principal: Principal,
    source: Source,
    client: Client,
    /// `None` for whoever can read configuration and database anyway: nothing is refused them.
    grant: Option<Arc<Grant>>,
}

/// An operation under way. Where its future is dropped before it has an end, as a door does with the request of whoever
/// hangs up, some of it may be done: it is in the ledger all the same.
struct UnderWay<'a> {
    admin: &'a Admin,
    record: AdminRecord,
    has_ended: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let (outcome, error) = (Outcome::UnknownOutcome, Some(LEFT.to_owned()));
        let record = AdminRecord { outcome, error, ..self.record.clone() };
        if let Err(error) = self.admin.parts.ledger.leave(self.admin.entry(record)) {
            tracing::error!(%error, action = %self.record.action, "an operation that broke off is not recorded");
        }
    }
}

impl Omni {
    /// The operations of administrators, for somebody whose credential has the scope `admin` and
    /// whose role is an admin's or has the permission that an operation takes. The person at the
    /// terminal may do all of it where they may act for anybody: they can read the database itself.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no.
    pub async fn admin(&self, who: impl Into<Credential>, source: Source) -> Result<Admin, Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, &who.into()).await?;
        let grant = match is_operator(&principal) {
            true => None,
            false => Some(steps::policy(&parts, &principal).await?),
        };
        if let Some(grant) = &grant {
            grant.require(Scope::Admin)?;
        }
        Ok(Admin { parts, principal, source, client: Client::default(), grant })
    }
}

impl Admin {
    /// The same administrator, with what their request says of itself.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Their role; `None` of whoever can read configuration and database anyway.
    #[must_use]
    pub fn role_name(&self) -> Option<&str> {
        self.grant.as_ref().map(|grant| &*grant.role.name)
    }

    /// Whether they may use the operations that take a permission.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.require(permission).is_ok()
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Refuses whoever may not look at something.
    pub(super) fn require(&self, permission: Permission) -> Result<(), Error> {
        let Some(grant) = &self.grant else { return Ok(()) };
        Ok(grant.require_admin(permission)?)
    }

    /// Does something and records how it ended; if it may not be done, that.
    async fn run<T>(
        &self,
        permission: Permission,
        record: AdminRecord,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.run_and_tell(permission, record, work, |_, _| {}).await
    }

    /// The same, where the record tells what came of it.
    async fn run_and_tell<T>(
        &self,
        permission: Permission,
        mut record: AdminRecord,
        work: impl Future<Output = Result<T, Error>>,
        tell: impl FnOnce(&mut AdminRecord, &T),
    ) -> Result<T, Error> {
        let mut under_way = UnderWay { admin: self, record: record.clone(), has_ended: false };
        let done = match self.require(permission).and_then(|()| steps::admit(&self.parts)) {
            // On the heap: what there is to do is large, and whoever waits for it would carry it.
            Ok(()) => Box::pin(work).await,
            Err(refused) => Err(refused),
        };
        // The ledger has taken its record before anything is waited for again.
        under_way.has_ended = true;
        if let Ok(done) = &done {
            tell(&mut record, done);
        }
        self.write(record, done.as_ref().err()).await?;
        done
    }

    async fn write(&self, mut record: AdminRecord, failed: Option<&Error>) -> Result<(), Error> {
        if let Some(error) = failed {
            record.outcome = if error.kind() == crate::ErrorKind::Denied { Outcome::Denied } else { Outcome::Error };
            record.error = Some(error.to_string());
        }
        Ok(self.parts.ledger.write_with(self.entry(record), self.parts.acks.ask).await?)
    }

    fn entry(&self, record: AdminRecord) -> Record {
        let mut party = Party::new(&self.principal, self.source).with_client(self.client.clone());
        party.role = self.grant.as_ref().map(|grant| grant.role.name.to_string());
        Record::new(Uuid::now_v7(), Some(party), Event::Admin(record))
    }

    /// Refuses to give out more than one has.
    fn may_give(&self, role: &Role) -> Result<(), Error> {
        let Some(grant) = &self.grant else { return Ok(()) };
        let own = &grant.role;
        let is_within = own.is_super_admin
            || (!role.is_super_admin
                && (own.is_admin || !role.is_admin)
                && role.permissions.iter().all(|permission| own.may(*permission)));
        if is_within {
            return Ok(());
        }
        let message = format!("the role {} may not give out the rights of the role {}", own.name, role.name);
        Err(Error::Denied { message })
    }

    fn standing(&self, email: &str) -> Standing {
        self.parts.policy.standing(&Principal::email(email))
    }

    /// Refuses to change how somebody stands who has more rights than one's own, in or out.
    async fn may_change(&self, email: &str) -> Result<(), Error> {
        if self.grant.is_none() {
            return Ok(());
        }
        if let Some(theirs) = self.standing(email).role {
            self.may_give(&theirs)?;
        }
        // Whom nobody named may have rights all the same.
        match self.parts.policy.resolve(&Principal::email(email)).await {
            Ok(theirs) => self.may_give(&theirs.role),
            Err(away @ PolicyError::Unavailable { .. }) => Err(away.into()),
            Err(_) => Ok(()),
        }
    }

    /// What one's own credential may be used for.
    fn scopes(&self) -> Scopes {
        if self.grant.is_some() { self.principal.scopes.clone() } else { Scopes::all() }
    }

    /// Who does it, for the tables.
    fn actor(&self) -> &str {
        self.principal.actor.as_deref().unwrap_or(&self.principal.subject)
    }

    /// Lets this process see what was changed at once. Others see it when they look next.
    async fn refresh(&self) {
        if let Err(error) = self.parts.policy.refresh().await {
            tracing::warn!(%error, "a change was made and is not seen here yet");
        }
    }
}

/// Refuses a text that has no room in its column, or in which something cannot be seen.
fn within(what: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.len() > most {
        return Err(Error::Invalid { message: format!("{what} may have {most} bytes") });
    }
    if text.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\t')) {
        return Err(Error::Invalid { message: format!("{what} has control characters in it") });
    }
    Ok(())
}

/// What somebody wrote, for them to know it again.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// What is to be recorded of an operation that goes well.
fn record(action: &str, target: &str, details: Value) -> AdminRecord {
    AdminRecord { details, ..AdminRecord::new(action, target) }
}
