//! Which addresses may be asked.

use std::net::IpAddr;

use url::{Host, Url};

use super::{EgressError, address::Kind};
use crate::{config::EgressConfig, loopback::is_loopback};

/// What is allowed on behalf of one server or issuer.
#[derive(Debug)]
pub(super) struct Rules {
    config: EgressConfig,
    /// Whether the server itself is on this machine.
    on_loopback: bool,
    /// The server's own address, where it is configured by one.
    own_address: Option<IpAddr>,
    /// The host whose name the operator vouches for.
    trusted: Option<String>,
}

impl Rules {
    /// On behalf of `base`; with `trusts_name`, whatever its name resolves to is as configured.
    pub(super) fn new(base: &Url, config: &EgressConfig, trusts_name: bool) -> Self {
        Self {
            config: config.clone(),
            on_loopback: is_loopback(base),
            own_address: literal(base),
            trusted: base.host_str().filter(|_| trusts_name).map(str::to_lowercase),
        }
    }

    /// Whether an address that somebody named may be asked, by what can be told of it without asking
    /// anybody: https, or http on this machine, and no user or password in it.
    pub(super) fn check(&self, url: &Url) -> Result<(), EgressError> {
        let forbidden = |why: String| EgressError::Forbidden { url: super::shown(url), why };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(url) => {}
            "http" => return Err(forbidden("it is not https".into())),
            other => return Err(forbidden(format!("{other} is not https"))),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(forbidden("there is a user in it".into()));
        }
        let host = url.host_str().ok_or_else(|| forbidden("there is no host in it".into()))?;
        match literal(url) {
            Some(address) => self.check_address(host, address).map_err(forbidden),
            None if is_loopback(url) && !self.on_loopback && !self.lists(host) => {
                Err(forbidden(unlisted(host, Kind::Loopback)))
            }
            None => Ok(()),
        }
    }

    /// Whether a host may be asked at this address.
    pub(super) fn check_address(&self, host: &str, address: IpAddr) -> Result<(), String> {
        let is_listed = self.lists(host)
            || self.config.networks.iter().any(|network| network.contains(address))
            || self.trusted.as_deref().is_some_and(|trusted| trusted.eq_ignore_ascii_case(host));
        let kind = Kind::of(address);
        let is_allowed = match kind {
            Kind::Global => true,
            Kind::Loopback => self.on_loopback,
            Kind::Private => self.own_address == Some(address),
            Kind::LinkLocal | Kind::Multicast | Kind::Tunnel | Kind::Reserved => false,
        };
        if is_listed || is_allowed { Ok(()) } else { Err(unlisted(host, kind)) }
    }

    fn lists(&self, host: &str) -> bool {
        self.config.hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
    }

    /// Whether names are resolved by the proxy of the environment.
    pub(super) fn uses_proxy(&self) -> bool {
        self.config.proxy && !self.on_loopback
    }
}

fn unlisted(host: &str, kind: Kind) -> String {
    format!("{host} leads to {}; what is meant to be asked there stands in security.egress.allow", kind.name())
}

/// The address that a URL has in place of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(base: &str, allow: &[&str], url: &str) -> Result<(), EgressError> {
        let config = EgressConfig::allowing(allow.iter().copied()).unwrap();
        Rules::new(&Url::parse(base).unwrap(), &config, false).check(&Url::parse(url).unwrap())
    }

    const PUBLIC: &str = "https://mcp.example.com/mcp";

    #[test]
    fn only_https_is_asked_and_http_on_this_machine_for_a_server_on_it() {
        let local = "http://127.0.0.1:8300/mcp";
        for (base, url, is_allowed) in [
            (PUBLIC, "https://auth.example.com/token", true),
            (PUBLIC, "http://auth.example.com/token", false),
            (PUBLIC, "http://127.0.0.1:9000/token", false),
            (PUBLIC, "http://localhost:9000/token", false),
            (PUBLIC, "https://localhost/token", false),
            (PUBLIC, "file:///etc/passwd", false),
            (PUBLIC, "ftp://auth.example.com/", false),
            (PUBLIC, "javascript:alert(1)", false),
            (PUBLIC, "https://user@auth.example.com/", false),
            (PUBLIC, "https://user:word@auth.example.com/", false),
            (local, "http://127.0.0.1:9000/token", true),
            (local, "http://localhost:9000/token", true),
            (local, "http://[::1]:9000/token", true),
            (local, "http://auth.example.com/token", false),
            (local, "http://10.0.0.1/token", false),
            (local, "https://10.0.0.1/token", false),
            (local, "https://auth.example.com/token", true),
        ] {
            assert_eq!(checked(base, &[], url).is_ok(), is_allowed, "{base} {url}");
        }
    }

    #[test]
    fn a_proxy_resolves_names_where_the_operator_wants_one_and_the_server_is_elsewhere() {
        for (base, proxy, uses_proxy) in [
            (PUBLIC, false, false),
            (PUBLIC, true, true),
            ("http://127.0.0.1:8300/mcp", true, false),
            ("http://localhost:8300/mcp", true, false),
            ("http://127.0.0.1:8300/mcp", false, false),
        ] {
            let config = EgressConfig { proxy, ..EgressConfig::default() };
            let rules = Rules::new(&Url::parse(base).unwrap(), &config, false);
            assert_eq!(rules.uses_proxy(), uses_proxy, "{base} {proxy}");
        }
    }

    #[test]
    fn an_address_in_any_spelling_is_what_it_is() {
        for url in [
            "https://10.0.0.1/",
            "https://0x0a000001/",
            "https://167772161/",
            "https://012.0.0.1/",
            "https://10.1/",
            "https://[::ffff:10.0.0.1]/",
            "https://[::ffff:a00:1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::1]/",
            "https://[fe80::1]/",
            "https://[fec0::1]/",
            "https://[fd00::1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://2852039166/latest/meta-data/",
            "https://100.64.0.1/",
            "https://224.0.0.1/",
            "https://0.0.0.0/",
            "https://127.1/",
        ] {
            let error = checked(PUBLIC, &[], url).unwrap_err().to_string();
            assert!(error.contains("security.egress.allow"), "{url}: {error}");
        }
    }

    #[test]
    fn what_is_configured_is_asked_wherever_it_is() {
        assert!(checked(PUBLIC, &["10.0.0.0/8"], "https://10.1.2.3/token").is_ok());
        assert!(checked(PUBLIC, &["10.0.0.0/8"], "https://192.168.0.1/token").is_err());
        assert!(checked(PUBLIC, &["10.0.0.0/8"], "http://10.1.2.3/token").is_err(), "but by https only");
        let own = "https://10.1.2.3/mcp";
        assert!(checked(own, &[], "https://10.1.2.3/.well-known/x").is_ok(), "the server itself is configured");
        assert!(checked(own, &[], "https://10.1.2.4/").is_err());
        let rules = |allow: &[&str], trusts_name| {
            let config = EgressConfig::allowing(allow.iter().copied()).unwrap();
            Rules::new(&Url::parse("https://SSO.corp/").unwrap(), &config, trusts_name)
        };
        let private: IpAddr = "10.0.0.9".parse().unwrap();
        assert!(rules(&["sso.corp"], false).check_address("SSO.corp", private).is_ok());
        assert!(rules(&["sso.corp"], false).check_address("evil.sso.corp", private).is_err());
        assert!(rules(&[], false).check_address("sso.corp", private).is_err());
        assert!(rules(&[], true).check_address("sso.corp", private).is_ok());
        assert!(rules(&[], true).check_address("other.corp", private).is_err());
    }
}
