//! A refused request is one row that says why, in either database, and nobody sees what is not theirs.

use omni_core::{
    Ask, ErrorKind, PolicyStore,
    audit::AuditError,
    identity::Scopes,
    policy::{Grant, Permission, PolicyError, PolicyVersion, Quota, Role, RuleSet, memory::MemoryPolicy},
};
use tokio::sync::watch;

use super::*;

async fn stores() -> Vec<SqlAudit> {
    let mut all = vec![SqlAudit::open("sqlite::memory:").await.unwrap()];
    if let Some(url) = omni_core::testing::postgres_schema().await {
        all.push(SqlAudit::open(&url).await.unwrap());
    }
    all
}

fn limited_to(per_hour: u64) -> MemoryPolicy {
    let mut quota = Quota::default();
    quota.per_hour = Some(per_hour);
    MemoryPolicy::new().with_subject("ada@company.com", Role::new("reader"), RuleSet::allow_all(), quota)
}

#[tokio::test]
async fn a_refused_ask_is_one_row_with_its_reason() {
    for store in stores().await {
        let dir = tempfile::tempdir().unwrap();
        let omni = pipeline(dir.path(), &store).policy(limited_to(1)).build().await.unwrap();
        omni.ask(Ask::new(ada(), "one")).await.unwrap();
        let limited = omni.ask(Ask::new(ada(), "two")).await.unwrap_err();
        let denied = omni.ask(Ask::new(Principal::email("bob@company.com"), "three")).await.unwrap_err();
        omni.shutdown().await;
        let entries = everything(&store).await;
        let rows: Vec<_> = entries.iter().map(|entry| (entry.status.as_str(), entry.was_blocked)).collect();
        assert_eq!(rows, [("success", false), ("rate_limited", true), ("denied", true)]);
        let reasons: Vec<_> = entries.iter().map(|entry| entry.block_reason.clone()).collect();
        assert_eq!(reasons, [None, Some(limited.to_string()), Some(denied.to_string())]);
    }
}

/// Ada and Bob, of whom Bob may see what others did.
#[derive(Debug)]
struct BobSees;

#[async_trait::async_trait]
impl PolicyStore for BobSees {
    async fn resolve(&self, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
        let mut role = Role::new("reader");
        if principal.subject == "bob@company.com" {
            role.permissions.insert(Permission::CanViewAuditLogs);
        }
        Ok(Arc::new(Grant::new(principal.clone(), role, RuleSet::allow_all())))
    }

    fn version(&self) -> watch::Receiver<PolicyVersion> {
        watch::Sender::new(0).subscribe()
    }
}

#[tokio::test]
async fn everybody_sees_their_own_and_only_who_may_sees_the_rest_of_the_tenant() {
    for store in stores().await {
        let dir = tempfile::tempdir().unwrap();
        let omni = pipeline(dir.path(), &store).policy(BobSees).build().await.unwrap();
        let bob = Principal::email("bob@company.com").with_scopes(Scopes::all());
        let mut ids = Vec::new();
        for who in [ada(), bob.clone(), ada().with_tenant("other")] {
            let mut call = echo();
            call.credential = who.into();
            ids.push(call.request_id);
            omni.call_tool(call).await.unwrap();
        }
        omni.ledger().flush(std::time::Duration::from_secs(20)).await.unwrap();
        let seen = async |who: Principal, query: &AuditQuery| {
            let page = omni.audit(who).await.unwrap().logs(query).await;
            page.map(|page| page.entries.iter().map(|entry| entry.request_id).collect::<HashSet<_>>())
        };
        let all = AuditQuery::default();
        let mut bobs = AuditQuery::default();
        bobs.user = Some(" BOB@company.com".into());
        assert_eq!(seen(ada(), &all).await.unwrap(), HashSet::from([ids[0]]));
        assert_eq!(seen(ada().with_scopes(Scopes::all()), &all).await.unwrap(), HashSet::from([ids[0]]));
        assert_eq!(seen(bob.clone(), &all).await.unwrap(), HashSet::from([ids[0], ids[1]]));
        assert_eq!(seen(bob.clone(), &bobs).await.unwrap(), HashSet::from([ids[1]]));
        // A credential that is not made for it shows what it shows everybody.
        assert_eq!(seen(Principal::email("bob@company.com"), &all).await.unwrap(), HashSet::from([ids[1]]));
        let refused = seen(ada(), &bobs).await.unwrap_err();
        assert!(matches!(refused, AuditError::NotYours { .. }), "{refused}");
        assert_eq!(omni_core::Error::from(refused).kind(), ErrorKind::Denied);
        let calls = async |who, id| omni.audit(who).await.unwrap().calls(id).await.unwrap().len();
        assert_eq!(
            (calls(ada(), ids[0]).await, calls(ada(), ids[1]).await, calls(bob.clone(), ids[0]).await),
            (1, 0, 1)
        );
        assert_eq!(calls(bob, ids[2]).await, 0);
        omni.shutdown().await;
    }
}
