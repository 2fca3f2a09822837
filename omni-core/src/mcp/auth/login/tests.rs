use serde_json::json;

use super::*;
use crate::{
    config::{EgressConfig, OAuthConfig},
    mcp::auth::store::Vault,
    oauth::code::authorization_endpoint,
};

fn login(server: &serde_json::Value) -> Login {
    let mut whole = json!({ "issuer": "https://issuer", "token_endpoint": "https://issuer/token" });
    whole.as_object_mut().unwrap().extend(server.as_object().unwrap().clone());
    Login {
        url: Url::parse("https://issuer/authorize?state=s-1").unwrap(),
        trip: Trip::of("s-1", "v-1", "http://127.0.0.1:1/callback"),
        client: Client { id: "omni".into(), method: crate::oauth::client::Method::None, secret: None },
        found: Found {
            resource: "https://a/mcp".into(),
            scopes_supported: Vec::new(),
            server: serde_json::from_value(whole).unwrap(),
        },
        scopes: Vec::new(),
    }
}

/// CVE-2025-6514: what a server names as the page of its login is run by nothing.
#[tokio::test]
async fn the_page_of_a_login_is_an_address_of_https_and_nothing_else() {
    let vault = Vault::in_memory();
    let oauth = OAuth::new("a", "https://a/mcp", OAuthConfig::default(), EgressConfig::default(), vault).unwrap();
    for page in [
        "file:/c:/windows/system32/calc.exe",
        "javascript:alert(1)",
        "a:$(cmd.exe /c whoami)",
        "$(touch /tmp/x)",
        "-e calc",
        "ms-settings:",
        "http://issuer/authorize",
        "http://127.0.0.1/authorize",
        "https://user:word@issuer/authorize",
        "https:///",
        "//issuer/authorize",
        "",
    ] {
        let mut found = login(&json!({ "authorization_endpoint": page })).found;
        let url = authorization_endpoint(&found.server);
        let is_refused = match &url {
            Ok(url) => oauth.egress().unwrap().check(url).is_err(),
            Err(_) => true,
        };
        assert!(is_refused, "{page} became {url:?}");
        found.server.authorization_endpoint = None;
        assert!(authorization_endpoint(&found.server).is_err());
    }
    let odd = login(&json!({ "authorization_endpoint": "https://issuer/a;calc?x=`id`&y=$(id) z\"#frag" })).found;
    let url = authorization_endpoint(&odd.server).unwrap();
    assert_eq!(url.as_str(), "https://issuer/a;calc?x=`id`&y=$(id)%20z%22", "one word, whatever opens it");
}

#[test]
fn a_login_shows_whose_page_it_is_and_none_of_its_secrets() {
    let login = login(&json!({}));
    assert_eq!(login.origin(), "https://issuer");
    let shown = format!("{login:?}");
    assert!(!shown.contains("s-1") && !shown.contains("v-1"), "{shown}");
}

#[test]
fn codes_that_are_not_protected_are_not_asked_for() {
    for (methods, is_good) in [(json!(["plain", "S256"]), true), (json!(["plain"]), false), (json!(null), false)] {
        let found = login(&json!({ "code_challenge_methods_supported": methods })).found;
        assert_eq!(check_pkce(&found).is_ok(), is_good, "{methods}");
    }
}
