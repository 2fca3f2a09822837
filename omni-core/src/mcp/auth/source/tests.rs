use chrono::TimeDelta;
use secrecy::ExposeSecret as _;
use tokio::time::advance;

use super::*;
use crate::mcp::auth::{Hidden, store::Lease, tests::grant};

const URL: &str = "https://a/mcp";

fn oauth(vault: &Vault) -> OAuth {
    OAuth::new("a", URL, OAuthConfig::default(), EgressConfig::default(), vault.clone()).unwrap()
}

/// The token that is sent now.
async fn sent(oauth: &OAuth) -> String {
    oauth.credential().await.unwrap().secret().expose_secret().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_login_and_a_logout_in_another_process_are_noticed_after_a_while() {
    let (vault, key) = (Vault::in_memory(), TokenKey::shared("a"));
    let oauth = oauth(&vault);
    let first = vault.save(&key, URL, &grant(), None).await.unwrap();
    assert_eq!(sent(&oauth).await, "access-1");

    let mut other = grant();
    other.access = other.access.map(|access| Access { token: Hidden("access-2".into()), ..access });
    assert!(vault.save(&key, URL, &other, first).await.unwrap().is_some());
    assert_eq!(sent(&oauth).await, "access-1", "the store is not asked with every request");
    advance(Duration::from_secs(31)).await;
    assert_eq!(sent(&oauth).await, "access-2");

    assert!(vault.remove(&key).await.unwrap());
    advance(Duration::from_secs(31)).await;
    let error = oauth.credential().await.unwrap_err().to_string();
    assert!(error.contains("nobody is logged in"), "{error}");
}

#[tokio::test]
async fn a_token_that_counts_for_a_while_yet_is_used_while_nobody_can_renew_it() {
    let vault = Vault::in_memory();
    let oauth = oauth(&vault);
    let ending_in = |seconds: i64| {
        let end = Utc::now() + TimeDelta::seconds(seconds);
        let token = Hidden("access-1".into());
        Access { token, obtained_at: end - TimeDelta::hours(1), expires_at: Some(end) }
    };
    let mut login = grant();
    // A server that is elsewhere has its tokens nowhere on this machine.
    (login.token_endpoint, login.access) = ("http://127.0.0.1:1/token".into(), Some(ending_in(50)));
    let revision = vault.save(&TokenKey::shared("a"), URL, &login, None).await.unwrap().unwrap();
    let last = |seconds| Cached::of(ending_in(seconds), Origin::Stored(revision)).unwrap();
    oauth.inner.cached.store(Some(last(50)));
    assert_eq!(sent(&oauth).await, "access-1");
    oauth.inner.cached.store(Some(last(0)));
    let error = oauth.credential().await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1 leads to this machine"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_somebody_elses_renewal_waits_for_a_while_only() {
    let (vault, key) = (Vault::in_memory(), TokenKey::shared("a"));
    let mut expired = grant();
    expired.access = None;
    let revision = vault.save(&key, URL, &expired, None).await.unwrap().unwrap();
    let theirs = Lease::new(revision, Uuid::new_v4(), Duration::from_secs(3_600));
    assert!(vault.lease(&key, &theirs).await.unwrap());
    let error = oauth(&vault).credential().await.unwrap_err().to_string();
    assert!(error.contains("did not answer in time"), "{error}");
}
