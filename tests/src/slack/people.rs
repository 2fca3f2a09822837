//! What people do.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    BOT_USER, Message, Post, Shared, Slack, StreamState, World,
    delivery::{Delivery, Outcome},
    payload::{compact, escaped},
};

/// An answer to something that was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Ack {
    /// `events_api`, `slash_commands` or `interactive`.
    pub kind: String,
    /// How long it took.
    pub took: Duration,
    /// What came with it.
    pub payload: Option<Value>,
    /// The event, of an event.
    pub event_id: Option<String>,
    /// How many deliveries of the event went before.
    pub attempt: u32,
}

/// A command, a click or a shortcut that was delivered.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What opens a modal, once and within three seconds.
    pub trigger_id: String,
    /// Where answers can be posted, five times and for half an hour.
    pub response_url: Option<String>,
    pub(super) delivery: String,
    pub(super) shared: Arc<Shared>,
}

impl Sent {
    /// Waits until it is acked; nothing when three seconds passed or no connection was open, upon which the person
    /// sees an error.
    pub async fn acked(&self) -> Option<Ack> {
        match self.shared.outcome(&self.delivery).await {
            Outcome::Acked(ack) => Some(ack),
            Outcome::Failed => None,
        }
    }
}

impl Slack {
    /// A post that mentions the bot first. In text, `<@U…>` and `<#C…>` are mentions; all else is as typed.
    pub async fn mentions(&self, user: &str, channel: &str, text: &str) -> Post {
        self.says(user, channel, &format!("<@{BOT_USER}> {text}")).await
    }

    /// The same as a reply in a thread.
    pub async fn mentions_in(&self, user: &str, channel: &str, thread_ts: &str, text: &str) -> Post {
        self.replies(user, channel, thread_ts, &format!("<@{BOT_USER}> {text}")).await
    }

    /// A direct message to the bot.
    pub async fn dms(&self, user: &str, text: &str) -> Post {
        let channel = self.direct(user);
        self.says(user, &channel, text).await
    }

    /// A post without a mention.
    pub async fn says(&self, user: &str, channel: &str, text: &str) -> Post {
        self.act(|world| world.person_posts(Said { user, channel, text, ..Said::default() })).await
    }

    /// A reply in a thread without a mention; the channel may be a direct one.
    pub async fn replies(&self, user: &str, channel: &str, thread_ts: &str, text: &str) -> Post {
        let thread_ts = Some(thread_ts);
        self.act(|world| world.person_posts(Said { user, channel, text, thread_ts, ..Said::default() })).await
    }

    /// A post with a file, which mentions the bot where the text does (`<@U0OMNI>`).
    pub async fn shares(&self, user: &str, channel: &str, text: &str, file: &str) -> Post {
        let said = Said { user, channel, text, file: Some(file), subtype: Some("file_share"), ..Said::default() };
        self.act(|world| world.person_posts(said)).await
    }

    /// A reply in a thread that is shown in the channel too.
    pub async fn broadcasts(&self, user: &str, channel: &str, thread_ts: &str, text: &str) -> Post {
        let (thread_ts, subtype) = (Some(thread_ts), Some("thread_broadcast"));
        self.act(|world| world.person_posts(Said { user, channel, text, thread_ts, subtype, ..Said::default() })).await
    }

    /// Something hangs on a post from now on, as on what apps say.
    ///
    /// # Panics
    /// When the post is there no more.
    pub fn hangs_on(&self, post: &Post, attachments: &Value) {
        self.shared.with(|world| {
            let message = world.find(&post.channel, &post.ts).expect("the post is still there");
            message.attachments = attachments.as_array().cloned().unwrap_or_default();
        });
    }

    /// Its author changes a post.
    pub async fn edits(&self, post: &Post, text: &str) {
        self.act(|world| world.person_edits(post, text)).await;
    }

    /// Its author deletes a post.
    pub async fn deletes(&self, post: &Post) {
        self.act(|world| {
            let message = world.look_up(&post.channel, &post.ts).cloned().expect("the post is still there");
            world.messages.get_mut(&post.channel).expect("it was found").retain(|message| message.ts != post.ts);
            world.tells_of_removal(&message);
        })
        .await;
    }

    /// Somebody joins a channel.
    pub async fn joins(&self, user: &str, channel: &str) -> Post {
        self.act(|world| {
            world.channels.get_mut(channel).expect("there is such a channel").members.insert(user.into());
            let text = format!("<@{user}> has joined the channel");
            world.person_posts(Said { user, channel, text: &text, subtype: Some("channel_join"), ..Said::default() })
        })
        .await
    }

    /// A reaction to a message of anybody.
    pub async fn reacts(&self, user: &str, channel: &str, ts: &str, name: &str) {
        self.act(|world| world.person_reacts("reaction_added", user, (channel, ts), name)).await;
    }

    /// Takes a reaction back.
    pub async fn unreacts(&self, user: &str, channel: &str, ts: &str, name: &str) {
        self.act(|world| world.person_reacts("reaction_removed", user, (channel, ts), name)).await;
    }

    /// Presses Slack's own Stop button in a thread: its streams end, and the bot is told.
    pub async fn stops(&self, user: &str, channel: &str, thread_ts: &str) {
        self.act(|world| world.person_stops(user, channel, thread_ts)).await;
    }

    /// Opens the bot's home tab.
    pub async fn opens_home(&self, user: &str) {
        self.act(|world| {
            assert!(world.app.has_home, "the app has no home tab");
            world.opens_tab(user, "home");
        })
        .await;
    }

    /// Opens the conversation with the bot; its direct channel.
    pub async fn opens_messages(&self, user: &str) -> String {
        self.act(|world| {
            assert!(world.app.has_messages, "the app has no messages tab");
            world.opens_tab(user, "messages")
        })
        .await
    }

    /// Any event, as it is; its id.
    pub async fn event(&self, event: Value) -> String {
        self.act(|world| world.tells_anyway(event)).await
    }

    /// Delivers an event once more, as Slack does when it saw no ack: the same event, a new envelope.
    pub async fn redeliver(&self, event_id: &str) {
        self.act(|world| {
            let mut delivery = world.deliveries.events.get(event_id).cloned().expect("there was such an event");
            (delivery.attempt, delivery.reason) = (1, "timeout");
            world.deliver(delivery);
        })
        .await;
    }

    /// A slash command.
    pub async fn slash(&self, user: &str, channel: &str, command: &str, text: &str) -> Sent {
        let (delivery, trigger_id, hook) = self
            .act(|world| {
                assert!(world.app.commands.contains(command), "{command} is not a valid command");
                assert!(world.is_in(user, channel), "{user} is not in {channel}");
                let (body, trigger, hook) = world.command(user, channel, command, &escaped(text));
                (world.hands_over("slash_commands", body, true), trigger, hook)
            })
            .await;
        Sent { trigger_id, response_url: Some(hook), delivery, shared: self.shared.clone() }
    }

    /// A shortcut on a message.
    pub async fn shortcut(&self, user: &str, callback_id: &str, message: &Message) -> Sent {
        let (delivery, trigger_id, hook) = self
            .act(|world| {
                assert!(world.app.shortcuts.contains(callback_id), "the app has no shortcut {callback_id}");
                assert!(world.is_in(user, &message.channel), "{user} does not see that message");
                let (mut body, trigger) = world.interaction("message_action", user, None);
                let hook = world.hook("app", &message.channel, user, Some((message.ts.clone(), false)));
                body["callback_id"] = callback_id.into();
                body["action_ts"] = world.ts().into();
                body["message_ts"] = message.ts.clone().into();
                body["message"] = world.message_json(message);
                body["channel"] = json!({ "id": message.channel, "name": world.channel_name(&message.channel) });
                body["response_url"] = hook.clone().into();
                (world.hands_over("interactive", body, false), trigger, hook)
            })
            .await;
        Sent { trigger_id, response_url: Some(hook), delivery, shared: self.shared.clone() }
    }

    /// Does something, and lets the tasks that it woke run.
    pub(super) async fn act<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let done = self.shared.with(act);
        tokio::task::yield_now().await;
        done
    }
}

/// A post in the making.
#[derive(Debug, Default)]
struct Said<'a> {
    user: &'a str,
    channel: &'a str,
    text: &'a str,
    thread_ts: Option<&'a str>,
    file: Option<&'a str>,
    subtype: Option<&'a str>,
}

impl World {
    /// Something for the bot that is not an event; by which its outcome is found.
    pub(super) fn hands_over(&mut self, kind: &'static str, body: Value, accepts: bool) -> String {
        let delivery = Delivery::new(kind, body, accepts);
        let id = delivery.id.clone();
        self.deliver(delivery);
        id
    }

    fn person_posts(&mut self, said: Said<'_>) -> Post {
        let Said { user, channel, text, thread_ts, file, subtype } = said;
        assert!(self.users.contains_key(user), "there is no user {user}");
        assert!(self.is_in(user, channel), "{user} is not in {channel}");
        let message = Message {
            channel: channel.into(),
            ts: self.ts(),
            thread_ts: thread_ts.map(str::to_owned),
            user: user.into(),
            text: if subtype == Some("channel_join") { text.to_owned() } else { escaped(text) },
            files: file.map(str::to_owned).into_iter().collect(),
            subtype: subtype.map(str::to_owned),
            changed: self.clock.now(),
            ..Message::default()
        };
        self.add(message.clone());
        let event = self.message_json(&message);
        let event_ids = self.tells_of_post(&message, event);
        Post { channel: message.channel, user: message.user, ts: message.ts, thread_ts: message.thread_ts, event_ids }
    }

    /// A post with a mention is two events, and either comes first: they take turns.
    fn tells_of_post(&mut self, message: &Message, event: Value) -> Vec<String> {
        let is_direct = message.channel.starts_with('D');
        let mentions = message.text.contains(&format!("<@{BOT_USER}>")) && !is_direct;
        let told =
            mentions && self.is_in(BOT_USER, &message.channel) && message.subtype.as_deref() != Some("channel_join");
        let mut mention = event.clone();
        mention["type"] = "app_mention".into();
        mention["channel"] = message.channel.clone().into();
        mention["event_ts"] = message.ts.clone().into();
        let mention = compact(mention);
        self.mentions += u64::from(told);
        if told && self.mentions.is_multiple_of(2) {
            let first = self.tells("app_mention", mention);
            return first.into_iter().chain(self.tells_of(&message.channel, event)).collect();
        }
        let first = self.tells_of(&message.channel, event);
        let second = if told { self.tells("app_mention", mention) } else { None };
        first.into_iter().chain(second).collect()
    }

    fn person_edits(&mut self, post: &Post, text: &str) {
        let before = self.look_up(&post.channel, &post.ts).cloned().expect("the post is still there");
        let mut after = before.clone();
        after.text = escaped(text);
        after.edits += 1;
        after.changed = self.clock.now();
        *self.find(&post.channel, &post.ts).expect("it was found") = after.clone();
        self.tells_of_change(&before, &after);
    }

    fn person_reacts(&mut self, kind: &str, user: &str, (channel, ts): (&str, &str), name: &str) {
        let author = self.look_up(channel, ts).expect("there is such a message").user.clone();
        assert!(self.is_in(user, channel), "{user} is not in {channel}");
        let reactions = self.reactions.entry((channel.to_owned(), ts.to_owned())).or_default();
        reactions.retain(|(other, by)| other != name || by != user);
        if kind == "reaction_added" {
            reactions.push((name.into(), user.into()));
        }
        let event_ts = self.ts();
        let event = json!({
            "type": kind, "user": user, "reaction": name, "item_user": author, "event_ts": event_ts,
            "item": { "type": "message", "channel": channel, "ts": ts },
        });
        if self.is_in(BOT_USER, channel) {
            self.tells(kind, event);
        }
    }

    fn person_stops(&mut self, user: &str, channel: &str, thread_ts: &str) {
        let mut stopped = Vec::new();
        for message in self.messages.get_mut(channel).into_iter().flatten() {
            let is_here = message.thread_ts.as_deref() == Some(thread_ts);
            if let Some(stream) = message.stream.as_mut().filter(|stream| is_here && stream.state == StreamState::Open)
            {
                stream.state = StreamState::StoppedByUser;
                stopped.push(message.ts.clone());
            }
        }
        let event_ts = self.ts();
        let event = json!({
            "type": "agent_session_stopped", "channel": channel, "thread_ts": thread_ts, "user": user,
            "streaming_message_ts": stopped, "event_ts": event_ts,
        });
        self.tells("agent_session_stopped", event);
    }

    fn opens_tab(&mut self, user: &str, tab: &str) -> String {
        let channel = self.direct(user).expect("there is such a user");
        let event_ts = self.ts();
        let mut event =
            json!({ "type": "app_home_opened", "user": user, "channel": channel, "tab": tab, "event_ts": event_ts });
        if let Some(home) = self.homes.get(user).filter(|_| tab == "home") {
            event["view"] = home.body.clone();
        }
        self.tells("app_home_opened", event);
        channel
    }
}
