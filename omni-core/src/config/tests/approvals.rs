use std::time::Duration;

use super::{error, findings, load};
use crate::{
    config::{Config, Severity},
    confirm::ApprovalRules,
};

fn config(settings: &str) -> Config {
    load(&[("settings.yaml", settings), ("users.yaml", "roles: { lead: {} }")], &[]).unwrap()
}

#[test]
fn without_a_word_the_asker_decides_within_a_quarter_of_an_hour() {
    let rules = config("approvals: {}").approvals;
    assert_eq!(rules, ApprovalRules::default());
    assert_eq!((rules.expiry, rules.four_eyes), (Duration::from_secs(900), false));
}

#[test]
fn who_decides_and_how_long_they_have_is_live() {
    let config = config("approvals: { expire_minutes: 0.5, approvers: [dba, lead], four_eyes: true }");
    let rules = &config.approvals;
    assert_eq!(
        (rules.expiry, &rules.approvers[..], rules.four_eyes),
        (Duration::from_secs(30), &["dba".to_owned(), "lead".to_owned()][..], true)
    );
    assert_eq!(config.show()["approvals"]["expire_minutes"], 0.5);
    let found = findings(&config, Severity::Warning);
    assert!(!found.iter().any(|finding| finding.contains("approvals")), "{found:?}");
}

#[test]
fn what_nobody_could_keep_to_is_an_error() {
    for (settings, expected) in [
        ("approvals: { expire_minutes: 0 }", "approvals.expire_minutes"),
        ("approvals: { expire_minutes: 1e9 }", "at most 43200 minutes"),
        ("approvals: { four_eyes: true }", "approvals.approvers"),
        ("approvals: { four_eye: true }", "four_eyes"),
    ] {
        let error = error(&[("settings.yaml", settings)]);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_role_that_nobody_has_is_said() {
    let config = config("approvals: { approvers: [dab] }");
    let found = findings(&config, Severity::Warning);
    assert!(found.iter().any(|finding| finding.contains("\"dab\"")), "{found:?}");
}
