//! A strict stand-in for Slack on loopback: Web API, Socket Mode, signed HTTP delivery, and the people who use it.
//!
//! A bot is started against [`Slack::url`] with the tokens of this workspace. A test then speaks for the people:
//! [`Slack::mentions`], [`Slack::clicks`], [`Slack::submits`] …, and reads what they would see: [`Slack::answer`],
//! [`Slack::ephemerals`], [`Slack::home`] …
//!
//! What Slack refuses is refused here with Slack's own error. What a bot ought never to do (blocks over a limit, an
//! ack after three seconds, a trigger used twice …) is kept in [`Slack::violations`] too, which a test asserts to be
//! empty. What may well happen to a good bot (a channel that it is not in, a stream that went cold) is only refused.
//!
//! Time is the real one, and [`Slack::passes`] makes more of it pass at once.

#![allow(clippy::unimplemented, clippy::unused_async, unused, reason = "a sketch")]

use std::{sync::Arc, time::Duration};

use serde_json::Value;

mod message;
mod people;
mod reading;
mod world;

pub use message::{Message, Post, Stream, StreamState, Surface, Task, View};
pub use people::{Ack, Sent, Submitted};
pub use world::{Call, File, World};

/// The workspace.
pub const TEAM: &str = "T0ACME";
/// The app.
pub const APP: &str = "A0OMNI";
/// The user that the app is in the workspace.
pub const BOT_USER: &str = "U0OMNI";
/// The bot that posts as [`BOT_USER`].
pub const BOT: &str = "B0OMNI";

/// What goes wrong with a call to the Web API.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 429, and after how many seconds to try again.
    RateLimited(u64),
    /// `ok: false` with this error.
    Error(String),
    /// This HTTP status with a page of HTML.
    Status(u16),
    /// The call is made, but its answer comes this much later.
    Slow(Duration),
    /// The call is made, and nobody hears how it ended: the connection is cut.
    Cut,
    /// The call is never answered.
    Hang,
    /// 200 with a body that is no JSON.
    Garbage,
}

/// Why a Socket Mode connection is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// Some seconds before the next.
    Warning,
    /// The connection is old: it is closed soon.
    RefreshRequested,
    /// There are more than Slack takes.
    TooManyWebsockets,
    /// Socket Mode was switched off in the app's settings.
    LinkDisabled,
}

/// The running stand-in; it ends with its last clone.
#[derive(Debug, Clone)]
pub struct Slack {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {}

impl Slack {
    /// A workspace on a free port of loopback with an app that has every scope, event and command that omni uses,
    /// in Socket Mode. It has no users and no channels yet.
    pub async fn start() -> Self {
        unimplemented!()
    }

    /// The same with the app of this manifest: its scopes, events, commands and shortcuts, and no others.
    ///
    /// # Panics
    /// When Slack would not take the manifest.
    pub async fn installed(_manifest: &Value) -> Self {
        unimplemented!()
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        unimplemented!()
    }

    /// The base of the Web API, `<url>/api`, without a slash at its end.
    pub fn api_url(&self) -> String {
        unimplemented!()
    }

    /// The bot's token, `xoxb-…`.
    pub fn bot_token(&self) -> String {
        unimplemented!()
    }

    /// The app's token for Socket Mode, `xapp-…`.
    pub fn app_token(&self) -> String {
        unimplemented!()
    }

    /// What requests to the app are signed with in HTTP mode.
    pub fn signing_secret(&self) -> String {
        unimplemented!()
    }

    /// Delivers events, commands and clicks as signed posts to this address instead of over sockets.
    /// The address is verified first with a challenge, as Slack does when it is saved.
    ///
    /// # Errors
    /// What Slack's settings page would say: the address did not answer the challenge.
    pub async fn posts_to(&self, _url: &str) -> Result<(), String> {
        unimplemented!()
    }

    /// The same with an address of its own for each kind.
    ///
    /// # Errors
    /// When the address for events does not answer the challenge.
    pub async fn posts_to_each(&self, _events: &str, _commands: &str, _interactivity: &str) -> Result<(), String> {
        unimplemented!()
    }

    /// A member of the workspace with this e-mail address, who is in every public channel.
    pub fn user(&self, _id: &str, _email: &str) {
        unimplemented!()
    }

    /// Changes what `users.info` says of a user, by a merge: `{"deleted": true}`, `{"profile": {"email": null}}` …
    pub fn user_is(&self, _id: &str, _details: Value) {
        unimplemented!()
    }

    /// A public channel that the bot and every user is in.
    pub fn channel(&self, _id: &str, _name: &str) {
        unimplemented!()
    }

    /// A private channel of the bot and these users.
    pub fn private_channel(&self, _id: &str, _name: &str, _members: &[&str]) {
        unimplemented!()
    }

    /// The bot is removed from a channel.
    pub fn bot_leaves(&self, _channel: &str) {
        unimplemented!()
    }

    /// The bot is invited to a channel.
    pub fn bot_joins(&self, _channel: &str) {
        unimplemented!()
    }

    /// A user leaves a channel.
    pub fn leaves(&self, _user: &str, _channel: &str) {
        unimplemented!()
    }

    /// The app's tokens are revoked: every call from now on is `token_revoked`.
    pub fn revokes_tokens(&self) {
        unimplemented!()
    }

    /// Lets time pass at once: streams go cold, triggers and response urls expire, retries fall due.
    pub fn passes(&self, _time: Duration) {
        unimplemented!()
    }

    /// No call is answered 429 for its rate any more (limits by tier and one message a second in a channel).
    pub fn without_rate_limits(&self) {
        unimplemented!()
    }

    /// Every stream that is open goes cold, as after some minutes without an append.
    pub fn streams_go_cold(&self) {
        unimplemented!()
    }

    /// The next `n` calls of this method are answered 429 with `Retry-After: 1`.
    pub fn rate_limit(&self, _method: &str, _n: usize) {
        unimplemented!()
    }

    /// The next call of this method fails with this error.
    pub fn fail(&self, _method: &str, _error: &str) {
        unimplemented!()
    }

    /// The next call of this method is answered this much later.
    pub fn slow(&self, _method: &str, _ms: u64) {
        unimplemented!()
    }

    /// The next `n` calls of this method (`*`: of any) go wrong in this way; `usize::MAX` for all.
    pub fn fault(&self, _method: &str, _n: usize, _fault: Fault) {
        unimplemented!()
    }

    /// Every connection is cut without a word.
    pub fn drop_connection(&self) {
        unimplemented!()
    }

    /// Every connection is told to be replaced; all but those that are only warned are closed soon after.
    pub async fn disconnects(&self, _why: Goodbye) {
        unimplemented!()
    }

    /// Every connection that is open goes deaf and dumb without closing.
    pub fn connections_freeze(&self) {
        unimplemented!()
    }

    /// The next `n` acks get lost on their way.
    pub fn loses_acks(&self, _n: usize) {
        unimplemented!()
    }

    /// What people did from now on is delivered in the opposite order, when [`Self::releases`] says so.
    pub fn holds_deliveries(&self) {
        unimplemented!()
    }

    /// Delivers what was held.
    pub async fn releases(&self) {
        unimplemented!()
    }
}
