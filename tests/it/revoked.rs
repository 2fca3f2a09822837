//! Rights that are taken away while an ask runs.

use std::sync::{Arc, Mutex};

use omni_core::{
    Ask, Omni, PolicyStore, Principal,
    answer::CallStatus,
    confirm::{Approver, ConfirmRequest, Verdict},
    identity::Via,
    llm::scripted::Scripted,
    policy::{Grant, PolicyError, PolicyVersion, Role, RuleSet},
};
use omni_tests::server::{FakeServer, any, text};
use serde_json::json;
use tokio::sync::watch;

/// A policy that can be changed.
#[derive(Debug, Clone)]
struct Changing {
    rules: Arc<Mutex<Arc<RuleSet>>>,
    version: watch::Sender<PolicyVersion>,
    kept_out: Arc<Mutex<Option<String>>>,
}

impl Changing {
    fn new() -> Self {
        Self {
            rules: Arc::new(Mutex::new(RuleSet::allow_all())),
            version: watch::Sender::new(1),
            kept_out: Arc::default(),
        }
    }

    fn keep_out(&self, subject: &str) {
        *self.kept_out.lock().unwrap() = Some(subject.into());
        self.version.send_modify(|version| *version += 1);
    }

    fn revoke_all(&self) {
        *self.rules.lock().unwrap() = RuleSet::deny_all();
        self.version.send_modify(|version| *version += 1);
    }
}

#[async_trait::async_trait]
impl PolicyStore for Changing {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        if self.kept_out.lock().unwrap().as_ref() == Some(&principal.subject) {
            return Err(PolicyError::UnknownSubject { subject: principal.subject.clone() });
        }
        let rules = self.rules.lock().unwrap().clone();
        let mut grant = Grant::new(principal.clone(), Role::new("reader"), rules);
        grant.version = *self.version.borrow();
        Ok(Arc::new(grant))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }
}

#[tokio::test]
async fn the_grant_at_call_time_decides_even_in_an_ask_that_began_with_another() {
    let policy = Changing::new();
    let changing = policy.clone();
    let server = FakeServer::echo().tool("revoke", any(), move |_| {
        changing.revoke_all();
        Box::pin(async { Ok(text("done")) })
    });
    let llm = Scripted::new()
        .call(&[("lab__revoke", json!({}))])
        .call(&[("lab__echo", json!({ "message": "still here?" }))])
        .say("No.");
    let omni = Omni::builder().llm(llm).policy(policy).server("lab", server.clone()).build().await.unwrap();
    let answer = omni.ask(Ask::new(Principal::email("ada@company.com"), "q")).await.unwrap();
    let statuses: Vec<_> = answer.tool_calls.iter().map(|call| call.status).collect();
    assert_eq!((statuses, server.calls()), (vec![CallStatus::Ok, CallStatus::Denied], 1));
    assert_eq!(answer.denials[0].tool, "echo");
    omni.shutdown().await;
}

/// Approves, but only after the rights are gone.
#[derive(Debug)]
struct SlowHuman(Changing);

#[async_trait::async_trait]
impl Approver for SlowHuman {
    async fn decide(&self, _: &ConfirmRequest) -> Verdict {
        self.0.revoke_all();
        Verdict::Approve
    }
}

#[tokio::test]
async fn an_approval_does_not_outlive_the_rights_of_the_asker() {
    let policy = Changing::new();
    let server = FakeServer::new()
        .tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }))
        .annotated("wipe", json!({ "destructiveHint": true }));
    let llm = Scripted::new().call(&[("lab__wipe", json!({}))]).say("No.");
    let builder = Omni::builder().llm(llm).policy(policy.clone()).server("lab", server.clone());
    let omni = builder.build().await.unwrap();
    let ask = Ask::new(Principal::email("ada@company.com"), "q").with_approver(Arc::new(SlowHuman(policy)));
    let answer = omni.ask(ask).await.unwrap();
    assert_eq!((answer.tool_calls[0].status, server.calls()), (CallStatus::Denied, 0));
    omni.shutdown().await;
}

#[tokio::test]
async fn an_ask_by_a_key_for_somebody_else_ends_its_calls_when_the_keys_owner_is_kept_out() {
    let policy = Changing::new();
    let changing = policy.clone();
    let server = FakeServer::echo().tool("disable", any(), move |_| {
        changing.keep_out("bot@company.com");
        Box::pin(async { Ok(text("done")) })
    });
    let llm = Scripted::new()
        .call(&[("lab__disable", json!({}))])
        .call(&[("lab__echo", json!({ "message": "still here?" }))])
        .say("No.");
    let omni = Omni::builder().llm(llm).policy(policy).server("lab", server.clone()).build().await.unwrap();
    let ada = Principal::new("ada@company.com", Via::ApiKey).with_actor("bot@company.com");
    let answer = omni.ask(Ask::new(ada, "q")).await.unwrap();
    let statuses: Vec<_> = answer.tool_calls.iter().map(|call| call.status).collect();
    assert_eq!((statuses, server.calls()), (vec![CallStatus::Ok, CallStatus::Denied], 1));
    omni.shutdown().await;
}
