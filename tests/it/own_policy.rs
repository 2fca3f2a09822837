//! A policy of one's own is held to what credentials take away.

use std::sync::Arc;

use async_trait::async_trait;
use omni_core::{
    Ask, ErrorKind, PolicyStore, Principal,
    identity::{Scope, Scopes},
    llm::scripted::Scripted,
    policy::{Grant, PolicyError, PolicyVersion, Role, RuleSet},
};
use omni_tests::{rig::Rig, server::FakeServer};
use tokio::sync::watch;

fn ada() -> Principal {
    Principal::email("ada@company.com")
}

/// A policy store that never heard of what a credential takes away.
#[derive(Debug)]
struct Uncut;

#[async_trait]
impl PolicyStore for Uncut {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        Ok(Arc::new(Grant::new(principal.clone(), Role::super_admin(), RuleSet::allow_all())))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        watch::Sender::new(1).subscribe()
    }
}

/// A policy store that keeps one grant for a subject, whatever credential they came with first.
#[derive(Debug)]
struct OneForAll(Arc<Grant>);

#[async_trait]
impl PolicyStore for OneForAll {
    async fn resolve(&self, _: &Principal) -> Result<Arc<Grant>, PolicyError> {
        Ok(self.0.clone())
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        watch::Sender::new(1).subscribe()
    }
}

#[tokio::test]
async fn a_policy_of_ones_own_that_does_not_cut_by_the_credential_gives_nothing() {
    let rig = Rig::new(Scripted::new().say("ok"), FakeServer::echo(), |b| b.policy(Uncut)).await;
    let mut under = ada();
    under.ceiling_role = Some("reader".into());
    let mut of_role = ada();
    of_role.subject_roles = Some(vec!["dba".into()]);
    for principal in [under, of_role] {
        let refused = rig.omni.ask(Ask::new(principal, "q")).await.unwrap_err();
        assert!(refused.to_string().contains("does not cut grants"), "{refused}");
        assert_eq!(refused.kind(), ErrorKind::Denied);
    }
    assert_eq!(rig.omni.ask(Ask::new(ada(), "q")).await.unwrap().text, "ok");
    rig.omni.shutdown().await;
}

#[tokio::test]
async fn a_grant_that_was_made_for_another_credential_is_not_taken() {
    let first = Grant::new(ada(), Role::super_admin(), RuleSet::allow_all());
    let rig = Rig::new(Scripted::new().say("ok"), FakeServer::echo(), |b| b.policy(OneForAll(first.into()))).await;
    assert_eq!(rig.omni.ask(Ask::new(ada(), "q")).await.unwrap().text, "ok");
    for other in [ada().with_scopes(Scopes::from_iter([Scope::Ask])), ada().with_tenant("other")] {
        let refused = rig.omni.ask(Ask::new(other, "q")).await.unwrap_err();
        assert_eq!((refused.kind(), refused.to_string().contains("another principal")), (ErrorKind::Denied, true));
    }
    rig.omni.shutdown().await;
}
