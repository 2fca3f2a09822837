use std::time::Duration;

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::{super::UserStatus, Admin, NewKey, record};
use crate::{
    Ask, Error, ErrorKind, Omni, Principal, Source,
    audit::{AuditBackend, memory::MemorySink},
    identity::{Authenticator, Credential, Keys, Scope, Scopes, keys::memory::MemoryKeys},
    ledger::{AdminRecord, Event, Outcome, SealKey},
    people::{Blocks, Tables},
    policy::{
        Permission,
        yaml::{YamlPolicy, tests::config},
    },
};

mod input;
mod tenants;

const USERS: &str = "\
super_admins: [{ email: boss@x.org }]
users:
- { email: admin@x.org, role: admin }
- { email: dba@x.org, role: dba }
roles: { clerk: { permissions: { can_manage_users: true, can_promote_users: true } }, porter: { permissions: { can_manage_users: true } } }
auto_provisioning: { enabled: true, default_role: read_only, require_approval: true }
";

/// A pipeline over an empty database, and its ledger.
async fn omni() -> (Omni, MemorySink) {
    let (tables, sink) = (Tables::at("sqlite::memory:"), MemorySink::default());
    let policy = YamlPolicy::from_config(&config("", USERS)).unwrap().with_tables(tables.clone());
    let authenticator = Authenticator::new().with_local_act_as().with_keys(Keys::new(MemoryKeys::new()));
    let builder = Omni::builder().policy(policy).people(tables).authenticator(authenticator).audit(sink.clone());
    (builder.build().await.unwrap(), sink)
}

async fn admin(omni: &Omni, email: &str) -> Admin {
    omni.admin(Principal::email(email).with_scopes(Scopes::all()), Source::Http).await.unwrap()
}

/// Whoever sits at the terminal, and is named nowhere.
async fn operator(omni: &Omni) -> Admin {
    omni.admin(Credential::Local { os_user: "root".into(), act_as: None }, Source::Cli).await.unwrap()
}

async fn records(omni: &Omni, sink: &MemorySink) -> Vec<AdminRecord> {
    assert!(omni.ledger().flush(Duration::from_secs(30)).await.is_ok());
    let records = sink.records().into_iter();
    records.filter_map(|record| if let Event::Admin(admin) = record.event { Some(admin) } else { None }).collect()
}

fn key_of(owner: &str, scopes: &[Scope]) -> NewKey {
    NewKey::new(owner, scopes.iter().copied().collect())
}

#[tokio::test]
async fn a_role_that_was_given_holds_for_the_next_ask_and_is_recorded() {
    let (omni, sink) = omni().await;
    let new = || Principal::email("new@x.org");
    assert!(omni.ask(Ask::new(new(), "hello")).await.unwrap_err().to_string().contains("approve the account"));
    let status = async || {
        let users = operator(&omni).await.users().await.unwrap();
        users.into_iter().find(|user| user.email == "new@x.org").map(|user| user.status)
    };
    admin(&omni, "admin@x.org").await.add_user("New@x.org", Some("New"), "dba").await.unwrap();
    assert_eq!(&*omni.grant(new()).await.unwrap().role.name, "dba");
    assert_eq!(status().await, Some(UserStatus::Active));
    operator(&omni).await.disable_user("new@x.org", Some("Ask hr.")).await.unwrap();
    assert_eq!(omni.grant(new()).await.unwrap_err().to_string(), "new@x.org may not use omni: Ask hr.");
    assert_eq!(status().await, Some(UserStatus::Blocked));
    operator(&omni).await.enable_user("new@x.org").await.unwrap();
    assert!(omni.grant(new()).await.is_ok());
    let done: Vec<_> = records(&omni, &sink).await.into_iter().map(|it| (it.action, it.target, it.outcome)).collect();
    let expected = [("user.add", "new@x.org"), ("user.disable", "new@x.org"), ("user.enable", "new@x.org")];
    assert_eq!(done, expected.map(|(action, target)| (action.into(), target.into(), Outcome::Success)));
}

#[tokio::test]
async fn whoever_waits_is_approved_with_the_role_on_offer_or_another() {
    let (omni, _) = omni().await;
    let boss = admin(&omni, "boss@x.org").await;
    assert_eq!(boss.approve_user("one@x.org", None).await.unwrap(), "read_only");
    assert_eq!(boss.approve_user("two@x.org", Some("dba")).await.unwrap(), "dba");
    assert_eq!(&*omni.grant(Principal::email("one@x.org")).await.unwrap().role.name, "read_only");
    let again = boss.approve_user("one@x.org", None).await.unwrap_err();
    assert!(again.to_string().contains("no role is on offer"), "{again}");
}

#[tokio::test]
async fn whom_users_yaml_names_is_changed_there() {
    let (omni, sink) = omni().await;
    let boss = admin(&omni, "boss@x.org").await;
    for refused in [
        boss.add_user("DBA@x.org", None, "admin").await.map(drop),
        boss.approve_user("dba@x.org", Some("admin")).await.map(drop),
        boss.disable_user("dba@x.org", None).await,
        boss.enable_user("dba@x.org").await,
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, Error::NamedInFile { at, .. } if at.to_string() == "users.yaml:4"), "{refused}");
        assert_eq!(refused.kind(), ErrorKind::Config);
    }
    assert!(
        records(&omni, &sink).await.iter().all(|record| record.outcome == Outcome::Error && record.error.is_some())
    );
}

#[tokio::test]
async fn nobody_administers_without_scope_and_permission() {
    let (omni, sink) = omni().await;
    assert_eq!(omni.admin(Principal::email("boss@x.org"), Source::Http).await.unwrap_err().kind(), ErrorKind::Denied);
    let dba = admin(&omni, "dba@x.org").await;
    assert_eq!(dba.add_user("new@x.org", None, "read_only").await.unwrap_err().kind(), ErrorKind::Denied);
    assert!(dba.users().await.is_err() && dba.keys_of(None).await.is_err() && dba.export_policy().await.is_err());
    assert_eq!(dba.import_policy(&config("", USERS), Blocks::Stay).await.unwrap_err().kind(), ErrorKind::Denied);
    let records = records(&omni, &sink).await;
    assert_eq!(records.iter().map(|record| record.outcome).collect::<Vec<_>>(), [Outcome::Denied, Outcome::Denied]);
}

#[tokio::test]
async fn nobody_gives_out_more_than_they_have() {
    let (omni, _) = omni().await;
    admin(&omni, "boss@x.org").await.add_user("clerk@x.org", None, "clerk").await.unwrap();
    let clerk = admin(&omni, "clerk@x.org").await;
    clerk.add_user("a@x.org", None, "dba").await.unwrap();
    for role in ["admin", "super_admin"] {
        assert_eq!(clerk.add_user("a@x.org", None, role).await.unwrap_err().kind(), ErrorKind::Denied, "{role}");
    }
    let for_boss = clerk.create_key(key_of("boss@x.org", &[Scope::Ask])).await;
    assert_eq!(for_boss.unwrap_err().kind(), ErrorKind::Denied);
    let admin = admin(&omni, "admin@x.org").await;
    assert!(admin.add_user("a@x.org", None, "super_admin").await.is_err());
    assert_eq!(admin.import_policy(&config("", USERS), Blocks::Stay).await.unwrap_err().kind(), ErrorKind::Denied);
    let unknown = admin.add_user("a@x.org", None, "dbaa").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no role \"dbaa\"; did you mean \"dba\"?");
    let narrow = Principal::email("boss@x.org").with_scopes([Scope::Admin].into_iter().collect());
    let narrow = omni.admin(narrow, Source::Http).await.unwrap();
    assert!(narrow.create_key(key_of("dba@x.org", &[Scope::Ask])).await.unwrap_err().to_string().contains("scope ask"));
}

#[tokio::test]
async fn a_key_opens_what_it_is_made_for_until_it_is_taken_back() {
    let (omni, sink) = omni().await;
    let operator = operator(&omni).await;
    let issued = operator.create_key(key_of("dba@x.org", &[Scope::Ask])).await.unwrap();
    let key = || Credential::api_key(issued.secret.clone());
    assert!(omni.ask(Ask::new(key(), "hello")).await.is_ok());
    assert_eq!(omni.tools(key()).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(operator.keys_of(Some("DBA@x.org")).await.unwrap().len(), 1);
    operator.revoke_key(issued.key.id).await.unwrap();
    assert_eq!(omni.grant(key()).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert!(operator.revoke_key(99).await.is_err());
    let records = records(&omni, &sink).await;
    assert_eq!(records[0].details["scopes"], json!(["ask"]));
    assert!(!serde_json::to_string(&records).unwrap().contains("omni_"));
}

#[tokio::test]
async fn a_key_for_others_stays_under_its_owners_role_and_ends_with_its_owner() {
    let (omni, _) = omni().await;
    let operator = operator(&omni).await;
    operator.add_user("bot@x.org", None, "dba").await.unwrap();
    let issued = operator.create_key(key_of("bot@x.org", &[Scope::Ask, Scope::Admin, Scope::ActAs])).await.unwrap();
    assert_eq!(
        (issued.key.act_as.as_slice(), issued.key.ceiling_role.as_deref()),
        (["*".to_owned()].as_slice(), Some("dba"))
    );
    let as_boss = || Credential::ApiKey { key: issued.secret.clone(), act_as: Some("boss@x.org".into()) };
    let grant = omni.grant(as_boss()).await.unwrap();
    assert!(!grant.role.is_admin && grant.role.permissions.is_empty(), "{:?}", grant.role);
    let admin = omni.admin(as_boss(), Source::Http).await.unwrap();
    assert_eq!(admin.add_user("x@x.org", None, "dba").await.unwrap_err().kind(), ErrorKind::Denied);
    operator.disable_user("bot@x.org", None).await.unwrap();
    assert_eq!(omni.grant(as_boss()).await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_list_of_whom_to_act_for_needs_the_scope_and_a_ceiling_a_role() {
    let (omni, _) = omni().await;
    let operator = operator(&omni).await;
    let mut new = key_of("dba@x.org", &[Scope::Ask]);
    new.act_as = vec!["boss@x.org".into()];
    assert_eq!(operator.create_key(new).await.unwrap_err().kind(), ErrorKind::Invalid);
    let mut new = key_of("dba@x.org", &[Scope::Ask]);
    new.ceiling_role = Some("nobody".into());
    assert_eq!(operator.create_key(new).await.unwrap_err().to_string(), "there is no role \"nobody\"");
    assert!(operator.create_key(key_of("dba@x.org", &[])).await.is_err());
    assert!(operator.create_key(key_of("nobody@x.org", &[Scope::Ask])).await.is_err(), "a key needs somebody");
}

#[tokio::test]
async fn what_was_imported_can_be_exported() {
    let (omni, _) = omni().await;
    let boss = admin(&omni, "boss@x.org").await;
    assert_eq!(boss.import_policy(&config("", USERS), Blocks::Stay).await.unwrap().people, 3);
    let exported = boss.export_policy().await.unwrap();
    for part in ["boss@x.org", "role: dba", "can_manage_users: true", "require_approval: true"] {
        assert!(exported.contains(part), "{part} in {exported}");
    }
}

#[tokio::test]
async fn a_ceiling_is_no_more_than_one_may_give() {
    let (omni, _) = omni().await;
    let mut new = key_of("dba@x.org", &[Scope::Ask, Scope::ActAs]);
    (new.act_as, new.ceiling_role) = (vec!["*".into()], Some("super_admin".into()));
    let refused = admin(&omni, "admin@x.org").await.create_key(new).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_key_gives_out_no_key_for_more_people_than_its_own() {
    let (omni, _) = omni().await;
    let list = |entry: &str| {
        let mut new = key_of("admin@x.org", &[Scope::Ask, Scope::Admin, Scope::ActAs]);
        new.act_as = vec![entry.into()];
        new
    };
    let issued = operator(&omni).await.create_key(list("role:dba")).await.unwrap();
    let by_key = omni.admin(Credential::api_key(issued.secret), Source::Http).await.unwrap();
    for more in ["*", "boss@x.org", "role:admin"] {
        assert_eq!(by_key.create_key(list(more)).await.unwrap_err().kind(), ErrorKind::Denied, "{more}");
    }
    by_key.create_key(list("role:dba")).await.unwrap();
}

#[tokio::test]
async fn a_key_for_others_does_no_more_than_its_owner_may_by_now() {
    let (omni, _) = omni().await;
    let operator = operator(&omni).await;
    operator.add_user("bot@x.org", None, "admin").await.unwrap();
    let issued = operator.create_key(key_of("bot@x.org", &[Scope::Ask, Scope::Admin, Scope::ActAs])).await.unwrap();
    let as_boss = || Credential::ApiKey { key: issued.secret.clone(), act_as: Some("boss@x.org".into()) };
    assert!(omni.grant(as_boss()).await.unwrap().role.is_admin);
    operator.add_user("bot@x.org", None, "read_only").await.unwrap();
    let role = omni.grant(as_boss()).await.unwrap().role.clone();
    assert!(!role.is_admin && role.permissions.is_empty(), "{role:?}");
}

#[tokio::test]
async fn who_has_more_rights_is_changed_by_nobody_with_fewer() {
    let (omni, _) = omni().await;
    let operator = operator(&omni).await;
    operator.add_user("chief@x.org", None, "super_admin").await.unwrap();
    operator.add_user("clerk@x.org", None, "clerk").await.unwrap();
    operator.add_user("porter@x.org", None, "porter").await.unwrap();
    let clerk = admin(&omni, "clerk@x.org").await;
    assert_eq!(clerk.add_user("chief@x.org", None, "dba").await.unwrap_err().kind(), ErrorKind::Denied);
    operator.disable_user("chief@x.org", None).await.unwrap();
    assert_eq!(clerk.enable_user("chief@x.org").await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(clerk.add_user("chief@x.org", None, "dba").await.unwrap_err().kind(), ErrorKind::Denied);
    let porter = admin(&omni, "porter@x.org").await;
    let refused = porter.add_user("new@x.org", None, "dba").await.unwrap_err();
    assert!(refused.to_string().contains("can_promote_users"), "{refused}");
}

#[tokio::test]
async fn a_policy_that_a_file_may_not_have_is_not_imported() {
    const UNSET: &str = "users: [{ email: a@x.org, role: dba, allowed_mcps: { db: { deny: ['${NOT_SET}'] } } }]";
    let (omni, _) = omni().await;
    let operator = operator(&omni).await;
    operator.add_user("new@x.org", None, "dba").await.unwrap();
    assert_eq!(operator.import_policy(&config("", UNSET), Blocks::Stay).await.unwrap_err().kind(), ErrorKind::Config);
    assert!(omni.grant(Principal::email("new@x.org")).await.is_ok(), "nothing was replaced");
}

#[tokio::test]
async fn old_records_are_pruned_by_whom_the_permission_says_and_that_is_recorded() {
    let sink = MemorySink::default();
    let users = "users: [{ email: admin@x.org, role: admin }, { email: clerk@x.org, role: clerk }]\n\
                 roles: { clerk: { permissions: { can_manage_users: true } } }";
    let policy = YamlPolicy::from_config(&config("", users)).unwrap();
    let omni = Omni::builder().policy(policy).audit_backend(AuditBackend::new(sink.clone())).build().await.unwrap();
    let (keys, before) = (SealKey::generate(), chrono::Utc::now());
    let refused = admin(&omni, "clerk@x.org").await.prune(&keys, before).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.to_string().contains("can_delete_data"), "{refused}");
    admin(&omni, "admin@x.org").await.prune(&keys, before).await.unwrap();
    let records = records(&omni, &sink).await;
    let pruned = records.last().unwrap().details["records"].as_u64();
    assert!(pruned.is_some(), "it says how much went: {records:?}");
    let said: Vec<_> = records.into_iter().map(|it| (it.action, it.outcome)).collect();
    assert_eq!(said, [("ledger.prune".into(), Outcome::Denied), ("ledger.prune".into(), Outcome::Success)]);
}

#[tokio::test]
async fn the_key_of_somebody_with_more_rights_is_taken_back_by_nobody_with_fewer() {
    let (omni, _) = omni().await;
    let operator = operator(&omni).await;
    operator.add_user("porter@x.org", None, "porter").await.unwrap();
    let issued = operator.create_key(key_of("boss@x.org", &[Scope::Ask])).await.unwrap();
    let own = operator.create_key(key_of("porter@x.org", &[Scope::Ask])).await.unwrap();
    let porter = admin(&omni, "porter@x.org").await;
    assert_eq!(porter.revoke_key(issued.key.id).await.unwrap_err().kind(), ErrorKind::Denied);
    assert!(omni.grant(Credential::api_key(issued.secret.clone())).await.is_ok(), "it still opens");
    porter.revoke_key(own.key.id).await.unwrap();
    operator.disable_user("porter@x.org", None).await.unwrap();
    admin(&omni, "boss@x.org").await.revoke_key(issued.key.id).await.unwrap();
    assert!(omni.grant(Credential::api_key(issued.secret)).await.is_err());
}

#[tokio::test]
async fn the_list_has_whom_the_file_names_before_they_ask() {
    let (omni, _) = omni().await;
    let operator = operator(&omni).await;
    operator.add_user("new@x.org", None, "dba").await.unwrap();
    let listed = operator.users().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|user| (&*user.email, user.role.as_deref(), &*user.source)).collect();
    let expected = [
        ("admin@x.org", Some("admin"), "users.yaml:3"),
        ("boss@x.org", Some("super_admin"), "users.yaml:1"),
        ("dba@x.org", Some("dba"), "users.yaml:4"),
        ("new@x.org", Some("dba"), "assigned"),
    ];
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_exported_as_if_it_were_not_there() {
    let tables = Tables::at("sqlite::memory:");
    let policy = YamlPolicy::from_config(&config("", USERS)).unwrap().with_tables(tables.clone());
    let authenticator = Authenticator::new().with_local_act_as();
    let builder = Omni::builder().policy(policy).people(tables.clone()).authenticator(authenticator);
    let omni = builder.build().await.unwrap();
    let operator = operator(&omni).await;
    operator.import_policy(&config("", USERS), Blocks::Stay).await.unwrap();
    let db = tables.db().await.unwrap();
    db.execute("UPDATE roles SET settings = '[]' WHERE name = 'clerk'", &[]).await.unwrap();
    let refused = operator.export_policy().await.unwrap_err();
    assert!(refused.to_string().contains("these rows cannot be read: the role clerk"), "{refused}");
}

#[tokio::test]
async fn an_import_makes_no_administrators_of_whoever_comes_and_tells_whom_it_changed() {
    let (omni, sink) = omni().await;
    let operator = operator(&omni).await;
    operator.add_user("new@x.org", None, "dba").await.unwrap();
    operator.disable_user("bad@x.org", None).await.unwrap();
    operator.import_policy(&config("", USERS), Blocks::Stay).await.unwrap();
    let details = records(&omni, &sink).await.pop().unwrap().details;
    let expected = json!({
        "people": 3,
        "no_longer_named": { "count": 1, "people": ["new@x.org"] },
        "still_blocked": { "count": 1, "people": ["bad@x.org"] },
        "let_in": { "count": 0, "people": [] },
    });
    assert_eq!(details, expected);
    // A directory whose people do not count may hold what a file that counts may not say.
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::write(dir.path().join("settings.yaml"), "policy: { store: sql }").unwrap();
    std::fs::write(dir.path().join("users.yaml"), "auto_provisioning: { enabled: true, default_role: admin }").unwrap();
    let options = crate::config::LoadOptions::default().with_dir(dir.path());
    let open = crate::Config::load(options).unwrap();
    let refused = operator.import_policy(&open, Blocks::Go).await.unwrap_err();
    assert!(refused.to_string().contains("would be an administrator"), "{refused}");
    assert_eq!(omni.grant(Principal::email("bad@x.org")).await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn limits_are_looked_at_without_taking_any() {
    let (omni, _) = omni().await;
    let boss = admin(&omni, "boss@x.org").await;
    let used = async || {
        let standings = boss.standings_of("dba@x.org").await.unwrap();
        standings.iter().map(|standing| (standing.state.used, standing.state.max)).collect::<Vec<_>>()
    };
    assert_eq!(used().await, [(0, 200)]);
    let _ = omni.ask(Ask::new(Principal::email("dba@x.org"), "hello")).await;
    assert_eq!((used().await, used().await), (vec![(1, 200)], vec![(1, 200)]));
    let own = omni.standings(Principal::email("dba@x.org")).await.unwrap();
    assert_eq!(own.iter().map(|standing| standing.state.used).collect::<Vec<_>>(), [1], "one's own are the same");
    assert_eq!(omni.standings(Principal::email("nobody@x.org")).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(boss.standings_of("nobody@x.org").await.unwrap_err().kind(), ErrorKind::Denied);
    let dba = admin(&omni, "dba@x.org").await;
    assert_eq!(dba.standings_of("dba@x.org").await.unwrap_err().kind(), ErrorKind::Denied);
    assert!(boss.may(Permission::CanManageUsers) && !dba.may(Permission::CanManageUsers));
    assert_eq!((boss.role_name(), dba.role_name()), (Some("super_admin"), Some("dba")));
}

#[tokio::test]
async fn an_operation_whose_administrator_went_away_is_in_the_log_all_the_same() {
    let (omni, sink) = omni().await;
    let boss = admin(&omni, "boss@x.org").await;
    let said = record("user.add", "new@x.org", Value::Null);
    let endless = std::future::pending::<Result<(), Error>>();
    assert!(boss.run(Permission::CanManageUsers, said, endless).now_or_never().is_none());
    boss.add_user("new@x.org", None, "dba").await.unwrap();
    let outcomes: Vec<_> = records(&omni, &sink).await.into_iter().map(|it| (it.target, it.outcome)).collect();
    let expected = [Outcome::UnknownOutcome, Outcome::Success].map(|outcome| ("new@x.org".into(), outcome));
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn the_record_of_a_role_says_whether_it_let_somebody_in_who_was_kept_out() {
    let (omni, sink) = omni().await;
    let operator = operator(&omni).await;
    operator.disable_user("new@x.org", None).await.unwrap();
    assert!(operator.add_user("new@x.org", None, "dba").await.unwrap());
    assert!(!operator.add_user("new@x.org", None, "read_only").await.unwrap());
    operator.disable_user("two@x.org", None).await.unwrap();
    operator.approve_user("two@x.org", Some("dba")).await.unwrap();
    let given = records(&omni, &sink).await.into_iter().filter(|it| it.action != "user.disable");
    let expected = [
        json!({ "role": "dba", "unblocked": true }),
        json!({ "role": "read_only" }),
        json!({ "role": "dba", "unblocked": true }),
    ];
    assert_eq!(given.map(|it| it.details).collect::<Vec<_>>(), expected);
}
