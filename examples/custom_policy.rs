//! A policy of your own: `cargo run -p omni-examples --example custom_policy`.
//!
//! Rules are compiled once and shared; a grant is made per principal.

use std::sync::Arc;

use async_trait::async_trait;
use omni_core::{
    Omni, PolicyStore, Principal,
    policy::{Grant, PolicyError, PolicyVersion, Role, RuleSet},
};
use tokio::sync::watch;

/// Staff may read everything at `wiki`; nobody else may use omni at all.
#[derive(Debug)]
struct StaffReads {
    rules: Arc<RuleSet>,
    version: watch::Sender<PolicyVersion>,
}

impl StaffReads {
    fn new() -> anyhow::Result<Self> {
        let rules =
            RuleSet::builder().allow("wiki", "get_*").allow("wiki", "search_*").deny("wiki", "*_secret").build()?;
        Ok(Self { rules, version: watch::Sender::new(1) })
    }
}

#[async_trait]
impl PolicyStore for StaffReads {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        if !principal.subject.ends_with("@company.com") {
            return Err(PolicyError::UnknownSubject { subject: principal.subject.clone() });
        }
        let mut grant = Grant::new(principal.clone(), Role::new("staff"), self.rules.clone());
        grant.version = *self.version.borrow();
        // There are no roles here that a key could be held to: one that is, may do nothing.
        grant.cut(None)?;
        Ok(Arc::new(grant))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        self.version.subscribe()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let omni = Omni::builder().policy(StaffReads::new()?).build().await?;
    let grant = omni.grant(Principal::email("ada@company.com")).await?;
    for tool in ["get_page", "get_secret", "delete_page"] {
        let decision = grant.decide("wiki", tool, None);
        show(&format!("{tool}: {:?} ({})", decision.effect, decision.rule.text));
    }
    let stranger = omni.grant(Principal::email("eve@example.org")).await;
    show(&format!("a stranger: {}", stranger.err().map(|error| error.to_string()).unwrap_or_default()));
    omni.shutdown().await;
    Ok(())
}

#[allow(clippy::print_stdout, reason = "this sample's output is for a person")]
fn show(text: &str) {
    println!("{text}");
}
