//! What people say of answers.

use std::time::Duration;

use chrono::Utc;

use super::Omni;
use crate::{
    audit::{AuditQuery, LogEntry},
    error::Error,
    feedback::{Feedback, MAX_REASON, keep},
    identity::Credential,
    parts::Parts,
    policy::Grant,
};

/// How long a verdict waits for the record of an ask that has just ended.
const SETTLE: Duration = Duration::from_secs(5);

impl Omni {
    /// Keeps what somebody says of an answer, in the place of what they said of it before: of their own asks, or of any
    /// where they are an administrator.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no, there is no such ask of theirs ([`Error::NotFound`]), or there is
    /// no database to keep it in.
    pub async fn feedback(&self, who: impl Into<Credential>, mut feedback: Feedback) -> Result<(), Error> {
        let grant = self.asker(who.into()).await?;
        let parts = self.parts();
        let Some(tables) = &parts.tables else {
            return Err(Error::Invalid { message: "feedback is kept in a database, and there is none".into() });
        };
        let ask = self.ask_of(&parts, &grant, &feedback).await?;
        let cut = |reason: String| parts.redactor.text(&reason).chars().take(MAX_REASON).collect::<String>();
        feedback.reason = feedback.reason.map(cut);
        let db = tables.db().await.map_err(|error| Error::Audit(error.into()))?;
        let kept = keep(db, &grant.principal.subject, &feedback, &ask, Utc::now()).await;
        kept.map_err(|error| Error::Audit(error.into()))
    }

    /// The closing record of an ask that somebody may judge. One that has just ended is waited for.
    async fn ask_of(&self, parts: &Parts, grant: &Grant, feedback: &Feedback) -> Result<LogEntry, Error> {
        let unknown = || Error::NotFound { message: format!("there is no ask {} of yours", feedback.request_id) };
        let reader = parts.reader.as_ref().ok_or_else(unknown)?;
        let query = AuditQuery {
            request_id: Some(feedback.request_id),
            tenant: Some(grant.principal.tenant.clone()),
            ..AuditQuery::default()
        };
        let mut found = reader.logs(&query).await.map_err(Error::Audit)?.entries;
        if found.is_empty() && self.ledger().flush(SETTLE).await.is_ok() {
            found = reader.logs(&query).await.map_err(Error::Audit)?.entries;
        }
        let is_theirs = |entry: &LogEntry| {
            grant.role.is_admin || entry.user_email.as_deref() == Some(grant.principal.subject.as_str())
        };
        found.into_iter().find(|entry| entry.request_type == "chat" && is_theirs(entry)).ok_or_else(unknown)
    }
}
