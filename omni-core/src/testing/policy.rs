//! The contract of policy stores.

use std::sync::Arc;

use serde_json::json;

use crate::{
    identity::Principal,
    policy::{Grant, PolicyError, PolicyStore},
};

/// The servers that the suite expects, as an `mcps.yaml`.
pub const POLICY_MCPS: &str = "\
global: { blocked_tools: [drop_*] }
mcps:
- name: one
  url: http://h
  confirm: [kill_*]
  role_restrictions:
    admin: { allow_all: true }
    dba: { allow_only: [get_*, kill_*, drop_*], deny: [get_secret] }
- name: two
  url: http://h
  role_restrictions: { admin: { allow_all: true } }
";

/// The people whom the suite expects, as a `users.yaml`.
pub const POLICY_USERS: &str = "\
super_admins: [{ email: boss@x.org }]
users:
- { email: ann@x.org, name: Ann, role: dba }
- { email: bob@x.org, role: dba }
- { email: out@x.org, role: dba, is_active: false }
- { email: odd@x.org, role: nonsense }
";

const TOOLS: [&str; 6] = ["get_x", "get_secret", "kill_all", "drop_x", "list", "getx"];

/// Checks a store that holds [`POLICY_MCPS`] and [`POLICY_USERS`], or the same by other means.
///
/// # Panics
/// Where the contract is broken.
pub async fn policy_store_contract(store: &dyn PolicyStore) {
    a_person_gets_what_role_and_server_allow(store).await;
    whoever_may_not_is_refused_with_the_reason(store).await;
    equal_rules_share_a_fingerprint(store).await;
    what_may_be_called_may_be_listed(store).await;
    a_credentials_role_cuts_and_never_adds(store).await;
    the_highest_ceiling_cuts_nothing_of_the_highest_role(store).await;
    an_actor_stays_within_its_list_of_roles(store).await;
    a_grant_names_the_version_it_is_from(store).await;
}

/// Checks that a change is seen. `change` keeps `ann@x.org` out; it is made as another instance
/// would make it.
///
/// # Panics
/// Where the contract is broken.
pub async fn policy_change_contract(store: &dyn PolicyStore, change: impl AsyncFnOnce()) {
    let before = grant(store, "ann@x.org").await;
    let mut version = store.version();
    version.mark_unchanged();
    change().await;
    store.refresh().await.unwrap_or_else(|error| assert_eq!(error.to_string(), "", "the store can be asked"));
    assert!(*version.borrow_and_update() > before.version, "a change is a new version");
    assert!(resolve(store, &person("ann@x.org")).await.is_err(), "the new policy holds");
    let bob = grant(store, "bob@x.org").await;
    assert!(bob.version > before.version && bob.decide("one", "get_x", None).is_allowed());
}

fn person(email: &str) -> Principal {
    Principal::email(email)
}

async fn resolve(store: &dyn PolicyStore, principal: &Principal) -> Result<Arc<Grant>, PolicyError> {
    let resolved = store.resolve(principal).await;
    assert!(!matches!(resolved, Err(PolicyError::Unavailable { .. })), "the store answers: {resolved:?}");
    resolved
}

#[expect(clippy::expect_used, reason = "this is test code")]
async fn grant(store: &dyn PolicyStore, email: &str) -> Arc<Grant> {
    resolve(store, &person(email)).await.expect("the person is known")
}

fn allowed<'a>(grant: &Grant, server: &str, tools: &[&'a str]) -> Vec<&'a str> {
    tools.iter().copied().filter(|tool| grant.decide(server, tool, None).is_allowed()).collect()
}

async fn a_person_gets_what_role_and_server_allow(store: &dyn PolicyStore) {
    let ann = grant(store, "  ANN@x.ORG ").await;
    assert_eq!(&*ann.role.name, "dba");
    assert_eq!(allowed(&ann, "one", &TOOLS), ["get_x", "kill_all"], "an explicit deny wins over an allow list");
    assert_eq!(allowed(&ann, "two", &TOOLS), [""; 0], "a server that names other roles only is closed");
    assert_eq!(allowed(&ann, "nowhere", &TOOLS), [""; 0]);
    assert!(ann.decide("one", "kill_all", None).confirm && !ann.decide("one", "get_x", None).confirm);
    let boss = grant(store, "boss@x.org").await;
    assert!(boss.role.is_super_admin && allowed(&boss, "two", &TOOLS).len() == TOOLS.len());
}

async fn whoever_may_not_is_refused_with_the_reason(store: &dyn PolicyStore) {
    for email in ["nobody@x.org", "out@x.org", "odd@x.org", "local:root", ""] {
        let refused = resolve(store, &person(email)).await;
        assert!(refused.is_err(), "{email:?} is refused");
        assert!(refused.is_err_and(|error| error.to_string().contains(email)), "{email:?} is named");
    }
}

async fn equal_rules_share_a_fingerprint(store: &dyn PolicyStore) {
    let (ann, bob, boss) =
        (grant(store, "ann@x.org").await, grant(store, "bob@x.org").await, grant(store, "boss@x.org").await);
    assert_eq!(ann.rules.fingerprint(), bob.rules.fingerprint());
    assert_ne!(ann.rules.fingerprint(), boss.rules.fingerprint());
}

async fn what_may_be_called_may_be_listed(store: &dyn PolicyStore) {
    for email in ["ann@x.org", "boss@x.org"] {
        let grant = grant(store, email).await;
        for tool in TOOLS {
            let called = grant.decide("one", tool, Some(&json!({ "database": "prod" })));
            assert!(!called.is_allowed() || grant.decide("one", tool, None).is_allowed(), "{email} {tool}");
        }
    }
}

async fn a_credentials_role_cuts_and_never_adds(store: &dyn PolicyStore) {
    let under = |email: &str, role: &str| {
        let mut principal = person(email);
        principal.ceiling_role = Some(role.into());
        principal
    };
    assert!(resolve(store, &under("boss@x.org", "nonsense")).await.is_err(), "an unknown ceiling refuses");
    let ann = grant(store, "ann@x.org").await;
    let same = resolve(store, &under("ann@x.org", "super_admin")).await;
    assert!(
        same.is_ok_and(|same| { !same.role.is_admin && allowed(&same, "one", &TOOLS) == allowed(&ann, "one", &TOOLS) })
    );
    if store.role("dba").is_some() {
        let cut = resolve(store, &under("boss@x.org", "dba")).await;
        assert!(cut.is_ok_and(|cut| {
            let nothing_else = !cut.role.is_admin && cut.role.permissions.is_empty();
            nothing_else && allowed(&cut, "one", &TOOLS) == allowed(&ann, "one", &TOOLS)
        }));
    }
}

async fn the_highest_ceiling_cuts_nothing_of_the_highest_role(store: &dyn PolicyStore) {
    let boss = grant(store, "boss@x.org").await;
    let mut principal = person("boss@x.org");
    principal.ceiling_role = Some("super_admin".into());
    let same = resolve(store, &principal).await;
    assert!(same.is_ok_and(|same| {
        let may = |grant: &Grant| ["one", "two", "nowhere"].map(|server| allowed(grant, server, &TOOLS));
        same.role == boss.role && may(&same) == may(&boss)
    }));
}

async fn an_actor_stays_within_its_list_of_roles(store: &dyn PolicyStore) {
    let mut principal = person("ann@x.org").with_actor("bot@x.org");
    principal.subject_roles = Some(vec!["dba".into()]);
    assert!(resolve(store, &principal).await.is_ok());
    principal.subject_roles = Some(vec!["read_only".into()]);
    assert!(resolve(store, &principal).await.is_err());
}

async fn a_grant_names_the_version_it_is_from(store: &dyn PolicyStore) {
    assert_eq!(grant(store, "bob@x.org").await.version, *store.version().borrow());
}
