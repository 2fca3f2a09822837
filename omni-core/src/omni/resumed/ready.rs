//! Whether a run can be taken on by now. What cannot yet waits, and nothing that was agreed to is used up.

use std::{collections::BTreeSet, sync::Arc};

use super::{Resumed, still_agreed, still_holds, within};
use crate::{
    agent::{Run, plan::Judge},
    catalog::{Catalog, Health},
    confirm::{Confirmation, State},
    error::{Error, ErrorKind},
    identity::{Principal, Via},
    mcp::McpError,
    omni::steps,
    parts::Parts,
};

impl Resumed {
    /// Whether everything is there that the calls take which somebody agreed to; what there is by now.
    ///
    /// # Errors
    /// What is not.
    pub(in crate::omni) async fn is_ready(
        &self,
        parts: &Parts,
        mut catalog: Arc<Catalog>,
    ) -> Result<Arc<Catalog>, Error> {
        let confirmations = within(self.lease.store.of_run(self.lease.run)).await?;
        let approved: Vec<_> = confirmations.iter().filter(|one| one.state == State::Approved).collect();
        for one in &approved {
            self.has_token(parts, one)?;
            self.is_still_said(parts, one).await?;
        }
        let servers: BTreeSet<_> = approved.iter().map(|one| &*one.server).collect();
        for server in servers {
            // What was there a while ago may be away by now.
            if let Ok(looked) = parts.pool.look_at(server, self.token.as_ref()).await {
                catalog = looked;
            }
            self.is_there(&catalog, server)?;
        }
        Ok(catalog)
    }

    /// A server that is used with the asker's own token waits for them to come with one that it takes.
    fn has_token(&self, parts: &Parts, one: &Confirmation) -> Result<(), Error> {
        if parts.pool.refusal(&one.server, self.token.as_deref()).is_none() {
            return Ok(());
        }
        let Confirmation { server, subject, .. } = one;
        Err(needs_somebody(format!(
            "{server} is used with the token of {subject}, who has to come with it and say the same"
        )))
    }

    /// What is agreed to waits for its server. Whoever counts only while they are there has to come back then.
    fn is_there(&self, catalog: &Catalog, server: &str) -> Result<(), Error> {
        let health = catalog.server(server).map(|view| &view.health);
        if !matches!(health, Some(Health::Unhealthy { .. } | Health::Unknown)) {
            return Ok(());
        }
        let source = McpError::Connect { message: "it does not answer".into() };
        Err(Error::Server { server: server.to_owned(), source })
    }

    /// Whether whoever agreed for somebody else is one who may by now. Of whoever is not there only that counts which
    /// they are without a token's or a proxy's word.
    async fn is_still_said(&self, parts: &Parts, one: &Confirmation) -> Result<(), Error> {
        let Some(by) = one.decided_by.as_deref().filter(|by| *by != one.subject) else { return Ok(()) };
        if let Some(grant) = &self.present {
            let is_theirs = grant.principal.subject == by && grant.principal.tenant == one.tenant;
            if is_theirs && parts.approvals.may_agree(one, grant).is_ok() {
                return Ok(());
            }
        }
        match against(parts, one, by).await? {
            None => Ok(()),
            Some(error) => Err(needs_somebody(format!(
                "{by} agreed to it, who may not by now ({error}); somebody who may has to say the same"
            ))),
        }
    }

    /// Whether the calls are what was agreed to also without what the asker's token or proxy said of them, where nobody
    /// says it now: it waits for them otherwise.
    ///
    /// # Errors
    /// What is not so without it.
    pub(in crate::omni) async fn stands_without_claim(
        &self,
        parts: &Parts,
        judge: &Judge<'_>,
        run: &Run,
    ) -> Result<(), Error> {
        if !self.lacks_claim {
            return Ok(());
        }
        let confirmations = within(self.lease.store.of_run(self.lease.run)).await?;
        for call in run.waiting() {
            let one = confirmations.iter().find(|one| one.call_id == call.id && one.state == State::Approved);
            let Some(one) = one else { continue };
            still_agreed(parts, judge, one)
                .and_then(|()| still_holds(parts, judge, call, one))
                .map_err(|broken| needs_somebody(without_claim(&broken)))?;
        }
        Ok(())
    }

    /// What is told where it does not go on. Before the run is taken on that is for good only where the asker may not.
    pub(in crate::omni) fn told(&self, error: Error) -> Error {
        if self.lease.is_claimed() {
            return error;
        }
        match error.kind() {
            ErrorKind::Denied | ErrorKind::Unauthenticated if self.lacks_claim => {
                needs_somebody(without_claim(&error.to_string()))
            }
            ErrorKind::Denied | ErrorKind::Unauthenticated | ErrorKind::Conflict => error,
            ErrorKind::Invalid
            | ErrorKind::Config
            | ErrorKind::NotFound
            | ErrorKind::RateLimited
            | ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::Cancelled
            | ErrorKind::Failed => self.waits(error),
        }
    }

    /// It goes on later; not by itself where it rests on what whoever is there brought along.
    fn waits(&self, why: Error) -> Error {
        if matches!(why, Error::Waits { .. }) {
            return why;
        }
        let is_claimed = self.present.as_ref().is_some_and(|grant| grant.principal.claimed_role().is_some());
        match self.token.is_some() || is_claimed {
            true => {
                let message = format!("{}; once that is over you have to say the same again", why.public_message());
                needs_somebody(message)
            }
            false => Error::Waits { why: Box::new(why), again: false },
        }
    }
}

/// Why the word of somebody who is not there does not count by now, if it does not: what a token or a proxy said of them
/// nobody says now.
///
/// # Errors
/// It cannot be looked up.
pub(in crate::omni) async fn against(parts: &Parts, one: &Confirmation, by: &str) -> Result<Option<Error>, Error> {
    let mut principal = Principal::new(by, Via::ResumedRun);
    principal.tenant.clone_from(&one.tenant);
    match steps::policy(parts, &principal).await {
        Ok(grant) => Ok(parts.approvals.may_agree(one, &grant).err()),
        Err(error) if error.kind() == ErrorKind::Denied => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

fn without_claim(why: &str) -> String {
    format!("{why}; the role of whoever asked is known only while they are there, and they have to say the same")
}

/// It takes somebody to say the same who is not there.
fn needs_somebody(message: String) -> Error {
    Error::Waits { why: Box::new(Error::Denied { message }), again: true }
}
