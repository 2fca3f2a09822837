//! Where somebody may have the bot post by itself.

use serde_json::json;

use crate::{
    bot::{Bot, command::kind_of},
    event::ChannelKind,
    people::Person,
    port::SlackError,
};

/// Why they may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bot) enum Unfit {
    /// The bot does not answer there.
    Silent,
    /// The bot is not in the channel, or cannot see it.
    BotOutside,
    /// They are not.
    Outside,
    /// Nobody posts there any more.
    Archived,
    /// Slack cannot be asked.
    Away,
}

impl Unfit {
    pub(in crate::bot) fn text(self) -> &'static str {
        match self {
            Self::Silent => "🚫 I do not answer in that channel.",
            Self::BotOutside => "🚫 I am not in that channel. Invite me there first.",
            Self::Outside => "🚫 You are not in that channel.",
            Self::Archived => "🚫 That channel is archived.",
            Self::Away => "⚠️ Slack does not say who is in that channel. Please try again in a minute.",
        }
    }

    fn of(error: &SlackError) -> Self {
        match error.code() {
            Some(
                "channel_not_found" | "not_in_channel" | "user_not_found" | "method_not_supported_for_channel_type",
            ) => Self::BotOutside,
            _ => {
                tracing::warn!(%error, "it is not known who is in a channel");
                Self::Away
            }
        }
    }
}

impl Bot {
    /// What kind of channel it is in which somebody may have the bot post: it answers there, and both are in it.
    pub(in crate::bot) async fn may_report(&self, person: &Person, channel: &str) -> Result<ChannelKind, Unfit> {
        let (user, kind) = (&person.user.id, kind_of(channel));
        if kind == ChannelKind::Direct {
            let own = self.api().direct(user).await.map_err(|error| Unfit::of(&error))?;
            return match (own == channel, self.answers_in(channel, kind).await) {
                (true, true) => Ok(kind),
                (true, false) => Err(Unfit::Silent),
                // What others write to each other is nothing that the bot is part of.
                (false, _) => Err(Unfit::BotOutside),
            };
        }
        let found = self.api().call("conversations.info", &json!({ "channel": channel })).await;
        let found = found.map_err(|error| Unfit::of(&error))?;
        let is = |name: &str| found["channel"][name].as_bool();
        if is("is_member") != Some(true) {
            return Err(Unfit::BotOutside);
        }
        if is("is_archived") == Some(true) {
            return Err(Unfit::Archived);
        }
        if !self.api().is_in(channel, user).await.map_err(|error| Unfit::of(&error))? {
            return Err(Unfit::Outside);
        }
        match self.answers_in(channel, kind).await {
            true => Ok(kind),
            false => Err(Unfit::Silent),
        }
    }
}
