//! The token with which somebody came, for servers that are used with it on their behalf.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

/// What stands for a token where the token itself has no business: its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TokenDigest([u8; 32]);

/// A token that the door verified. It lives no longer than what was asked with it, and the connections that were
/// made with it.
#[derive(Clone)]
pub(crate) struct CallerToken {
    secret: SecretString,
    digest: TokenDigest,
    audience: Vec<String>,
    ends: SystemTime,
}

/// Why a token is of no use at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the caller's token is not for it: its audience is another one")]
    Audience,
    #[error("the caller's token has ended")]
    Ended,
}

impl CallerToken {
    /// A token that was verified, with whom it is for and when it ends.
    pub(crate) fn new(secret: SecretString, audience: Vec<String>, ends: SystemTime) -> Self {
        let digest = TokenDigest(Sha256::digest(secret.expose_secret()).into());
        Self { secret, digest, audience, ends }
    }

    pub(crate) fn secret(&self) -> &SecretString {
        &self.secret
    }

    pub(crate) fn digest(&self) -> TokenDigest {
        self.digest
    }

    /// How long it counts from now on.
    pub(crate) fn lasts(&self) -> Duration {
        self.ends.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// Whether it may be shown to whoever is called `audience`, now.
    pub(crate) fn fits(&self, audience: &str) -> Result<(), Unfit> {
        if audience.is_empty() || !self.audience.iter().any(|own| own == audience) {
            return Err(Unfit::Audience);
        }
        if self.lasts().is_zero() { Err(Unfit::Ended) } else { Ok(()) }
    }
}

impl fmt::Debug for CallerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallerToken").field("audience", &self.audience).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(audience: &[&str], lasts: Duration) -> CallerToken {
        let audience = audience.iter().map(|one| (*one).to_owned()).collect();
        CallerToken::new("a.b.c".to_owned().into(), audience, SystemTime::now() + lasts)
    }

    #[test]
    fn a_token_is_shown_to_whom_it_is_for_while_it_counts() {
        let minute = Duration::from_secs(60);
        assert_eq!(token(&["omni", "notes"], minute).fits("notes"), Ok(()));
        assert_eq!(token(&["omni"], minute).fits("notes"), Err(Unfit::Audience));
        assert_eq!(token(&["omni", ""], minute).fits(""), Err(Unfit::Audience), "no audience is nobody's");
        assert_eq!(token(&["notes"], Duration::ZERO).fits("notes"), Err(Unfit::Ended));
    }

    #[test]
    fn nobody_sees_the_token_in_a_log() {
        assert!(!format!("{:?}", token(&["omni"], Duration::ZERO)).contains("a.b.c"));
    }
}
