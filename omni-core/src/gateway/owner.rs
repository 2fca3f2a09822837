//! Whose something is that a client comes back to: a session, a call that waits, a task.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::identity::{Credential, Principal, Via};

/// A person by one channel, and by one key where they come with a key: another key of the same person is
/// somebody else.
#[derive(Clone)]
pub struct Owner {
    tenant: String,
    subject: String,
    actor: Option<String>,
    via: Via,
    key: Option<SecretString>,
}

impl Owner {
    /// Whoever came with a credential, and was found to be this one.
    #[must_use]
    pub fn of(principal: &Principal, credential: &Credential) -> Self {
        let key = match credential {
            Credential::ApiKey { key, .. } => Some(key.clone()),
            Credential::Local { .. }
            | Credential::Asserted(_)
            | Credential::Bearer { .. }
            | Credential::Proxy { .. } => None,
        };
        Self {
            tenant: principal.tenant.clone(),
            subject: principal.subject.clone(),
            actor: principal.actor.clone(),
            via: principal.via,
            key,
        }
    }

    fn key(&self) -> Option<&str> {
        self.key.as_ref().map(ExposeSecret::expose_secret)
    }
}

impl PartialEq for Owner {
    fn eq(&self, other: &Self) -> bool {
        (&self.tenant, &self.subject, &self.actor, self.via) == (&other.tenant, &other.subject, &other.actor, other.via)
            && self.key() == other.key()
    }
}

impl Eq for Owner {}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("subject", &self.subject).field("via", &self.via).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_of_the_same_person_is_another_owner_and_is_not_shown() {
        let ada = Principal::new("ada@company.com", Via::ApiKey);
        let with = |key: &str| Owner::of(&ada, &Credential::api_key(key.to_owned()));
        assert_eq!(with("omni_one"), with("omni_one"));
        assert_ne!(with("omni_one"), with("omni_two"));
        let eve = Principal::new("eve@company.com", Via::ApiKey);
        assert_ne!(with("omni_one"), Owner::of(&eve, &Credential::api_key("omni_one".to_owned())));
        assert!(!format!("{:?}", with("omni_one")).contains("omni_one"));
    }
}
