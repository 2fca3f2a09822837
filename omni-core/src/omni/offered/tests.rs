//! Whose a resource is, and whether somebody may read it, by its address.

use serde_json::{json, value::to_raw_value};

use super::*;
use crate::{
    catalog::ServerCapabilities,
    identity::Principal,
    policy::{Role, RuleSet},
};

/// A server that has files.
fn files(listed: &[&str], families: &[&str]) -> ServerView {
    let raw = || to_raw_value(&json!({})).unwrap();
    let mut view = ServerView::new("files", "http");
    view.capabilities = Arc::new(ServerCapabilities::new("2025-11-25", json!({ "resources": {} })));
    view.resources = listed.iter().map(|uri| Arc::new(ResourceDef::new("files", *uri, raw()))).collect();
    view.templates = families.iter().map(|uri| Arc::new(ResourceTemplateDef::new("files", *uri, raw()))).collect();
    view
}

fn denying(patterns: &[&str]) -> Arc<RuleSet> {
    let open = RuleSet::builder().allow("files", "*");
    patterns.iter().fold(open, |rules, pattern| rules.deny_resources("files", pattern)).build().unwrap()
}

/// Whether somebody may read what the server has under an address.
fn reads(view: &ServerView, rules: &Arc<RuleSet>, uri: &str) -> bool {
    let grant = Grant::new(Principal::email("ada@company.com"), Role::new("dba"), rules.clone());
    let offer = Offer::over(vec![view], &grant, NameRules::default(), Sight::Allowed);
    offer.server_of(uri).is_some_and(|server| offer.decide(&server, uri, false).is_allowed())
}

/// Other ways to write addresses of what is denied below.
const SPELLED: [&str; 24] = [
    "file:////secrets/x",
    "file:///./secrets/x",
    "file:///notes/../secrets/x",
    "FILE:///secrets/x",
    "File:///s.txt",
    "file://localhost/secrets/x",
    "file://LOCALHOST/s.txt",
    "file://elsewhere/secrets/x",
    "file://secrets/x",
    "file:/secrets/x",
    "file:secrets/x",
    "file:///%73ecrets/x",
    " file:///secrets/x",
    "\u{200b}file:///secrets/x",
    "\u{feff}file:///secrets/x",
    "file:///\u{17f}ecrets/x",
    "file:///notes/..;/secrets/x",
    "file:///.;/secrets/x",
    "file:///sec\nrets/x",
    "file:///s.txt#",
    "file:///s.txt#part",
    "file:///s.txt?",
    "file:///s.txt?at=1",
    "file:///s.txt/",
];

#[test]
fn what_is_denied_is_reached_by_no_other_spelling_of_its_address() {
    let rules = denying(&["file:///secrets/*", "file:///s.txt"]);
    for view in [files(&[], &["file:///{+path}"]), files(&[], &[])] {
        assert!(reads(&view, &rules, "file:///notes/a.txt") && reads(&view, &rules, "file:///notes/a.txt?at=1"));
        for uri in SPELLED.into_iter().chain(["file:///secrets/x", "file:///s.txt"]) {
            assert!(!reads(&view, &rules, uri), "{uri:?}");
        }
    }
}

#[test]
fn a_denial_holds_for_hosts_in_any_case_and_for_what_is_escaped_or_not() {
    let rules = denying(&["note://vault/*", "note://caf%C3%A9", "note://a b"]);
    let view = files(&[], &["note://{+name}"]);
    let denied =
        ["note://VAULT/x", "note://Vault/x?a", "note://café", "note://caf%c3%a9?a", "note://a%20b", "note://a%20b/"];
    for uri in denied {
        assert!(!reads(&view, &rules, uri), "{uri}");
    }
    for uri in ["note://Ada/x", "note://caf%C3%A9s", "note://a%20b/c"] {
        assert!(reads(&view, &rules, uri), "{uri}");
    }
}

#[test]
fn a_denial_holds_for_a_host_with_user_and_port_and_for_slashes_too_many() {
    let rules = denying(&["https://vault/*", "note://vault/*", "web://https://vault/*"]);
    let view = files(&[], &[]);
    let denied = [
        "https:vault/x",
        "https:///vault/x",
        "https://vault:443/x",
        "https://vault//x?a",
        "note://vault:/x",
        "note://me@vault/x",
        "note://me@VAULT:7//x",
        "web://https://vault:443/x",
        "web://https:///vault/x",
    ];
    for uri in denied {
        assert!(!reads(&view, &rules, uri), "{uri}");
    }
    for uri in ["https://notes:443/x", "note://me@notes//x", "web://https://example.com/a"] {
        assert!(reads(&view, &rules, uri), "{uri}");
    }
    assert!(reads(&files(&[], &["web://{+url}"]), &rules, "web://https://example.com/a"));
}

#[test]
fn an_address_that_a_server_lists_is_judged_as_it_lists_it() {
    let view = files(&SPELLED, &["file:///{+path}"]);
    let rules = denying(&["file:///secrets/*", "file:///s.txt"]);
    for uri in SPELLED {
        let itself = uri.replace('?', "[?]");
        assert!(reads(&view, &rules, uri) && !reads(&view, &denying(&[&*itself]), uri), "{uri:?}");
    }
}

#[test]
fn what_is_allowed_with_its_query_alone_is_not_asked_for_without() {
    let rules = RuleSet::builder().allow("files", "*").resources("files", "db://rows[?]of=*");
    let rules = rules.deny_resources("files", "db://secrets").build().unwrap();
    let view = files(&[], &["db://{table}{?of}"]);
    assert!(reads(&view, &rules, "db://rows?of=a") && !reads(&view, &rules, "db://rows"));
    let under = RuleSet::builder().allow("files", "*").build().unwrap().under(denying(&["db://rows"]));
    assert!(!reads(&view, &under, "db://rows?of=a"), "what a ceiling denies is denied in every spelling too");
}

#[test]
fn what_is_denied_is_found_for_the_record_with_its_server_and_the_rule() {
    let view = files(&[], &["file:///{+path}"]);
    let grant = Grant::new(Principal::email("ada@company.com"), Role::new("dba"), denying(&["file:///s.txt"]));
    let offer = |sight| Offer::over(vec![&view], &grant, NameRules::default(), sight);
    let uri = "file:///s.txt?at=1";
    assert_eq!(offer(Sight::Allowed).server_of(uri), None);
    let everything = offer(Sight::Everything);
    assert_eq!(everything.server_of(uri).as_deref(), Some("files"));
    assert_eq!(everything.decide("files", uri, false).rule.text, "files.deny_resources: file:///s.txt");
}
