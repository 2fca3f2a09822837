//! What the bot does in the made-up workspace.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{BOT, DIRECT, Fake, Said, Spot, YOU, form::Form, render};
use crate::{
    port::{SlackError, SlackPort},
    view::ids,
};

/// Most of a file that is shown.
const FILE: usize = 4_000;

#[async_trait]
impl SlackPort for Fake {
    async fn call(&self, method: &str, arguments: &Value) -> Result<Value, SlackError> {
        Ok(match method {
            "auth.test" => json!({ "user_id": BOT, "team_id": self.place.team }),
            "users.info" => json!({ "user": self.user(text(&arguments["user"])) }),
            "conversations.open" => json!({ "channel": { "id": DIRECT } }),
            "conversations.info" => json!({ "channel": { "id": arguments["channel"], "is_private": false } }),
            "conversations.replies" => self.said_in(arguments, true),
            "conversations.history" => self.said_in(arguments, false),
            "chat.postMessage" => json!({ "ts": self.post(arguments, false) }),
            "chat.postEphemeral" => json!({ "message_ts": self.post(arguments, true) }),
            "chat.update" => self.update(arguments),
            "chat.startStream" => json!({ "ts": self.begin(arguments) }),
            "chat.appendStream" => self.append(arguments),
            "chat.stopStream" => self.end(arguments),
            "views.open" => self.open(&arguments["view"]),
            "views.publish" => {
                self.show("The app's page", &arguments["view"], &Spot::View(arguments["view"].clone()));
                json!({})
            }
            "files.getUploadURLExternal" => {
                json!({ "upload_url": format!("fake:{}", text(&arguments["filename"])), "file_id": "F1" })
            }
            "files.completeUploadExternal" | "agents.sessions.setStatus" | "assistant.threads.setSuggestedPrompts" => {
                json!({})
            }
            _ => return Err(SlackError::api(method, "unknown_method")),
        })
    }

    async fn respond(&self, _: &str, message: &Value) -> Result<(), SlackError> {
        let mut message = message.clone();
        message["channel"] = DIRECT.into();
        self.post(&message, true);
        Ok(())
    }

    async fn upload(&self, url: &str, bytes: &[u8]) -> Result<(), SlackError> {
        let content: String = String::from_utf8_lossy(bytes).chars().take(FILE).collect();
        self.print(&format!("omni sends {}, {} bytes:\n{content}", url.trim_start_matches("fake:"), bytes.len()));
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn thread(arguments: &Value) -> Option<String> {
    arguments["thread_ts"].as_str().map(str::to_owned)
}

impl Fake {
    fn user(&self, id: &str) -> Value {
        match id {
            YOU => json!({ "id": YOU, "team_id": self.place.team,
                "profile": { "email": self.place.email, "display_name": self.place.name } }),
            other => json!({ "id": other, "team_id": self.place.team, "is_bot": other == BOT }),
        }
    }

    /// A thread from its beginning, or the newest messages of a channel.
    fn said_in(&self, arguments: &Value, is_thread: bool) -> Value {
        let world = self.world();
        let ts = text(&arguments["ts"]);
        let is_here = |said: &&Said| {
            said.channel == text(&arguments["channel"])
                && (!is_thread || said.ts == ts || said.thread.as_deref() == Some(ts))
        };
        let mut messages: Vec<Value> = world
            .said
            .iter()
            .filter(is_here)
            .map(|said| json!({ "ts": said.ts, "user": said.user, "text": said.text, "thread_ts": said.thread }))
            .collect();
        for message in messages.iter_mut().filter(|message| message["user"] == BOT) {
            message["bot_id"] = "B0OMNI".into();
        }
        if !is_thread {
            messages.reverse();
        }
        json!({ "messages": messages })
    }

    fn post(&self, arguments: &Value, is_ephemeral: bool) -> String {
        let ts = self.ts();
        let (channel, thread) = (text(&arguments["channel"]).to_owned(), thread(arguments));
        if !is_ephemeral {
            self.world().says(Said {
                channel: channel.clone(),
                ts: ts.clone(),
                thread: thread.clone(),
                user: BOT,
                text: text(&arguments["text"]).to_owned(),
                unprinted: String::new(),
            });
        }
        self.print_message(arguments, channel, ts.clone(), thread, is_ephemeral);
        ts
    }

    fn print_message(&self, message: &Value, channel: String, ts: String, thread: Option<String>, is_ephemeral: bool) {
        let mut who = self.who(&channel, thread.is_some());
        if is_ephemeral {
            who.push_str(" (only for you)");
        }
        let spot = Spot::Message { channel, ts, thread, is_ephemeral, blocks: message["blocks"].clone() };
        self.show(&who, message, &spot);
    }

    /// Who speaks, and where.
    fn who(&self, channel: &str, in_thread: bool) -> String {
        match (channel == self.place.channel, in_thread) {
            (true, true) => "omni in a thread of #general".into(),
            (true, false) => "omni in #general".into(),
            (false, _) => "omni".into(),
        }
    }

    /// Prints a message or a view, with its buttons numbered.
    fn show(&self, who: &str, shown: &Value, spot: &Spot) {
        let body = render::shown(shown, spot, &mut self.world());
        self.print(&format!("{who}:\n{body}\n"));
    }

    /// What is changed while it is written is printed when it is done.
    fn update(&self, arguments: &Value) -> Value {
        let ts = text(&arguments["ts"]).to_owned();
        let thread = {
            let mut world = self.world();
            let Some(said) = world.find(&ts) else { return json!({}) };
            said.text = text(&arguments["text"]).to_owned();
            said.thread.clone()
        };
        if !is_in_progress(arguments) {
            self.print_message(arguments, text(&arguments["channel"]).to_owned(), ts, thread, false);
        }
        json!({})
    }

    fn begin(&self, arguments: &Value) -> String {
        let ts = self.ts();
        let channel = text(&arguments["channel"]).to_owned();
        self.print(&format!("{}:", self.who(&channel, true)));
        self.world().says(Said {
            channel,
            ts: ts.clone(),
            thread: thread(arguments),
            user: BOT,
            text: String::new(),
            unprinted: String::new(),
        });
        self.add(&ts, &arguments["chunks"]);
        ts
    }

    fn append(&self, arguments: &Value) -> Value {
        self.add(text(&arguments["ts"]), &arguments["chunks"]);
        json!({})
    }

    /// Prints what came by whole lines.
    fn add(&self, ts: &str, chunks: &Value) {
        let mut lines = String::new();
        if let Some(said) = self.world().find(ts) {
            for chunk in chunks.as_array().into_iter().flatten() {
                let piece = render::chunk(chunk);
                said.text.push_str(&piece);
                said.unprinted.push_str(&piece);
            }
            if let Some(end) = said.unprinted.rfind('\n') {
                lines = said.unprinted.drain(..=end).collect();
            }
        }
        if !lines.is_empty() {
            self.print(lines.trim_end_matches('\n'));
        }
    }

    fn end(&self, arguments: &Value) -> Value {
        let ts = text(&arguments["ts"]).to_owned();
        self.add(&ts, &arguments["chunks"]);
        let mut world = self.world();
        let Some(said) = world.find(&ts) else { return json!({}) };
        let rest = std::mem::take(&mut said.unprinted);
        let spot = Spot::Message {
            channel: said.channel.clone(),
            thread: said.thread.clone(),
            ts,
            is_ephemeral: false,
            blocks: arguments["blocks"].clone(),
        };
        let tail = render::shown(&json!({ "blocks": arguments["blocks"] }), &spot, &mut world);
        drop(world);
        self.print(&format!("{rest}\n{tail}\n"));
        json!({})
    }

    /// Shows a modal, and asks for its fields.
    pub(super) fn open(&self, view: &Value) -> Value {
        self.show("omni asks", view, &Spot::View(view.clone()));
        let form = Form::of(view);
        if let Some(form) = &form {
            self.print(&form.prompt());
        }
        self.world().form = form;
        json!({})
    }
}

/// Whether there is more to come: as long as it can be stopped.
fn is_in_progress(message: &Value) -> bool {
    let blocks = message["blocks"].as_array().into_iter().flatten();
    let mut elements = blocks.flat_map(|block| block["elements"].as_array().into_iter().flatten());
    elements.any(|element| element["action_id"] == ids::STOP)
}
