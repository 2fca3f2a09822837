//! The contract of policy stores.

use std::sync::Arc;

use serde_json::json;

use crate::{
    identity::{Principal, Scope, Scopes},
    limit::Spend,
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
- { email: cat@x.org, role: senior, allowed_domains: [sql_help] }
roles:
  senior:
    models: [model-a, model-b]
    rate_limit: { requests_per_hour: 100, requests_per_minute: 10, concurrent_requests: 9 }
    budget: { day: { tokens: 99 } }
  junior:
    models: [model-b, model-c]
    rate_limit: { requests_per_hour: 50, requests_per_minute: 20, burst: 3, concurrent_requests: 2 }
    budget: { day: { tokens: 10 } }
";

const TOOLS: [&str; 6] = ["get_x", "get_secret", "kill_all", "drop_x", "list", "getx"];

/// Checks a store that holds [`POLICY_MCPS`] and [`POLICY_USERS`], or the same by other means. One that knows no role
/// (`junior` is nothing to [`PolicyStore::role`]) needs neither `cat@x.org` nor the roles.
///
/// # Panics
/// Where the contract is broken.
pub async fn policy_store_contract(store: &dyn PolicyStore) {
    a_person_gets_what_role_and_server_allow(store).await;
    whoever_may_not_is_refused_with_the_reason(store).await;
    equal_rules_share_a_fingerprint(store).await;
    what_may_be_called_may_be_listed(store).await;
    a_credentials_role_cuts_and_never_adds(store).await;
    a_ceiling_lowers_quota_models_and_domains(store).await;
    the_highest_ceiling_cuts_nothing_of_the_highest_role(store).await;
    a_grant_is_of_the_very_principal_that_was_asked_for(store).await;
    an_actor_stays_within_its_list_of_roles(store).await;
    a_grant_names_the_version_it_is_from(store).await;
}

/// Checks that a change is seen, of a store as [`policy_store_contract`] needs it. `change` keeps `ann@x.org` out; it
/// is made as another instance would make it.
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

async fn a_ceiling_lowers_quota_models_and_domains(store: &dyn PolicyStore) {
    if store.role("junior").is_none() {
        return;
    }
    let of = async |email: &str, ceiling: Option<&str>| {
        let mut principal = person(email);
        principal.ceiling_role = ceiling.map(str::to_owned);
        let grant = resolve(store, &principal).await.ok();
        let lists = |grant: &Grant| (texts(grant.models.as_ref()), texts(grant.domains.as_ref()));
        grant.map(|grant| (numbers(&grant), tokens(&grant), lists(&grant)))
    };
    let owned = |all: &[&str]| Some(all.iter().map(ToString::to_string).collect::<Vec<_>>());
    let (both, own) = (owned(&["model-a", "model-b"]), owned(&["sql_help"]));
    assert_eq!(
        of("cat@x.org", None).await,
        Some(([Some(100), Some(10), None, Some(9)], vec![99], (both, own.clone()))),
        "a person has what the role gives"
    );
    assert_eq!(
        of("cat@x.org", Some("junior")).await,
        Some(([Some(50), Some(10), Some(3), Some(2)], vec![10], (owned(&["model-b"]), own))),
        "of each number the lower, of models those of both, and no domain more"
    );
    assert_eq!(
        of("boss@x.org", Some("junior")).await,
        Some(([Some(50), Some(20), Some(3), Some(2)], vec![10], (owned(&["model-b", "model-c"]), None))),
        "who is not limited has the ceiling's"
    );
}

/// How often somebody may ask: in an hour, in a minute, in a second, at the same time.
fn numbers(grant: &Grant) -> [Option<u64>; 4] {
    [grant.quota.per_hour, grant.quota.per_minute, grant.quota.burst, grant.quota.concurrent]
}

/// What somebody may spend, of what is counted in tokens.
fn tokens(grant: &Grant) -> Vec<u64> {
    let tokens = |spend| if let Spend::Tokens(tokens) = spend { Some(tokens) } else { None };
    grant.quota.budgets.iter().filter_map(|budget| tokens(budget.max)).collect()
}

/// In an order of their own.
fn texts(texts: Option<&Vec<String>>) -> Option<Vec<String>> {
    let mut texts = texts?.clone();
    texts.sort_unstable();
    Some(texts)
}

async fn a_grant_is_of_the_very_principal_that_was_asked_for(store: &dyn PolicyStore) {
    let bob = person("bob@x.org");
    let (mut at, mut under) = (bob.clone(), bob.clone());
    (at.place, at.groups) = (Some("slack:C1".into()), vec!["T1".into()]);
    under.ceiling_role = Some("super_admin".into());
    let others = [
        bob.clone().with_scopes(Scopes::from_iter([Scope::Ask])),
        bob.clone().with_tenant("acme"),
        bob.clone().with_actor("bot@x.org"),
        at,
        under,
        bob.clone(),
    ];
    // More than once: what is kept of one grant is for nobody else.
    for _ in 0..2 {
        for principal in &others {
            let grant = resolve(store, principal).await;
            // A store may know nobody of another tenant.
            assert!(grant.is_ok() || *principal != bob, "{principal:?} is known: {grant:?}");
            let is_anothers = grant.is_ok_and(|grant| grant.principal != *principal);
            assert!(!is_anothers, "{principal:?} has a grant of their own");
        }
    }
    let narrow = resolve(store, &others[0]).await;
    let may = |scope: Scope| narrow.as_ref().is_ok_and(|grant| grant.require(scope).is_ok());
    assert!(may(Scope::Ask) && !may(Scope::Tools), "a credential is good for what it is made for");
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
