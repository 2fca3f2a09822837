//! What kind of place a channel is, where what Slack delivers does not say. What it says of a channel that changes makes it
//! unknown again.

use std::time::Duration;

use serde_json::json;

use crate::{api::Api, known::Known};

/// How long it is known of a channel.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// Of how many at a time.
const MOST: u64 = 20_000;

/// The channels that the bot has met.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    private: Known<bool>,
}

impl Default for Channels {
    fn default() -> Self {
        Self { private: Known::new(MOST, KNOWN_FOR) }
    }
}

impl Channels {
    /// Whether a channel is private. What cannot be looked at is taken for that.
    pub(crate) async fn is_private(&self, api: &Api, channel: &str) -> bool {
        let asked = async {
            let found = api.call("conversations.info", &json!({ "channel": channel })).await?;
            Ok(found["channel"]["is_private"].as_bool() != Some(false))
        };
        self.private.of(channel, asked).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether a channel is private; it counts as one");
            true
        })
    }

    /// Something of a channel is another now: it is asked anew next.
    pub(crate) fn forget(&self, channel: &str) {
        self.private.forget(channel);
    }
}
