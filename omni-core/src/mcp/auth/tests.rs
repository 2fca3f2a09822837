use chrono::{TimeDelta, Utc};

use super::{
    Hidden, OAuthError,
    client::{Client, Method},
    grant::{Access, Grant},
};

/// What a login at `https://issuer` gave.
pub(super) fn grant() -> Grant {
    let now = chrono::DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    Grant {
        issuer: "https://issuer".into(),
        resource: "https://a/mcp".into(),
        token_endpoint: "https://issuer/token".into(),
        revocation_endpoint: None,
        client: Client { id: "omni".into(), method: Method::None, secret: Some(Hidden("client-1".into())) },
        access: Some(Access { token: Hidden("access-1".into()), obtained_at: now, expires_at: None }),
        refresh: Some(Hidden("refresh-1".into())),
        scopes: vec!["a".into()],
        logged_in_at: now,
        ended: None,
    }
}

#[test]
fn what_a_server_wants_is_no_command_of_a_shell() {
    let error = |scopes: &[&str]| {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        OAuthError::ScopeNeeded { server: "a".into(), scopes }.to_string()
    };
    assert!(error(&["repo", "user:read"]).ends_with("run `omni servers login a --scope repo --scope user:read`"));
    let odd = error(&["$(touch", "/tmp/x)", "`id`", ";reboot", "--timeout", "a|b", "ok"]);
    assert!(odd.ends_with("run `omni servers login a --scope ok`"), "{odd}");
}

#[test]
fn what_is_secret_is_not_shown() {
    let shown = format!("{:?}", grant());
    assert!(!shown.contains("access-1") && !shown.contains("refresh-1") && !shown.contains("client-1"), "{shown}");
}
