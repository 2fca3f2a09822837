//! Who may read what of the ledger.

use std::sync::Arc;

use uuid::Uuid;

use super::{AuditError, AuditQuery, AuditReader, AuditStats, CallEntry, LogPage};
use crate::policy::Grant;

/// The ledger as one person may read it: their own entries, or those of their whole tenant.
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
        self.reader.logs(&self.allowed(query)?).await
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
