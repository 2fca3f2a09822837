use std::sync::Arc;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::{
    Principal,
    catalog::{Catalog, ServerView, ToolDef},
    policy::{Grant, PolicyStore as _, Role, RuleSet, yaml::YamlPolicy},
    testing::{confirmation, run_store_contract},
};

#[tokio::test]
async fn runs_in_memory_keep_the_contract() {
    run_store_contract(&memory::MemoryRuns::new()).await;
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test(flavor = "multi_thread")]
async fn runs_in_a_database_keep_the_contract() {
    use super::sql::SqlRuns;
    use crate::{people::Tables, testing::shared_run_store_contract};

    run_store_contract(&SqlRuns::new(Tables::at("sqlite::memory:"))).await;
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("omni.db").display().to_string();
    #[allow(unused_mut, reason = "with PostgreSQL there are two")]
    let mut urls = vec![file];
    #[cfg(feature = "postgres")]
    urls.extend(crate::testing::postgres_schema().await);
    for url in urls {
        let [one, other] = [(); 2].map(|()| SqlRuns::new(Tables::at(&*url)));
        run_store_contract(&one).await;
        shared_run_store_contract(&one, &other).await;
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn whoever_only_looks_makes_no_database() {
    use super::sql::SqlRuns;
    use crate::people::Tables;

    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("omni.db");
    let store = SqlRuns::new(Tables::at(file.display().to_string()));
    let id = Uuid::now_v7();
    assert!(store.confirmation(id).await.unwrap().is_none() && store.of_run(id).await.unwrap().is_empty());
    assert!(store.pending(Whose::all("default"), 10).await.unwrap().is_empty());
    assert!(store.body(id).await.unwrap().is_none() && store.result(id).await.unwrap().is_none());
    assert!(store.lapse().await.unwrap().is_empty());
    assert!(!file.exists());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn whoever_goes_on_by_a_database_may_have_time_without_an_end() {
    use super::sql::SqlRuns;
    use crate::people::Tables;

    let tables = Tables::at("sqlite::memory:");
    tables.db().await.unwrap();
    let (store, run) = (SqlRuns::new(tables), Uuid::now_v7());
    assert!(!store.claim(run, std::time::Duration::MAX).await.unwrap());
    assert!(!store.renew(run, std::time::Duration::MAX).await.unwrap());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn what_ended_long_ago_is_forgotten_a_part_at_a_time() {
    use super::sql::SqlRuns;
    use crate::people::Tables;

    const ENDED: &str =
        "INSERT INTO parked_runs (id, state, created_at, lapses_at, ended_at) VALUES (?, 'ended', ?, ?, ?)";
    let tables = Tables::at("sqlite::memory:");
    let (store, db) = (SqlRuns::new(tables.clone()), tables.db().await.unwrap());
    let end = async |run: usize, ago: std::time::Duration| {
        let ended = chrono::Utc::now() - ago;
        db.execute(ENDED, &[run.to_string().into(), ended.into(), ended.into(), ended.into()]).await.unwrap();
    };
    for run in 0..501 {
        end(run, KEPT * 2).await;
    }
    end(501, KEPT / 2).await;
    for left in [2, 1, 1] {
        assert!(store.lapse().await.unwrap().is_empty());
        assert_eq!(db.fetch_all("SELECT id FROM parked_runs", &[]).await.unwrap().len(), left);
    }
}

#[tokio::test]
async fn memory_that_is_full_takes_no_more_and_forgets_only_what_has_ended() {
    let store = memory::MemoryRuns::with_room(2, usize::MAX);
    let park = async |run: Uuid| {
        let waiting = [confirmation(run, "ada@x.org")];
        store.park(ParkedRun::new(run, "{}", &waiting, std::time::Duration::from_secs(60))).await
    };
    let [first, second, third] = [(); 3].map(|()| Uuid::now_v7());
    park(first).await.unwrap();
    park(second).await.unwrap();
    assert!(park(third).await.is_err());
    store.end(first, None).await.unwrap();
    park(third).await.unwrap();
    assert!(store.body(first).await.unwrap().is_none() && store.body(second).await.unwrap().is_some());
    let small = memory::MemoryRuns::with_room(10, 2_000);
    let waiting = [confirmation(first, "ada@x.org")];
    let body = "x".repeat(2_000);
    assert!(small.park(ParkedRun::new(first, &body, &waiting, std::time::Duration::from_secs(60))).await.is_err());
}

#[tokio::test]
async fn a_result_for_which_memory_has_no_room_is_not_kept() {
    let store = memory::MemoryRuns::with_room(10, 2_000);
    let [first, second] = [(); 2].map(|()| Uuid::now_v7());
    for run in [first, second] {
        let waiting = [confirmation(run, "ada@x.org")];
        store.park(ParkedRun::new(run, "{}", &waiting, std::time::Duration::from_secs(60))).await.unwrap();
    }
    store.end(first, Some(&"x".repeat(4_000))).await.unwrap();
    assert!(store.result(first).await.unwrap().is_none() && store.body(second).await.unwrap().is_some());
    assert!(!store.of_run(first).await.unwrap().is_empty(), "it has ended all the same");
    store.end(second, Some("{}")).await.unwrap();
    assert_eq!(store.result(second).await.unwrap().as_deref(), Some("{}"));
}

#[tokio::test]
async fn whoever_decides_or_goes_on_in_memory_may_have_time_without_an_end() {
    let (store, long, run) = (memory::MemoryRuns::new(), std::time::Duration::MAX, Uuid::now_v7());
    let waiting = [confirmation(run, "ada@x.org")];
    let id = waiting[0].id;
    store.park(ParkedRun::new(run, "{}", &waiting, long)).await.unwrap();
    let agreed = Change::new(id, State::Pending, State::Approved).by("eve@x.org");
    assert!(store.change(agreed).await.unwrap(), "it is in time");
    assert!(store.claim(run, long).await.unwrap() && store.renew(run, long).await.unwrap());
    assert!(store.lapse().await.unwrap().is_empty());
    assert!(store.change(Change::new(id, State::Approved, State::Running)).await.unwrap(), "its lease holds");
}

/// What is shown for debugging has no arguments in it.
#[test]
fn a_confirmation_does_not_show_its_arguments() {
    let mut one = confirmation(Uuid::now_v7(), "ada@x.org");
    one.arguments = RawValue::from_string(r#"{"password":"s3cret"}"#.into()).unwrap();
    assert!(!format!("{one:?}").contains("s3cret"));
}

/// What may differ between what was agreed to and what is about to be sent, as texts.
#[derive(Debug, Clone, PartialEq)]
struct Call([String; 8]);

impl Call {
    fn bound<'a>(&'a self, arguments: &'a RawValue) -> Bound<'a> {
        let [tenant, subject, actor, server, tool, _, tool_digest, rule_digest] = &self.0;
        let actor = Some(actor.as_str()).filter(|actor| !actor.is_empty());
        Bound { tenant, subject, actor, server, tool, arguments, tool_digest, rule_digest }
    }

    fn raw(&self) -> Option<Box<RawValue>> {
        RawValue::from_string(self.0[5].clone()).ok()
    }
}

/// One change of one text: a character more, less, another one, or a place further on.
fn mutated(text: &str, kind: u8, at: usize, with: char) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = if chars.is_empty() { 0 } else { at % (chars.len() + 1) };
    match kind % 4 {
        0 => chars.insert(at, with),
        1 if at < chars.len() => drop(chars.remove(at)),
        2 if at < chars.len() => chars[at] = with,
        _ if !chars.is_empty() => chars.rotate_left(1),
        _ => chars.push(with),
    }
    let other: String = chars.into_iter().collect();
    if other == text { other + "x" } else { other }
}

/// Other arguments: only spelt differently, with one more in front, or with one more behind.
fn other_arguments(text: &str, kind: u8, at: usize) -> String {
    match kind % 3 {
        0 => text.replacen('{', "{ ", 1),
        1 => text.replacen('{', &format!("{{\"z\":{at},"), 1),
        _ => format!("{},\"y\":{at}}}", text.trim_end_matches('}')),
    }
}

fn calls() -> impl Strategy<Value = Call> {
    let name = "[a-z]{1,6}";
    let arguments = r#"\{"[a-c]": ?("[a-zé0-9 ]{0,6}"|(0|[1-9][0-9]{0,2}))\}"#;
    let digest = "[0-9a-f]{8}";
    (name, "[a-z]{1,5}@x.org", "([a-z]{1,4})?", name, name, arguments, digest, digest)
        .prop_map(|(a, b, c, d, e, f, g, h)| Call([a, b, c, d, e, f, g, h]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn no_mutated_replay_of_an_agreement_is_accepted(
        call in calls(), field in 0_usize..8, kind in any::<u8>(), at in any::<usize>(), with in "[ -~é]",
        stored in any::<bool>(),
    ) {
        let arguments = call.raw().unwrap();
        let mut agreed = confirmation(Uuid::now_v7(), "");
        let bound = call.bound(&arguments);
        (agreed.tenant, agreed.subject) = (bound.tenant.into(), bound.subject.into());
        agreed.actor = bound.actor.map(str::to_owned);
        (agreed.server, agreed.tool) = (bound.server.into(), bound.tool.into());
        (agreed.tool_digest, agreed.rule_digest) = (bound.tool_digest.into(), bound.rule_digest.into());
        (agreed.arguments, agreed.digest) = (arguments.clone(), bound.digest());
        prop_assert_eq!(agreed.holds_for(&bound), Ok(()));

        let mut other = call.clone();
        other.0[field] = match field {
            5 => other_arguments(&call.0[5], kind, at),
            _ => mutated(&call.0[field], kind, at, with.chars().next().unwrap()),
        };
        prop_assert_ne!(&other, &call);
        let changed = other.raw().unwrap();
        let replay = other.bound(&changed);
        prop_assert!(agreed.holds_for(&replay).is_err(), "{:?} passed for {:?}", other, call);
        prop_assert_ne!(replay.digest(), bound.digest());
        if stored {
            // Whoever changes the row as well, and not the digest, gets no further.
            (agreed.tenant, agreed.subject) = (replay.tenant.into(), replay.subject.into());
            agreed.actor = replay.actor.map(str::to_owned);
            (agreed.server, agreed.tool) = (replay.server.into(), replay.tool.into());
            (agreed.tool_digest, agreed.rule_digest) = (replay.tool_digest.into(), replay.rule_digest.into());
            agreed.arguments = changed.clone();
            prop_assert_eq!(agreed.holds_for(&replay), Err(Broken::Record));
        }
    }
}

#[test]
fn a_step_leads_forward_and_only_one_way_leads_to_a_call() {
    let to_running: Vec<State> = State::ALL.into_iter().filter(|state| state.may_become(State::Running)).collect();
    assert_eq!(to_running, [State::Approved]);
    let to_approved: Vec<State> = State::ALL.into_iter().filter(|state| state.may_become(State::Approved)).collect();
    assert_eq!(to_approved, [State::Pending]);
    for state in State::ALL {
        assert_eq!(State::from_name(state.as_str()), Some(state));
        assert!(!state.may_become(State::Pending) && !state.may_become(state));
    }
}

fn grant(subject: &str, actor: Option<&str>, role: &str) -> Grant {
    let mut principal = Principal::email(subject);
    principal.actor = actor.map(str::to_owned);
    Grant::new(principal, Role::new(role), RuleSet::allow_all())
}

/// Whether somebody may see it where nothing is known of its tool.
fn sees(rules: &ApprovalRules, one: &Confirmation, grant: &Grant) -> bool {
    rules.may_see(one, grant, &Catalog::default())
}

#[test]
fn by_default_the_asker_agrees_and_nobody_else_sees_it() {
    let rules = ApprovalRules::default();
    let mut one = confirmation(Uuid::now_v7(), "ada@x.org");
    let (ada, eve) = (grant("ada@x.org", None, "dba"), grant("eve@x.org", None, "dba"));
    assert!(sees(&rules, &one, &ada) && rules.may_agree(&one, &ada).is_ok() && rules.may_agree_alone(&ada).is_ok());
    assert!(!sees(&rules, &one, &eve));
    one.tenant = "other".into();
    assert!(!sees(&rules, &one, &ada));
}

#[tokio::test]
async fn a_credential_of_the_askers_sees_what_it_may_call_itself_with_these_arguments() {
    let dir = tempfile::TempDir::new().unwrap();
    let users = "users: [{ email: ada@x.org, role: dba }]\nroles:\n  \
        careful: { permissions: { can_execute_dangerous_tools: false } }\n  \
        small: { argument_rules: [{ tool: wipe, argument: table, allowed: 'test_*' }] }";
    for (name, text) in [("mcps.yaml", "mcps: [{ name: lab, url: http://h }]"), ("users.yaml", users)] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let policy = YamlPolicy::load(dir.path()).await.unwrap();
    let (full, careful, small) = (None, Some("careful"), Some("small"));
    let def = Arc::new(ToolDef::new("lab", "wipe", RawValue::from_string("{}".into()).unwrap()));
    let mut view = ServerView::new("lab", "http");
    view.tools.push(def.clone());
    let (known, unknown) = (Catalog::new(1, vec![view]), Catalog::default());
    for (ceiling, digest, catalog, arguments, may) in [
        (full, def.digest(), &known, r#"{"table":"users"}"#, true),
        (full, def.digest(), &unknown, r#"{"table":"users"}"#, true),
        (full, def.digest(), &known, r#"{"table":"users","table":"test_a"}"#, false),
        (careful, def.digest(), &known, r#"{"table":"users"}"#, true),
        // What is not known to be harmless may not be.
        (careful, def.digest(), &unknown, r#"{"table":"users"}"#, false),
        (careful, "another", &known, r#"{"table":"users"}"#, false),
        (small, def.digest(), &known, r#"{"table":"test_a"}"#, true),
        (small, def.digest(), &known, r#"{"table":"users"}"#, false),
    ] {
        let (mut ada, mut one) = (Principal::email("ada@x.org"), confirmation(Uuid::now_v7(), "ada@x.org"));
        ada.ceiling_role = ceiling.map(str::to_owned);
        (one.tool_digest, one.arguments) = (digest.into(), RawValue::from_string(arguments.into()).unwrap());
        let ada = policy.resolve(&ada).await.unwrap();
        assert_eq!(ApprovalRules::default().may_see(&one, &ada, catalog), may, "{ceiling:?} {digest} {arguments}");
    }
}

#[test]
fn where_roles_agree_an_asker_without_one_does_not() {
    let rules = ApprovalRules { approvers: vec!["dba".into()], ..ApprovalRules::default() };
    let one = confirmation(Uuid::now_v7(), "ada@x.org");
    let (ada, eve) = (grant("ada@x.org", None, "reader"), grant("eve@x.org", None, "dba"));
    assert!(sees(&rules, &one, &ada) && rules.may_agree(&one, &ada).is_err() && rules.may_agree_alone(&ada).is_err());
    assert!(sees(&rules, &one, &eve) && rules.may_agree(&one, &eve).is_ok());
    let own = grant("ada@x.org", None, "dba");
    assert!(rules.may_agree(&one, &own).is_ok() && rules.may_agree_alone(&own).is_ok());
}

#[test]
fn a_credential_that_is_worth_less_than_an_approver_agrees_to_nothing_of_others() {
    let rules = |approvers: &[&str]| ApprovalRules {
        approvers: approvers.iter().map(|role| (*role).to_owned()).collect(),
        ..ApprovalRules::default()
    };
    let one = confirmation(Uuid::now_v7(), "ada@x.org");
    let under = |own: &str, ceiling: Role| {
        let mut eve = grant("eve@x.org", None, own);
        eve.role.lower(&ceiling);
        eve
    };
    for (ceiling, may) in [(Role::new("contractor"), false), (Role::new("dba"), true), (Role::super_admin(), true)] {
        let (rules, eve) = (rules(&["dba"]), under("dba", ceiling));
        assert_eq!((sees(&rules, &one, &eve), rules.may_agree(&one, &eve).is_ok()), (may, may), "{:?}", eve.role);
    }
    let mut twice = under("dba", Role::new("dba"));
    twice.role.lower(&under("dba", Role::new("contractor")).role);
    assert!(!sees(&rules(&["dba"]), &one, &twice), "a limit has limits of its own");
}

#[test]
fn whoever_is_more_than_an_approver_is_one_by_the_name_of_their_rights() {
    let is_one = |approvers: &[&str], role: &Role| {
        role.is_one_of(&approvers.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>())
    };
    let mut called_dba = Role::super_admin();
    called_dba.name = "dba".into();
    let mut admin = Role::new("admin");
    admin.is_admin = true;
    for (approvers, role, is) in [
        (["admin"], &Role::super_admin(), true),
        (["super_admin"], &called_dba, true),
        (["dba"], &called_dba, true),
        (["super_admin"], &admin, false),
        (["admin"], &admin, true),
        (["dba"], &admin, false),
        (["admin"], &Role::new("dba"), false),
    ] {
        assert_eq!(is_one(&approvers, role), is, "{approvers:?} {role:?}");
    }
    let mut lowered = Role::super_admin();
    lowered.lower(&Role::new("reader"));
    assert!(!is_one(&["admin"], &lowered) && !is_one(&["super_admin"], &lowered));
}

#[test]
fn what_was_agreed_to_is_held_to_the_rules_of_now() {
    let rules = |approvers: &[&str], four_eyes: bool| ApprovalRules {
        approvers: approvers.iter().map(|role| (*role).to_owned()).collect(),
        four_eyes,
        ..ApprovalRules::default()
    };
    let (reader, dba) = (grant("ada@x.org", None, "reader"), grant("ada@x.org", None, "dba"));
    let mut one = confirmation(Uuid::now_v7(), "ada@x.org");
    one.actor = Some("bot@x.org".into());
    for (by, now, asker, holds) in [
        ("ada@x.org", rules(&[], false), &reader, true),
        ("ada@x.org", rules(&["dba"], false), &reader, false),
        ("ada@x.org", rules(&["dba"], false), &dba, true),
        ("ada@x.org", rules(&["dba"], true), &dba, false),
        ("bot@x.org", rules(&["dba"], true), &dba, false),
        ("eve@x.org", rules(&["dba"], true), &reader, true),
        ("eve@x.org", rules(&[], false), &reader, false),
    ] {
        one.decided_by = Some(by.into());
        assert_eq!(now.still_agreed(&one, asker).is_ok(), holds, "{by} {now:?}");
    }
}

#[test]
fn four_eyes_are_those_of_two_people_whoever_acts_for_whom() {
    let rules = ApprovalRules { approvers: vec!["dba".into()], four_eyes: true, ..ApprovalRules::default() };
    let mut one = confirmation(Uuid::now_v7(), "ada@x.org");
    one.actor = Some("bot@x.org".into());
    for (subject, actor) in
        [("ada@x.org", None), ("bot@x.org", None), ("eve@x.org", Some("ada@x.org")), ("eve@x.org", Some("bot@x.org"))]
    {
        assert!(rules.may_agree(&one, &grant(subject, actor, "dba")).is_err(), "{subject} {actor:?}");
    }
    assert!(rules.may_agree(&one, &grant("eve@x.org", None, "dba")).is_ok());
    assert!(rules.may_agree(&one, &grant("eve@x.org", None, "reader")).is_err());
    assert!(rules.may_agree_alone(&grant("eve@x.org", None, "dba")).is_err());
}
