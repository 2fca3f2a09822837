//! Logins and logouts in another process are noticed here too.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{OAuth, Origin, lock};
use crate::mcp::auth::OAuthError;

/// How long they may go unnoticed.
const EVERY: Duration = Duration::from_secs(30);
/// How long the store may take to say it: whoever has a good token waits for that.
const WITHIN: Duration = Duration::from_secs(2);

impl OAuth {
    /// Forgets a token that is not the stored one any more, now and then. A store that is away ends no login.
    pub(super) async fn look_again(&self) {
        let cached = self.inner.cached.load_full();
        let Some(Origin::Stored(known)) = cached.as_ref().map(|cached| &cached.origin) else { return };
        if !self.is_look_due() {
            return;
        }
        let slow = |_| Err(OAuthError::Store { message: "the store did not answer in time".into() });
        match timeout(WITHIN, self.vault().revision(self.key())).await.unwrap_or_else(slow) {
            Ok(stored) if stored == Some(*known) => {}
            Ok(_) => {
                tracing::info!(server = %self.inner.server, "somebody logged in or out at a server");
                self.forget_cached();
            }
            Err(error) => {
                tracing::warn!(server = %self.inner.server, %error, "it cannot be told whether a login is the newest");
            }
        }
    }

    /// Whoever is told so looks, and nobody else for a while.
    fn is_look_due(&self) -> bool {
        let mut looked = lock(&self.inner.looked);
        let is_due = looked.elapsed() >= EVERY;
        if is_due {
            *looked = Instant::now();
        }
        is_due
    }
}
