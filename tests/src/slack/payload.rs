//! JSON as Slack writes it: messages, events, clicks.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    APP, BOT, BOT_USER, Message, TEAM, View, World,
    delivery::Delivery,
    world::{Hook, Kind, Trigger},
};

/// The workspace's name in addresses.
const DOMAIN: &str = "acme";
const TOKEN: &str = "verification-token";

/// Without the members that are null.
pub(super) fn compact(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}

impl World {
    /// A message as it is listed.
    pub(super) fn message_json(&self, message: &Message) -> Value {
        let blocks = if message.by_bot { Value::from(message.blocks.clone()) } else { rich_text(&message.text) };
        let some = |list: &Vec<Value>| (!list.is_empty()).then(|| list.clone());
        let mut listed = json!({
            "type": "message", "subtype": message.subtype, "user": message.user, "text": message.text,
            "ts": message.ts, "team": TEAM, "thread_ts": message.thread_ts, "metadata": message.metadata,
            "blocks": blocks.as_array().filter(|blocks| !blocks.is_empty()), "attachments": some(&message.attachments),
        });
        if message.by_bot {
            listed["bot_id"] = BOT.into();
            listed["app_id"] = APP.into();
            listed["bot_profile"] = json!({
                "id": BOT, "app_id": APP, "user_id": BOT_USER, "name": self.app.name, "deleted": false,
                "updated": 1_700_000_000, "team_id": TEAM,
            });
        } else if message.subtype.is_none() {
            listed["client_msg_id"] = Uuid::new_v4().to_string().into();
        }
        if message.edits > 0 {
            listed["edited"] = json!({ "user": message.user, "ts": message.ts });
        }
        if !message.files.is_empty() {
            let files = message
                .files
                .iter()
                .map(|name| json!({ "id": "F0FILE", "name": name, "title": name, "mimetype": "text/plain" }));
            listed["files"] = files.collect();
        }
        compact(listed)
    }

    /// Sends an event if the app has subscribed to it; its id.
    pub(super) fn tells(&mut self, subscription: &str, event: Value) -> Option<String> {
        self.app.events.contains(subscription).then(|| self.tells_anyway(event))
    }

    pub(super) fn tells_anyway(&mut self, event: Value) -> String {
        let event_id = self.id("Ev0");
        let kind = event["type"].as_str().unwrap_or_default();
        let channel = event["channel"].as_str().or(event["item"]["channel"].as_str()).unwrap_or_default();
        let body = json!({
            "token": TOKEN, "team_id": TEAM, "api_app_id": APP, "type": "event_callback", "event_id": event_id,
            "event_time": self.clock.unix().as_secs(), "is_ext_shared_channel": false,
            "event_context": format!("4-{kind}-{TEAM}-{channel}"), "event": event,
            "authorizations": [{
                "enterprise_id": null, "team_id": TEAM, "user_id": BOT_USER, "is_bot": true,
                "is_enterprise_install": false,
            }],
        });
        self.deliver(Delivery::new("events_api", body, false));
        event_id
    }

    /// Sends an event about a message in a channel that the bot is in.
    pub(super) fn tells_of(&mut self, channel: &str, event: Value) -> Option<String> {
        let (subscription, kind) = match self.channels.get(channel)?.kind {
            Kind::Public => ("message.channels", "channel"),
            Kind::Private => ("message.groups", "group"),
            Kind::Direct => ("message.im", "im"),
        };
        if !self.is_in(BOT_USER, channel) {
            return None;
        }
        let mut event = event;
        event["type"] = "message".into();
        event["channel"] = channel.into();
        event["channel_type"] = kind.into();
        if event["event_ts"].is_null() {
            event["event_ts"] = event["ts"].clone();
        }
        self.tells(subscription, event)
    }

    /// Something happened to a channel that the bot is in: `archive`, `left` …
    pub(super) fn tells_of_channel(&mut self, channel: &str, what: &str) {
        let kind = if self.channels[channel].kind == Kind::Public { "channel" } else { "group" };
        let (name, ts) = (format!("{kind}_{what}"), self.ts());
        self.tells(&name, json!({ "type": name, "channel": channel, "event_ts": ts }));
    }

    /// Somebody is in a channel no more. Of the bot it is said in another way.
    pub(super) fn tells_of_leaving(&mut self, user: &str, channel: &str) {
        if user == BOT_USER {
            return self.tells_of_channel(channel, "left");
        }
        if self.is_in(BOT_USER, channel) {
            let kind = if self.channels[channel].kind == Kind::Public { "C" } else { "G" };
            let event = json!({ "type": "member_left_channel", "user": user, "channel": channel, "channel_type": kind,
                "team": TEAM, "event_ts": self.ts() });
            self.tells("member_left_channel", event);
        }
    }

    /// A channel is private from now on, as its own note says.
    pub(super) fn tells_of_conversion(&mut self, channel: &str) {
        let ts = self.ts();
        let text = "made this channel *private*. Now, it can only be viewed or joined by invitation.";
        let event = json!({ "subtype": "channel_convert_to_private", "user": "USLACKBOT", "text": text, "ts": ts });
        self.tells_of(channel, event);
    }

    /// A message of the bot is an event for the bot too.
    pub(super) fn tells_of_own(&mut self, message: &Message) {
        let event = self.message_json(message);
        self.tells_of(&message.channel, event);
    }

    /// Somebody changed a message.
    pub(super) fn tells_of_change(&mut self, before: &Message, after: &Message) {
        let (message, previous) = (self.message_json(after), self.message_json(before));
        let ts = self.ts();
        let event = json!({
            "subtype": "message_changed", "hidden": true, "ts": ts, "message": message, "previous_message": previous,
        });
        self.tells_of(&after.channel, event);
    }

    /// Somebody deleted a message.
    pub(super) fn tells_of_removal(&mut self, message: &Message) {
        let previous = self.message_json(message);
        let ts = self.ts();
        let event = json!({
            "subtype": "message_deleted", "hidden": true, "ts": ts, "deleted_ts": message.ts,
            "previous_message": previous,
        });
        self.tells_of(&message.channel, event);
    }

    /// What a person did, up to what is particular to it; its trigger.
    pub(super) fn interaction(&mut self, kind: &str, user: &str, view: Option<&View>) -> (Value, String) {
        let trigger = self.trigger(user, view);
        let name = self.name_of(user);
        let body = json!({
            "type": kind, "user": { "id": user, "username": name, "name": name, "team_id": TEAM },
            "api_app_id": APP, "token": TOKEN, "trigger_id": trigger, "team": { "id": TEAM, "domain": DOMAIN },
            "enterprise": null, "is_enterprise_install": false,
        });
        (body, trigger)
    }

    pub(super) fn trigger(&mut self, user: &str, view: Option<&View>) -> String {
        let id = format!("{}.{}", self.clock.unix().as_millis(), self.id("trigger"));
        let at = self.clock.now();
        let view = view.map(|view| view.id.clone());
        self.triggers.insert(id.clone(), Trigger { at, is_used: false, user: user.into(), view });
        id
    }

    /// An address that answers can be posted to.
    pub(super) fn hook(&mut self, kind: &str, channel: &str, user: &str, original: Option<(String, bool)>) -> String {
        let id = self.id("hook");
        let at = self.clock.now();
        self.hooks.insert(id.clone(), Hook { at, uses: 0, channel: channel.into(), user: user.into(), original });
        format!("{}/{kind}/{TEAM}/1/{id}", self.url)
    }

    /// The body of a slash command; its trigger and its response url.
    pub(super) fn command(&mut self, user: &str, channel: &str, command: &str, text: &str) -> (Value, String, String) {
        let (trigger, hook) = (self.trigger(user, None), self.hook("commands", channel, user, None));
        let body = json!({
            "token": TOKEN, "team_id": TEAM, "team_domain": DOMAIN, "channel_id": channel,
            "channel_name": self.channel_name(channel), "user_id": user, "user_name": self.name_of(user),
            "command": command, "text": text, "api_app_id": APP, "is_enterprise_install": "false",
            "response_url": hook, "trigger_id": trigger,
        });
        (body, trigger, hook)
    }

    pub(super) fn channel_name(&self, channel: &str) -> String {
        match self.channels.get(channel) {
            Some(channel) if channel.kind == Kind::Direct => "directmessage".into(),
            Some(channel) => channel.name.clone(),
            None => String::new(),
        }
    }

    /// A channel as it is described.
    pub(super) fn channel_json(&self, id: &str) -> Value {
        let Some(channel) = self.channels.get(id) else { return Value::Null };
        let is = |kind| channel.kind == kind;
        let other = channel.members.iter().find(|member| *member != BOT_USER);
        compact(json!({
            "id": id, "name": (!is(Kind::Direct)).then_some(&channel.name), "is_channel": is(Kind::Public),
            "is_group": is(Kind::Private), "is_im": is(Kind::Direct), "is_private": !is(Kind::Public),
            "is_mpim": false, "is_archived": channel.is_archived, "is_ext_shared": channel.is_shared,
            "is_member": channel.members.contains(BOT_USER),
            "created": 1_700_000_000, "user": is(Kind::Direct).then_some(other), "num_members": channel.members.len(),
            "context_team_id": TEAM,
        }))
    }
}

/// What a person typed, as rich text.
fn rich_text(text: &str) -> Value {
    if text.is_empty() {
        return json!([]);
    }
    let mut elements = Vec::new();
    let mut rest = text;
    while let Some((before, (mention, after))) = next_mention(rest) {
        if !before.is_empty() {
            elements.push(json!({ "type": "text", "text": unescaped(before) }));
        }
        elements.push(json!({ "type": "user", "user_id": mention }));
        rest = after;
    }
    if !rest.is_empty() {
        elements.push(json!({ "type": "text", "text": unescaped(rest) }));
    }
    json!([{ "type": "rich_text", "block_id": "said1", "elements": [{ "type": "rich_text_section", "elements": elements }] }])
}

fn next_mention(text: &str) -> Option<(&str, (&str, &str))> {
    let (before, rest) = text.split_once("<@")?;
    Some((before, rest.split_once('>')?))
}

/// What a person types becomes text in which `<@U…>` and `<#C…>` are mentions and all else is as typed.
pub(super) fn escaped(typed: &str) -> String {
    let mut text = typed.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for (mark, first) in [("@", 'U'), ("@", 'W'), ("#", 'C')] {
        let open = format!("&lt;{mark}{first}");
        while let Some(start) = text.find(&open) {
            let Some(end) = text[start..].find("&gt;").map(|end| start + end) else { break };
            let inner = text[start + 4..end].to_owned();
            if !inner[1..].chars().all(|c| c.is_ascii_alphanumeric()) {
                break;
            }
            text.replace_range(start..end + 4, &format!("<{inner}>"));
        }
    }
    text
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// A view as it is told, with what Slack adds.
pub(super) fn view_json(given: &Value, id: &str, hash: &str, root: &str, previous: Option<&str>) -> Value {
    let mut fields: Map<String, Value> = given.as_object().cloned().unwrap_or_default();
    let told = json!({
        "id": id, "team_id": TEAM, "app_id": APP, "bot_id": BOT, "app_installed_team_id": TEAM, "hash": hash,
        "root_view_id": root, "previous_view_id": previous,
    });
    let defaults = json!({
        "private_metadata": "", "callback_id": "", "external_id": "", "state": { "values": {} },
        "clear_on_close": false, "notify_on_close": false, "close": null, "submit": null,
    });
    for (name, value) in defaults.as_object().into_iter().flatten() {
        fields.entry(name.clone()).or_insert_with(|| value.clone());
    }
    fields.extend(told.as_object().cloned().unwrap_or_default());
    Value::Object(fields)
}
