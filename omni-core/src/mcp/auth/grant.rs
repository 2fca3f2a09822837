//! What a person gave omni at a server, as it is kept.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Hidden, client::Client, token::Tokens};

/// How long before its end a token is renewed at most, in seconds.
const EARLY: i64 = 60;

/// Tokens, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) issuer: String,
    /// What the tokens are for, as the server published it.
    pub(super) resource: String,
    pub(super) token_endpoint: String,
    #[serde(default)]
    pub(super) revocation_endpoint: Option<String>,
    pub(super) client: Client,
    pub(super) access: Option<Access>,
    pub(super) refresh: Option<Hidden>,
    pub(super) scopes: Vec<String>,
    pub(super) logged_in_at: DateTime<Utc>,
    /// Why it does not count any more.
    #[serde(default)]
    pub(super) ended: Option<String>,
}

/// An access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Access {
    pub(super) token: Hidden,
    pub(super) obtained_at: DateTime<Utc>,
    /// `None` where nobody said so.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl Access {
    /// What came just now.
    pub(super) fn of(tokens: &Tokens, now: DateTime<Utc>) -> Self {
        let expires_at = tokens.expires_in.map(|seconds| now + TimeDelta::seconds(seconds));
        Self { token: tokens.access.clone(), obtained_at: now, expires_at }
    }

    /// Whether it still counts when what is sent now arrives. Short-lived ones are not renewed all the time.
    pub(super) fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| {
            let life = (end - self.obtained_at).num_milliseconds().max(0);
            now + TimeDelta::milliseconds((life / 10).min(EARLY * 1_000)) < end
        })
    }

    /// Whether it still counts, as far as anybody said.
    pub(super) fn counts(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    pub(super) fn secret(&self) -> SecretString {
        self.token.0.clone().into()
    }
}

impl Grant {
    /// The same with new tokens. Who gives no other refresh token means the one that there is.
    pub(super) fn renewed(mut self, tokens: Tokens, now: DateTime<Utc>) -> Self {
        self.access = Some(Access::of(&tokens, now));
        if tokens.refresh.is_some() {
            self.refresh = tokens.refresh;
        }
        if let Some(scopes) = tokens.scopes {
            self.scopes = scopes;
        }
        self
    }

    /// The same without anything that counts, and why.
    pub(super) fn ended(mut self, why: String) -> Self {
        (self.access, self.refresh, self.ended) = (None, None, Some(why));
        self
    }

    pub(super) fn state(&self, now: DateTime<Utc>) -> LoginState {
        if let Some(why) = &self.ended {
            return LoginState::Ended { why: why.clone() };
        }
        let is_over = self.refresh.is_none() && !self.access.as_ref().is_some_and(|access| access.is_fresh(now));
        if is_over {
            return LoginState::Ended { why: "its token has expired and cannot be renewed".into() };
        }
        LoginState::LoggedIn(self.granted())
    }

    pub(super) fn granted(&self) -> Granted {
        Granted {
            issuer: self.issuer.clone(),
            scopes: self.scopes.clone(),
            since: self.logged_in_at,
            expires_at: self.access.as_ref().and_then(|access| access.expires_at),
            is_renewable: self.refresh.is_some(),
        }
    }
}

/// What a login gave, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// Who gave it.
    pub issuer: String,
    /// What for.
    pub scopes: Vec<String>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When the present token ends, where that is known.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether omni renews it by itself.
    pub is_renewable: bool,
}

/// Whether somebody is logged in to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginState {
    /// omni lets itself in.
    Machine,
    /// Nobody is.
    LoggedOut,
    /// Somebody is.
    LoggedIn(Granted),
    /// Somebody was.
    Ended {
        /// Why it does not count any more.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_its_end_and_a_short_lived_one_not_at_once() {
        let now = Utc::now();
        let fresh = |life: i64, age: i64| {
            let obtained_at = now - TimeDelta::seconds(age);
            let expires_at = Some(obtained_at + TimeDelta::seconds(life));
            Access { token: Hidden("t".into()), obtained_at, expires_at }.is_fresh(now)
        };
        assert!(fresh(3_600, 0) && fresh(3_600, 3_539) && !fresh(3_600, 3_540));
        assert!(fresh(10, 8) && !fresh(10, 9) && !fresh(0, 0));
        assert!(Access { token: Hidden("t".into()), obtained_at: now, expires_at: None }.is_fresh(now));
    }
}
