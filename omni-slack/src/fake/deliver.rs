//! What somebody types, as Slack would deliver it.

use serde_json::{Value, json};

use super::{BOT, Button, DIRECT, Fake, Said, Spot, YOU, form};
use crate::port::{Delivery, DeliveryKind};

/// Where somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Direct messages.
    Direct,
    /// The channel.
    Channel,
    /// The thread of the channel that was used last.
    Thread,
}

fn typed(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace("@omni", &format!("<@{BOT}>"))
}

impl Fake {
    fn you(&self) -> Value {
        json!({ "id": YOU, "team_id": self.place.team })
    }

    /// A message.
    pub(super) fn message(&self, text: &str, at: At) -> Delivery {
        let (text, ts) = (typed(text), self.ts());
        let mut world = self.world();
        let thread = world.thread.clone().filter(|_| at == At::Thread);
        if at == At::Channel {
            world.thread = Some(ts.clone());
        }
        let (channel, kind) = match at {
            At::Direct => (DIRECT, "im"),
            At::Channel | At::Thread => (&*self.place.channel, "channel"),
        };
        world.says(Said {
            channel: channel.to_owned(),
            ts: ts.clone(),
            thread: thread.clone(),
            user: YOU,
            text: text.clone(),
            unprinted: String::new(),
        });
        let mut event = json!({ "type": "message", "user": YOU, "text": text, "ts": ts, "channel": channel,
            "channel_type": kind });
        if let Some(thread) = thread {
            event["thread_ts"] = thread.into();
        }
        self.event(&event)
    }

    fn event(&self, event: &Value) -> Delivery {
        let body = json!({ "team_id": self.place.team, "event_id": format!("Ev{}", self.number()), "event": event });
        Delivery::new(DeliveryKind::Event, body)
    }

    /// The app's page is opened.
    pub(super) fn home(&self) -> Delivery {
        self.event(&json!({ "type": "app_home_opened", "user": YOU, "channel": DIRECT, "tab": "home" }))
    }

    /// A slash command, given in the channel.
    pub(super) fn command(&self, line: &str) -> Delivery {
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let body = json!({
            "team_id": self.place.team, "user_id": YOU, "channel_id": self.place.channel, "command": name,
            "text": typed(rest.trim()), "response_url": "fake:response", "trigger_id": self.number().to_string(),
        });
        Delivery::new(DeliveryKind::Command, body)
    }

    /// A click, perhaps with what is chosen; `None` where there is no such choice.
    pub(super) fn click(&self, button: &Button, choice: &str) -> Option<Delivery> {
        let mut action = button.element.clone();
        action["block_id"] = button.block_id.clone();
        match button.element["type"].as_str() {
            Some("button" | "icon_button" | "feedback_buttons") => {}
            Some("checkboxes") => action["selected_options"] = form::turned(&button.element, choice)?,
            _ => action["selected_option"] = form::chosen(&button.element, choice)?,
        }
        let mut body = json!({
            "type": "block_actions", "user": self.you(), "team": { "id": self.place.team },
            "trigger_id": self.number().to_string(), "actions": [action],
        });
        match &button.spot {
            Spot::Message { channel, ts, thread, is_ephemeral, blocks } => {
                body["channel"] = json!({ "id": channel });
                body["response_url"] = "fake:response".into();
                body["container"] = json!({ "type": "message", "message_ts": ts, "channel_id": channel,
                    "is_ephemeral": is_ephemeral, "thread_ts": thread });
                if !is_ephemeral {
                    body["message"] = json!({ "ts": ts, "thread_ts": thread, "blocks": blocks });
                }
            }
            Spot::View(view) => {
                body["container"] = json!({ "type": "view" });
                body["view"] = view.clone();
            }
        }
        Some(Delivery::new(DeliveryKind::Interaction, body))
    }

    /// A modal that is sent in.
    pub(super) fn submission(&self, mut view: Value) -> Delivery {
        view["id"] = format!("V{}", self.number()).into();
        view["hash"] = "1".into();
        let body = json!({ "type": "view_submission", "user": self.you(), "team": { "id": self.place.team },
            "trigger_id": self.number().to_string(), "view": view });
        Delivery::new(DeliveryKind::Interaction, body)
    }
}
