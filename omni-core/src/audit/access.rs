//! Who may read what of the ledger.

use std::sync::Arc;

use uuid::Uuid;

use super::{AuditError, AuditQuery, AuditReader, AuditStats, CallEntry, LogEntry, LogPage};
use crate::{identity::Principal, ledger::TurnRecord, policy::Grant};

/// The ledger as one person may read it: their own entries, or those of their whole tenant. What went
/// wrong inside, with hosts and paths, and by which rule, only the latter are told.
#[derive(Debug, Clone)]
pub struct AuditAccess {
    reader: Arc<dyn AuditReader>,
    tenant: String,
    subject: String,
    sees_all: bool,
}

impl AuditAccess {
    pub(crate) fn new(reader: Arc<dyn AuditReader>, grant: &Grant) -> Self {
        Self {
            reader,
            tenant: grant.principal.tenant.clone(),
            subject: grant.principal.subject.clone(),
            sees_all: grant.may_view_all_logs(),
        }
    }

    /// The ledger for somebody who may read all of a tenant's entries.
    pub(crate) fn of_all(reader: Arc<dyn AuditReader>, principal: &Principal) -> Self {
        Self { reader, tenant: principal.tenant.clone(), subject: principal.subject.clone(), sees_all: true }
    }

    /// Whose own entries are always among those.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether entries of others can be seen.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.sees_all
    }

    /// A page of asks and direct calls.
    ///
    /// # Errors
    /// [`AuditError::NotYours`] when the query names somebody else whose entries may not be seen,
    /// or what the store says; so for all of these.
    pub async fn logs(&self, query: &AuditQuery) -> Result<LogPage, AuditError> {
        let mut page = self.reader.logs(&self.allowed(query)?).await?;
        if !self.sees_all {
            page.entries.iter_mut().for_each(LogEntry::hide_inside);
        }
        Ok(page)
    }

    /// How many a query finds, whatever its page.
    ///
    /// # Errors
    /// As [`AuditAccess::logs`].
    pub async fn count(&self, query: &AuditQuery) -> Result<u64, AuditError> {
        self.reader.count(&self.allowed(query)?).await
    }

    /// One ask or direct call; `None` also where it may not be seen.
    ///
    /// # Errors
    /// What the store says.
    pub async fn entry(&self, request_id: Uuid) -> Result<Option<LogEntry>, AuditError> {
        let query = AuditQuery { request_id: Some(request_id), limit: Some(1), ..AuditQuery::default() };
        Ok(self.logs(&query).await?.entries.pop())
    }

    /// The answer of an entry that was read here, whole or as much of it as is kept.
    ///
    /// # Errors
    /// What the store says.
    pub async fn answer(&self, entry: &LogEntry) -> Result<Option<String>, AuditError> {
        if self.is_mine(entry) { self.reader.answer(entry).await } else { Ok(None) }
    }

    /// The model's turns of an entry that was read here, as far as they are kept.
    ///
    /// # Errors
    /// What the store says.
    pub async fn turns(&self, entry: &LogEntry) -> Result<Vec<TurnRecord>, AuditError> {
        if self.is_mine(entry) { self.reader.turns(entry).await } else { Ok(Vec::new()) }
    }

    fn is_mine(&self, entry: &LogEntry) -> bool {
        entry.tenant == self.tenant && (self.sees_all || entry.user_email.as_ref() == Some(&self.subject))
    }

    /// Sums over all that a query finds.
    ///
    /// # Errors
    /// As [`AuditAccess::logs`].
    pub async fn stats(&self, query: &AuditQuery) -> Result<AuditStats, AuditError> {
        self.reader.stats(&self.allowed(query)?).await
    }

    /// The tool calls of an ask; none of one that may not be seen.
    ///
    /// # Errors
    /// What the store says.
    pub async fn calls(&self, request_id: Uuid) -> Result<Vec<CallEntry>, AuditError> {
        let mut calls = self.reader.calls(request_id).await?;
        let is_mine = |call: &CallEntry| call.user_email.as_ref() == Some(&self.subject);
        calls.retain(|call| call.tenant == self.tenant && (self.sees_all || is_mine(call)));
        if !self.sees_all {
            calls.iter_mut().for_each(CallEntry::hide_inside);
        }
        Ok(calls)
    }

    fn allowed(&self, query: &AuditQuery) -> Result<AuditQuery, AuditError> {
        let mut query = query.clone();
        query.tenant = Some(self.tenant.clone());
        query.user = query.user.map(|user| user.trim().to_lowercase());
        if !self.sees_all {
            if query.user.as_ref().is_some_and(|user| *user != self.subject) {
                return Err(AuditError::NotYours { subject: self.subject.clone() });
            }
            query.user = Some(self.subject.clone());
        }
        Ok(query)
    }
}
