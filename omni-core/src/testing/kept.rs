//! The contract of what frontends keep.

#![allow(clippy::expect_used, reason = "this is test code")]

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kept::KeptStore;

/// As long as anything is claimed here that is not to be over.
const LONG: Duration = Duration::from_secs(3_600);

/// Checks a store of what frontends keep.
///
/// # Panics
/// Where the contract is broken.
pub async fn kept_store_contract(store: &dyn KeptStore) {
    let door = format!("door-{}", Uuid::new_v4().simple());
    values_are_kept_by_door_and_key(store, &door).await;
    a_value_is_replaced_only_as_it_was_read(store, &door).await;
    keys_are_listed_by_what_they_begin_with(store, &door).await;
    of_many_who_claim_one_gets_it(store, &door).await;
    what_is_over_is_not_there(store, &door).await;
}

async fn values_are_kept_by_door_and_key(store: &dyn KeptStore, door: &str) {
    let get = async |door: &str, key: &str| store.get(door, key).await.expect("values can be read");
    assert_eq!(get(door, "a").await, None);
    let value = json!({ "text": "ä\u{0}%_'\"", "numbers": [1, 2.5, null] });
    store.put(door, "a", &value, None).await.expect("values can be written");
    assert_eq!(get(door, "a").await, Some(value));
    assert_eq!((get("another", "a").await, get(door, "A").await), (None, None), "names are told apart exactly");
    store.put(door, "a", &json!(2), None).await.expect("values can be written");
    assert_eq!(get(door, "a").await, Some(json!(2)));
    assert!(store.remove(door, "a").await.expect("values can be removed"));
    assert!(!store.remove(door, "a").await.expect("values can be removed"));
    assert_eq!(get(door, "a").await, None);
}

async fn a_value_is_replaced_only_as_it_was_read(store: &dyn KeptStore, door: &str) {
    let replace = async |old: Option<&Value>, new: i32| {
        store.replace(door, "r", old, &json!(new)).await.expect("values can be written")
    };
    assert!(!replace(Some(&json!(1)), 2).await, "nothing is there");
    assert!(replace(None, 1).await);
    assert!(!replace(None, 5).await, "something is there by now");
    assert!(!replace(Some(&json!(7)), 5).await, "something else is there");
    assert!(replace(Some(&json!(1)), 2).await);
    assert_eq!(store.get(door, "r").await.expect("values can be read"), Some(json!(2)));
    let read = json!(2);
    let tries = (0..8).map(|at| replace(Some(&read), 100 + at));
    let won = futures::future::join_all(tries).await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1, "of those who read the same, one writes");
}

async fn keys_are_listed_by_what_they_begin_with(store: &dyn KeptStore, door: &str) {
    for key in ["list/b", "list/a", "list/Z", "list/\u{e4}/\u{1f600}", "list", "listing", "LIST/c", "li%t/d"] {
        store.put(door, key, &json!(key), None).await.expect("values can be written");
    }
    assert!(store.claim(door, "list/held", LONG).await.expect("keys can be claimed"));
    let keys = async |prefix: &str| {
        let listed = store.list(door, prefix).await.expect("values can be read");
        listed.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys("list/").await, ["list/Z", "list/a", "list/b", "list/held", "list/\u{e4}/\u{1f600}"]);
    assert_eq!(keys("li%t/").await, ["li%t/d"], "nothing in a prefix has a meaning");
    assert_eq!(keys("nothing/").await, [""; 0]);
}

async fn of_many_who_claim_one_gets_it(store: &dyn KeptStore, door: &str) {
    let claim = async |key: &str| store.claim(door, key, LONG).await.expect("keys can be claimed");
    let claims = futures::future::join_all((0..16).map(|_| claim("one"))).await;
    assert_eq!(claims.into_iter().filter(|is_theirs| *is_theirs).count(), 1);
    assert!(claim("two").await && !claim("two").await);
    assert!(store.remove(door, "two").await.expect("values can be removed"), "it is let go of");
    assert!(claim("two").await);
    store.put(door, "for good", &json!(1), None).await.expect("values can be written");
    assert!(!claim("for good").await, "what is kept for good is nobody's to claim");
    assert_eq!(store.get(door, "for good").await.expect("values can be read"), Some(json!(1)));
}

async fn what_is_over_is_not_there(store: &dyn KeptStore, door: &str) {
    let put = async |key: &str, lasting| {
        store.put(door, key, &json!(key), lasting).await.expect("values can be written");
    };
    let claim = async |lasting| store.claim(door, "short", lasting).await.expect("keys can be claimed");
    assert!(claim(Duration::ZERO).await && claim(Duration::ZERO).await, "what is over is claimed anew");
    assert_eq!(store.get(door, "short").await.expect("values can be read"), None);
    assert!(store.list(door, "short").await.expect("values can be read").is_empty());
    assert!(!store.remove(door, "short").await.expect("values can be removed"));
    assert!(store.replace(door, "short", None, &json!(1)).await.expect("values can be written"));
    put("lasting", Some(LONG)).await;
    put("passing", Some(Duration::ZERO)).await;
    assert_eq!(store.get(door, "lasting").await.expect("values can be read"), Some(json!("lasting")));
    assert_eq!(store.get(door, "passing").await.expect("values can be read"), None);
    assert!(store.claim(door, "swept", Duration::ZERO).await.expect("keys can be claimed"));
    store.sweep().await.expect("what is over can be removed");
    assert_eq!(store.get(door, "short").await.expect("values can be read"), Some(json!(1)), "the rest stays");
}
