//! From the file to what is believed, and what cannot be right about it.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;
use secrecy::ExposeSecret as _;
use url::Url;

use super::{OPENID, OidcConfig, OidcLoginConfig, ProxyConfig};
use crate::{
    config::{
        Cidr, Severity, egress,
        load::{Findings, Source},
        nearest::nearest,
        spec::{OidcLoginSpec, OidcSpec, OneOrMany, PolicyStoreSpec, ProxySpec, UsersSpec},
        yaml::join,
    },
    identity::RoleMap,
    loopback::is_loopback,
    policy::yaml::known_roles_of,
};

/// Where the secret stands with which omni lets people log in.
pub(in crate::config) const LOGIN_SECRET: &str = "security.oidc.login.client_secret";

/// Whose tokens are believed.
pub(in crate::config) fn oidc(source: &Source<'_>, findings: &mut Findings) -> Option<OidcConfig> {
    let spec = source.settings.security.oidc.as_ref()?;
    check_oidc(spec, source, findings);
    let default = OidcConfig::new(spec.issuer.trim(), "");
    Some(OidcConfig {
        audience: texts(&spec.audience),
        clients: spec.clients.as_ref().map(texts),
        user_claim: spec.user_claim.clone().unwrap_or(default.user_claim),
        roles_claim: spec.roles_claim.clone().unwrap_or(default.roles_claim),
        roles: in_order(source, "security.oidc.roles", &spec.roles),
        tenant_claim: spec.tenant_claim.clone(),
        login: spec.login.as_ref().filter(|_| has_its_secret(source, findings)).map(login),
        egress: egress::build(source, &mut Findings::default()),
        ..default
    })
}

/// Whether the client's secret is here, if it has one: without it, it would pretend to be a client that has none.
fn has_its_secret(source: &Source<'_>, findings: &mut Findings) -> bool {
    let Some(lacking) = source.settings_variables.lacking_at(LOGIN_SECRET) else { return true };
    let message = format!("nobody logs in at the issuer's page: {}", lacking.said());
    findings.all.push(source.settings_lines.finding(Severity::Warning, LOGIN_SECRET, message));
    false
}

/// How people log in at the issuer's page.
fn login(spec: &OidcLoginSpec) -> OidcLoginConfig {
    let mut config = OidcLoginConfig::new(spec.client_id.trim());
    config.client_secret = spec.client_secret.clone().filter(|secret| !secret.expose_secret().is_empty());
    if let Some(wanted) = spec.scopes.as_ref().map(texts).filter(|wanted| !wanted.is_empty()) {
        let wanted = wanted.iter().flat_map(|text| text.split_whitespace()).filter(|scope| *scope != OPENID);
        config.scopes = std::iter::once(OPENID).chain(wanted).map(str::to_owned).collect();
    }
    config
}

/// Which proxies are believed.
pub(in crate::config) fn proxy(source: &Source<'_>, findings: &mut Findings) -> Option<ProxyConfig> {
    let spec = source.settings.security.proxy.as_ref()?;
    let trusted = networks(spec, source, findings);
    check_headers(spec, source, findings);
    let name = |header: &Option<String>| header.as_ref().map(|name| name.trim().to_lowercase());
    Some(ProxyConfig {
        trusted,
        user_header: name(&spec.user_header),
        email_header: name(&spec.email_header),
        groups_header: name(&spec.groups_header),
        roles: in_order(source, "security.proxy.roles", &spec.roles),
    })
}

/// Roles that nobody knows, and groups of which the file does not say which comes first.
pub(in crate::config) fn check_roles(source: &Source<'_>, users: Option<&UsersSpec>, findings: &mut Findings) {
    let security = &source.settings.security;
    let oidc = security.oidc.iter().map(|spec| ("security.oidc.roles", &spec.roles));
    let proxy = security.proxy.iter().map(|spec| ("security.proxy.roles", &spec.roles));
    let known = known_roles_of(users, source.mcps);
    for (path, roles) in oidc.chain(proxy) {
        check_order(source, path, roles, findings);
        // The database may know roles that no file does.
        let unknown = roles.iter().filter(|(_, role)| !known.contains(*role));
        for (group, role) in unknown.filter(|_| source.settings.policy.store == PolicyStoreSpec::Yaml) {
            let near = nearest(role, known.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let message = format!("whoever has it is denied everything: the role {role:?} is not known{hint}");
            findings.all.push(source.settings_lines.finding(Severity::Warning, &join(path, group), message));
        }
    }
}

fn check_order(source: &Source<'_>, path: &str, roles: &BTreeMap<String, String>, findings: &mut Findings) {
    let mut lines = BTreeSet::new();
    let line = |group: &str| source.settings_lines.at(&join(path, group)).line;
    if roles.keys().any(|group| !lines.insert(line(group))) {
        let message = "of somebody in several groups the one in the higher line counts; give each a line of its own";
        findings.all.push(source.settings_lines.finding(Severity::Warning, path, message));
    }
}

/// The entries of a mapping as they stand in the file.
fn in_order(source: &Source<'_>, path: &str, roles: &BTreeMap<String, String>) -> RoleMap {
    let mut entries: Vec<(usize, (String, String))> = roles
        .iter()
        .map(|(group, role)| (source.settings_lines.at(&join(path, group)).line, (group.clone(), role.clone())))
        .collect();
    entries.sort();
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn check_oidc(spec: &OidcSpec, source: &Source<'_>, findings: &mut Findings) {
    let mut wrong = |key: &str, message: String| {
        let path = join("security.oidc", key);
        findings.all.push(source.settings_lines.finding(Severity::Error, &path, message));
    };
    if let Err(message) = issuer(spec.issuer.trim()) {
        wrong("issuer", message);
    }
    if texts(&spec.audience).is_empty() {
        wrong("audience", "a token of the issuer for anybody else would count too; name what omni's are for".into());
    }
    if spec.login.as_ref().is_some_and(|login| login.client_id.trim().is_empty()) {
        wrong("login.client_id", "omni has no name at the issuer; register it there as a web application".into());
    }
    if spec.login.is_some() && source.settings.http.public_url.as_deref().is_some_and(|url| !is_safe_text(url)) {
        let message = "people log in over https only; http.public_url is http, which is for this machine alone";
        wrong("login", message.into());
    }
}

/// Where an issuer is.
///
/// # Errors
/// Why nothing that comes from there could be believed.
pub(crate) fn issuer(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is no address: {error}"))?;
    if !is_safe(&url) {
        return Err("the issuer's address must be https; http is for this machine alone".into());
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("an issuer's address has no user, query or fragment".into());
    }
    Ok(url)
}

/// Whether nobody on the way can change what comes from an address.
fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" && url.has_host() || url.scheme() == "http" && is_loopback(url)
}

fn is_safe_text(text: &str) -> bool {
    // What is no address is said where it stands.
    Url::parse(text.trim()).map_or(true, |url| is_safe(&url))
}

fn networks(spec: &ProxySpec, source: &Source<'_>, findings: &mut Findings) -> Vec<Cidr> {
    let mut networks = Vec::new();
    for (at, text) in spec.trusted.items().iter().enumerate() {
        let message = match text.parse::<Cidr>() {
            Ok(network) if network.is_everything() => "whoever comes could say to be anybody".to_owned(),
            Ok(network) => {
                networks.push(network);
                continue;
            }
            Err(error) => error.to_string(),
        };
        let path = format!("security.proxy.trusted[{at}]");
        findings.all.push(source.settings_lines.finding(Severity::Error, &path, message));
    }
    if spec.trusted.items().is_empty() {
        let message = "no proxy is trusted, so that no header counts";
        findings.all.push(source.settings_lines.finding(Severity::Warning, "security.proxy.trusted", message));
    }
    networks
}

fn check_headers(spec: &ProxySpec, source: &Source<'_>, findings: &mut Findings) {
    let mut wrong = |path: &str, message: String| {
        findings.all.push(source.settings_lines.finding(Severity::Error, path, message));
    };
    let headers = [
        ("user_header", &spec.user_header),
        ("email_header", &spec.email_header),
        ("groups_header", &spec.groups_header),
    ];
    for (key, header) in headers.iter().filter_map(|(key, header)| Some((key, header.as_ref()?))) {
        if HeaderName::try_from(header.trim()).is_err() {
            wrong(&join("security.proxy", key), format!("{header:?} is no header's name"));
        }
    }
    if spec.user_header.is_none() && spec.email_header.is_none() {
        wrong("security.proxy", "a proxy that names nobody; set user_header or email_header".into());
    }
}

/// What stands in a list; what a variable brought that is not set is nothing.
fn texts(texts: &OneOrMany) -> Vec<String> {
    texts.items().iter().filter(|text| !text.trim().is_empty()).cloned().collect()
}
