//! The contract of key stores.

#![allow(clippy::expect_used, reason = "this is test code")]

use chrono::{SubsecRound as _, Utc};
use uuid::Uuid;

use crate::identity::{ApiKey, KeyStore, Scope, Scopes};

/// Checks a store of keys. It may hold others, and nobody adds a thousand more while the suite runs.
///
/// # Panics
/// Where the contract is broken.
pub async fn key_store_contract(store: &dyn KeyStore) {
    let owner = format!("{}@x.org", Uuid::new_v4().simple());
    let mut new = ApiKey::issue(&owner, Scopes::from_iter([Scope::Ask, Scope::ActAs])).key;
    let now = Utc::now().trunc_subsecs(6);
    new.name = Some("ci".into());
    new.tenant = "acme".into();
    new.act_as = vec!["role:dba".into()];
    new.ceiling_role = Some("dba".into());
    new.expires_at = Some(now);
    new.created_at = now;
    new.created_by = Some("boss@x.org".into());
    let id = store.insert(&new).await.expect("a key can be kept");
    let found = store.find(&new.prefix).await.expect("keys can be found");
    assert_eq!(found, [ApiKey { id, ..new.clone() }], "what is found is what was kept");
    assert!(store.find("00nobody").await.expect("keys can be found").is_empty());

    assert_eq!(store.get(id).await.expect("keys can be found"), found.first().cloned());
    assert!(store.get(i64::from(i32::MAX)).await.expect("keys can be found").is_none());

    let second = store.insert(&ApiKey::issue(&owner, Scopes::user()).key).await.expect("a key can be kept");
    assert_ne!(id, second, "numbers are not used twice");
    let twin = twin_of(store, &new).await;
    assert_eq!(of_prefix(store, &new).await, [found[0].clone(), twin.clone()], "every key of a prefix is found");
    let ids = |keys: Vec<ApiKey>| keys.iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(
        ids(store.list(Some(&owner), None, 10).await.expect("keys can be listed")),
        [second, id],
        "the newest first"
    );
    assert_eq!(ids(store.list(Some(&owner), None, 1).await.expect("keys can be listed")), [second]);
    let before = store.list(Some(&owner), Some(second), 10).await.expect("keys can be listed");
    assert_eq!(ids(before), [id], "a page goes on behind the last one");
    assert!(!ids(store.list(None, Some(id), 1_000).await.expect("keys can be listed")).contains(&id));
    assert!(ids(store.list(None, None, 1_000).await.expect("keys can be listed")).contains(&id));

    store.touch(id, now).await.expect("a use can be written down");
    let used: Vec<_> = of_prefix(store, &new).await.iter().map(|key| key.last_used).collect();
    assert_eq!(used, [Some(now), None], "and of no other one");

    let revoked = store.revoke(id, "boss@x.org").await.expect("a key can be taken back");
    let at = revoked.and_then(|key| key.revoked_at);
    assert!(at.is_some());
    let again = store.revoke(id, "boss@x.org").await.expect("a key can be taken back");
    assert_eq!(again.and_then(|key| key.revoked_at), at, "a key is taken back once");
    let after = of_prefix(store, &new).await;
    assert!(after[0].revoked_at == at && !after[0].is_valid(Utc::now()), "what counts no more is found too");
    assert_eq!(after[1..], [twin], "another key of its prefix counts as before");
    assert!(store.revoke(i64::from(i32::MAX), "boss@x.org").await.expect("the store answers").is_none());
}

/// Another key that the same characters find, of somebody else in another tenant.
async fn twin_of(store: &dyn KeyStore, key: &ApiKey) -> ApiKey {
    let owner = format!("{}@y.org", Uuid::new_v4().simple());
    let mut twin = ApiKey::issue(&owner, Scopes::user()).key;
    (twin.prefix, twin.created_at) = (key.prefix.clone(), key.created_at);
    twin.id = store.insert(&twin).await.expect("a key can be kept");
    twin
}

/// All keys that the same characters find, the oldest first.
async fn of_prefix(store: &dyn KeyStore, key: &ApiKey) -> Vec<ApiKey> {
    let mut found = store.find(&key.prefix).await.expect("keys can be found");
    found.sort_unstable_by_key(|key| key.id);
    found
}
