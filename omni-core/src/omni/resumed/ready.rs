//! Whether a run can be taken on by now. What cannot yet waits, and nothing that was agreed to is used up.

use tokio::time::timeout;

use super::Resumed;
use crate::{
    catalog::{Catalog, Health},
    confirm::{Confirmation, RunError, State},
    error::{Error, ErrorKind},
    identity::{Principal, Via},
    mcp::McpError,
    omni::steps,
    parts::{Parts, STEP_TIMEOUT},
};

impl Resumed {
    /// Whether everything is there that the calls take which somebody agreed to.
    ///
    /// # Errors
    /// What is not.
    pub(in crate::omni) async fn is_ready(&self, parts: &Parts, catalog: &Catalog) -> Result<(), Error> {
        let confirmations = timeout(STEP_TIMEOUT, self.lease.store.of_run(self.lease.run)).await;
        let confirmations = confirmations.unwrap_or_else(|_| Err(RunError::new("no answer in time")))?;
        for one in confirmations.iter().filter(|one| one.state == State::Approved) {
            self.has_token(parts, one)?;
            self.is_there(parts, catalog, one)?;
            self.is_still_said(parts, one).await?;
        }
        Ok(())
    }

    /// A server that is used with the asker's own token waits for them to come with it.
    fn has_token(&self, parts: &Parts, one: &Confirmation) -> Result<(), Error> {
        if self.token.is_some() || parts.pool.refusal(&one.server, None).is_none() {
            return Ok(());
        }
        let Confirmation { server, subject, .. } = one;
        Err(waits(Error::Denied {
            message: format!("{server} is used with the token of {subject}, who has to come with it and say the same"),
        }))
    }

    /// What is agreed to waits for its server.
    fn is_there(&self, parts: &Parts, catalog: &Catalog, one: &Confirmation) -> Result<(), Error> {
        let health = catalog.server(&one.server).map(|view| &view.health);
        let is_away = matches!(health, Some(Health::Unhealthy { .. } | Health::Unknown));
        // One that is kept from this asker is not away: the call is refused with the reason.
        if !is_away || parts.pool.refusal(&one.server, self.token.as_deref()).is_some() {
            return Ok(());
        }
        let source = McpError::Connect { message: "it does not answer".into() };
        Err(Error::Server { server: one.server.clone(), source })
    }

    /// Whether whoever agreed for somebody else is one who may by now, or somebody who may has just said the same. Of
    /// whoever is not there only that counts which they are without a token's or a proxy's word.
    async fn is_still_said(&self, parts: &Parts, one: &Confirmation) -> Result<(), Error> {
        let Some(by) = one.decided_by.as_deref().filter(|by| *by != one.subject) else { return Ok(()) };
        if let Some((grant, said)) = &self.present {
            let is_theirs = grant.principal.subject == by && grant.principal.tenant == one.tenant;
            if (is_theirs || *said == (one.id, State::Approved)) && parts.approvals.may_agree(one, grant).is_ok() {
                return Ok(());
            }
        }
        let mut principal = Principal::new(by, Via::ResumedRun);
        principal.tenant.clone_from(&one.tenant);
        let refused = match steps::policy(parts, &principal).await {
            Ok(grant) => parts.approvals.may_agree(one, &grant).err(),
            Err(error) if error.kind() == ErrorKind::Denied => Some(error),
            Err(error) => return Err(error),
        };
        match refused {
            None => Ok(()),
            Some(error) => Err(waits(Error::Denied {
                message: format!(
                    "{by} agreed to it, who may not by now ({error}); somebody who may has to say the same"
                ),
            })),
        }
    }

    /// What is told where it does not go on. Before the run is taken on that is for good only where the asker may not.
    pub(in crate::omni) fn told(&self, error: Error) -> Error {
        if self.lease.is_claimed() {
            return error;
        }
        match error.kind() {
            ErrorKind::Denied | ErrorKind::Unauthenticated if self.lacks_claim => {
                let message = format!(
                    "{error}; the role of whoever asked is known only while they are there, and they have to say the same"
                );
                waits(Error::Denied { message })
            }
            ErrorKind::Denied | ErrorKind::Unauthenticated | ErrorKind::Conflict => error,
            ErrorKind::Invalid
            | ErrorKind::Config
            | ErrorKind::NotFound
            | ErrorKind::RateLimited
            | ErrorKind::Timeout
            | ErrorKind::Unavailable
            | ErrorKind::Cancelled
            | ErrorKind::Failed => waits(error),
        }
    }
}

fn waits(why: Error) -> Error {
    match why {
        waits @ Error::Waits { .. } => waits,
        why => Error::Waits { why: Box::new(why) },
    }
}
