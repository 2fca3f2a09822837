//! What the bot keeps beyond its own life: with all that are of the same workspace and database.

use std::time::Duration;

use omni_core::kept::Kept;

use super::Bot;

/// How long something that Slack delivered is not taken in again by anybody: duplicates come minutes later.
const KNOWN_FOR: Duration = Duration::from_secs(2 * 60 * 60);

impl Bot {
    /// Where the bots of this workspace keep what is theirs; `None` without a database.
    pub(crate) fn kept(&self) -> Option<Kept> {
        self.omni().kept(&format!("slack:{}", self.me().team))
    }

    /// Whether something that came in is this process's to do: Slack may deliver the same to another one too. What has no
    /// key is, and so is everything where it cannot be known: done twice is better than not at all.
    pub(super) async fn is_ours(&self, key: Option<&str>) -> bool {
        let (Some(key), Some(kept)) = (key, self.kept()) else { return true };
        match kept.claim(&seen(key), KNOWN_FOR).await {
            Ok(is_ours) => is_ours,
            Err(error) => {
                tracing::warn!(%error, "it is not known whether another process takes this in too");
                true
            }
        }
    }

    /// It was not after all: another one may do it.
    pub(super) async fn is_not_ours(&self, key: &str) {
        let Some(kept) = self.kept() else { return };
        if let Err(error) = kept.release(&seen(key)).await {
            tracing::warn!(%error, "what this process leaves is not left to others");
        }
    }
}

fn seen(key: &str) -> String {
    format!("seen/{key}")
}
