//! What tokens are asked for.

use super::{challenge::Challenge, discover::Found};

/// What keeps a login alive without the person.
const OFFLINE: &str = "offline_access";

/// What to ask for: what the operator says and the server's challenge wants, else what the challenge wants,
/// else what the server's metadata names, else nothing in particular. `more` is what there was before, and what
/// somebody wants beside it.
pub(super) fn wanted(configured: &[String], challenge: &Challenge, found: &Found, more: &[String]) -> Vec<String> {
    let challenged = challenge.scope.iter().flat_map(|scope| scope.split_whitespace()).map(str::to_owned);
    let mut wanted: Vec<String> = configured.iter().cloned().chain(challenged).collect();
    if wanted.is_empty() {
        wanted.clone_from(&found.scopes_supported);
    }
    wanted.extend(more.iter().cloned());
    let mut unique = Vec::new();
    wanted.retain(|scope| {
        !scope.is_empty() && !unique.contains(scope) && {
            unique.push(scope.clone());
            true
        }
    });
    wanted
}

/// The same for a person, whose login is to outlive an access token.
pub(super) fn with_offline(mut scopes: Vec<String>, found: &Found) -> Vec<String> {
    // Where nothing is asked for in particular, this alone would be all that is asked for.
    if !scopes.is_empty() && found.server.has_scope(OFFLINE) && !scopes.iter().any(|scope| scope == OFFLINE) {
        scopes.push(OFFLINE.into());
    }
    scopes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(supported: &[&str], of_server: &[&str]) -> Found {
        let server = json!({ "issuer": "https://i", "token_endpoint": "https://i/t", "scopes_supported": of_server });
        Found {
            resource: "https://r".into(),
            scopes_supported: supported.iter().map(ToString::to_string).collect(),
            server: serde_json::from_value(server).unwrap(),
        }
    }

    fn challenge(scope: Option<&str>) -> Challenge {
        Challenge { scope: scope.map(str::to_owned), ..Challenge::default() }
    }

    #[test]
    fn the_challenge_comes_before_the_metadata_and_nothing_is_made_up() {
        let of = |configured: &[&str], scope, supported: &[&str]| {
            let configured: Vec<String> = configured.iter().map(ToString::to_string).collect();
            wanted(&configured, &challenge(scope), &found(supported, &["x"]), &[]).join(" ")
        };
        assert_eq!(of(&[], Some("a b"), &["c"]), "a b");
        assert_eq!(of(&[], None, &["c", "d"]), "c d");
        assert_eq!(of(&[], None, &[]), "");
        assert_eq!(of(&["own"], None, &["c"]), "own");
        assert_eq!(of(&["own", "a"], Some("a b"), &["c"]), "own a b");
    }

    #[test]
    fn what_there_was_before_stays_when_more_is_wanted() {
        let before = ["a".to_owned(), "b".to_owned()];
        assert_eq!(wanted(&[], &challenge(Some("b c")), &found(&[], &[]), &before).join(" "), "b c a");
    }

    #[test]
    fn offline_access_is_asked_for_where_there_is_such_a_thing_and_never_alone() {
        let with = |scopes: &[&str], of_server: &[&str]| {
            with_offline(scopes.iter().map(ToString::to_string).collect(), &found(&[], of_server)).join(" ")
        };
        assert_eq!(with(&["a"], &["a", OFFLINE]), "a offline_access");
        assert_eq!(with(&["a", OFFLINE], &[OFFLINE]), "a offline_access");
        assert_eq!(with(&["a"], &["a"]), "a");
        assert_eq!(with(&[], &[OFFLINE]), "");
    }
}
