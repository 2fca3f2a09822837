//! Where omni asks on behalf of servers and issuers, beside the internet.

use super::{
    Cidr, CidrError, Severity,
    load::{Findings, Source},
};

/// What may be asked that others name: metadata, keys and tokens of servers and issuers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EgressConfig {
    /// Networks beside the internet.
    pub networks: Vec<Cidr>,
    /// Hosts that may be anywhere.
    pub hosts: Vec<String>,
    /// Whether the proxy of the environment is asked, which then resolves names by itself.
    pub proxy: bool,
}

impl EgressConfig {
    /// The internet, these networks such as `10.0.0.0/8`, and these hosts by name.
    ///
    /// # Errors
    /// A [`CidrError`] of what is neither.
    pub fn allowing<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, CidrError> {
        let mut config = Self::default();
        for entry in entries {
            config.allow(entry)?;
        }
        Ok(config)
    }

    fn allow(&mut self, entry: &str) -> Result<(), CidrError> {
        let entry = entry.trim();
        match entry.parse() {
            Ok(network) => self.networks.push(network),
            Err(_) if is_host(entry) => self.hosts.push(entry.to_lowercase()),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whether it looks like the name of a host.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.contains(|c: char| c.is_ascii_alphabetic()) && text.split('.').all(is_label)
}

/// What the file says.
pub(super) fn build(source: &Source<'_>, findings: &mut Findings) -> EgressConfig {
    let Some(spec) = &source.settings.security.egress else { return EgressConfig::default() };
    let mut config = EgressConfig { proxy: spec.proxy, ..EgressConfig::default() };
    for (at, entry) in spec.allow.iter().enumerate() {
        let path = format!("security.egress.allow[{at}]");
        match config.allow(entry) {
            Ok(()) if config.networks.last().is_some_and(Cidr::is_everything) => {
                let message = "whoever runs a server could have omni ask anything in your network";
                findings.all.push(source.settings_lines.finding(Severity::Error, &path, message));
            }
            Ok(()) => {}
            Err(_) => {
                let message = format!("{entry:?} is neither a host nor a network such as 10.0.0.0/8");
                findings.all.push(source.settings_lines.finding(Severity::Error, &path, message));
            }
        }
    }
    config
}
