//! Whose something is that waits or goes on between two requests.

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::{Credential, Principal, Via};

/// Whose something is: a person's by one channel, and by one key where it is a key. Another key of the same person is
/// somebody else, for it may be worth less; a token that took another's place is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Holder {
    tenant: String,
    subject: String,
    actor: Option<String>,
    via: Via,
    key: Option<[u8; 32]>,
}

impl Holder {
    /// Whoever came with a credential, and is this one by it.
    #[must_use]
    pub fn new(principal: &Principal, credential: &Credential) -> Self {
        let key = match credential {
            Credential::Admitted(admitted) => admitted.holder().key,
            Credential::ApiKey { key, .. } => Some(Sha256::digest(key.expose_secret()).into()),
            Credential::Local { .. }
            | Credential::Asserted(_)
            | Credential::Bearer { .. }
            | Credential::LoggedIn { .. }
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

    /// The same in bytes that no other holder has.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let via = serde_json::to_string(&self.via).unwrap_or_default();
        let fields = [Some(&self.tenant), Some(&self.subject), self.actor.as_ref(), Some(&via)];
        let mut bytes = Vec::new();
        for field in fields {
            let text = field.map_or("", String::as_str);
            bytes.push(u8::from(field.is_some()));
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend(self.key.iter().flatten());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_of_the_same_person_is_somebody_else_and_another_token_is_not() {
        let ann = Principal::new("ann@x.org", Via::ApiKey);
        let by = |credential: Credential| Holder::new(&ann, &credential);
        assert_eq!(by(Credential::api_key("omni_a".to_owned())), by(Credential::api_key("omni_a".to_owned())));
        assert_ne!(by(Credential::api_key("omni_a".to_owned())), by(Credential::api_key("omni_b".to_owned())));
        assert_eq!(by(Credential::bearer("a.b.c".to_owned())), by(Credential::bearer("d.e.f".to_owned())));
        let bob = Principal::new("bob@x.org", Via::ApiKey);
        let key = Credential::api_key("omni_a".to_owned());
        assert_ne!(Holder::new(&ann, &key), Holder::new(&bob, &key));
        assert_ne!(Holder::new(&ann, &key), Holder::new(&ann.clone().with_actor("boss@x.org"), &key));
    }

    #[test]
    fn each_part_of_who_somebody_is_makes_another_holder_and_other_bytes() {
        let ann = || Principal::new("ann@x.org", Via::ApiKey).with_tenant("one");
        let [key, other_key] = ["omni_a", "omni_b"].map(|key| Credential::api_key(key.to_owned()));
        let hers = Holder::new(&ann(), &key);
        assert_eq!(hers.bytes(), Holder::new(&ann(), &key).bytes());
        for (what, other) in [
            ("the tenant", Holder::new(&ann().with_tenant("two"), &key)),
            ("the subject", Holder::new(&Principal::new("bob@x.org", Via::ApiKey).with_tenant("one"), &key)),
            ("the actor", Holder::new(&ann().with_actor("boss@x.org"), &key)),
            ("an actor without a name", Holder::new(&ann().with_actor(""), &key)),
            ("the channel", Holder::new(&Principal::new("ann@x.org", Via::Oidc).with_tenant("one"), &key)),
            ("the key", Holder::new(&ann(), &other_key)),
            ("no key", Holder::new(&ann(), &Credential::bearer("a.b.c".to_owned()))),
        ] {
            assert_ne!(hers, other, "{what}");
            assert_ne!(hers.bytes(), other.bytes(), "{what}");
        }
    }
}
