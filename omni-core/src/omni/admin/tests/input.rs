//! What no database takes never comes to one.

use super::*;
use crate::identity::keys::sql::SqlKeys;

/// Pipelines that keep people and keys in SQLite, and in PostgreSQL where there is one.
async fn pipelines() -> Vec<Omni> {
    let mut all = vec![Tables::at("sqlite::memory:")];
    #[cfg(feature = "postgres")]
    all.extend(crate::testing::postgres_schema().await.map(Tables::at));
    let mut made = Vec::new();
    for tables in all {
        let policy = YamlPolicy::from_config(&config("", USERS)).unwrap().with_tables(tables.clone());
        let keys = Keys::new(SqlKeys::new(tables.clone()));
        let authenticator = Authenticator::new().with_local_act_as().with_keys(keys);
        made.push(Omni::builder().policy(policy).people(tables).authenticator(authenticator).build().await.unwrap());
    }
    made
}

#[tokio::test]
async fn what_has_no_room_or_cannot_be_seen_is_refused_by_every_database_alike() {
    let (long, text) = (format!("{}@x.org", "a".repeat(250)), "a".repeat(1_001));
    for omni in pipelines().await {
        let boss = admin(&omni, "boss@x.org").await;
        for email in [&*long, "a@b\0c", "ann", "a@b@c"] {
            let (added, enabled) = (boss.add_user(email, None, "dba").await, boss.enable_user(email).await);
            for refused in [added.map(drop), enabled, boss.disable_user(email, None).await] {
                assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid, "{email:?}");
            }
        }
        let named = NewKey { name: Some("a".repeat(256)), ..key_of("dba@x.org", &[Scope::Ask]) };
        let invisible = NewKey { name: Some("a\0".into()), ..key_of("dba@x.org", &[Scope::Ask]) };
        for refused in [
            boss.add_user("a@x.org", Some(&text), "dba").await.map(drop),
            boss.disable_user("a@x.org", Some(&text)).await,
            boss.create_key(named).await.map(drop),
            boss.create_key(invisible).await.map(drop),
            boss.keys_of(Some("a\0")).await.map(drop),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
        }
        assert_eq!(boss.users().await.unwrap().len(), 3, "nobody was written down");
    }
}

#[tokio::test]
async fn what_just_has_room_is_kept_by_every_database() {
    let longest = format!("{}@x.org", "a".repeat(249));
    for omni in pipelines().await {
        let boss = admin(&omni, "boss@x.org").await;
        boss.new_user(&longest, Some(&"n".repeat(255)), "dba").await.unwrap();
        assert_eq!(boss.new_user(&longest, None, "dba").await.unwrap_err().kind(), ErrorKind::Conflict);
        let key = NewKey { name: Some("k".repeat(255)), ..key_of(&longest, &[Scope::Ask]) };
        boss.create_key(key).await.unwrap();
        boss.disable_user(&longest, Some(&"m".repeat(1_000))).await.unwrap();
        boss.enable_user(&longest).await.unwrap();
        assert_eq!(boss.enable_user(&longest).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
}
