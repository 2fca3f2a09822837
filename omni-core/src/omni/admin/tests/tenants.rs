//! What all tenants have in common takes an administrator of the default one.

use super::*;

/// The same administrator, by a credential of another tenant.
fn elsewhere() -> Principal {
    Principal::email("admin@x.org").with_scopes(Scopes::all()).with_tenant("other")
}

#[tokio::test]
async fn an_administrator_of_another_tenant_finds_themselves_only() {
    let (omni, _) = omni().await;
    operator(&omni).await.add_user("new@x.org", None, "dba").await.unwrap();
    let found = async |who: Principal| {
        let people = omni.people(who, "", 100).await.unwrap();
        (people.total, people.page.into_iter().map(|one| one.email).collect::<Vec<_>>())
    };
    assert_eq!(found(elsewhere()).await, (1, vec!["admin@x.org".into()]));
    assert_eq!(found(elsewhere().with_tenant("default")).await, (1, vec!["new@x.org".into()]));
    let admin = omni.admin(elsewhere(), Source::Http).await.unwrap();
    assert_eq!(admin.people("", 100).await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn an_administrator_of_another_tenant_prunes_nothing() {
    let sink = MemorySink::default();
    let users = "users: [{ email: admin@x.org, role: admin }]";
    let policy = YamlPolicy::from_config(&config("", users)).unwrap();
    let omni = Omni::builder().policy(policy).audit_backend(AuditBackend::new(sink.clone())).build().await.unwrap();
    let _ = omni.ask(Ask::new(Principal::email("admin@x.org"), "hello")).await;
    assert!(omni.ledger().flush(Duration::from_secs(30)).await.is_ok());
    let before = sink.records();
    let admin = omni.admin(elsewhere(), Source::Http).await.unwrap();
    let refused = admin.prune(&SealKey::generate(), chrono::Utc::now()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.to_string().contains("admin@x.org is of the tenant other"), "{refused}");
    assert_eq!(records(&omni, &sink).await[0].outcome, Outcome::Denied);
    assert!(!before.is_empty() && sink.records().starts_with(&before), "nothing is gone");
}
