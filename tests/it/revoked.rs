//! Rights that are taken away while an ask runs.

use std::sync::{Arc, Mutex};

use omni_core::{
    Ask, Omni, PolicyStore, Principal,
    answer::CallStatus,
    confirm::{Approver, ConfirmRequest, Verdict},
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
}

impl Changing {
    fn new() -> Self {
        Self { rules: Arc::new(Mutex::new(RuleSet::allow_all())), version: watch::Sender::new(1) }
    }

    fn revoke_all(&self) {
        *self.rules.lock().unwrap() = RuleSet::deny_all();
        self.version.send_modify(|version| *version += 1);
    }
}

#[async_trait::async_trait]
impl PolicyStore for Changing {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
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
