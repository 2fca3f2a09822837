use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn tool(server: &str, name: &str) -> Arc<ToolDef> {
    Arc::new(ToolDef::new(server, name, RawValue::from_string("{}".into()).unwrap()))
}

fn names(tools: &[(&str, &str)], max_len: usize) -> Vec<String> {
    let tools: Vec<_> = tools.iter().map(|(server, name)| tool(server, name)).collect();
    assign(&tools, NameRules::up_to(max_len)).iter().map(ToString::to_string).collect()
}

#[test]
fn plain_name_is_server_and_tool() {
    assert_eq!(names(&[("git-hub", "get_file"), ("time", "now")], 64), ["git-hub__get_file", "time__now"]);
}

#[test]
fn illegal_characters_are_replaced() {
    assert_eq!(names(&[("my server", "a.b/c ü")], 64), ["my_server__a_b_c__"]);
}

#[test]
fn long_name_is_cut_and_ends_in_a_hash_of_the_whole() {
    let (one, two) = ("x".repeat(80), "x".repeat(81));
    let got = names(&[("s", &one), ("s", &two)], 64);
    assert!(got.iter().all(|name| name.len() == 64 && name.starts_with("s__xxxx")), "{got:?}");
    assert_ne!(got[0], got[1]);
    assert_eq!(names(&[("s", &one)], 64)[0], got[0], "does not depend on the other tool");
}

#[test]
fn tools_that_would_share_a_name_all_get_a_hash() {
    for pair in [[("a__b", "c"), ("a", "b__c")], [("s", "a.b"), ("s", "a_b")], [("s", "a b"), ("s", "a/b")]] {
        let got = names(&pair, 64);
        assert_ne!(got[0], got[1]);
        assert!(got.iter().all(|name| name.len() == names(&pair[..1], 64)[0].len() + 9), "{got:?}");
        assert_eq!(names(&[pair[1], pair[0]], 64), [got[1].clone(), got[0].clone()]);
    }
}

#[test]
fn unrelated_tool_changes_no_name() {
    let before = names(&[("s", "a.b"), ("s", "a_b"), ("t", "x")], 64);
    let after = names(&[("r", "new"), ("s", "a.b"), ("s", "a_b"), ("t", "x")], 64);
    assert_eq!(before, after[1..]);
}

#[test]
fn tool_that_bears_the_hashed_name_of_another_stays_apart() {
    let hashed = names(&[("s", "a.b"), ("s", "a_b")], 64)[0].clone();
    let squatter = hashed.strip_prefix("s__").unwrap();
    let got = names(&[("s", "a.b"), ("s", "a_b"), ("s", squatter)], 64);
    assert_eq!(got.iter().collect::<HashSet<_>>().len(), 3, "{got:?}");
}

#[test]
fn tool_that_is_listed_twice_gets_two_names() {
    let got = names(&[("s", "a"), ("s", "a")], 64);
    assert_ne!(got[0], got[1]);
}

type Key = (String, String);

fn keys() -> impl Strategy<Value = Vec<Key>> {
    let part = || prop_oneof![3 => "[ab._]{0,3}", 1 => "[a-zé]{50,90}", 1 => "(a__b|b__c|a|c)"];
    prop::collection::btree_set((part(), part()), 0..12).prop_map(|keys| keys.into_iter().collect())
}

fn named(keys: &[Key], max_len: usize) -> BTreeMap<Key, String> {
    let tools: Vec<(&str, &str)> = keys.iter().map(|(server, name)| (server.as_str(), name.as_str())).collect();
    keys.iter().cloned().zip(names(&tools, max_len)).collect()
}

proptest! {
    #[test]
    fn names_are_legal_distinct_and_independent_of_order(
        (keys, shuffled) in keys().prop_flat_map(|keys| (Just(keys.clone()), Just(keys).prop_shuffle())),
        max_len in prop::sample::select(vec![16_usize, 40, 64, 128]),
    ) {
        let got = named(&keys, max_len);
        for name in got.values() {
            prop_assert!((1..=max_len).contains(&name.len()), "{name}");
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{name}");
        }
        prop_assert_eq!(got.values().collect::<HashSet<_>>().len(), keys.len());
        prop_assert_eq!(&named(&shuffled, max_len), &got);
    }

    #[test]
    fn unrelated_tools_change_no_name(keys in keys(), other in "[a-z]{1,9}") {
        let before = named(&keys, 64);
        let mut more = keys;
        more.push(("unrelated".into(), other));
        let after = named(&more, 64);
        for (key, name) in before {
            prop_assert_eq!(&after[&key], &name);
        }
    }
}

fn bare(tools: &[(&str, &str)]) -> Vec<String> {
    let tools: Vec<_> = tools.iter().map(|(server, name)| tool(server, name)).collect();
    assign(&tools, NameRules::default().with_prefix(Prefix::OnConflict)).iter().map(ToString::to_string).collect()
}

#[test]
fn on_conflict_only_names_that_two_tools_would_share_have_the_servers() {
    assert_eq!(bare(&[("a", "echo"), ("a", "sum"), ("b", "echo")]), ["a__echo", "sum", "b__echo"]);
    let got = bare(&[("a", "x.y"), ("b", "x_y"), ("c", "a__x_y")]);
    assert_eq!(got.iter().collect::<HashSet<_>>().len(), 3, "{got:?}");
}
