//! Servers that are used with callers' own tokens.

use secrecy::SecretString;
use url::Url;

use super::{super::load::Findings, Entry};
use crate::{
    config::{
        Need, PassThrough, ServerAuth, ServerConfig, Severity,
        spec::{AuthSpec, AuthType, SharingSpec},
        yaml::join,
    },
    loopback::is_loopback,
    mcp::Sharing,
};

/// The credentials, where it is said for whom a token has to be.
pub(super) fn build(spec: &AuthSpec, discovery_token: Option<SecretString>) -> Option<ServerAuth> {
    let audience = spec.audience.as_deref().map(str::trim).filter(|audience| !audience.is_empty())?;
    Some(ServerAuth::PassThrough(PassThrough { audience: audience.to_owned(), discovery_token }))
}

impl Entry<'_> {
    /// Whose connections it is used on. Where the configuration is not whole nobody is let through.
    pub(super) fn sharing(&self) -> Sharing {
        let passes = self.pass_through();
        if passes.is_none() && self.spec.sharing != Some(SharingSpec::PerUser) {
            return Sharing::Shared;
        }
        let whole = passes.filter(|_| !self.lacks(&join("authentication", "audience")));
        let audience = whole.and_then(|spec| spec.audience.as_deref()).map(|audience| audience.trim().to_owned());
        Sharing::PerUser { audience: audience.unwrap_or_default() }
    }

    fn pass_through(&self) -> Option<&AuthSpec> {
        let spec = self.spec.authentication.as_ref()?;
        (spec.kind == AuthType::PassThrough && spec.enabled != Some(false)).then_some(spec)
    }

    /// What does not go together, or would show a token to somebody for whom it is not.
    pub(super) fn check_sharing(&self, server: &ServerConfig, findings: &mut Findings) {
        let passes = self.pass_through();
        let mut wrong = |key: &str, message: &str| {
            let finding = self.source.mcps_lines.finding(Severity::Error, &self.at(key), message.to_owned());
            findings.problem(Need::Servers, finding);
        };
        match (passes, self.spec.sharing) {
            (None, Some(SharingSpec::PerUser)) => wrong(
                "sharing",
                "per_user needs `authentication: { type: pass_through, audience: … }`: nothing else is a person's own",
            ),
            (Some(_), Some(SharingSpec::Shared)) => {
                wrong("sharing", "with pass_through everybody has a connection of their own; use per_user");
            }
            (None | Some(_), _) => {}
        }
        let Some(spec) = passes else { return };
        if spec.audience.as_deref().is_none_or(|audience| audience.trim().is_empty()) {
            wrong("authentication", "pass_through needs an audience: what a token's `aud` has to name for this server");
        }
        if server.kind != "http" {
            wrong("authentication", "a caller's token is passed on over streamable HTTP only");
        }
        let url = server.url.as_deref().and_then(|url| Url::parse(url).ok());
        if url.is_some_and(|url| url.scheme() == "http" && !is_loopback(&url)) {
            wrong("url", "a caller's token is passed on over https only, or to this machine");
        }
        if self.source.settings.security.oidc.is_none() {
            let message = "nobody comes with a token that could be passed on: settings.yaml has no security.oidc";
            findings.all.push(self.source.mcps_lines.finding(
                Severity::Warning,
                &self.at("authentication"),
                message.to_owned(),
            ));
        }
    }
}
