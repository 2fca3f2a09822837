//! The contract of key stores.

#![allow(clippy::expect_used, reason = "this is test code")]

use chrono::{SubsecRound as _, Utc};
use uuid::Uuid;

use crate::identity::{ApiKey, KeyStore, Scope, Scopes};

/// Checks a store of keys.
///
/// # Panics
/// Where the contract is broken.
pub async fn key_store_contract(store: &dyn KeyStore) {
    let owner = format!("{}@x.org", Uuid::new_v4().simple());
    let mut new = ApiKey::issue(&owner, Scopes::from_iter([Scope::Ask, Scope::ActAs])).key;
    let now = Utc::now().trunc_subsecs(6);
    new.name = Some("ci".into());
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
    let used = store.find(&new.prefix).await.expect("keys can be found");
    assert_eq!(used.first().and_then(|key| key.last_used), Some(now));

    let revoked = store.revoke(id, "boss@x.org").await.expect("a key can be taken back");
    let at = revoked.and_then(|key| key.revoked_at);
    assert!(at.is_some());
    let again = store.revoke(id, "boss@x.org").await.expect("a key can be taken back");
    assert_eq!(again.and_then(|key| key.revoked_at), at, "a key is taken back once");
    assert!(store.find(&new.prefix).await.expect("keys can be found").iter().all(|key| !key.is_valid(Utc::now())));
    assert!(store.revoke(i64::from(i32::MAX), "boss@x.org").await.expect("the store answers").is_none());
}
