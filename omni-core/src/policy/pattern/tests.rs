use proptest::prelude::*;

use super::{Pattern, PatternSet};

#[test]
fn every_vector_of_pythons_fnmatch_decides_the_same() {
    let vectors: Vec<(String, String, bool)> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(vectors.len() >= 200);
    for (pattern, name, expected) in vectors {
        assert_eq!(Pattern::new(&pattern).unwrap().is_match(&name), expected, "{pattern:?} on {name:?}, alone");
        let set = PatternSet::new(&[&pattern]).unwrap();
        assert_eq!(set.is_match(&name), expected, "{pattern:?} on {name:?}, in a set");
        assert_eq!(set.first_match(&name).is_some(), expected, "{pattern:?} on {name:?}, by position");
    }
}

#[test]
fn the_first_of_several_matching_patterns_is_named() {
    let set = PatternSet::new(&["drop_*", "get_*", "*", "get_x"]).unwrap();
    assert_eq!(set.first_match("get_x"), Some(1));
    assert_eq!(set.first_match("list"), Some(2));
    assert_eq!(set.patterns(), ["drop_*", "get_*", "*", "get_x"]);
}

#[test]
fn an_empty_set_matches_nothing() {
    assert!(!PatternSet::default().is_match(""));
    assert_eq!(PatternSet::default().first_match("a"), None);
}

#[test]
fn an_overlong_pattern_is_an_error_that_does_not_repeat_it() {
    let error = Pattern::new(&"x".repeat(5_000)).unwrap_err();
    assert_eq!(error.pattern.len(), 40);
}

/// `fnmatch` in the plainest words there are, straight on the text of the pattern.
fn reference(pattern: &[char], name: &[char]) -> bool {
    let Some((&first, rest)) = pattern.split_first() else { return name.is_empty() };
    match first {
        '*' => (0..=name.len()).any(|skip| reference(rest, &name[skip..])),
        '?' => !name.is_empty() && reference(rest, &name[1..]),
        '[' => match reference_class(rest) {
            Some((inside, after)) => !name.is_empty() && in_class(inside, name[0]) && reference(after, &name[1..]),
            None => name.first() == Some(&'[') && reference(rest, &name[1..]),
        },
        c => name.first() == Some(&c) && reference(rest, &name[1..]),
    }
}

fn reference_class(rest: &[char]) -> Option<(&[char], &[char])> {
    let skip = usize::from(rest.first() == Some(&'!'));
    let skip = skip + usize::from(rest.get(skip) == Some(&']'));
    let end = skip + rest.get(skip..)?.iter().position(|&c| c == ']')?;
    Some((&rest[..end], &rest[end + 1..]))
}

fn in_class(inside: &[char], c: char) -> bool {
    if let Some(('!', inside)) = inside.split_first().map(|(first, rest)| (*first, rest)) {
        return !in_plain_class(inside, c);
    }
    in_plain_class(inside, c)
}

fn in_plain_class(inside: &[char], c: char) -> bool {
    match inside {
        [] => false,
        [low, '-', high, rest @ ..] => (*low..=*high).contains(&c) || in_plain_class(rest, c),
        [one, rest @ ..] => *one == c || in_plain_class(rest, c),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_pattern_matches_as_the_reference_does(
        pattern in r"[ab*?\[\]!^.{},\\/é\-]{0,9}",
        name in r"[ab*?\[\]!^.{},\\/é\-]{0,6}",
    ) {
        let expected = reference(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>());
        prop_assert_eq!(Pattern::new(&pattern).unwrap().is_match(&name), expected);
        prop_assert_eq!(PatternSet::new(&[&pattern]).unwrap().is_match(&name), expected);
    }
}
