use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Config, Severity, error, findings, load};
use crate::identity::Credential;

const OIDC: &str = "
security:
  oidc:
    issuer: https://login.company.com/realms/main
    audience: omni
    roles:
      omni-users: read_only
      dbas: dba
      admins: admin
";
const PROXY: &str = "
security:
  proxy:
    trusted: [10.0.0.0/8, '::1']
    user_header: X-User
    email_header: X-Email
    groups_header: X-Groups
";

fn config(settings: &str) -> Config {
    load(&[("settings.yaml", settings), ("users.yaml", "users: [{ email: a@x.org, role: dba }]")], &[]).unwrap()
}

fn wrong(settings: &str) -> String {
    error(&[("settings.yaml", settings)])
}

/// What a proxy's headers say: e-mail address, user and groups. `None` where no credential is made of them.
fn said(peer: &str, headers: &[(&str, &[u8])]) -> Option<(Option<String>, Option<String>, Vec<String>)> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    let peer: IpAddr = peer.parse().unwrap();
    match config(PROXY).proxy.unwrap().credential(peer, &map)? {
        Credential::Proxy { headers, act_as: None } => Some((headers.email, headers.user, headers.groups)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_is_believed_unless_the_file_says_so() {
    let config = config("security: { jwt_enabled: true, jwt_secret: x, api_key_header: X-API-Key }");
    assert!(config.oidc.is_none() && config.proxy.is_none());
}

#[test]
fn an_issuer_has_defaults_and_its_roles_the_order_of_the_file() {
    let oidc = config(OIDC).oidc.unwrap();
    assert_eq!((oidc.user_claim.as_str(), oidc.roles_claim.as_str()), ("email", "groups"));
    assert_eq!((oidc.audience.as_slice(), oidc.clients), (["omni".to_owned()].as_slice(), None));
    let order: Vec<_> = oidc.roles.entries().map(|(group, _)| group.to_owned()).collect();
    assert_eq!(order, ["omni-users", "dbas", "admins"]);
    let shown = config(OIDC).show_yaml();
    assert!(
        shown.contains("issuer: https://login.company.com/realms/main") && shown.contains("group: dbas"),
        "{shown}"
    );
}

#[test]
fn an_issuer_that_anybody_could_pretend_to_be_is_an_error() {
    let with = |issuer: &str| wrong(&OIDC.replace("https://login.company.com/realms/main", issuer));
    for issuer in ["http://login.company.com", "ftp://x", "http://localhost.company.com", "http://10.0.0.1"] {
        assert!(
            with(issuer).contains("settings.yaml:4: security.oidc.issuer: the issuer's address must be https"),
            "{issuer}"
        );
    }
    assert!(with("login.company.com").contains("is no address"));
    assert!(with("https://u:p@h").contains("no user, query or fragment"));
    assert!(with("https://h?x=1").contains("no user, query or fragment"));
    assert!(with("'${NOT_SET}'").contains("security.oidc.issuer"));
    for here in ["http://127.0.0.1:8080", "http://localhost:8080/realms/x", "http://[::1]:1"] {
        assert!(config(&OIDC.replace("https://login.company.com/realms/main", here)).oidc.is_some(), "{here}");
    }
}

#[test]
fn people_log_in_at_the_issuers_page_where_omni_is_a_client_of_it() {
    assert_eq!(config(OIDC).oidc.unwrap().login, None);
    let with = |login: &str| format!("{OIDC}    login: {login}\n");
    let login = |login: &str| config(&with(login)).oidc.unwrap().login.unwrap();
    let plain = login("{ client_id: ' omni-pages ' }");
    assert_eq!((plain.client_id.as_str(), plain.client_secret.is_none()), ("omni-pages", true));
    assert_eq!(plain.scopes, ["openid", "profile", "email"]);
    assert_eq!(login("{ client_id: a, scopes: 'email groups' }").scopes, ["openid", "email", "groups"]);
    assert_eq!(login("{ client_id: a, scopes: [groups, openid] }").scopes, ["openid", "groups"]);
    let secret = config(&with("{ client_id: a, client_secret: hush-hush }"));
    let shown = secret.show_yaml();
    assert!(shown.contains("client_id: a") && !shown.contains("hush-hush"), "{shown}");
    assert!(!format!("{:?}", secret.oidc).contains("hush-hush"));
    assert!(!secret.redactor().text("it is hush-hush").contains("hush-hush"));
    assert!(wrong(&with("{ client_secret: x }")).contains("the key \"client_id\" is missing"));
    assert!(
        wrong(&with("{ client_id: ' ' }")).contains("security.oidc.login.client_id: omni has no name at the issuer")
    );
    assert!(wrong(&with("{ client_id: a, redirect_uri: x }")).contains("unknown key"));
}

#[test]
fn a_client_whose_secret_is_not_set_is_none_and_that_is_said() {
    let config = config(&format!("{OIDC}    login: {{ client_id: a, client_secret: '${{NOT_SET}}' }}\n"));
    let expected = "settings.yaml:10: security.oidc.login.client_secret: nobody logs in at the issuer's page: the environment \
                    variable NOT_SET is not set";
    assert_eq!(findings(&config, Severity::Warning), [expected]);
    assert_eq!(config.oidc.unwrap().login, None);
}

#[test]
fn people_log_in_over_https_alone() {
    let with = |url: &str| format!("http: {{ public_url: '{url}' }}\n{OIDC}    login: {{ client_id: a }}\n");
    for good in ["https://omni.company.com", "http://localhost:8000", "${NOT_SET}"] {
        assert!(config(&with(good)).oidc.unwrap().login.is_some(), "{good}");
    }
    assert!(wrong(&with("http://omni.company.com")).contains("security.oidc.login: people log in over https only"));
}

#[test]
fn an_issuer_without_an_audience_is_an_error() {
    let without = OIDC.replace("    audience: omni\n", "");
    assert!(wrong(&without).contains("the key \"audience\" is missing"));
    for none in ["[]", "''", "['${NOT_SET}']"] {
        let found = wrong(&OIDC.replace("audience: omni", &format!("audience: {none}")));
        assert!(found.contains("security.oidc.audience: a token of the issuer for anybody else"), "{none}: {found}");
    }
    let clients =
        config(&OIDC.replace("audience: omni", "audience: omni\n    clients: ['${NOT_SET}']")).oidc.unwrap().clients;
    assert_eq!(clients, Some(Vec::new()), "a client that is not set is nobody, not anybody");
}

#[test]
fn unknown_keys_roles_and_an_order_that_nobody_can_see_are_said() {
    assert!(wrong(&OIDC.replace("audience", "audiance")).contains("unknown key; did you mean \"audience\"?"));
    let found = findings(&config(&OIDC.replace("dbas: dba", "dbas: dbaa")), Severity::Warning);
    let expected = "settings.yaml:8: security.oidc.roles.dbas: whoever has it is denied everything: the role \"dbaa\" is not \
                    known; did you mean \"dba\"?";
    assert_eq!(found, [expected]);
    let one_line = "security: { oidc: { issuer: 'https://h', audience: omni, roles: { a: dba, b: admin } } }";
    let found = findings(&config(one_line), Severity::Warning);
    assert!(found.len() == 1 && found[0].contains("give each a line of its own"), "{found:?}");
    assert_eq!(findings(&config(OIDC), Severity::Warning), Vec::<String>::new());
}

#[test]
fn a_proxy_that_anybody_could_be_or_that_names_nobody_is_an_error() {
    let with = |trusted: &str| wrong(&PROXY.replace("[10.0.0.0/8, '::1']", trusted));
    for everything in ["0.0.0.0/0", "'::/0'"] {
        assert!(
            with(everything).contains("security.proxy.trusted[0]: whoever comes could say to be anybody"),
            "{everything}"
        );
    }
    assert!(with("[10.0.0.1, proxy.local]").contains("security.proxy.trusted[1]: \"proxy.local\" is no network"));
    assert!(with("'${NOT_SET}'").contains("is no network"));
    assert!(wrong("security: { proxy: { trusted: 10.0.0.1 } }").contains("set user_header or email_header"));
    assert!(wrong(&PROXY.replace("X-User", "'X User'")).contains("is no header's name"));
    let nobody = findings(&config(&PROXY.replace("[10.0.0.0/8, '::1']", "[]")), Severity::Warning);
    assert!(nobody[0].contains("no proxy is trusted"), "{nobody:?}");
}

#[test]
fn only_a_trusted_proxy_says_who_asks() {
    let headers: &[(&str, &[u8])] = &[("x-email", b"Ann@X.org"), ("x-user", b"ann"), ("x-groups", b"dbas, ,all ")];
    let (email, user, groups) = said("10.1.2.3", headers).unwrap();
    assert_eq!((email.as_deref(), user.as_deref()), (Some("Ann@X.org"), Some("ann")));
    assert_eq!(groups, ["dbas", "all"]);
    assert!(said("::ffff:10.1.2.3", headers).is_some() && said("::1", headers).is_some());
    assert!(said("11.0.0.1", headers).is_none() && said("::2", headers).is_none());
    assert!(said("10.1.2.3", &[("x-groups", b"admins"), ("x-forwarded-for", b"10.0.0.1")]).is_none());
}

#[test]
fn a_header_that_can_be_read_in_two_ways_names_nobody() {
    let nobody = Some((None, None, Vec::new()));
    assert_eq!(said("10.0.0.1", &[("x-user", b"boss"), ("x-user", b"ann")]), nobody);
    assert_eq!(said("10.0.0.1", &[("x-user", b"ann"), ("x-groups", b"a"), ("x-groups", b"admins")]), nobody);
    assert_eq!(said("10.0.0.1", &[("x-user", b"ann\xff")]), nobody);
    assert_eq!(said("10.0.0.1", &[("x-user", &[b'a'; 9_000])]), nobody);
    assert_eq!(said("10.0.0.1", &[("x-user", b" ")]), nobody);
}
