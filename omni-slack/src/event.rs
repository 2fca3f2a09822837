//! What Slack delivers, as the bot understands it: the same for sockets and for signed requests.

use std::time::Duration;

use serde_json::Value;

use crate::{Delivery, port::DeliveryKind, words};

/// How long something that came in is known again: duplicates come minutes later.
pub(crate) const KNOWN_FOR: Duration = Duration::from_secs(2 * 60 * 60);

/// What came in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Inbound {
    /// Somebody wrote something.
    Message(Message),
    /// Somebody gave a slash command.
    Command(Command),
    /// Somebody clicked something.
    Action(Action),
    /// Somebody sent a modal in.
    Submission(Submission),
    /// Somebody closed a modal without sending it in.
    Closed(Submission),
    /// Somebody chose a shortcut on a message.
    Shortcut(Shortcut),
    /// Somebody opened the app's page.
    HomeOpened {
        /// Who.
        user: User,
        /// The channel of their direct messages.
        channel: String,
        /// `home` or `messages`.
        tab: String,
    },
    /// Somebody pressed Slack's own button to stop.
    Stopped {
        /// Who.
        user: User,
        /// Where.
        channel: String,
        /// In which thread.
        thread: String,
    },
    /// Somebody reacted to a message.
    Reacted(Reaction),
    /// Something of a channel is another now: who reads it, its name, whether it is archived or still there.
    ChannelChanged(String),
    /// Somebody is in a channel no more.
    Left {
        /// Who.
        user: String,
        /// Which channel.
        channel: String,
    },
    /// Nothing that the bot has anything to do with.
    Other,
}

/// Somebody in Slack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct User {
    /// Their id.
    pub(crate) id: String,
    /// The workspace in which the app heard of them.
    pub(crate) team: String,
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) user: User,
    pub(crate) channel: String,
    pub(crate) kind: ChannelKind,
    pub(crate) text: String,
    pub(crate) ts: String,
    pub(crate) thread: Option<String>,
    /// Whether it came as a mention of the bot.
    pub(crate) is_mention: bool,
    /// What hangs on it, such as what somebody forwards by it.
    pub(crate) attached: String,
    /// The names of the files that are attached to it.
    pub(crate) files: Vec<String>,
}

/// What kind of channel a message is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ChannelKind {
    /// One that anybody may join, or that nothing is said of.
    #[default]
    Public,
    /// One that takes an invitation.
    Private,
    /// Direct messages between one person and the bot.
    Direct,
}

/// A slash command.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Command {
    pub(crate) user: User,
    pub(crate) channel: String,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) response_url: String,
    pub(crate) trigger: String,
}

/// A click.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Action {
    pub(crate) user: User,
    pub(crate) id: String,
    pub(crate) value: String,
    pub(crate) channel: String,
    /// The message that was clicked; empty in a modal or on the app's page.
    pub(crate) ts: String,
    pub(crate) thread: Option<String>,
    pub(crate) is_ephemeral: bool,
    pub(crate) response_url: Option<String>,
    pub(crate) trigger: String,
    /// The blocks of that message, where Slack sends them.
    pub(crate) blocks: Vec<Value>,
    /// Whether it is on the app's page.
    pub(crate) is_home: bool,
    /// What was clicked, as Slack says it.
    pub(crate) clicked: Value,
}

/// A reaction to a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reaction {
    pub(crate) user: User,
    /// Its name, such as `+1`, without the tone of its skin.
    pub(crate) name: String,
    pub(crate) channel: String,
    /// The message.
    pub(crate) ts: String,
    /// Whose message it is.
    pub(crate) author: String,
}

/// A modal that was sent in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Submission {
    pub(crate) user: User,
    pub(crate) callback: String,
    pub(crate) metadata: String,
    /// What was entered: `state.values`, by block and action.
    pub(crate) values: Value,
    /// The modal itself.
    pub(crate) view: String,
}

/// A shortcut on a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shortcut {
    pub(crate) user: User,
    pub(crate) callback: String,
    pub(crate) trigger: String,
    pub(crate) channel: String,
    pub(crate) ts: String,
    pub(crate) thread: Option<String>,
    pub(crate) text: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn some(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Inbound {
    /// What a delivery is. Whatever is not as it should be is nothing.
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let payload = &delivery.payload;
        match delivery.kind {
            DeliveryKind::Event => event(payload),
            DeliveryKind::Command => command(payload),
            DeliveryKind::Interaction => interaction(payload),
        }
    }

    /// By what it is known again when it is delivered once more; `None`: it is not.
    pub(crate) fn key(&self, delivery: &Delivery) -> Option<String> {
        match self {
            // A post with a mention comes twice, as two events.
            Self::Message(message) => Some(format!("message {} {}", message.channel, message.ts)),
            Self::HomeOpened { .. } | Self::Stopped { .. } | Self::Reacted(_) => {
                Some(format!("event {}", delivery.payload["event_id"].as_str()?))
            }
            // Without one nothing says that it is the same.
            Self::Command(command) => some_of("command", &command.trigger, ""),
            Self::Action(action) => some_of("action", &action.trigger, &action.id),
            Self::Submission(_) => {
                let view = &delivery.payload["view"];
                some_of("modal", view["id"].as_str()?, view["hash"].as_str()?)
            }
            Self::Closed(_) | Self::Shortcut(_) | Self::ChannelChanged(_) | Self::Left { .. } | Self::Other => None,
        }
    }
}

fn some_of(kind: &str, id: &str, of: &str) -> Option<String> {
    (!id.is_empty()).then(|| format!("{kind} {id} {of}"))
}

/// Events of which a channel is another one after them. The app subscribes to each.
pub(crate) const CHANGED: [&str; 12] = [
    "channel_archive",
    "channel_deleted",
    "channel_left",
    "channel_rename",
    "channel_shared",
    "channel_unarchive",
    "channel_unshared",
    "group_archive",
    "group_deleted",
    "group_left",
    "group_rename",
    "group_unarchive",
];
/// What a channel's own notes say of the same.
const CONVERTED: [&str; 2] = ["channel_convert_to_private", "channel_convert_to_public"];

/// The channel of an event: its id, or what else it says of it.
fn channel_of(event: &Value) -> String {
    some(&event["channel"]).unwrap_or_else(|| text(&event["channel"]["id"]))
}

fn event(payload: &Value) -> Inbound {
    let event = &payload["event"];
    let user = User { id: text(&event["user"]), team: text(&payload["team_id"]) };
    match event["type"].as_str() {
        Some("message") if event["subtype"].as_str().is_some_and(|kind| CONVERTED.contains(&kind)) => {
            Inbound::ChannelChanged(text(&event["channel"]))
        }
        Some(kind) if CHANGED.contains(&kind) => Inbound::ChannelChanged(channel_of(event)),
        Some("member_left_channel") => Inbound::Left { user: user.id, channel: text(&event["channel"]) },
        Some("message" | "app_mention") => message(event, user).map_or(Inbound::Other, Inbound::Message),
        Some("app_home_opened") => {
            Inbound::HomeOpened { user, channel: text(&event["channel"]), tab: text(&event["tab"]) }
        }
        Some("agent_session_stopped") => {
            Inbound::Stopped { user, channel: text(&event["channel"]), thread: text(&event["thread_ts"]) }
        }
        Some("reaction_added") => reaction(event, user).map_or(Inbound::Other, Inbound::Reacted),
        _ => Inbound::Other,
    }
}

fn reaction(event: &Value, user: User) -> Option<Reaction> {
    let item = &event["item"];
    let name = some(&event["reaction"]).filter(|_| item["type"] == "message" && !user.id.is_empty())?;
    Some(Reaction {
        user,
        name: name.split("::").next().unwrap_or_default().to_owned(),
        channel: some(&item["channel"])?,
        ts: some(&item["ts"])?,
        author: text(&event["item_user"]),
    })
}

/// What a person wrote. Posts of bots, changes, deletions and the channel's own notes are nobody's words.
fn message(event: &Value, user: User) -> Option<Message> {
    let is_said = matches!(event["subtype"].as_str(), None | Some("file_share" | "thread_broadcast"));
    let by_bot = !event["bot_id"].is_null() || !event["bot_profile"].is_null();
    if !is_said || by_bot || event["hidden"].as_bool() == Some(true) || user.id.is_empty() || is_edited_late(event) {
        return None;
    }
    let channel = some(&event["channel"])?;
    Some(Message {
        user,
        kind: kind(&channel, event["channel_type"].as_str()),
        channel,
        text: text(&event["text"]),
        ts: some(&event["ts"])?,
        thread: some(&event["thread_ts"]),
        is_mention: event["type"] == "app_mention",
        attached: words::attached(event),
        files: files(event),
    })
}

/// Whether a mention was changed so late that nobody knows any more whether it was answered: Slack tells of it again with
/// each change.
fn is_edited_late(event: &Value) -> bool {
    let seconds = |ts: &Value| ts.as_str()?.split('.').next()?.parse::<u64>().ok();
    let (said, edited) = (seconds(&event["ts"]), seconds(&event["edited"]["ts"]));
    said.zip(edited).is_some_and(|(said, edited)| edited.saturating_sub(said) >= KNOWN_FOR.as_secs())
}

/// The names of what is attached to a message, and to what is forwarded by it. Of what somebody else may see no more,
/// Slack says no name.
pub(crate) fn files(message: &Value) -> Vec<String> {
    let name = |file: &Value| some(&file["name"]).or_else(|| some(&file["title"])).unwrap_or_default();
    let of = |one: &Value| -> Vec<String> { one["files"].as_array().into_iter().flatten().map(name).collect() };
    let forwarded = message["attachments"].as_array().into_iter().flatten().flat_map(of);
    of(message).into_iter().chain(forwarded).collect()
}

fn kind(channel: &str, told: Option<&str>) -> ChannelKind {
    match (told, channel.as_bytes()) {
        (Some("im"), _) | (None, [b'D', ..]) => ChannelKind::Direct,
        (Some("group" | "mpim"), _) | (None, [b'G', ..]) => ChannelKind::Private,
        _ => ChannelKind::Public,
    }
}

fn command(payload: &Value) -> Inbound {
    let user = User { id: text(&payload["user_id"]), team: text(&payload["team_id"]) };
    if user.id.is_empty() {
        return Inbound::Other;
    }
    Inbound::Command(Command {
        user,
        channel: text(&payload["channel_id"]),
        name: text(&payload["command"]),
        text: text(&payload["text"]).trim().to_owned(),
        response_url: text(&payload["response_url"]),
        trigger: text(&payload["trigger_id"]),
    })
}

fn interaction(payload: &Value) -> Inbound {
    let team = some(&payload["team"]["id"]).or_else(|| some(&payload["user"]["team_id"])).unwrap_or_default();
    let user = User { id: text(&payload["user"]["id"]), team };
    if user.id.is_empty() {
        return Inbound::Other;
    }
    match payload["type"].as_str() {
        Some("block_actions") => action(payload, user).map_or(Inbound::Other, Inbound::Action),
        Some("view_submission") => Inbound::Submission(submission(payload, user)),
        Some("view_closed") => Inbound::Closed(submission(payload, user)),
        Some("message_action") => Inbound::Shortcut(shortcut(payload, user)),
        _ => Inbound::Other,
    }
}

fn action(payload: &Value, user: User) -> Option<Action> {
    let clicked = payload["actions"].as_array()?.first()?;
    let (container, message) = (&payload["container"], &payload["message"]);
    let chosen = some(&clicked["value"]).or_else(|| some(&clicked["selected_option"]["value"]));
    Some(Action {
        user,
        id: some(&clicked["action_id"])?,
        value: chosen.unwrap_or_default(),
        channel: some(&container["channel_id"]).or_else(|| some(&payload["channel"]["id"])).unwrap_or_default(),
        ts: text(&container["message_ts"]),
        thread: some(&container["thread_ts"]).or_else(|| some(&message["thread_ts"])),
        is_ephemeral: container["is_ephemeral"].as_bool().unwrap_or(false),
        response_url: some(&payload["response_url"]),
        trigger: text(&payload["trigger_id"]),
        blocks: message["blocks"].as_array().cloned().unwrap_or_default(),
        is_home: payload["view"]["type"] == "home",
        clicked: clicked.clone(),
    })
}

fn submission(payload: &Value, user: User) -> Submission {
    let view = &payload["view"];
    Submission {
        user,
        callback: text(&view["callback_id"]),
        metadata: text(&view["private_metadata"]),
        values: view["state"]["values"].clone(),
        view: text(&view["id"]),
    }
}

fn shortcut(payload: &Value, user: User) -> Shortcut {
    let message = &payload["message"];
    Shortcut {
        user,
        callback: text(&payload["callback_id"]),
        trigger: text(&payload["trigger_id"]),
        channel: text(&payload["channel"]["id"]),
        ts: text(&message["ts"]),
        thread: some(&message["thread_ts"]),
        text: text(&message["text"]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(event: &Value) -> Inbound {
        let payload = json!({ "team_id": "T1", "event_id": "Ev1", "event": event });
        Inbound::of(&Delivery::new(DeliveryKind::Event, payload))
    }

    #[test]
    fn only_what_a_person_wrote_is_a_message() {
        let post = |more: Value| {
            let mut post = json!({ "type": "message", "channel": "C1", "user": "U1", "text": "hi", "ts": "1.1" });
            post.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event(&post)
        };
        let Inbound::Message(message) = post(json!({ "channel_type": "im", "thread_ts": "1.0" })) else { panic!() };
        assert_eq!((message.kind, message.thread.as_deref()), (ChannelKind::Direct, Some("1.0")));
        let files = json!([{ "id": "F1", "name": "a.csv" }, { "id": "F2", "title": "Plan" }, { "id": "F3" }]);
        let Inbound::Message(message) = post(json!({ "subtype": "file_share", "files": files })) else { panic!() };
        assert_eq!(message.files, ["a.csv", "Plan", ""]);
        let shared = json!([{ "is_share": true, "text": "Disk is full", "files": [{ "name": "b.log" }] }]);
        let Inbound::Message(message) = post(json!({ "attachments": shared })) else { panic!() };
        assert_eq!((&*message.attached, message.files), ("Disk is full", vec!["b.log".to_owned()]));
        for more in [
            json!({ "bot_id": "B1" }),
            json!({ "subtype": "bot_message" }),
            json!({ "subtype": "channel_join" }),
            json!({ "subtype": "message_deleted", "hidden": true }),
            json!({ "hidden": true }),
            json!({ "user": null }),
        ] {
            assert_eq!(post(more.clone()), Inbound::Other, "{more}");
        }
        let changed = json!({ "type": "message", "subtype": "message_changed", "channel": "D1", "ts": "1.2",
            "message": { "user": "U1", "text": "hi!" }, "hidden": true });
        assert_eq!(event(&changed), Inbound::Other);
    }

    #[test]
    fn what_changes_of_a_channel_is_known_by_its_id() {
        for changed in [
            json!({ "type": "channel_archive", "channel": "C1", "user": "U1" }),
            json!({ "type": "group_rename", "channel": { "id": "C1", "name": "new" } }),
            json!({ "type": "group_left", "channel": "C1" }),
            json!({ "type": "channel_shared", "connected_team_id": "T2", "channel": "C1", "event_ts": "1.1" }),
            json!({ "type": "message", "subtype": "channel_convert_to_private", "channel": "C1", "user": "U1", "ts": "1.1",
                "text": "made this channel private", "channel_type": "group" }),
        ] {
            assert_eq!(event(&changed), Inbound::ChannelChanged("C1".into()), "{changed}");
        }
        let left = json!({ "type": "member_left_channel", "channel": "C1", "user": "U1", "channel_type": "C" });
        assert_eq!(event(&left), Inbound::Left { user: "U1".into(), channel: "C1".into() });
    }

    #[test]
    fn a_reaction_counts_whatever_the_tone_of_its_skin() {
        let react = |name: &str, item: &str| {
            event(&json!({ "type": "reaction_added", "user": "U1", "reaction": name, "item_user": "UBOT",
                "item": { "type": item, "channel": "C1", "ts": "1.1" } }))
        };
        let Inbound::Reacted(reaction) = react("+1::skin-tone-4", "message") else { panic!() };
        assert_eq!((&*reaction.name, &*reaction.author, &*reaction.ts), ("+1", "UBOT", "1.1"));
        assert_eq!(react("+1", "file"), Inbound::Other);
    }

    #[test]
    fn a_post_that_mentions_the_bot_is_one_thing_though_it_comes_as_two() {
        let key = |kind: &str, id: &str| {
            let event = json!({ "type": kind, "channel": "C1", "user": "U1", "text": "<@UBOT> hi", "ts": "1.1" });
            let payload = json!({ "team_id": "T1", "event_id": id, "event": event });
            let delivery = Delivery::new(DeliveryKind::Event, payload);
            Inbound::of(&delivery).key(&delivery)
        };
        assert_eq!(key("message", "Ev1"), key("app_mention", "Ev2"));
    }

    #[test]
    fn a_click_knows_its_place_also_where_slack_sends_no_message() {
        let payload = json!({ "type": "block_actions", "user": { "id": "U1", "team_id": "T2" }, "trigger_id": "t",
            "container": { "type": "message", "message_ts": "2.1", "channel_id": "C1", "is_ephemeral": true,
                "thread_ts": "1.1" },
            "response_url": "http://127.0.0.1/x",
            "actions": [{ "type": "static_select", "action_id": "a", "selected_option": { "value": "v" } }] });
        let Inbound::Action(action) = Inbound::of(&Delivery::new(DeliveryKind::Interaction, payload)) else { panic!() };
        assert_eq!((action.user.team.as_str(), action.value.as_str()), ("T2", "v"));
        assert_eq!((action.thread.as_deref(), action.is_ephemeral), (Some("1.1"), true));
    }

    #[test]
    fn what_slack_gives_no_trigger_is_not_taken_for_the_same() {
        let key = |payload: Value| {
            let delivery = Delivery::new(DeliveryKind::Command, payload);
            Inbound::of(&delivery).key(&delivery)
        };
        assert_eq!(key(json!({ "user_id": "U1", "command": "/omni" })), None);
        assert!(key(json!({ "user_id": "U1", "command": "/omni", "trigger_id": "1.2" })).is_some());
    }

    #[test]
    fn a_modal_that_comes_again_is_known_again() {
        let view = json!({ "id": "V1", "hash": "1.h", "callback_id": "x" });
        let payload = json!({ "type": "view_submission", "user": { "id": "U1" }, "view": view });
        let delivery = Delivery::new(DeliveryKind::Interaction, payload);
        assert_eq!(Inbound::of(&delivery).key(&delivery).as_deref(), Some("modal V1 1.h"));
    }
}
