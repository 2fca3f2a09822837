use super::{Severity, error, findings, load};
use crate::pin::PinMode;

const SERVERS: &str = "mcps: [{ name: a, url: 'http://a' }, { name: b, url: 'http://b', pin: off }]";

#[test]
fn a_server_pins_as_it_says_itself_or_as_all_do() {
    let pins = |settings: &str| {
        let config = load(&[("settings.yaml", settings), ("mcps.yaml", SERVERS)], &[]).unwrap();
        config.servers.iter().map(|server| server.options.pin).collect::<Vec<_>>()
    };
    assert_eq!(pins(""), [PinMode::Auto, PinMode::Off]);
    assert_eq!(pins("tools: { pin: strict }"), [PinMode::Strict, PinMode::Off]);
    let wrong = error(&[("settings.yaml", "tools: { pin: strickt }")]);
    assert!(wrong.contains("settings.yaml:1") && wrong.contains("did you mean \"strict\""), "{wrong}");
    assert!(error(&[("settings.yaml", "tools: { pins: auto }")]).contains("unknown key; did you mean \"pin\""));
}

#[test]
fn strict_pins_that_are_forgotten_or_let_everything_in_are_a_warning() {
    let warns = |settings: &str| {
        let config = load(&[("settings.yaml", settings), ("mcps.yaml", SERVERS)], &[]).unwrap();
        findings(&config, Severity::Warning).into_iter().filter(|finding| finding.contains("tools.pin")).count()
    };
    assert_eq!(warns("tools: { pin: strict }"), 0);
    assert_eq!(warns("tools: { pin: auto }\naudit: { enabled: false }"), 0);
    assert_eq!(warns("tools: { pin: strict }\naudit: { enabled: false }"), 1);
    assert_eq!(warns("tools: { pin: strict, pin_on_error: allow }"), 1);
}

#[test]
fn a_menu_is_for_more_tools_than_the_threshold() {
    let threshold = |settings: &str| load(&[("settings.yaml", settings)], &[]).unwrap().tools.search_threshold;
    assert_eq!((threshold(""), threshold("tools: { search_threshold: 0 }")), (60, 0));
    assert_eq!(load(&[], &[]).unwrap().show()["tools"]["pin"], "auto");
}
