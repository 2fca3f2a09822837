//! Stores that a program brings along, made of nothing but what `omni_core` shows: they pass the public suites.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use omni_core::{
    SecretString,
    confirm::{Approver, ConfirmRequest, Unattended, Verdict},
    elicit::{Elicit, NobodyThere},
    identity::keys::memory::MemoryKeys,
    kept::sql::SqlKept,
    mcp::{CredentialSource, McpError, Refused, ServerCredential, auth::store::MemoryTokens},
    people::Tables,
    policy::Rule,
    testing::{kept_store_contract, key_store_contract, token_store_contract},
};
use serde_json::value::RawValue;

mod ledger;
mod runs;
mod threads;

/// Remembers that it was waited for.
#[derive(Debug, Default)]
struct Waited(AtomicBool);

#[async_trait]
impl CredentialSource for Waited {
    async fn credential(&self) -> Result<ServerCredential, McpError> {
        Ok(ServerCredential::bearer(&SecretString::from("t0ken".to_owned())).unwrap())
    }

    async fn renewed(&self, _: &ServerCredential, _: &Refused) -> Result<Option<ServerCredential>, McpError> {
        Ok(None)
    }

    async fn settle(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_store_that_is_shared_keeps_its_contract() {
    key_store_contract(&Arc::new(MemoryKeys::new())).await;
    token_store_contract(&Arc::new(MemoryTokens::default())).await;
    kept_store_contract(&Arc::new(SqlKept::new(Tables::at("sqlite::memory:")))).await;
}

#[tokio::test]
async fn whoever_is_shared_answers_as_they_do_alone() {
    let (nobody, unattended) = (Arc::new(NobodyThere), Arc::new(Unattended));
    let (nobody, unattended): (&dyn Elicit, &dyn Approver) = (&nobody, &unattended);
    assert!(!nobody.is_there(), "nobody is asked who is not there");
    let arguments = RawValue::from_string("{}".into()).unwrap();
    let request = ConfirmRequest::new("lab", "wipe", arguments, Rule::new("a rule", None));
    assert!(matches!(unattended.decide(&request).await, Verdict::Decline { .. }));

    let source = Arc::new(Waited::default());
    let shared: &dyn CredentialSource = &source;
    let first = shared.credential().await.unwrap();
    assert!(shared.renewed(&first, &Refused::new(401, Vec::new())).await.unwrap().is_none());
    shared.settle().await;
    assert!(source.0.load(Ordering::SeqCst), "what goes on is waited for");
}
