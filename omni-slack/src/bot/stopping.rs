//! An end of what somebody asked, also where another process of the workspace answers it.

use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Bot, keeping::in_time, running::Spot};

/// How often a process looks whether somebody wants an end of what it answers.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long such a wish counts.
const COUNTS: Duration = Duration::from_secs(15);

/// What becomes of the wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopping {
    /// Something ends.
    Here,
    /// Something may end in another process.
    Elsewhere,
    /// There is nothing.
    Nothing,
}

fn key(spot: &Spot, user: &str) -> String {
    format!("stop/{}/{}/{user}", spot.0, spot.1)
}

impl Bot {
    /// Gives up what somebody asked at a place, whoever answers it.
    pub(super) async fn stop_everywhere(&self, spot: &Spot, user: &str) -> Stopping {
        if self.0.running.stop(spot, user, false) > 0 {
            return Stopping::Here;
        }
        let Some(kept) = self.kept() else { return Stopping::Nothing };
        match in_time(kept.put_for(&key(spot, user), &json!(Utc::now().timestamp_millis()), COUNTS)).await {
            Ok(()) => Stopping::Elsewhere,
            Err(error) => {
                tracing::warn!(%error, "another process is not told that somebody wants an end");
                Stopping::Nothing
            }
        }
    }

    /// Looks, until this is dropped, whether another process was asked for an end after this began: a wish that found
    /// nothing is no end of what is asked next.
    pub(super) fn heeds_others(
        &self,
        spot: &Spot,
        user: &str,
        stop: &CancellationToken,
    ) -> Option<AbortOnDropHandle<()>> {
        let (kept, key, stop) = (self.kept()?, key(spot, user), stop.clone());
        let began = Utc::now().timestamp_millis();
        Some(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                sleep(LOOK_EVERY).await;
                // What cannot be looked at now is looked at again.
                let wished = in_time(kept.get(&key)).await.ok().flatten().and_then(|at| at.as_i64());
                if wished.is_some_and(|at| at >= began) {
                    return stop.cancel();
                }
            }
        })))
    }
}
