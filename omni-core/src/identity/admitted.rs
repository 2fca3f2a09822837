//! Somebody who was let in: a request is judged once, at its door, and not again at every step that it passes.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{Credential, Holder, Principal};
use crate::parts::Parts;

/// How long the judgement counts: about as long as a request is on its way from its door into the pipeline. What is used
/// later, such as by a session that goes on, is judged again.
const COUNTS_FOR: Duration = Duration::from_millis(100);

/// A credential that was judged, and who came by it; [`Omni::let_in`](crate::Omni::let_in) gives it. It may stand
/// wherever a [`Credential`] does. Clones are the same.
#[derive(Debug, Clone)]
pub struct Admitted(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    credential: Credential,
    principal: Principal,
    holder: Holder,
    /// Where it was judged: another configuration may judge otherwise.
    by: Weak<Parts>,
    at: Instant,
}

impl Admitted {
    pub(crate) fn new(credential: Credential, principal: Principal, by: &Arc<Parts>) -> Self {
        let holder = Holder::new(&principal, &credential);
        Self(Arc::new(Inner { credential, principal, holder, by: Arc::downgrade(by), at: Instant::now() }))
    }

    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0.principal
    }

    /// Whose what begins with this request is.
    #[must_use]
    pub fn holder(&self) -> &Holder {
        &self.0.holder
    }

    /// What they brought, as it was judged.
    pub(super) fn credential(&self) -> &Credential {
        &self.0.credential
    }

    /// Who it is, as long as that need not be judged again.
    pub(crate) fn known_to(&self, parts: &Parts) -> Option<&Principal> {
        let is_same = std::ptr::eq(Weak::as_ptr(&self.0.by), parts);
        (is_same && self.0.at.elapsed() < COUNTS_FOR).then_some(&self.0.principal)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, pause};

    use super::*;
    use crate::{
        Error, Omni,
        identity::{ApiKey, AuthError, Authenticator, Keys, Scopes, keys::memory::MemoryKeys},
    };

    /// Two pipelines that accept the same key, those keys, and the key.
    async fn two() -> ([Omni; 2], Keys, Credential) {
        let (keys, issued) = (Keys::new(MemoryKeys::new()), ApiKey::issue("ann@x.org", Scopes::user()));
        keys.store().insert(&issued.key).await.unwrap();
        let accepting = || Omni::builder().authenticator(Authenticator::new().with_keys(keys.clone())).build();
        let pair = [accepting().await.unwrap(), accepting().await.unwrap()];
        (pair, keys.clone(), Credential::api_key(issued.secret))
    }

    async fn revoke_all(keys: &Keys) {
        for key in keys.store().list(None, None, 10).await.unwrap() {
            keys.store().revoke(key.id, "boss@x.org").await.unwrap();
        }
        keys.forget();
    }

    fn is_refused(judged: &Result<Principal, Error>) -> bool {
        matches!(judged, Err(Error::Auth(AuthError::InvalidKey)))
    }

    #[tokio::test]
    async fn whoever_was_let_in_is_known_for_a_moment_and_judged_again_after_it() {
        let ([omni, _], keys, key) = two().await;
        pause();
        let admitted = omni.let_in(key.clone()).await.unwrap();
        let known = Credential::Admitted(admitted.clone());
        revoke_all(&keys).await;
        assert!(is_refused(&omni.authenticate(key).await));
        assert_eq!(omni.authenticate(known.clone()).await.unwrap(), *admitted.principal());
        // Nobody is let in anew by having been let in.
        assert!(omni.let_in(known.clone()).await.is_err());
        advance(COUNTS_FOR).await;
        assert!(is_refused(&omni.authenticate(known).await));
    }

    #[tokio::test]
    async fn another_pipeline_takes_nobodys_word_for_it() {
        let ([omni, other], keys, key) = two().await;
        pause();
        let known = Credential::Admitted(omni.let_in(key).await.unwrap());
        assert!(other.authenticate(known.clone()).await.is_ok());
        revoke_all(&keys).await;
        assert!(is_refused(&other.authenticate(known).await));
    }

    #[tokio::test]
    async fn whoever_was_let_in_as_themselves_is_judged_when_they_name_somebody_else() {
        let ([omni, _], _, key) = two().await;
        let admitted = omni.let_in(key.clone()).await.unwrap();
        assert_eq!(*admitted.holder(), Holder::new(admitted.principal(), &key));
        let known = Credential::Admitted(admitted);
        assert!(matches!(known.clone().acting_as(None), Credential::Admitted(_)));
        let refused = omni.authenticate(known.acting_as(Some("boss@x.org".into()))).await;
        assert!(matches!(refused, Err(Error::Auth(AuthError::MissingScope { .. }))), "{refused:?}");
    }
}
