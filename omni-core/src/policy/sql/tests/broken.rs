//! Rows that are not what they should be.

use super::*;

const MCPS: &str = "mcps: [{ name: one, url: 'http://h' }]";
const USERS: &str = "\
super_admins: [{ email: boss@x.org }]
users:
- { email: ann@x.org, role: dba }
- { email: bob@x.org, role: analyst, allowed_mcps: { one: { mode: inherit } } }
roles:
  dba: { denied_tools: [wipe] }
  qa: { denied_tools: [wipe] }
default_user: { role: contractor, allowed_mcps: [one] }
auto_provisioning: { enabled: true, email_domain_mapping: { new.org: { default_role: dba } } }
";

/// Puts the people into the database, changes something by hand, and lets the policy see it.
async fn change(tables: &Tables, policy: &SqlPolicy, change: &str) {
    let users = config(MCPS, USERS).files.users.clone().unwrap();
    tables.replace(&users, "boss@x.org", Blocks::Stay).await.unwrap();
    let db = tables.db().await.unwrap();
    db.execute(change, &[]).await.unwrap();
    db.execute("UPDATE policy_version SET version = version + 1", &[]).await.unwrap();
    policy.refresh().await.unwrap();
}

fn policy_of(tables: &Tables) -> SqlPolicy {
    SqlPolicy::new(&config(MCPS, ""), tables.clone()).unwrap()
}

/// Who of some may use `one.wipe`; `None` where they may not use omni at all.
async fn wipes(policy: &SqlPolicy, principal: &Principal) -> Option<bool> {
    match policy.resolve(principal).await {
        Ok(grant) => Some(grant.decide("one", "wipe", None).is_allowed()),
        Err(PolicyError::Blocked { .. }) => None,
        Err(other) => panic!("{principal}: {other}"),
    }
}

#[tokio::test]
async fn a_role_whose_row_cannot_be_read_opens_nothing_though_omni_knows_its_name() {
    let under_dba = || {
        let mut boss = Principal::email("boss@x.org");
        boss.ceiling_role = Some("dba".into());
        boss
    };
    let [ann, bob, new] = ["ann@x.org", "bob@x.org", "n@new.org"].map(Principal::email);
    for tables in databases().await {
        let policy = policy_of(&tables);
        change(&tables, &policy, "UPDATE roles SET settings = settings").await;
        for person in [&ann, &new, &under_dba()] {
            assert_eq!(wipes(&policy, person).await, Some(false), "{person}");
        }
        for (column, broken) in [
            ("settings", r#"{"denied_tools": "wipe"}"#),
            ("settings", "[]"),
            ("settings", "7"),
            ("settings", "null"),
            ("permissions", "[true]"),
            ("permissions", r#"{"can_manage_users": "perhaps"}"#),
            ("rate_limit", r#""fast""#),
        ] {
            change(&tables, &policy, &format!("UPDATE roles SET {column} = '{broken}' WHERE name = 'dba'")).await;
            for person in [&ann, &new, &under_dba()] {
                assert_eq!(wipes(&policy, person).await, None, "{person}: {column} {broken}");
            }
            assert_eq!(wipes(&policy, &bob).await, Some(true), "{column} {broken}");
            assert!(policy.role("dba").is_none(), "it is given to nobody: {column} {broken}");
        }
    }
}

#[tokio::test]
async fn an_odd_row_of_one_person_keeps_nobody_else_out() {
    for tables in databases().await {
        let policy = policy_of(&tables);
        let of_ann = "WHERE user_id = (SELECT id FROM users WHERE email = 'ann@x.org')";
        for broken in ["[]", "7", "[1, 2]", r#""text""#] {
            change(&tables, &policy, &format!("UPDATE user_access SET settings = '{broken}' {of_ann}")).await;
            assert_eq!(wipes(&policy, &Principal::email("ann@x.org")).await, None, "{broken}");
            assert_eq!(wipes(&policy, &Principal::email("bob@x.org")).await, Some(true), "{broken}");
        }
        for broken in ["[]", "7", r#"{"denied_resources": "*"}"#] {
            change(&tables, &policy, &format!("UPDATE user_mcp_permissions SET beside = '{broken}'")).await;
            assert_eq!(wipes(&policy, &Principal::email("bob@x.org")).await, None, "{broken}");
            assert_eq!(wipes(&policy, &Principal::email("ann@x.org")).await, Some(false), "{broken}");
        }
    }
    let tables = Tables::at("sqlite::memory:");
    let policy = policy_of(&tables);
    change(&tables, &policy, "UPDATE user_mcp_permissions SET denied_tools = 'no list'").await;
    assert_eq!(wipes(&policy, &Principal::email("bob@x.org")).await, None);
    assert_eq!(wipes(&policy, &Principal::email("ann@x.org")).await, Some(false));
}

#[tokio::test]
async fn a_pattern_that_cannot_be_used_keeps_out_whom_it_is_for_and_nobody_else() {
    let long = "x".repeat(2_000);
    for tables in databases().await {
        let policy = policy_of(&tables);
        let role = format!(r#"UPDATE roles SET settings = '{{"denied_tools": ["{long}"]}}' WHERE name = 'qa'"#);
        change(&tables, &policy, &role).await;
        assert_eq!(wipes(&policy, &Principal::email("ann@x.org")).await, Some(false));
        let mut under = Principal::email("boss@x.org");
        under.ceiling_role = Some("qa".into());
        assert_eq!(wipes(&policy, &under).await, None);
        let anybody = format!(r#"{{"allowed_mcps": {{"one": {{"mode": "custom", "tools": ["{long}"]}}}}}}"#);
        change(&tables, &policy, &format!("UPDATE user_settings SET default_user = '{anybody}'")).await;
        assert_eq!(wipes(&policy, &Principal::email("ann@x.org")).await, Some(false));
        assert_eq!(wipes(&policy, &Principal::email("stranger@y.org")).await, None);
    }
}

#[tokio::test]
async fn settings_that_cannot_be_read_let_nobody_in() {
    for tables in databases().await {
        let policy = policy_of(&tables);
        for (column, broken) in
            [("auto_provisioning", "[]"), ("auto_provisioning", "{\"enabled\": 7}"), ("default_user", "[]")]
        {
            change(&tables, &policy, &format!("UPDATE user_settings SET {column} = '{broken}'")).await;
            for stranger in ["n@new.org", "s@y.org"] {
                let refused = policy.resolve(&Principal::email(stranger)).await;
                assert!(matches!(refused, Err(PolicyError::UnknownSubject { .. })), "{stranger} {column} {refused:?}");
            }
            assert_eq!(wipes(&policy, &Principal::email("bob@x.org")).await, Some(true));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_panics_or_hangs_has_failed_and_the_next_one_may_go_well() {
    assert_eq!(super::super::ended(async { Ok(()) }).await, Ok(()));
    let panicked = super::super::ended::<()>(async { panic!("an odd row") }).await;
    assert_eq!(panicked.unwrap_err(), "reading it panicked");
    let hung = super::super::ended::<()>(std::future::pending()).await;
    assert_eq!(hung.unwrap_err(), "the database did not answer in time");
}
