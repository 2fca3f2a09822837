use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use super::{LOOK, SqlPolicy};
use crate::{
    config::Config,
    identity::{Principal, Via},
    people::{Blocks, Tables},
    policy::{
        Permission, PolicyError, PolicyStore, Role, RuleSet,
        cached::Cached,
        memory::MemoryPolicy,
        yaml::{YamlPolicy, tests::config},
    },
    testing,
};

mod broken;

/// SQLite, and PostgreSQL where there is one.
async fn databases() -> Vec<Tables> {
    let mut all = vec![Tables::at("sqlite::memory:")];
    #[cfg(feature = "postgres")]
    all.extend(testing::postgres_schema().await.map(Tables::at));
    all
}

fn contract() -> Config {
    config(testing::POLICY_MCPS, testing::POLICY_USERS)
}

async fn filled(tables: &Tables) -> SqlPolicy {
    tables.replace(contract().files.users.as_ref().unwrap(), "boss@x.org", Blocks::Stay).await.unwrap();
    SqlPolicy::new(&contract(), tables.clone()).unwrap()
}

#[tokio::test]
async fn it_keeps_the_contract_in_every_database() {
    for tables in databases().await {
        let policy = filled(&tables).await;
        testing::policy_store_contract(&policy).await;
        let block = async || tables.disable("ann@x.org", None, "boss@x.org").await.unwrap();
        testing::policy_change_contract(&policy, block).await;
    }
}

#[tokio::test]
async fn a_cache_keeps_the_contract_of_what_it_holds() {
    for tables in databases().await {
        let policy = Cached::new(filled(&tables).await);
        testing::policy_store_contract(&policy).await;
        let block = async || tables.disable("ann@x.org", None, "boss@x.org").await.unwrap();
        testing::policy_change_contract(&policy, block).await;
    }
}

#[tokio::test]
async fn a_policy_in_memory_keeps_the_contract() {
    let rules = || {
        let rules = RuleSet::builder().allow("one", "get_*").allow("one", "kill_*").confirm("one", "kill_*");
        rules.deny("*", "get_secret").deny("*", "drop_*").build().unwrap()
    };
    let dba = |policy: MemoryPolicy, email| policy.with_subject(email, Role::new("dba"), rules(), Default::default());
    let boss = (Role::super_admin(), RuleSet::allow_all());
    let policy = dba(dba(MemoryPolicy::new(), "ann@x.org"), "bob@x.org");
    let policy = policy.with_subject("boss@x.org", boss.0, boss.1, Default::default());
    testing::policy_store_contract(&policy).await;
}

#[tokio::test]
async fn what_another_instance_changes_is_noticed_by_itself() {
    for tables in databases().await {
        let policy = filled(&tables).await;
        let old = policy.resolve(&Principal::email("bob@x.org")).await.unwrap();
        let mut version = policy.version();
        version.mark_unchanged();
        tables.assign("bob@x.org", None, "admin").await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), version.changed()).await.unwrap().unwrap();
        // The version comes first, the policy right after it.
        policy.refresh().await.unwrap();
        let new = policy.resolve(&Principal::email("bob@x.org")).await.unwrap();
        assert!(new.version > old.version && new.role.is_admin && !old.role.is_admin);
    }
}

#[tokio::test]
async fn people_that_take_longer_to_compile_than_a_look_may_take_are_still_let_in_and_are_compiled_once() {
    let policy = filled(&Tables::at("sqlite::memory:")).await;
    let (began, has_begun) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let live = policy.live.clone();
    // One policy is made after the other: that of the tables waits for this one.
    let slow = std::thread::spawn(move || {
        live.update(|_| {
            began.send(()).unwrap();
            ended.recv().unwrap();
        })
    });
    has_begun.recv().unwrap();
    // Held by the policy, by the thread, by whoever looks, and then by whoever makes the next one.
    while Arc::strong_count(&policy.live) < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::pause();
    tokio::time::advance(LOOK * 2).await;
    tokio::time::resume();
    end.send(()).unwrap();
    slow.join().unwrap().unwrap();
    assert!(policy.resolve(&Principal::email("ann@x.org")).await.is_ok());
    policy.refresh().await.unwrap();
    assert_eq!(*policy.version().borrow(), 3, "the first one, that of the thread, and one of the tables");
}

#[tokio::test]
async fn a_database_that_never_answered_is_a_denial() {
    let nowhere = Tables::at("/dev/null/omni.db");
    let policy = SqlPolicy::new(&contract(), nowhere.clone()).unwrap();
    let denied = policy.resolve(&Principal::email("ann@x.org")).await.unwrap_err();
    assert!(matches!(denied, PolicyError::Unavailable { .. }), "{denied}");
    // Whom users.yaml names does not depend on it; for anybody else nobody can tell.
    let files = YamlPolicy::from_config(&contract()).unwrap().with_tables(nowhere);
    assert!(files.resolve(&Principal::email("ann@x.org")).await.is_ok());
    let unlisted = files.resolve(&Principal::email("new@x.org")).await.unwrap_err();
    assert!(matches!(unlisted, PolicyError::Unavailable { .. }), "{unlisted}");
}

#[tokio::test]
async fn users_yaml_comes_first_then_the_table_then_anybody() {
    for tables in databases().await {
        let users = "users: [{ email: ann@x.org, role: dba }]\ndefault_user: { role: contractor, allowed_mcps: [one] }";
        let policy = YamlPolicy::from_config(&config(testing::POLICY_MCPS, users)).unwrap().with_tables(tables.clone());
        let role =
            async |email: &str| policy.resolve(&Principal::email(email)).await.map(|grant| grant.role.name.clone());
        assert_eq!(&*role("new@x.org").await.unwrap(), "contractor");
        tables.assign("New@x.org", Some("New"), "dba").await.unwrap();
        tables.assign("ann@x.org", None, "admin").await.unwrap();
        policy.refresh().await.unwrap();
        assert_eq!((&*role("new@x.org").await.unwrap(), &*role("ann@x.org").await.unwrap()), ("dba", "dba"));
        let grant = policy.resolve(&Principal::email("new@x.org")).await.unwrap();
        let rule = grant.decide("one", "get_x", None);
        assert!(rule.is_allowed() && !grant.decide("one", "list", None).is_allowed(), "{rule:?}");
        tables.disable("other@x.org", Some("Ask hr."), "boss").await.unwrap();
        policy.refresh().await.unwrap();
        assert_eq!(role("other@x.org").await.unwrap_err().to_string(), "other@x.org may not use omni: Ask hr.");
        assert!(tables.enable("other@x.org").await.unwrap());
        policy.refresh().await.unwrap();
        assert_eq!(&*role("other@x.org").await.unwrap(), "contractor");
    }
}

#[tokio::test]
async fn a_claimed_role_is_that_of_somebody_whom_neither_file_nor_table_names() {
    let claiming = |email: &str| Principal { claimed_role: Some("admin".into()), ..Principal::new(email, Via::Oidc) };
    for tables in databases().await {
        let stored = filled(&tables).await;
        let files = YamlPolicy::from_config(&config(testing::POLICY_MCPS, "users: []")).unwrap();
        let files = files.with_tables(tables.clone());
        tables.disable("bad@x.org", None, "boss@x.org").await.unwrap();
        for policy in [&stored as &dyn PolicyStore, &files] {
            policy.refresh().await.unwrap();
            let role =
                async |email: &str| policy.resolve(&claiming(email)).await.map(|grant| grant.role.name.to_string());
            assert_eq!(role("new@x.org").await.unwrap(), "admin");
            assert_eq!(role("ann@x.org").await.unwrap(), "dba", "an administrator gave the role");
            assert!(role("bad@x.org").await.is_err() && role("out@x.org").await.is_err());
        }
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_denies_its_person_and_nobody_else() {
    let tables = Tables::at("sqlite::memory:");
    let policy = filled(&tables).await;
    let db = tables.db().await.unwrap();
    let broken = "UPDATE user_access SET settings = '{\"allowed_databases\": 7}' WHERE user_id = (SELECT id FROM users \
                  WHERE email = 'ann@x.org')";
    db.execute(broken, &[]).await.unwrap();
    let long = "x".repeat(2_000);
    let bob = "INSERT INTO user_mcp_permissions (user_id, mcp_name, mode, allowed_tools) SELECT id, 'one', 'custom', ? FROM \
               users WHERE email = 'bob@x.org'";
    db.execute(bob, &[vec![long].into()]).await.unwrap();
    db.execute("UPDATE policy_version SET version = version + 1", &[]).await.unwrap();
    policy.refresh().await.unwrap();
    for email in ["ann@x.org", "bob@x.org"] {
        let denied = policy.resolve(&Principal::email(email)).await.unwrap_err();
        assert!(matches!(denied, PolicyError::Blocked { .. }), "{denied}");
    }
    assert!(policy.resolve(&Principal::email("boss@x.org")).await.is_ok());
}

#[tokio::test]
async fn roles_of_the_database_have_permissions_and_models() {
    let tables = Tables::at("sqlite::memory:");
    let users = "users: [{ email: a@x, role: auditor, rate_limit: { requests_per_hour: 7 }, teams: [t] }]\nroles: { auditor: { \
                 models: [haiku], permissions: { can_view_audit_logs: true } } }";
    tables.replace(config("", users).files.users.as_ref().unwrap(), "boss", Blocks::Stay).await.unwrap();
    let policy = SqlPolicy::new(&config("", ""), tables).unwrap();
    let grant = policy.resolve(&Principal::email("a@x")).await.unwrap();
    assert!(
        grant.role.may(Permission::CanViewAuditLogs) && grant.models.as_ref().is_some_and(|models| models.len() == 1)
    );
    assert_eq!((grant.quota.per_hour, grant.teams.as_slice()), (Some(7), ["t".to_owned()].as_slice()));
}
