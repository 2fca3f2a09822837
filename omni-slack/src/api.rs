//! The methods of Slack's Web API that the bot uses, with patience: pauses that Slack wants are made, and what
//! goes into one channel goes at a pace.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::port::{SlackError, SlackPort};

mod pace;
mod rest;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod wire;

use pace::Pace;
use rest::Rests;

/// How often a call is made that gets no answer and tells nothing, or to which Slack says that it is not well itself: that
/// may be so for this very call alone.
const TRIES: u32 = 4;
/// The longest that is waited with one call, while Slack wants no more of its method.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same where an answer is lost that is not told, also while Slack is away.
const LONGEST_FOR_ANSWERS: Duration = Duration::from_secs(180);
/// How long a call is not made again that got no answer: at first, and at most.
const BREATH: Duration = Duration::from_millis(500);
const LONGEST_BREATH: Duration = Duration::from_secs(10);
/// Most messages of a thread that are read at once, and how many times for one thread.
const PAGE: u64 = 200;
const MOST_PAGES: u32 = 20;
/// Most members of a channel, and channels of a person, that are read at once; how many times for one channel, until the
/// person is looked at in its place.
const LISTED: u64 = 1_000;
const MEMBER_PAGES: u32 = 5;
/// What posts a message.
const POST: &str = "chat.postMessage";
/// A fatal error that may be of one method alone.
const OF_ONE_METHOD: &str = "not_allowed_token_type";
/// What may be done twice: it only looks, or comes to the same.
const HARMLESS: [&str; 15] = [
    "auth.test",
    "users.conversations",
    "users.info",
    "users.lookupByEmail",
    "conversations.info",
    "conversations.history",
    "conversations.members",
    "conversations.open",
    "conversations.replies",
    "chat.update",
    "chat.delete",
    "views.publish",
    "agents.sessions.setStatus",
    "assistant.threads.setSuggestedPrompts",
    "files.getUploadURLExternal",
];

/// Slack's Web API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    port: Arc<dyn SlackPort>,
    pace: Arc<Pace>,
    /// What Slack wants no more of for a while, whoever calls it.
    rests: Arc<Rests>,
    /// The error after which Slack takes nothing more from this token.
    end: watch::Sender<Option<SlackError>>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct To {
    pub(crate) channel: String,
    pub(crate) thread: Option<String>,
}

/// A message as the Web API takes it.
pub(crate) use crate::view::Message as Body;

fn put(body: &Body, arguments: &mut Value) {
    arguments["text"] = body.text.as_str().into();
    if !body.blocks.is_empty() {
        arguments["blocks"] = Value::from(body.blocks.clone());
    }
    // What is linked is not looked at by Slack: an address may hold what nobody else should see.
    arguments["unfurl_links"] = false.into();
    arguments["unfurl_media"] = false.into();
}

/// A message for a place.
fn posted(to: &To, body: &Body) -> Value {
    let mut arguments = json!({ "channel": to.channel });
    if let Some(thread) = &to.thread {
        arguments["thread_ts"] = thread.as_str().into();
    }
    put(body, &mut arguments);
    arguments
}

/// Whether it is no stream any more that was to be told something.
pub(crate) fn has_ended(error: &SlackError) -> bool {
    error.code() == Some("message_not_in_streaming_state")
}

fn ts_of(answer: &Value) -> String {
    answer["ts"].as_str().unwrap_or_default().to_owned()
}

/// Whether it may be an answer, or a part of one.
fn tells(method: &str) -> bool {
    method.starts_with("chat.")
}

fn patience(method: &str) -> Duration {
    if tells(method) { LONGEST_FOR_ANSWERS } else { LONGEST_PAUSE }
}

/// After how long a call is made again that failed so many times, the last one so; `None` where it is not.
fn breath(method: &str, error: &SlackError, tries: u32, until: Instant) -> Option<Duration> {
    let pause = (BREATH * 2_u32.saturating_pow(tries - 1)).min(LONGEST_BREATH);
    let is_harmless = HARMLESS.contains(&method);
    let is_made = match error {
        SlackError::Away { is_untaken, .. } if tells(method) => {
            (*is_untaken || is_harmless) && Instant::now() + pause <= until
        }
        SlackError::Away { .. } | SlackError::Api { .. } => is_harmless && tries < TRIES && !error.is_refusal(),
        SlackError::Limited { .. } | SlackError::Config { .. } => false,
    };
    is_made.then_some(pause)
}

impl Api {
    pub(crate) fn new(port: Arc<dyn SlackPort>) -> Self {
        Self { port, pace: Arc::default(), rests: Arc::default(), end: watch::Sender::new(None) }
    }

    /// Calls a method, as often as it takes within reason.
    pub(crate) async fn call(&self, method: &str, arguments: &Value) -> Result<Value, SlackError> {
        self.call_until(method, arguments, &CancellationToken::new()).await
    }

    /// The same, where pauses that Slack wants, or that are made while it is away, are made until `stop` alone: then it
    /// counts that it takes nothing.
    pub(crate) async fn call_until(
        &self,
        method: &str,
        arguments: &Value,
        stop: &CancellationToken,
    ) -> Result<Value, SlackError> {
        let rest = self.rests.of(method, arguments);
        let until = Instant::now() + patience(method);
        let (mut tries, mut turn) = (0, None);
        loop {
            let error = match self.call_once(method, arguments).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match error {
                SlackError::Limited { retry_after, .. } if Instant::now() + retry_after <= until => {
                    let waited = timeout_at(until, rest.over(&mut turn));
                    if !matches!(stop.run_until_cancelled(waited).await, Some(Ok(()))) {
                        return Err(error);
                    }
                }
                SlackError::Away { .. } | SlackError::Api { .. } => {
                    tries += 1;
                    let Some(pause) = breath(method, &error, tries, until) else { return Err(error) };
                    if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                        return Err(error);
                    }
                }
                error => return Err(error),
            }
        }
    }

    /// A thread's first message and its newest up to a time, oldest first, at most so many of them together: Slack lists them
    /// from the oldest on.
    pub(crate) async fn replies(
        &self,
        channel: &str,
        thread: &str,
        latest: &str,
        most: usize,
    ) -> Result<Vec<Value>, SlackError> {
        let mut asked = json!({ "channel": channel, "ts": thread, "latest": latest, "inclusive": true, "limit": PAGE });
        let mut said: Vec<Value> = Vec::new();
        for _ in 0..MOST_PAGES {
            let mut answer = self.call("conversations.replies", &asked).await?;
            let page = answer["messages"].as_array_mut().map(std::mem::take).unwrap_or_default();
            // Slack may begin every page with what the thread begins with; that stays whatever else goes.
            let is_first = said.is_empty();
            said.extend(page.into_iter().filter(|one| is_first || one["ts"] != thread));
            let surplus = said.len().saturating_sub(most);
            if surplus > 0 {
                said.drain(1..=surplus);
            }
            match answer["response_metadata"]["next_cursor"].as_str() {
                Some(next) if !next.is_empty() => asked["cursor"] = next.into(),
                _ => return Ok(said),
            }
        }
        tracing::warn!(channel, "a thread is too long to be read to its end");
        Ok(said)
    }

    /// The newest messages of a channel, newest first.
    pub(crate) async fn newest(&self, channel: &str, most: usize) -> Result<Vec<Value>, SlackError> {
        let mut answer = self.call("conversations.history", &json!({ "channel": channel, "limit": most })).await?;
        Ok(answer["messages"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// A message as it stands now, where it still does.
    pub(crate) async fn message(&self, to: &To, ts: &str) -> Result<Option<Value>, SlackError> {
        let said = match &to.thread {
            // The first one stays whatever else goes, and the newest up to then is the one.
            Some(thread) => self.replies(&to.channel, thread, ts, 2).await?,
            None => {
                let asked = json!({ "channel": to.channel, "latest": ts, "inclusive": true, "limit": 1 });
                let mut answer = self.call("conversations.history", &asked).await?;
                answer["messages"].as_array_mut().map(std::mem::take).unwrap_or_default()
            }
        };
        Ok(said.into_iter().find(|one| one["ts"] == ts))
    }

    /// Whether somebody is in a channel. Of one that has very many members, their own list is read that is shorter.
    pub(crate) async fn is_in(&self, channel: &str, user: &str) -> Result<bool, SlackError> {
        let members = json!({ "channel": channel, "limit": LISTED });
        let is_user = |member: &Value| member == user;
        if let Some(found) = self.lists("conversations.members", members, "members", MEMBER_PAGES, is_user).await? {
            return Ok(found);
        }
        let theirs = json!({ "user": user, "types": "public_channel,private_channel", "limit": LISTED });
        let is_channel = |one: &Value| one["id"] == channel;
        let found = self.lists("users.conversations", theirs, "channels", MOST_PAGES, is_channel).await?;
        if found.is_none() {
            tracing::warn!(
                channel,
                user,
                "it cannot be found out whether somebody is in a channel; they count as outside"
            );
        }
        Ok(found.unwrap_or(false))
    }

    /// Whether a list has something; `None` where that is not known after so many pages.
    async fn lists(
        &self,
        method: &str,
        mut asked: Value,
        name: &str,
        pages: u32,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Option<bool>, SlackError> {
        for _ in 0..pages {
            let answer = self.call(method, &asked).await?;
            if answer[name].as_array().is_some_and(|all| all.iter().any(&is)) {
                return Ok(Some(true));
            }
            match answer["response_metadata"]["next_cursor"].as_str() {
                Some(next) if !next.is_empty() => asked["cursor"] = next.into(),
                _ => return Ok(Some(false)),
            }
        }
        Ok(None)
    }

    /// Calls a method without a second try: what is not done now need not be done. Where Slack wanted a pause it is not
    /// even asked.
    pub(crate) async fn call_once(&self, method: &str, arguments: &Value) -> Result<Value, SlackError> {
        let rest = self.rests.of(method, arguments);
        if let Some(retry_after) = rest.left() {
            return Err(SlackError::Limited { method: method.into(), retry_after });
        }
        let answer = self.port.call(method, arguments).await;
        match &answer {
            Err(SlackError::Limited { retry_after, .. }) => {
                tracing::debug!(method, pause_ms = retry_after.as_millis(), "Slack wants a pause");
                rest.begins(*retry_after);
            }
            Err(error) if error.is_fatal() && error.code().is_some_and(|code| code != OF_ONE_METHOD) => {
                self.end.send_if_modified(|end| end.is_none() && end.replace(error.clone()).is_none());
            }
            _ => {}
        }
        answer
    }

    /// Whether Slack lets a stream begin, as far as it is known.
    pub(crate) fn may_stream(&self) -> bool {
        self.rests.of("chat.startStream", &Value::Null).left().is_none()
    }

    /// Whether a stream may be told more that can wait, after it was told something so last.
    pub(crate) fn may_append(&self, last: Instant) -> bool {
        self.rests.of("chat.appendStream", &Value::Null).may_again(last)
    }

    /// Waits until Slack takes nothing more from this token, and says why.
    pub(crate) async fn ended(&self) -> SlackError {
        let mut end = self.end.subscribe();
        let error = end.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
        match error {
            Some(error) => error,
            // The sender is this one's own.
            None => std::future::pending().await,
        }
    }

    /// Posts a message; its `ts`.
    pub(crate) async fn post(&self, to: &To, body: &Body) -> Result<String, SlackError> {
        self.pace.turn(&to.channel).await;
        Ok(ts_of(&self.call(POST, &posted(to, body)).await?))
    }

    /// The same where that can wait: where the channel is free for a message right now, and Slack in no need of a pause.
    pub(crate) async fn post_if_free(&self, to: &To, body: &Body) -> Result<Option<String>, SlackError> {
        let arguments = posted(to, body);
        if self.rests.of(POST, &arguments).left().is_some() || !self.pace.takes(&to.channel) {
            return Ok(None);
        }
        Ok(Some(ts_of(&self.call_once(POST, &arguments).await?)))
    }

    /// Puts another message in the place of one.
    pub(crate) async fn update(&self, channel: &str, ts: &str, body: &Body) -> Result<(), SlackError> {
        let mut arguments = json!({ "channel": channel, "ts": ts });
        put(body, &mut arguments);
        if body.blocks.is_empty() {
            arguments["blocks"] = json!([]);
        }
        self.pace.turn(channel).await;
        self.call("chat.update", &arguments).await.map(drop)
    }

    /// The same where that can wait, after it was done so last: where the channel is free for a message right now and
    /// Slack in no need of a pause; whether it was.
    pub(crate) async fn update_if_free(
        &self,
        channel: &str,
        ts: &str,
        body: &Body,
        last: Instant,
    ) -> Result<bool, SlackError> {
        const METHOD: &str = "chat.update";
        if !self.rests.of(METHOD, &Value::Null).may_again(last) || !self.pace.takes(channel) {
            return Ok(false);
        }
        let mut arguments = json!({ "channel": channel, "ts": ts });
        put(body, &mut arguments);
        self.call_once(METHOD, &arguments).await.map(|_| true)
    }

    /// Takes a message of the bot's own away.
    pub(crate) async fn delete(&self, channel: &str, ts: &str) -> Result<(), SlackError> {
        self.call("chat.delete", &json!({ "channel": channel, "ts": ts })).await.map(drop)
    }

    /// Ends a stream with what belongs to its end, an object; where Slack does not take that, without it. Whether that was
    /// taken.
    pub(crate) async fn stop_stream(&self, channel: &str, ts: &str, mut with: Value) -> bool {
        const METHOD: &str = "chat.stopStream";
        let bare = json!({ "channel": channel, "ts": ts });
        (with["channel"], with["ts"]) = (bare["channel"].clone(), bare["ts"].clone());
        let Err(error) = self.call(METHOD, &with).await else { return true };
        tracing::debug!(%error, "a stream does not end with what belongs to its end");
        if has_ended(&error) {
            return false;
        }
        if error.may_be_taken() {
            sleep(BREATH).await;
        }
        match self.call_once(METHOD, &bare).await {
            Ok(_) => false,
            // Of the first one, only the answer was lost.
            Err(again) if has_ended(&again) => error.may_be_taken(),
            Err(error) => {
                tracing::debug!(%error, "a stream is left to end by itself");
                false
            }
        }
    }

    /// Shows a message to one person.
    pub(crate) async fn whisper(&self, to: &To, user: &str, body: &Body) -> Result<(), SlackError> {
        let mut arguments = json!({ "channel": to.channel, "user": user });
        if let Some(thread) = &to.thread {
            arguments["thread_ts"] = thread.as_str().into();
        }
        put(body, &mut arguments);
        self.call("chat.postEphemeral", &arguments).await.map(drop)
    }

    /// Answers by a `response_url`: to whoever clicked or gave the command, and to nobody else.
    pub(crate) async fn respond(&self, url: &str, body: &Body, replace: bool) -> Result<(), SlackError> {
        let mut message = json!({ "response_type": "ephemeral", "replace_original": replace });
        put(body, &mut message);
        self.port.respond(url, &message).await
    }

    /// The same where the click or the command was: what stands in a thread is answered there.
    pub(crate) async fn respond_in(&self, url: &str, thread: Option<&str>, body: &Body) -> Result<(), SlackError> {
        let mut message = json!({ "response_type": "ephemeral", "replace_original": false });
        if let Some(thread) = thread {
            message["thread_ts"] = thread.into();
        }
        put(body, &mut message);
        self.port.respond(url, &message).await
    }

    /// The direct messages with somebody.
    pub(crate) async fn direct(&self, user: &str) -> Result<String, SlackError> {
        const METHOD: &str = "conversations.open";
        let opened = self.call(METHOD, &json!({ "users": user })).await?;
        let id = opened["channel"]["id"].as_str().filter(|id| !id.is_empty());
        id.map(str::to_owned).ok_or_else(|| SlackError::api(METHOD, "no_channel"))
    }

    /// Posts a message for somebody; where it cannot be posted, in their direct messages.
    pub(crate) async fn post_for(&self, to: &To, user: &str, body: &Body) -> Result<Option<String>, SlackError> {
        match self.post(to, body).await {
            Ok(ts) => Ok(Some(ts)),
            Err(error) => self.post_direct(user, body).await.map(|()| None).map_err(|_| error),
        }
    }

    /// Posts a message in somebody's direct messages.
    pub(crate) async fn post_direct(&self, user: &str, body: &Body) -> Result<(), SlackError> {
        let to = To { channel: self.direct(user).await?, thread: None };
        self.post(&to, body).await.map(drop)
    }

    /// Shows a modal.
    pub(crate) async fn open(&self, trigger: &str, view: &Value) -> Result<(), SlackError> {
        self.call_once("views.open", &json!({ "trigger_id": trigger, "view": view })).await.map(drop)
    }

    /// Sends a file into a thread.
    pub(crate) async fn upload(&self, to: &To, name: &str, bytes: &[u8]) -> Result<(), SlackError> {
        let asked = json!({ "filename": name, "length": bytes.len() });
        let place = self.call("files.getUploadURLExternal", &asked).await?;
        let (url, id) = (place["upload_url"].as_str().unwrap_or_default(), &place["file_id"]);
        self.port.upload(url, bytes).await?;
        let mut done = json!({ "files": [{ "id": id, "title": name }], "channel_id": to.channel });
        if let Some(thread) = &to.thread {
            done["thread_ts"] = thread.as_str().into();
        }
        self.call("files.completeUploadExternal", &done).await.map(drop)
    }
}
