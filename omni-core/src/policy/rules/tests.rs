use proptest::prelude::*;
use serde_json::json;

use super::{ArgumentPlan, PatternSets, Plan, RuleSet, ServerPlan};
use crate::policy::{Effect, Rule};

#[test]
fn a_server_is_closed_when_none_of_its_tools_can_be_allowed() {
    let rules = |allow: &str, deny: &str| RuleSet::builder().allow("s", allow).deny("s", deny).build().unwrap();
    assert!(!rules("get_*", "get_secret").is_closed("s") && !RuleSet::allow_all().is_closed("s"));
    assert!(rules("get_*", "get_secret").is_closed("other") && RuleSet::deny_all().is_closed("s"));
    assert!(rules("get_*", "*").is_closed("s"));
    assert!(RuleSet::allow_all().under(RuleSet::deny_all()).is_closed("s"));
}

#[test]
fn allow_all_allows_and_deny_all_denies_and_both_name_their_rule() {
    let allowed = RuleSet::allow_all().decide("any", "tool", None);
    assert_eq!((allowed.effect, allowed.rule.text.as_str()), (Effect::Allow, "everything is allowed"));
    let denied = RuleSet::deny_all().decide("any", "tool", None);
    assert_eq!((denied.effect, denied.rule.text.as_str()), (Effect::Deny, "nothing is allowed"));
    assert_ne!(RuleSet::allow_all().fingerprint(), RuleSet::deny_all().fingerprint());
}

#[test]
fn a_deny_wins_over_an_allow_and_is_named() {
    let rules = RuleSet::builder().allow("db", "*").deny("*", "drop_*").build().unwrap();
    let decision = rules.decide("db", "drop_table", None);
    assert_eq!((decision.effect, decision.rule.text.as_str()), (Effect::Deny, "*.deny: drop_*"));
    assert!(rules.decide("db", "get_health", None).is_allowed());
}

#[test]
fn what_nothing_allows_is_denied() {
    let rules = RuleSet::builder().allow("db", "get_*").build().unwrap();
    assert!(!rules.decide("db", "list", None).is_allowed());
    assert!(!rules.decide("other", "get_x", None).is_allowed());
    assert!(!RuleSet::builder().build().unwrap().decide("db", "get_x", None).is_allowed());
}

#[test]
fn confirm_marks_an_allowed_tool_and_allows_nothing() {
    let rules = RuleSet::builder().allow("db", "kill_*").confirm("db", "*").build().unwrap();
    let kill = rules.decide("db", "kill_session", None);
    assert!(kill.is_allowed() && kill.confirm);
    let other = rules.decide("db", "get_x", None);
    assert!(!other.is_allowed() && !other.confirm);
}

#[test]
fn equal_rules_have_equal_fingerprints_whatever_their_order() {
    let one = RuleSet::builder().allow("a", "x").allow("a", "y").deny("b", "z").build().unwrap();
    let same = RuleSet::builder().deny("b", "z").allow("a", "y").allow("a", "x").build().unwrap();
    let other = RuleSet::builder().allow("a", "x").deny("a", "y").deny("b", "z").build().unwrap();
    assert_eq!(one.fingerprint(), same.fingerprint());
    assert_ne!(one.fingerprint(), other.fingerprint());
}

#[test]
fn under_a_ceiling_only_what_both_allow_is_allowed() {
    let own = RuleSet::builder().allow("db", "get_*").allow("db", "drop_*").build().unwrap();
    let ceiling =
        RuleSet::builder().allow("db", "get_*").confirm("db", "get_secret").allow("db", "list").build().unwrap();
    let both = own.under(ceiling.clone());
    assert!(both.decide("db", "get_x", None).is_allowed());
    assert!(both.decide("db", "get_secret", None).confirm);
    assert!(!both.decide("db", "drop_x", None).is_allowed());
    assert!(!both.decide("db", "list", None).is_allowed());
    assert!(both.fingerprint() != own.fingerprint() && both.fingerprint() != ceiling.fingerprint());
}

#[test]
fn an_argument_rule_decides_calls_and_leaves_listing_alone() {
    let mut server = ServerPlan::open(Rule::new("open", None));
    server.arguments = vec![ArgumentPlan {
        tools: None,
        required: false,
        names: vec!["database".into(), "db".into()],
        values: vec!["way4_*".into(), "7".into()],
        rule: Rule::new("databases", None).into(),
    }];
    let plan = Plan { servers: [("db".into(), server)].into(), ..Plan::default() };
    let rules = RuleSet::compile(plan, &mut PatternSets::default()).unwrap();
    let decide = |arguments| rules.decide("db", "t", Some(&arguments)).is_allowed();
    assert!(rules.decide("db", "t", None).is_allowed());
    assert!(decide(json!({ "database": "way4_docker7", "other": "prod" })));
    assert!(decide(json!({ "query": "select 1" })));
    assert!(decide(json!({ "database": null })));
    assert!(decide(json!({ "db": ["way4_a", 7] })));
    assert!(!decide(json!({ "db": ["way4_a", "prod"] })));
    assert!(!decide(json!({ "database": "prod" })));
    assert!(!decide(json!({ "database": "way4_a", "db": "prod" })));
    assert!(!decide(json!({ "database": { "name": "way4_a" } })));
    // What names no database may well mean all of them.
    for nothing in [json!([]), json!([[]]), json!([null]), json!(["way4_a", []])] {
        assert!(!decide(json!({ "database": nothing.clone() })), "{nothing}");
    }
}

#[test]
fn an_argument_rule_speaks_of_its_tools_only_and_may_require_the_argument() {
    let mut server = ServerPlan::open(Rule::new("open", None));
    server.arguments = vec![ArgumentPlan {
        tools: Some("query*".into()),
        required: true,
        names: vec!["mode".into()],
        values: vec!["read".into()],
        rule: Rule::new("mode", None).into(),
    }];
    let plan = Plan { servers: [("db".into(), server)].into(), ..Plan::default() };
    let rules = RuleSet::compile(plan, &mut PatternSets::default()).unwrap();
    let decide = |tool: &str, arguments| rules.decide("db", tool, Some(&arguments)).is_allowed();
    assert!(decide("query_rows", json!({ "mode": "read" })));
    assert!(!decide("query_rows", json!({ "mode": "write" })));
    assert!(!decide("query_rows", json!({})) && !decide("query_rows", json!({ "mode": null })));
    assert!(!decide("query_rows", json!({ "mode": [] })));
    assert!(!decide("query_rows", json!({ "mode": [null] })) && !decide("query_rows", json!("read")));
    assert!(decide("explain", json!({ "mode": "write" })));
}

/// Rules for one argument of every tool of `db`.
fn about_one_argument(required: bool) -> std::sync::Arc<RuleSet> {
    let mut server = ServerPlan::open(Rule::new("open", None));
    server.arguments = vec![ArgumentPlan {
        tools: None,
        required,
        names: vec!["db_sink".into()],
        values: vec!["way4_*".into()],
        rule: Rule::new("databases", None).into(),
    }];
    let plan = Plan { servers: [("db".into(), server)].into(), ..Plan::default() };
    RuleSet::compile(plan, &mut PatternSets::default()).unwrap()
}

#[test]
fn a_null_under_another_spelling_takes_nothing_away_that_is_required() {
    let decide = |required, arguments| about_one_argument(required).decide("db", "t", Some(&arguments)).is_allowed();
    let taken = json!({ "db_sink": "way4_a", "DB_SINK": null });
    assert!(decide(false, taken.clone()) && !decide(true, taken));
    // Letters that are ASCII's in another case, and to Go's JSON the same.
    for odd in ["db_\u{17f}ink", "DB_SIN\u{212a}"] {
        let arguments = |value: &str| serde_json::Value::from_iter([(odd, value)]);
        assert!(decide(false, arguments("way4_a")) && !decide(false, arguments("prod")), "{odd}");
    }
    assert!(decide(false, json!({ "db_sinks": "prod", "db-sink": "prod" })));
}

fn glob() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["*", "get_*", "drop_*", "get_a", "*_a", "drop_a", "[gd]*", "?et_b"])
        .prop_map(String::from)
}

fn clauses() -> impl Strategy<Value = Vec<(String, String)>> {
    let server = prop::sample::select(vec!["*", "one", "two"]).prop_map(String::from);
    prop::collection::vec((server, glob()), 0..4)
}

proptest! {
    /// Servers that read names in any case are no way around a rule, and those that do not are none either.
    #[test]
    fn an_argument_is_judged_in_every_case_of_its_name(
        upper in prop::collection::vec(any::<bool>(), "db_sink".len()),
        is_fine in any::<bool>(),
        is_beside in any::<bool>(),
    ) {
        let letters = "db_sink".chars().zip(upper);
        let spelled: String =
            letters.map(|(letter, upper)| if upper { letter.to_ascii_uppercase() } else { letter }).collect();
        let is_own = spelled == "db_sink";
        let value = if is_fine { "way4_a" } else { "prod" };
        let beside = is_beside.then(|| ("db_sink".to_owned(), "way4_b"));
        let arguments = serde_json::Value::from_iter(beside.into_iter().chain([(spelled, value)]));
        let decide = |required| about_one_argument(required).decide("db", "t", Some(&arguments)).is_allowed();
        prop_assert_eq!(decide(false), is_fine);
        prop_assert_eq!(decide(true), is_fine && (is_own || is_beside));
    }

    #[test]
    fn an_explicit_deny_wins_over_any_mixture_of_rules(allow in clauses(), deny in clauses(), confirm in clauses()) {
        let mut builder = RuleSet::builder();
        for (server, tools) in &allow { builder = builder.allow(server, tools); }
        for (server, tools) in &deny { builder = builder.deny(server, tools); }
        for (server, tools) in &confirm { builder = builder.confirm(server, tools); }
        let rules = builder.build().unwrap();
        let hit = |clauses: &[(String, String)], server: &str, tool: &str| clauses.iter().any(|(on, glob)| {
            (on == "*" || on == server) && crate::policy::Pattern::new(glob).unwrap().is_match(tool)
        });
        for server in ["one", "two", "three"] {
            for tool in ["get_a", "get_b", "drop_a", "drop_b", "list"] {
                let decision = rules.decide(server, tool, None);
                let expected = hit(&allow, server, tool) && !hit(&deny, server, tool);
                prop_assert_eq!(decision.is_allowed(), expected, "{} {}", server, tool);
                prop_assert_eq!(decision.confirm, expected && hit(&confirm, server, tool));
            }
        }
    }
}
