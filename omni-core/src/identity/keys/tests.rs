use std::time::Duration;

use chrono::Utc;
use futures::FutureExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{ApiKey, FIND_WITHIN, FINDING, KeyStore, Keys, memory::MemoryKeys};
use crate::{
    identity::{AuthError, Authenticator, Credential, Scope, Scopes},
    testing::key_store_contract,
};

#[tokio::test]
async fn keys_in_memory_keep_the_contract() {
    key_store_contract(&MemoryKeys::new()).await;
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test]
async fn keys_in_a_database_keep_the_contract() {
    use super::sql::SqlKeys;
    use crate::people::Tables;
    key_store_contract(&SqlKeys::new(Tables::at("sqlite::memory:"))).await;
    #[cfg(feature = "postgres")]
    if let Some(url) = crate::testing::postgres_schema().await {
        key_store_contract(&SqlKeys::new(Tables::at(url))).await;
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn counts_no_more_by_its_mark_alone(tables: crate::people::Tables) {
    let (store, key) = (super::sql::SqlKeys::new(tables.clone()), ApiKey::issue("ann@x.org", Scopes::user()).key);
    let id = store.insert(&key).await.unwrap();
    let found = async || store.find(&key.prefix).await.unwrap().pop().unwrap();
    assert!(found().await.is_valid(Utc::now()));
    let sql = "UPDATE api_keys SET is_revoked = ? WHERE id = ?";
    tables.db().await.unwrap().execute(sql, &[true.into(), id.into()]).await.unwrap();
    let revoked = found().await;
    assert!(revoked.revoked_at.is_some() && !revoked.is_valid(Utc::now()), "{revoked:?}");
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test]
async fn a_key_that_somebody_else_marked_as_taken_back_counts_no_more_though_nobody_wrote_when() {
    use crate::people::Tables;
    counts_no_more_by_its_mark_alone(Tables::at("sqlite::memory:")).await;
    #[cfg(feature = "postgres")]
    if let Some(url) = crate::testing::postgres_schema().await {
        counts_no_more_by_its_mark_alone(Tables::at(url)).await;
    }
}

/// An authenticator with one key.
async fn with(key: impl FnOnce(&mut ApiKey), scopes: &[Scope]) -> (Authenticator, SecretString) {
    let mut issued = ApiKey::issue(" Bot@x.org", scopes.iter().copied().collect());
    key(&mut issued.key);
    let store = MemoryKeys::new();
    store.insert(&issued.key).await.unwrap();
    (Authenticator::new().with_keys(Keys::new(store)), issued.secret)
}

fn as_somebody(key: &SecretString, subject: &str) -> Credential {
    Credential::ApiKey { key: key.clone(), act_as: Some(subject.into()) }
}

#[test]
fn a_key_is_random_and_shows_nothing_of_itself() {
    let (one, two) = (ApiKey::issue("a@x", Scopes::user()), ApiKey::issue("a@x", Scopes::user()));
    let text = one.secret.expose_secret();
    assert!(text.starts_with(&format!("omni_{}", one.key.prefix)) && text.len() == 5 + 8 + 64);
    assert_ne!(text, two.secret.expose_secret());
    let (shown, document) = (format!("{one:?}"), serde_json::to_string(&one.key).unwrap());
    assert!(!shown.contains(&text[13..]) && !document.contains(&text[13..]) && !document.contains(&one.key.hash));
}

#[tokio::test]
async fn a_key_speaks_for_its_owner_within_its_scopes() {
    let (judge, key) = with(|_| (), &[Scope::Ask]).await;
    let principal = judge.authenticate(Credential::api_key(key.clone())).await.unwrap();
    assert_eq!((principal.subject.as_str(), principal.actor), ("bot@x.org", None));
    assert!(principal.scopes.contains(Scope::Ask) && !principal.scopes.contains(Scope::Tools));
    // Whoever names the owner acts for nobody else.
    assert!(judge.authenticate(as_somebody(&key, "BOT@x.org")).await.unwrap().actor.is_none());
    let refused = judge.authenticate(as_somebody(&key, "ann@x.org")).await.unwrap_err();
    assert!(matches!(refused, AuthError::MissingScope { scope: Scope::ActAs, .. }));
}

#[tokio::test]
async fn what_is_no_key_opens_nothing() {
    let (judge, key) = with(|_| (), &[Scope::Ask]).await;
    let text = key.expose_secret();
    let other = format!("{}{}", &text[..text.len() - 1], if text.ends_with('0') { '1' } else { '0' });
    let upper = text.to_uppercase();
    for wrong in ["", "omni_", &other, &upper, &text[..20], &format!("{text}0"), "Bearer x"] {
        let refused = judge.authenticate(Credential::api_key(wrong.to_owned())).await;
        assert!(matches!(refused, Err(AuthError::InvalidKey)), "{wrong:?}");
    }
    let without = Authenticator::new().authenticate(Credential::api_key(key)).await;
    assert!(matches!(without, Err(AuthError::InvalidKey)));
}

#[tokio::test]
async fn a_key_that_ended_or_was_taken_back_opens_nothing() {
    let ended = with(|key| key.expires_at = Some(Utc::now() - Duration::from_secs(1)), &[Scope::Ask]).await;
    let revoked = with(|key| key.revoked_at = Some(Utc::now()), &[Scope::Ask]).await;
    for (judge, key) in [ended, revoked] {
        let refused = judge.authenticate(Credential::api_key(key)).await.unwrap_err();
        assert_eq!(refused.to_string(), "the API key is not valid");
    }
}

#[tokio::test]
async fn a_key_acts_for_those_on_its_list_and_keeps_its_ceiling() {
    let list = |key: &mut ApiKey| {
        key.act_as = vec!["Ann@x.org".into(), "role:dba".into()];
        key.ceiling_role = Some("dba".into());
    };
    let (judge, key) = with(list, &[Scope::Ask, Scope::ActAs]).await;
    let ann = judge.authenticate(as_somebody(&key, "ann@X.org")).await.unwrap();
    assert_eq!((ann.actor.as_deref(), ann.subject_roles.as_deref()), (Some("bot@x.org"), None));
    assert_eq!(ann.ceiling_role.as_deref(), Some("dba"));
    let bob = judge.authenticate(as_somebody(&key, "bob@x.org")).await.unwrap();
    assert_eq!(bob.subject_roles, Some(vec!["dba".to_owned()]));

    let (judge, key) = with(|key| key.act_as = vec!["ann@x.org".into()], &[Scope::ActAs]).await;
    let refused = judge.authenticate(as_somebody(&key, "bob@x.org")).await.unwrap_err();
    assert_eq!(refused.to_string(), "the API key may not act for bob@x.org");
    let (judge, key) = with(|_| (), &[Scope::ActAs]).await;
    assert!(judge.authenticate(as_somebody(&key, "bob@x.org")).await.is_err(), "an empty list names nobody");
    let (judge, key) = with(|key| key.act_as = vec!["*".into()], &[Scope::ActAs]).await;
    assert!(judge.authenticate(as_somebody(&key, "bob@x.org")).await.is_ok());
}

#[tokio::test]
async fn a_key_names_nobody_by_an_entrys_own_words_nor_by_what_is_no_name() {
    let long = "a".repeat(300);
    for list in ["role:dba", "*"] {
        let (judge, key) = with(|key| key.act_as = vec![list.into()], &[Scope::ActAs]).await;
        for no_name in ["role:dba", "Role:DBA", "*", "", " ", "a b", "a\nb", "a\0", &long] {
            let refused = judge.authenticate(as_somebody(&key, no_name)).await.unwrap_err();
            assert!(matches!(refused, AuthError::NotListed { .. }), "{list} {no_name:?}: {refused}");
            assert!(refused.to_string().len() < 150, "{refused}");
        }
        assert!(judge.authenticate(as_somebody(&key, "bob@x.org")).await.is_ok(), "{list}");
    }
}

#[derive(Debug)]
struct Away;

#[async_trait::async_trait]
impl KeyStore for Away {
    async fn find(&self, _: &str) -> Result<Vec<ApiKey>, super::KeyError> {
        Err(super::KeyError::new("gone"))
    }
    async fn get(&self, _: i64) -> Result<Option<ApiKey>, super::KeyError> {
        Err(super::KeyError::new("gone"))
    }
    async fn list(&self, _: Option<&str>, _: Option<i64>, _: u32) -> Result<Vec<ApiKey>, super::KeyError> {
        Err(super::KeyError::new("gone"))
    }
    async fn insert(&self, _: &ApiKey) -> Result<i64, super::KeyError> {
        Err(super::KeyError::new("gone"))
    }
    async fn revoke(&self, _: i64, _: &str) -> Result<Option<ApiKey>, super::KeyError> {
        Err(super::KeyError::new("gone"))
    }
    async fn touch(&self, _: i64, _: chrono::DateTime<Utc>) -> Result<(), super::KeyError> {
        Err(super::KeyError::new("gone"))
    }
}

#[tokio::test]
async fn a_store_that_is_away_opens_nothing() {
    let key = ApiKey::issue("a@x", Scopes::all()).secret;
    let refused = Authenticator::new().with_keys(Keys::new(Away)).authenticate(Credential::api_key(key)).await;
    assert!(matches!(refused, Err(AuthError::Unavailable(_))));
}

#[test]
fn scopes_have_the_names_of_the_command_line() {
    for scope in Scope::ALL {
        assert_eq!(Scope::from_name(scope.as_str()), Some(scope));
        assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
    }
    assert_eq!(Scope::from_name("tools"), Some(Scope::Tools));
    assert_eq!(serde_json::from_str::<Scope>("\"tools\"").unwrap(), Scope::Tools);
    assert_eq!(Scope::from_name("root"), None);
}

/// A store that takes no note, and answers no look-up but that of one key.
#[derive(Debug)]
struct Hung(Option<ApiKey>);

#[async_trait::async_trait]
impl KeyStore for Hung {
    async fn find(&self, prefix: &str) -> Result<Vec<ApiKey>, super::KeyError> {
        match &self.0 {
            Some(key) if key.prefix == prefix => Ok(vec![key.clone()]),
            Some(_) | None => std::future::pending().await,
        }
    }
    async fn get(&self, _: i64) -> Result<Option<ApiKey>, super::KeyError> {
        std::future::pending().await
    }
    async fn list(&self, _: Option<&str>, _: Option<i64>, _: u32) -> Result<Vec<ApiKey>, super::KeyError> {
        std::future::pending().await
    }
    async fn insert(&self, _: &ApiKey) -> Result<i64, super::KeyError> {
        std::future::pending().await
    }
    async fn revoke(&self, _: i64, _: &str) -> Result<Option<ApiKey>, super::KeyError> {
        std::future::pending().await
    }
    async fn touch(&self, _: i64, _: chrono::DateTime<Utc>) -> Result<(), super::KeyError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_keeps_nobody_waiting_for_ever_and_its_notes_nobody_at_all() {
    let issued = ApiKey::issue("a@x", Scopes::all());
    let judge = |store| Authenticator::new().with_keys(Keys::new(store));
    let unanswered = judge(Hung(None)).authenticate(Credential::api_key(issued.secret.clone())).await;
    assert!(matches!(unanswered, Err(AuthError::Unavailable(_))));
    let judge = judge(Hung(Some(issued.key)));
    assert!(judge.authenticate(Credential::api_key(issued.secret)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_keys_that_nobody_has_delays_nobody_whose_key_counted_a_moment_ago() {
    let issued = ApiKey::issue("a@x", Scopes::all());
    let keys = Keys::new(Hung(Some(issued.key)));
    assert!(keys.judge(&issued.secret).await.unwrap().is_some());
    let mut flood = JoinSet::new();
    for _ in 0..20 {
        let (keys, made_up) = (keys.clone(), ApiKey::issue("b@x", Scopes::all()).secret);
        flood.spawn(async move { keys.judge(&made_up).await });
    }
    // By then each of them is looked for, or waits for its turn.
    sleep(FIND_WITHIN / 2).await;
    keys.forget();
    let judged = keys.judge(&issued.secret).now_or_never().expect("nobody is waited for");
    assert!(judged.unwrap().is_some());
    for _ in FINDING..20 {
        let refused = timeout(FIND_WITHIN * 2, flood.join_next()).await.expect("a turn is not waited for for ever");
        assert!(refused.unwrap().unwrap().is_err());
    }
}

#[tokio::test]
async fn whoever_looks_as_somebody_else_has_what_a_terminal_gives_them_and_acts_for_nobody() {
    let judge = Authenticator::new().with_local_act_as();
    let local = |act_as: Option<&str>| Credential::Local { os_user: "root".into(), act_as: act_as.map(str::to_owned) };
    let own = judge.authenticate(local(None)).await.unwrap();
    let other = judge.authenticate(local(Some("Ann@x.org"))).await.unwrap();
    assert_eq!((&*other.subject, other.actor.as_deref()), ("ann@x.org", Some("local:root")));
    for scope in Scope::ALL {
        assert!(own.scopes.contains(scope), "{scope}");
        assert_eq!(other.scopes.contains(scope), scope != Scope::ActAs, "{scope}");
    }
}

#[tokio::test]
async fn whoever_names_themselves_at_the_terminal_acts_for_nobody() {
    let mapped = Authenticator::new().with_os_user("root", "Ann@x.org");
    for (judge, own_name) in [(mapped, " ANN@x.org"), (Authenticator::new(), "local:root")] {
        let local =
            |act_as: Option<&str>| Credential::Local { os_user: "root".into(), act_as: act_as.map(str::to_owned) };
        let own = judge.authenticate(local(None)).await.unwrap();
        assert_eq!(judge.authenticate(local(Some(own_name))).await.unwrap(), own);
        let refused = judge.authenticate(local(Some("bob@x.org"))).await.unwrap_err();
        assert!(matches!(refused, AuthError::MissingScope { scope: Scope::ActAs, .. }));
    }
}
