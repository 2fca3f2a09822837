use std::net::IpAddr;

use secrecy::ExposeSecret as _;

use super::{Config, Severity, error, findings, load};
use crate::config::{Need, OAuthConfig, OAuthGrant, ServerAuth};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn config(entry: &str) -> Config {
    let mcps = format!("mcps: [{{ name: a, url: 'https://a.example/mcp', authentication: {{ {entry} }} }}]");
    load(&[("mcps.yaml", &mcps)], &[("SECRET", "s3cret-value")]).unwrap()
}

fn oauth(entry: &str) -> OAuthConfig {
    match config(entry).servers.remove(0).auth {
        ServerAuth::OAuth(oauth) => *oauth,
        other => panic!("{other:?}"),
    }
}

/// What is wrong for whoever needs the servers.
fn wrong(entry: &str) -> String {
    let config = config(entry);
    assert!(matches!(config.servers[0].auth, ServerAuth::None), "nothing half is used");
    config.require(Need::Servers).unwrap_err().to_string()
}

#[test]
fn a_server_with_a_login_needs_a_word_and_everything_else_may_be_said() {
    let plain = oauth("type: oauth");
    assert_eq!((plain.grant, plain.client_id, plain.scopes.len()), (OAuthGrant::AuthorizationCode, None, 0));
    let whole = oauth(
        "type: oauth, grant: client_credentials, client_id: omni, client_secret: '${SECRET}', \
         issuer: 'https://login.example', scopes: [a, b c], redirect_port: 8765",
    );
    assert_eq!(whole.grant, OAuthGrant::ClientCredentials);
    assert_eq!(whole.client_secret.unwrap().expose_secret(), "s3cret-value");
    assert_eq!((whole.scopes.join(" "), whole.redirect_port), ("a b c".into(), 8765));
    assert_eq!(oauth("type: oauth, scopes: a b").scopes, ["a", "b"]);
}

#[test]
fn what_could_send_a_secret_anywhere_or_in_the_open_is_an_error() {
    assert!(wrong("type: oauth, client_id: omni, client_secret: x").contains("needs an issuer"));
    assert!(wrong("type: oauth, grant: client_credentials").contains("needs a client_id"));
    assert!(
        wrong("type: oauth, grant: client_credentials, client_id: omni").contains("a client_secret or a private_key")
    );
    assert!(wrong("type: oauth, issuer: 'http://login.example'").contains("must be an address of https"));
    assert!(wrong("type: oauth, client_metadata_url: 'ftp://x/y'").contains("must be an address of https"));
    assert!(wrong("type: oauth, redirect_port: 70000").contains("up to 65535"));
    let plain = "mcps: [{ name: a, url: 'http://a.example/mcp', authentication: { type: oauth } }]";
    let error = load(&[("mcps.yaml", plain)], &[]).unwrap().require(Need::Servers).unwrap_err().to_string();
    assert!(error.contains("over https only"), "{error}");
    let local = "mcps: [{ name: a, url: 'http://127.0.0.1:1/mcp', authentication: { type: oauth } }]";
    assert!(load(&[("mcps.yaml", local)], &[]).unwrap().require(Need::Servers).is_ok());
}

#[test]
fn a_secret_that_is_not_set_is_a_warning_and_no_login() {
    let config = config("type: oauth, client_id: omni, client_secret: '${NOT_SET}', issuer: 'https://login.example'");
    assert!(matches!(config.servers[0].auth, ServerAuth::None));
    let told = findings(&config, Severity::Warning).join("\n");
    assert!(told.contains("NOT_SET") && told.contains("the server gets nothing in its place"), "{told}");
}

#[test]
fn what_may_be_asked_beside_the_internet_is_networks_and_hosts() {
    let egress = |text: &str| {
        let settings = format!("security: {{ egress: {text} }}");
        load(&[("settings.yaml", &settings)], &[]).unwrap().egress
    };
    let some = egress("{ allow: [10.0.0.0/8, SSO.corp, '192.168.1.7'], proxy: true }");
    let within = |address: &str| some.networks.iter().any(|net| net.contains(address.parse::<IpAddr>().unwrap()));
    assert!(within("10.1.2.3") && within("192.168.1.7") && !within("192.168.1.8"));
    assert_eq!((some.hosts.as_slice(), some.proxy), (["sso.corp".to_owned()].as_slice(), true));
    for (bad, word) in [("['https://sso.corp']", "neither a host nor a network"), ("['0.0.0.0/0']", "ask anything")] {
        let told = error(&[("settings.yaml", &format!("security: {{ egress: {{ allow: {bad} }} }}"))]);
        assert!(told.contains("security.egress.allow[0]") && told.contains(word), "{told}");
    }
    let told = error(&[("settings.yaml", "security: { egress: { alow: [] } }")]);
    assert!(told.contains("did you mean \"allow\"?"), "{told}");
}

#[test]
fn tokens_are_kept_in_files_unless_several_hosts_share_a_database() {
    let tokens =
        |settings: &str, variables: &[(&str, &str)]| load(&[("settings.yaml", settings)], variables).unwrap().tokens;
    let postgres = [("DATABASE_URL", "postgresql://h/d")];
    assert!(!tokens("", &[]).in_database);
    assert!(tokens("", &postgres).in_database);
    assert!(tokens("security: { token_store: database }", &[]).in_database);
    assert!(!tokens("security: { token_store: file }", &postgres).in_database);
    assert!(tokens("", &[]).key.is_none());
    let key = tokens("", &[("OMNI_SECRET_KEY", KEY)]).key.unwrap();
    assert_eq!(key.expose_hex(), KEY);
    let shown = format!("{:?}", tokens(&format!("security: {{ secret_key: '{KEY}' }}"), &[]));
    assert!(!shown.contains(KEY), "{shown}");
    let told = error(&[("settings.yaml", "security: { secret_key: short }")]);
    assert!(told.contains("64 hexadecimal digits") && !told.contains("short"), "{told}");
    let bad = load(&[], &[("OMNI_SECRET_KEY", "short")]).unwrap();
    assert!(bad.require(Need::Servers).unwrap_err().to_string().contains("OMNI_SECRET_KEY"));
}

#[test]
fn what_is_secret_of_a_login_is_hidden_and_redacted() {
    let config = config("type: oauth, client_id: omni, client_secret: s3cret-value, issuer: 'https://login.example'");
    for text in [config.show().to_string(), format!("{config:?}"), config.redactor().text("s3cret-value")] {
        assert!(!text.contains("s3cret-value"), "{text}");
    }
    assert!(config.show().to_string().contains("https://login.example"));
}
