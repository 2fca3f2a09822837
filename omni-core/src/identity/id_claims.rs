//! What an issuer said of somebody who logged in at its page.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What an issuer said of somebody who logged in, as far as it says who they are here and until when. It was proved by
/// an ID token, which is not kept; each request is judged by it anew, under the configuration and the policy of now.
///
/// Whoever keeps it makes sure that nobody else can have made it: a door seals it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdClaims(Map<String, Value>);

impl IdClaims {
    /// Claims that were proved.
    #[cfg(feature = "oidc")]
    pub(super) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    #[cfg(feature = "oidc")]
    pub(super) fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// When the ID token ended that proved them, in seconds since 1970.
    #[must_use]
    pub fn ends(&self) -> i64 {
        self.0.get("exp").and_then(Value::as_f64).map_or(0, |end| end as i64)
    }
}

impl fmt::Debug for IdClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdClaims").field("ends", &self.ends()).finish_non_exhaustive()
    }
}
