use serde_json::{Value, json};

use super::{Blocks, Tables, UserState};
use crate::policy::yaml::tests::config;

#[cfg(feature = "postgres")]
mod originals;

/// SQLite, and PostgreSQL where there is one.
async fn databases() -> Vec<Tables> {
    let mut all = vec![Tables::at("sqlite::memory:")];
    #[cfg(feature = "postgres")]
    all.extend(crate::testing::postgres_schema().await.map(Tables::at));
    all
}

async fn import(tables: &Tables, users: &str) {
    tables.replace(config("", users).files.users.as_ref().unwrap(), "boss", Blocks::Stay).await.unwrap();
}

#[tokio::test]
async fn every_change_raises_the_version() {
    for tables in databases().await {
        let mut versions = vec![tables.version().await.unwrap()];
        tables.assign("a@x", None, "dba").await.unwrap();
        versions.push(tables.version().await.unwrap());
        tables.disable("a@x", None, "boss").await.unwrap();
        versions.push(tables.version().await.unwrap());
        tables.enable("a@x").await.unwrap();
        versions.push(tables.version().await.unwrap());
        import(&tables, "users: []").await;
        versions.push(tables.version().await.unwrap());
        assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
    }
}

#[tokio::test]
async fn whom_an_import_does_not_name_any_more_grants_nothing_and_keeps_the_row() {
    for tables in databases().await {
        import(
            &tables,
            "users: [{ email: A@x, role: dba, slack_user_id: U1 }, { email: b@x }]\nsuper_admins: [{ email: c@x }]",
        )
        .await;
        import(&tables, "users: [{ email: b@x, role: dba, slack_user_id: U1 }]").await;
        let users = tables.users("", 10).await.unwrap();
        let known: Vec<_> = users.iter().map(|user| (user.email.as_str(), user.state)).collect();
        assert_eq!(known, [("a@x", UserState::Seen), ("b@x", UserState::Assigned), ("c@x", UserState::Seen)]);
        let spec = tables.read().await.unwrap().users;
        assert!(spec.super_admins.is_empty() && spec.users.len() == 1);
        assert_eq!(spec.users[0].slack_user_id.as_deref(), Some("U1"));
    }
}

#[tokio::test]
async fn accounts_are_counted_and_listed_without_reading_all_of_them() {
    for tables in databases().await {
        for email in ["a@x", "b@x", "c@x", "local:root"] {
            tables.assign(email, None, "dba").await.unwrap();
        }
        assert_eq!(tables.addresses("", 2).await.unwrap(), ["a@x", "b@x"]);
        assert_eq!(tables.addresses("b@x", 9).await.unwrap(), ["c@x"]);
        assert_eq!(tables.count_with(&[]).await.unwrap(), 3);
        let many: Vec<String> = (0..1_200).map(|at| format!("{at}@y")).chain(["b@x".into()]).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(tables.count_with(&many).await.unwrap(), 1_203, "whom both have counts once");
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn addresses_come_in_the_order_of_their_bytes_whatever_the_language_of_the_database() {
    let Some(url) = crate::testing::postgres_schema().await else { return };
    let tables = Tables::at(url);
    let db = tables.db().await.unwrap();
    db.execute("DROP VIEW v_user_activity", &[]).await.unwrap();
    db.execute("ALTER TABLE users ALTER COLUMN email TYPE VARCHAR(255) COLLATE \"und-x-icu\"", &[]).await.unwrap();
    for email in ["ann@x", "ann_b@x", "ann1@x"] {
        tables.assign(email, None, "dba").await.unwrap();
    }
    assert_eq!(tables.addresses("", 9).await.unwrap(), ["ann1@x", "ann@x", "ann_b@x"]);
    assert_eq!(tables.addresses("ann1@x", 1).await.unwrap(), ["ann@x"]);
    assert_eq!(tables.addresses("ann@x", 1).await.unwrap(), ["ann_b@x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_file_names_is_counted_once_while_they_come_into_the_table() {
    for tables in databases().await {
        let named: Vec<String> = (0..100).map(|at| format!("{at}@y")).collect();
        let coming = tokio::spawn({
            let (tables, named) = (tables.clone(), named.clone());
            async move {
                for email in &named {
                    tables.assign(email, None, "dba").await.unwrap();
                }
            }
        });
        let others: Vec<&str> = named.iter().map(String::as_str).collect();
        while !coming.is_finished() {
            assert_eq!(tables.count_with(&others).await.unwrap(), 100);
        }
        coming.await.unwrap();
        assert_eq!(tables.count_with(&others).await.unwrap(), 100);
    }
}

#[tokio::test]
async fn somebody_on_both_lists_is_super_admin() {
    for tables in databases().await {
        import(&tables, "users: [{ email: a@x, role: dba }]\nsuper_admins: [{ email: A@x }]").await;
        let spec = tables.read().await.unwrap().users;
        assert_eq!((spec.users.len(), spec.super_admins.len()), (0, 1));
    }
}

#[tokio::test]
async fn people_are_listed_page_by_page() {
    for tables in databases().await {
        for email in ["c@x", "a@x", "b@x"] {
            tables.assign(email, Some("Name"), "dba").await.unwrap();
        }
        let page = |users: Vec<super::KnownUser>| users.into_iter().map(|user| user.email).collect::<Vec<_>>();
        assert_eq!(page(tables.users("", 2).await.unwrap()), ["a@x", "b@x"]);
        assert_eq!(page(tables.users("b@x", 2).await.unwrap()), ["c@x"]);
    }
}

#[tokio::test]
async fn a_new_role_keeps_the_overrides_that_somebody_had_and_lifts_a_block() {
    for tables in databases().await {
        import(&tables, "users: [{ email: a@x, role: dba, allowed_mcps: { one: { mode: custom, tools: [x] } } }]")
            .await;
        tables.disable("a@x", Some("no"), "boss").await.unwrap();
        tables.assign("A@x", None, "super_admin").await.unwrap();
        let spec = tables.read().await.unwrap().users;
        assert!(spec.blocked_users.is_empty() && spec.super_admins[0].allowed_mcps.is_some());
    }
}

/// What the tables say of the servers of the first of the users.
async fn allowed(tables: &Tables) -> Value {
    serde_json::to_value(&tables.read().await.unwrap().users.users[0].allowed_mcps).unwrap()
}

#[tokio::test]
async fn what_a_persons_entry_says_of_prompts_and_resources_is_imported_too() {
    let said = json!({
        "docs": { "mode": "inherit", "prompts": ["get_*"], "denied_prompts": ["*_b"], "denied_resources": ["*secret*"] },
        "files": { "mode": "all", "resources": [] },
    });
    let users = json!({ "users": [{ "email": "a@x", "role": "dba", "allowed_mcps": said }] }).to_string();
    for tables in databases().await {
        import(&tables, &users).await;
        assert_eq!(allowed(&tables).await, said);
    }
}

#[tokio::test]
async fn a_server_that_a_list_names_twice_and_an_id_in_slack_that_is_left_empty_are_imported_as_the_file_means_them() {
    let users = "users: [{ email: a@x, role: dba, allowed_mcps: [two, one, two], slack_user_id: '' }, \
                 { email: b@x, role: dba, slack_user_id: '' }]";
    for tables in databases().await {
        import(&tables, users).await;
        assert_eq!(allowed(&tables).await, json!({ "one": { "mode": "inherit" }, "two": { "mode": "inherit" } }));
        let spec = tables.read().await.unwrap().users;
        assert!(spec.users.len() == 2 && spec.users.iter().all(|user| user.slack_user_id.is_none()));
    }
}

#[tokio::test]
async fn whose_row_is_not_active_is_kept_out_whoever_they_are() {
    for tables in databases().await {
        import(&tables, "users: [{ email: a@x, role: dba }, { email: b@x, role: dba, is_active: false }]").await;
        import(&tables, "users: [{ email: b@x, role: dba, is_active: false }]").await;
        let sql = "UPDATE users SET is_active = ? WHERE email = 'a@x'";
        tables.db().await.unwrap().execute(sql, &[false.into()]).await.unwrap();
        let spec = tables.read().await.unwrap().users;
        assert_eq!(spec.blocked_users.iter().map(|blocked| blocked.email.as_str()).collect::<Vec<_>>(), ["a@x"]);
        assert_eq!(spec.users[0].is_active, Some(false));
        assert!(tables.enable("a@x").await.unwrap() && tables.enable("B@x").await.unwrap());
        assert!(!tables.enable("a@x").await.unwrap());
        let spec = tables.read().await.unwrap().users;
        assert!(spec.blocked_users.is_empty() && spec.users[0].is_active.is_none());
    }
}

#[tokio::test]
async fn an_import_lets_in_nobody_whom_an_administrator_keeps_out_and_says_whom_it_changes() {
    let users = |more: &str| format!("users: [{{ email: a@x, role: dba }}, {{ email: b@x, is_active: false }}{more}]");
    let spec = |text: &str| config("", text).files.users.clone().unwrap();
    for tables in databases().await {
        import(&tables, &users(", { email: c@x, is_active: false }")).await;
        tables.assign("d@x", None, "dba").await.unwrap();
        tables.disable("A@x", Some("no"), "boss").await.unwrap();
        tables.disable("never@x", None, "boss").await.unwrap();
        let imported = tables.replace(&spec(&users("")), "boss", Blocks::Stay).await.unwrap();
        assert_eq!(imported.people, 2);
        assert_eq!(imported.no_longer_named, ["c@x", "d@x"]);
        assert_eq!(imported.still_blocked, ["a@x", "c@x", "never@x"], "b@x is out by the file's own word");
        assert_eq!(imported.let_in, [""; 0]);
        let stored = tables.read().await.unwrap().users;
        let out: Vec<_> = stored.blocked_users.iter().map(|it| (&*it.email, it.message.as_deref())).collect();
        assert_eq!(out, [("a@x", Some("no")), ("c@x", None), ("never@x", None)]);
        let active = spec("users: [{ email: a@x }, { email: b@x }]\nblocked_users: [{ email: c@x }]");
        assert_eq!(tables.replace(&active, "boss", Blocks::Stay).await.unwrap().let_in, ["b@x"], "the file says so");
        let all = tables.replace(&active, "boss", Blocks::Go).await.unwrap();
        assert_eq!((all.let_in, all.still_blocked), (vec!["a@x".into(), "never@x".into()], vec![]));
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_configuration_and_its_clones_have_one_database() {
    let dir = tempfile::tempdir().unwrap();
    let url = |name: &str| dir.path().join(name).display().to_string();
    let mut config = config("", "");
    config.audit = crate::config::AuditConfig::new("sqlite", url("one.db"), dir.path());
    let (one, same) = (Tables::of_config(&config).unwrap(), Tables::of_config(&config.clone()).unwrap());
    assert!(std::ptr::eq(one.db().await.unwrap(), same.db().await.unwrap()));
    config.audit.url = url("other.db");
    let other = Tables::of_config(&config).unwrap();
    assert_ne!(one.db().await.unwrap().place(), other.db().await.unwrap().place());
}
