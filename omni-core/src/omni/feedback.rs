//! What people say of answers.

use std::time::Duration;

use super::Omni;
use crate::{
    audit::{AuditQuery, LogEntry},
    error::Error,
    feedback::{Feedback, MAX_REASON},
    identity::Credential,
    parts::Parts,
    policy::Grant,
};

/// How long a verdict waits for the record of an ask that has just ended.
const SETTLE: Duration = Duration::from_secs(5);

impl Omni {
    /// Keeps what somebody says of an answer, in the place of what they said of it before: of their own asks, of those
    /// whose answer they have read ([`Feedback::of_reader`]), or of any where they are an administrator.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no, there is no such ask ([`Error::NotFound`]), or there is no
    /// database to keep it in ([`Error::NoDatabase`]).
    pub async fn feedback(&self, who: impl Into<Credential>, mut feedback: Feedback) -> Result<(), Error> {
        let grant = self.asker(&who.into()).await?;
        let parts = self.parts();
        if !parts.has_tables() {
            return Err(Error::NoDatabase { what: "feedback" });
        }
        let ask = self.ask_of(&parts, &grant, &feedback).await?;
        let cut = |reason: String| parts.redactor.text(&reason).chars().take(MAX_REASON).collect::<String>();
        feedback.reason = feedback.reason.map(cut);
        write(&parts, &grant.principal.subject, &feedback, &ask).await
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
        let may_judge = |entry: &LogEntry| {
            let is_theirs = entry.user_email.as_deref() == Some(grant.principal.subject.as_str());
            is_theirs || feedback.was_read || grant.role.is_admin
        };
        found.into_iter().find(|entry| entry.request_type == "chat" && may_judge(entry)).ok_or_else(unknown)
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn write(parts: &Parts, by: &str, feedback: &Feedback, ask: &LogEntry) -> Result<(), Error> {
    let Some(tables) = &parts.tables else { return Err(Error::NoDatabase { what: "feedback" }) };
    let db = tables.db().await.map_err(|error| Error::Audit(error.into()))?;
    let kept = crate::feedback::keep(db, by, feedback, ask, chrono::Utc::now()).await;
    kept.map_err(|error| Error::Audit(error.into()))
}

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
async fn write(_: &Parts, _: &str, _: &Feedback, _: &LogEntry) -> Result<(), Error> {
    Err(Error::NoDatabase { what: "feedback" })
}
