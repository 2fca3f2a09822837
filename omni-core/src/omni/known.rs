//! Who somebody is.

use super::{Omni, steps};
use crate::{
    error::{Error, ErrorKind},
    identity::{Admitted, Credential, Principal},
    ledger::Outcome,
    metrics,
};

impl Omni {
    /// Who a credential belongs to; what they may do, [`Omni::grant`] says.
    ///
    /// # Errors
    /// An [`Error`] when the credential is not accepted.
    pub async fn authenticate(&self, who: impl Into<Credential>) -> Result<Principal, Error> {
        steps::identity(&self.parts(), &who.into()).await
    }

    /// The same for a door that goes on with whoever it is: what it gives stands for the credential, and is not judged
    /// again in the next moment.
    ///
    /// # Errors
    /// As [`Omni::authenticate`].
    pub async fn let_in(&self, who: impl Into<Credential>) -> Result<Admitted, Error> {
        let (parts, who) = (self.parts(), who.into());
        let brought = who.brought();
        let judged = steps::identity(&parts, brought).await;
        // Nothing comes after it that would count it.
        let principal = judged.inspect_err(|error| {
            if error.kind() == ErrorKind::Unauthenticated {
                metrics::refused(Outcome::Denied, Some(error.kind()), None);
            }
        })?;
        Ok(Admitted::new(brought.clone(), principal, &parts))
    }
}
