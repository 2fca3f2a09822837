use serde_json::json;

use super::*;
use crate::{
    config::{EgressConfig, OAuthConfig},
    mcp::auth::store::Vault,
};

fn login(server: &serde_json::Value) -> Login {
    let mut whole = json!({ "issuer": "https://issuer", "token_endpoint": "https://issuer/token" });
    whole.as_object_mut().unwrap().extend(server.as_object().unwrap().clone());
    Login {
        url: Url::parse("https://issuer/authorize?state=s-1").unwrap(),
        state: Hidden("s-1".into()),
        verifier: Hidden("v-1".into()),
        redirect_uri: "http://127.0.0.1:1/callback".into(),
        client: Client { id: "omni".into(), method: crate::mcp::auth::client::Method::None, secret: None },
        found: Found {
            resource: "https://a/mcp".into(),
            scopes_supported: Vec::new(),
            server: serde_json::from_value(whole).unwrap(),
        },
        scopes: Vec::new(),
    }
}

fn code(server: &serde_json::Value, callback: &str) -> Result<String, String> {
    login(server).code(callback).map(|code| code.0).map_err(|error| error.to_string())
}

#[test]
fn a_code_is_taken_from_the_answer_to_this_login_alone() {
    let plain = || json!({});
    assert_eq!(code(&plain(), "http://127.0.0.1:1/callback?code=c&state=s-1#x").unwrap(), "c");
    assert_eq!(code(&plain(), "code=c&state=s-1&iss=https%3A%2F%2Fissuer").unwrap(), "c");
    for (callback, word) in [
        ("code=c", "another login"),
        ("code=c&state=s-2", "another login"),
        ("code=c&state=", "another login"),
        ("code=c&state=s-1&state=s-2", "twice"),
        ("code=c&code=d&state=s-1", "twice"),
        ("state=s-1", "without a code"),
        ("code=&state=s-1", "without a code"),
        ("error=access_denied&error_description=no%20way&state=s-1", "access_denied (no way)"),
        ("error=access_denied", "another login"),
    ] {
        let error = code(&plain(), callback).unwrap_err();
        assert!(error.contains(word), "{callback}: {error}");
    }
    for (callback, is_answer) in [
        ("http://127.0.0.1:1/callback?code=c&state=s-1", true),
        ("error=access_denied&state=s-1", true),
        ("code=c&state=s-2", false),
        ("code=c&state=s-1&state=s-1", false),
        ("code=c", false),
        ("", false),
    ] {
        assert_eq!(login(&plain()).is_answered_by(callback), is_answer, "{callback}");
    }
    assert!(code(&plain(), &format!("state=s-1&code={}", "c".repeat(MAX_CALLBACK))).unwrap_err().contains("too much"));
}

#[test]
fn an_answer_of_another_issuer_is_refused_letter_by_letter() {
    let says = || json!({ "authorization_response_iss_parameter_supported": true });
    assert!(code(&says(), "code=c&state=s-1&iss=https%3A%2F%2Fissuer").is_ok());
    assert!(code(&says(), "code=c&state=s-1").unwrap_err().contains("does not say"));
    for issuer in ["https://evil", "https://issuer/", "https://ISSUER", "https://issuer:443", ""] {
        for server in [says(), json!({})] {
            let callback = format!("code=c&state=s-1&iss={issuer}");
            assert!(code(&server, &callback).unwrap_err().contains("the answer is of"), "{issuer}");
        }
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
        let url = authorization_endpoint(&found);
        let is_refused = match &url {
            Ok(url) => oauth.egress().unwrap().check(url).is_err(),
            Err(_) => true,
        };
        assert!(is_refused, "{page} became {url:?}");
        found.server.authorization_endpoint = None;
        assert!(authorization_endpoint(&found).is_err());
    }
    let odd = login(&json!({ "authorization_endpoint": "https://issuer/a;calc?x=`id`&y=$(id) z\"#frag" })).found;
    let url = authorization_endpoint(&odd).unwrap();
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
