use std::time::Duration;

use super::{error, load};
use crate::{config::Config, results::ResultRules};

fn config(settings: &str) -> Config {
    load(&[("settings.yaml", settings)], &[]).unwrap()
}

#[test]
fn without_a_word_results_are_kept_for_a_day() {
    let rules = config("results: {}").results;
    assert_eq!(rules, ResultRules::default());
    assert_eq!((rules.expiry, rules.max_bytes), (Duration::from_secs(86_400), 1_048_576));
}

#[test]
fn how_much_is_kept_and_how_long_is_live() {
    let config = config("results: { expire_hours: 0.5, max_bytes: 2000 }");
    assert_eq!((config.results.expiry, config.results.max_bytes), (Duration::from_secs(1_800), 2_000));
    assert_eq!(config.show()["results"]["expire_hours"], 0.5);
    let none = self::config("results: { expire_hours: 0 }").results;
    assert!(!none.keeps());
}

#[test]
fn what_cannot_be_is_an_error_with_its_place() {
    for (settings, words) in [
        ("results: { expire_hours: -1 }", "results.expire_hours"),
        ("results: { max_bytes: 0 }", "results.max_bytes"),
        ("results: { max_bytes: 999999999 }", "at most 4194304"),
        ("results: { expire_hour: 1 }", "expire_hours"),
    ] {
        let error = error(&[("settings.yaml", settings)]);
        assert!(error.contains(words), "{settings}: {error}");
    }
}
