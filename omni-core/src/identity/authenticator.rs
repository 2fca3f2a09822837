//! The one place where a credential becomes a principal.

use std::collections::HashMap;

use super::{Credential, Principal, Scope, Scopes, Via};

/// Why a credential was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The credential lacks a scope.
    #[error("{subject} may not act for others: the scope `{scope}` is missing")]
    MissingScope {
        /// Who asked.
        subject: String,
        /// What was missing.
        scope: Scope,
    },
}

/// Turns a [`Credential`] into a [`Principal`].
#[derive(Debug, Clone, Default)]
pub struct Authenticator {
    os_users: HashMap<String, String>,
    local_may_act_as: bool,
}

impl Authenticator {
    /// An authenticator that maps no operating-system user and lets nobody act for others.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps an operating-system user to a subject of the policy.
    #[must_use]
    pub fn with_os_user(mut self, os_user: impl Into<String>, subject: impl Into<String>) -> Self {
        self.os_users.insert(os_user.into(), subject.into());
        self
    }

    /// Lets the person at the terminal act as anybody. Right where that person can read config and
    /// database anyway.
    #[must_use]
    pub fn with_local_act_as(mut self) -> Self {
        self.local_may_act_as = true;
        self
    }

    /// Judges a credential.
    ///
    /// # Errors
    /// [`AuthError::MissingScope`] when the person at the terminal may not act as somebody else.
    pub fn authenticate(&self, credential: Credential) -> Result<Principal, AuthError> {
        match credential {
            Credential::Asserted(principal) => Ok(principal),
            Credential::Local { os_user, act_as: None } => Ok(self.local(&os_user)),
            Credential::Local { os_user, act_as: Some(subject) } => {
                let actor = self.local(&os_user);
                if !actor.scopes.contains(Scope::ActAs) {
                    return Err(AuthError::MissingScope { subject: actor.subject, scope: Scope::ActAs });
                }
                Ok(Principal::new(&subject, Via::LocalUser).with_actor(actor.subject))
            }
        }
    }

    fn local(&self, os_user: &str) -> Principal {
        let principal = match self.os_users.get(os_user) {
            Some(subject) => Principal::new(subject, Via::LocalUser),
            None => Principal::local(os_user),
        };
        let mut scopes = vec![Scope::Ask, Scope::Tools, Scope::Admin];
        if self.local_may_act_as {
            scopes.push(Scope::ActAs);
        }
        principal.with_scopes(Scopes::from_iter(scopes))
    }
}
