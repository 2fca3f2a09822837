//! omni as an MCP server: how tools are called, and how many sessions there may be.

use std::time::Duration;

use url::Url;

use super::{
    Severity,
    load::{Findings, Source},
    spec::PrefixSpec,
};
use crate::catalog::Prefix;

/// Most sessions that a file may ask for.
const MOST_SESSIONS: u32 = 1 << 20;

/// The MCP endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayConfig {
    /// When the name of a tool begins with its server's.
    pub prefix: Prefix,
    /// Sessions of older clients at the same time; 0: they are served without.
    pub max_sessions: usize,
    /// How long a session lives in which nothing happens.
    pub session_idle: Duration,
    /// Hosts by which clients may reach it, beside this machine's own names; `*` is any.
    pub allowed_hosts: Vec<String>,
    /// Its address as clients know it.
    pub url: Option<String>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            prefix: Prefix::Always,
            max_sessions: 1_000,
            session_idle: Duration::from_secs(30 * 60),
            allowed_hosts: Vec::new(),
            url: None,
        }
    }
}

/// What the files say of it.
pub(super) fn build(source: &Source<'_>, findings: &mut Findings) -> GatewayConfig {
    let (spec, lines, default) = (&source.settings.mcp_gateway, source.settings_lines, GatewayConfig::default());
    let max_sessions = match spec.max_sessions {
        Some(most) if most <= MOST_SESSIONS => most as usize,
        Some(most) => {
            let message = format!("expected a number from 0 to {MOST_SESSIONS}, found {most}");
            findings.all.push(lines.finding(Severity::Error, "mcp_gateway.max_sessions", message));
            default.max_sessions
        }
        None => default.max_sessions,
    };
    let idle =
        findings.seconds(spec.session_idle_seconds, default.session_idle, lines, "mcp_gateway.session_idle_seconds");
    let mut allowed_hosts = Vec::new();
    for (at, host) in spec.allowed_hosts.iter().enumerate() {
        match host == "*" || is_host(host) {
            true => allowed_hosts.push(host.to_ascii_lowercase()),
            false => {
                let message = format!("{host:?} is no host such as omni.company.com or omni.company.com:8443");
                let path = format!("mcp_gateway.allowed_hosts[{at}]");
                findings.all.push(lines.finding(Severity::Error, &path, message));
            }
        }
    }
    let url = spec.url.clone().filter(|url| {
        let is_url = Url::parse(url).is_ok_and(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        if !is_url {
            let message = format!("{url:?} is no address such as https://omni.company.com/mcp");
            findings.all.push(lines.finding(Severity::Error, "mcp_gateway.url", message));
        }
        is_url
    });
    let prefix = match spec.prefix {
        PrefixSpec::Always => Prefix::Always,
        PrefixSpec::OnConflict => Prefix::OnConflict,
    };
    GatewayConfig { prefix, max_sessions, session_idle: idle, allowed_hosts, url }
}

/// Whether a text is a host, perhaps with a port, and nothing else.
fn is_host(text: &str) -> bool {
    let authority = text.parse::<http::uri::Authority>();
    authority.is_ok_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for (text, is) in [
            ("omni.company.com", true),
            ("omni.company.com:8443", true),
            ("[::1]:8000", true),
            ("https://omni.company.com", false),
            ("me@omni.company.com", false),
            ("", false),
        ] {
            assert_eq!(is_host(text), is, "{text}");
        }
    }
}
