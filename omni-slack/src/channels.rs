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
    places: Known<Place>,
}

/// A channel as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) is_private: bool,
    /// Whether people of other organisations read it, or are invited to.
    pub(crate) is_shared: bool,
    /// What it is called; `None` where that is not known.
    pub(crate) name: Option<String>,
}

impl Default for Channels {
    fn default() -> Self {
        Self { places: Known::new(MOST, KNOWN_FOR) }
    }
}

impl Channels {
    /// What a channel is. One that cannot be looked at is taken for a private one without a name, which others may
    /// read.
    pub(crate) async fn look_at(&self, api: &Api, channel: &str) -> Place {
        let asked = async {
            let found = api.call("conversations.info", &json!({ "channel": channel })).await?;
            let found = &found["channel"];
            let is_private = found["is_private"].as_bool() != Some(false);
            let is_shared =
                ["is_ext_shared", "is_pending_ext_shared"].iter().any(|name| found[*name].as_bool() == Some(true));
            Ok(Place { is_private, is_shared, name: found["name"].as_str().map(str::to_owned) })
        };
        self.places.of(channel, asked).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known what a channel is; it counts as a private one without a name");
            Place { is_private: true, is_shared: true, name: None }
        })
    }

    /// Something of a channel is another now: it is asked anew next.
    pub(crate) fn forget(&self, channel: &str) {
        self.places.forget(channel);
    }
}
