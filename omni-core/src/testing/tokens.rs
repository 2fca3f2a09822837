//! The contract of stores of tokens.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;
use uuid::Uuid;

use crate::mcp::auth::store::{Lease, StoredTokens, TokenKey, TokenStore, TokenStoreError};

/// Longer than any suite takes.
const LONG: Duration = Duration::from_secs(600);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);
/// How many want the same at once.
const CALLERS: usize = 20;

/// Checks a store.
///
/// # Panics
/// Where the contract is broken.
pub async fn token_store_contract(store: &dyn TokenStore) {
    what_is_put_is_there_until_it_is_removed(store).await;
    only_what_was_seen_is_replaced(store).await;
    a_lease_is_of_one_and_lapses(store).await;
    of_many_that_put_at_once_one_does(store, store).await;
}

/// Checks that two stores over the same place are one.
///
/// # Panics
/// Where the contract is broken.
pub async fn shared_token_store_contract(one: &dyn TokenStore, other: &dyn TokenStore) {
    of_many_that_put_at_once_one_does(one, other).await;
    let (key, tokens) = (key(), tokens(1));
    assert!(done(one.put(&key, &tokens, None).await));
    assert_eq!(done(other.get(&key).await), Some(tokens.clone()), "what one kept, another finds");
    let (mine, theirs) = (lease(&tokens, LONG), lease(&tokens, LONG));
    assert!(done(one.lease(&key, &mine).await));
    assert!(!done(other.lease(&key, &theirs).await), "what one renews, another does not");
    let all = (0..CALLERS).map(|at| {
        let (store, key, lease) = (if at % 2 == 0 { one } else { other }, &key, lease(&tokens, LONG));
        async move { done(store.lease(key, &lease).await) }
    });
    assert!(join_all(all).await.iter().all(|had| !had));
}

/// What a store that works says.
fn done<T: Default + std::fmt::Debug>(result: Result<T, TokenStoreError>) -> T {
    assert!(result.is_ok(), "{result:?}");
    result.unwrap_or_default()
}

fn key() -> TokenKey {
    TokenKey::shared(format!("server-{}", Uuid::new_v4()))
}

fn tokens(byte: u8) -> StoredTokens {
    StoredTokens::new("https://a.example/mcp", "https://issuer.example", vec![byte, 0, 255])
}

fn lease(tokens: &StoredTokens, ttl: Duration) -> Lease {
    Lease::new(tokens.revision, Uuid::new_v4(), ttl)
}

async fn what_is_put_is_there_until_it_is_removed(store: &dyn TokenStore) {
    let (key, tokens) = (key(), tokens(1));
    assert_eq!(done(store.get(&key).await), None);
    assert!(!done(store.remove(&key).await));
    assert!(done(store.put(&key, &tokens, None).await));
    assert_eq!(done(store.get(&key).await), Some(tokens));
    let mut of_somebody = key.clone();
    of_somebody.subject = "ann@x.org".into();
    assert_eq!(done(store.get(&of_somebody).await), None);
    assert!(done(store.remove(&key).await));
    assert_eq!(done(store.get(&key).await), None);
}

async fn only_what_was_seen_is_replaced(store: &dyn TokenStore) {
    let (key, first, second) = (key(), tokens(1), tokens(2));
    assert!(!done(store.put(&key, &first, Some(second.revision)).await));
    assert!(done(store.put(&key, &first, None).await));
    assert!(!done(store.put(&key, &second, None).await));
    assert!(!done(store.put(&key, &second, Some(second.revision)).await));
    assert_eq!(done(store.get(&key).await), Some(first.clone()));
    assert!(done(store.put(&key, &second, Some(first.revision)).await));
    assert_eq!(done(store.get(&key).await), Some(second));
    assert!(!done(store.put(&key, &first, Some(first.revision)).await));
}

async fn a_lease_is_of_one_and_lapses(store: &dyn TokenStore) {
    let (key, tokens, next) = (key(), tokens(1), tokens(2));
    assert!(!done(store.lease(&key, &lease(&tokens, LONG)).await), "nothing is stored");
    assert!(done(store.put(&key, &tokens, None).await));
    assert!(!done(store.lease(&key, &lease(&next, LONG)).await), "another revision is stored");
    let mut mine = lease(&tokens, LONG);
    assert!(done(store.lease(&key, &mine).await));
    assert!(done(store.lease(&key, &mine).await), "whoever has it may take it again");
    assert!(!done(store.lease(&key, &lease(&tokens, LONG)).await));
    mine.ttl = Duration::ZERO;
    assert!(done(store.lease(&key, &mine).await));
    assert!(done(store.lease(&key, &lease(&tokens, SHORT)).await), "it was given back");
    sleep(SHORT * 2).await;
    assert!(done(store.lease(&key, &lease(&tokens, LONG)).await), "it lapsed");
    assert!(done(store.put(&key, &next, Some(tokens.revision)).await), "what is leased can be replaced");
    assert!(done(store.lease(&key, &lease(&next, LONG)).await), "new tokens have no lease");
}

async fn of_many_that_put_at_once_one_does(one: &dyn TokenStore, other: &dyn TokenStore) {
    let key = key();
    for expected in [None, Some(())] {
        let seen = match expected {
            None => None,
            Some(()) => done(one.get(&key).await).map(|tokens| tokens.revision),
        };
        let all = (0..CALLERS).map(|at| {
            let (store, key) = (if at % 2 == 0 { one } else { other }, &key);
            async move { done(store.put(key, &tokens(at as u8), seen).await) }
        });
        assert_eq!(join_all(all).await.into_iter().filter(|did| *did).count(), 1);
    }
}
