use super::{Config, Severity, findings, load};
use crate::{
    config::{Need, ServerAuth},
    mcp::Sharing,
};

const OIDC: &str = "security: { oidc: { issuer: 'https://login.example', audience: omni } }";

fn config(entry: &str) -> Config {
    let mcps = format!("mcps: [{{ name: a, {entry} }}]");
    load(&[("mcps.yaml", &mcps), ("settings.yaml", OIDC)], &[]).unwrap()
}

fn wrong(entry: &str) -> String {
    let config = config(entry);
    let sharing = &config.servers[0].options.sharing;
    assert!(matches!(sharing, Sharing::PerUser { .. }), "nobody is let through on everybody's connection: {entry}");
    config.require(Need::Servers).unwrap_err().to_string()
}

#[test]
fn a_callers_token_is_passed_on_to_whom_it_is_for() {
    let config = config(
        "url: 'https://a.example/mcp', sharing: per_user, \
         authentication: { type: pass_through, audience: 'https://a.example', discovery_token: s3cret-value }",
    );
    config.require(Need::Servers).unwrap();
    let server = &config.servers[0];
    assert_eq!(server.options.sharing, Sharing::PerUser { audience: "https://a.example".into() });
    let ServerAuth::PassThrough(own) = &server.auth else { panic!("{:?}", server.auth) };
    assert_eq!((&*own.audience, own.discovery_token.is_some()), ("https://a.example", true));
    let shown = config.show().to_string();
    assert!(shown.contains("pass_through") && !shown.contains("s3cret-value"), "{shown}");
    assert!(!config.redactor().text("it is s3cret-value").contains("s3cret-value"));
}

#[test]
fn pass_through_alone_means_per_user_and_nothing_means_shared() {
    let sharing = |entry: &str| config(entry).servers.remove(0).options.sharing;
    let own = "url: 'http://127.0.0.1:1/mcp', authentication: { type: pass_through, audience: b }";
    assert_eq!(sharing(own), Sharing::PerUser { audience: "b".into() });
    assert_eq!(sharing("url: 'http://h/mcp'"), Sharing::Shared);
    assert_eq!(sharing("url: 'http://h/mcp', sharing: shared"), Sharing::Shared);
}

#[test]
fn what_would_let_anybody_in_or_show_a_token_to_others_is_an_error() {
    let own = "authentication: { type: pass_through, audience: b }";
    assert!(wrong("url: 'https://h/mcp', sharing: per_user").contains("per_user needs"));
    assert!(wrong(&format!("url: 'https://h/mcp', sharing: shared, {own}")).contains("use per_user"));
    assert!(wrong("url: 'https://h/mcp', authentication: { type: pass_through }").contains("needs an audience"));
    assert!(wrong("url: 'https://h/mcp', authentication: { type: pass_through, audience: ' ' }").contains("audience"));
    assert!(wrong(&format!("url: 'http://h/mcp', {own}")).contains("over https only"));
    assert!(wrong(&format!("url: 'https://h/sse', {own}")).contains("streamable HTTP only"));
    assert!(wrong(&format!("command: npx, {own}")).contains("streamable HTTP only"));
}

#[test]
fn where_nobody_comes_with_a_token_that_is_said() {
    let mcps = "mcps: [{ name: a, url: 'https://h/mcp', authentication: { type: pass_through, audience: b } }]";
    let config = load(&[("mcps.yaml", mcps)], &[]).unwrap();
    let told = findings(&config, Severity::Warning).join("\n");
    assert!(told.contains("no security.oidc"), "{told}");
}
