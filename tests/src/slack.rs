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
//! ```ignore
//! let slack = Slack::start().await;
//! slack.user("U0ANN", "ann@acme.test");
//! slack.channel("C0OPS", "ops");
//! // A bot is started here with slack.api_url(), slack.bot_token() and slack.app_token().
//! slack.connected(1).await;
//! let post = slack.mentions("U0ANN", "C0OPS", "how is the database?").await;
//! let answer = slack.answer(&post).await;
//! slack.clicks("U0ANN", &answer, "omni:again").await.acked().await.expect("clicks are acked");
//! assert_eq!(slack.violations(), [""; 0]);
//! ```
//!
//! Time is the real one; [`Slack::passes`] makes more of it pass at once, and [`Slack::stops_the_clock`] makes it pass
//! by that alone.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{any, get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use url::Url;

mod answers;
mod api;
mod app;
mod args;
mod blocks;
mod clicks;
mod clock;
mod content;
mod delivery;
mod faults;
mod http;
mod looks;
mod message;
mod payload;
mod people;
mod rates;
mod reading;
mod refusal;
mod socket;
mod tls;
mod views;
mod world;

pub use api::WITHOUT_JSON;
pub use clicks::Submitted;
pub use message::{Message, Post, Stream, StreamState, Surface, Task, View};
pub use people::{Ack, Sent};
pub use tls::Front;
pub use world::{Call, File, World};

use app::App;
use clock::Clock;
use delivery::Mode;
use world::Kind;

/// The workspace.
pub const TEAM: &str = "T0ACME";
/// The app.
pub const APP: &str = "A0OMNI";
/// The user that the app is in the workspace.
pub const BOT_USER: &str = "U0OMNI";
/// The bot that posts as [`BOT_USER`].
pub const BOT: &str = "B0OMNI";
/// What requests to the app are signed with in HTTP mode.
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// How large a body is taken.
const BODY: usize = 64 * 1024 * 1024;

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
    _running: Arc<Running>,
}

/// Ends everything when it is dropped.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Debug)]
struct Shared {
    url: String,
    clock: Arc<Clock>,
    world: Mutex<World>,
    /// Told of every change.
    changed: watch::Sender<()>,
    stop: CancellationToken,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the workspace.
    fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the workspace, delivers what came of it, and tells who waits.
    fn with<T>(self: &Arc<Self>, act: impl FnOnce(&mut World) -> T) -> T {
        let done = {
            let mut world = self.lock();
            let done = act(&mut world);
            self.dispatch(&mut world);
            done
        };
        self.changed.send_replace(());
        done
    }

    /// Runs beside everything else until the end.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let _ = stop.run_until_cancelled(task).await;
        });
    }
}

impl Slack {
    /// A workspace on a free port of loopback with an app that has every scope, event and command that omni uses,
    /// in Socket Mode. It has no users and no channels yet.
    pub async fn start() -> Self {
        Self::installed(&app::manifest()).await
    }

    /// The same with the app of this manifest: its scopes, events, commands and shortcuts, and no others.
    ///
    /// # Panics
    /// When Slack would not take the manifest.
    pub async fn installed(manifest: &Value) -> Self {
        let app = App::read(manifest).unwrap_or_else(|wrong| panic!("Slack does not take this manifest: {wrong:#?}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let (clock, stop) = (Arc::new(Clock::new()), CancellationToken::new());
        let world = Mutex::new(World::new(app, clock.clone(), url.clone()));
        let shared = Arc::new(Shared { url, clock, world, changed: watch::Sender::new(()), stop: stop.clone() });
        let router = router(shared.clone());
        shared.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { shared, _running: Arc::new(Running { stop }) }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        self.shared.url.clone()
    }

    /// The base of the Web API, `<url>/api`, without a slash at its end.
    pub fn api_url(&self) -> String {
        format!("{}/api", self.shared.url)
    }

    /// The bot's token, `xoxb-…`.
    pub fn bot_token(&self) -> String {
        api::BOT_TOKEN.into()
    }

    /// The app's token for Socket Mode, `xapp-…`.
    pub fn app_token(&self) -> String {
        api::APP_TOKEN.into()
    }

    /// What requests to the app are signed with in HTTP mode.
    pub fn signing_secret(&self) -> String {
        SECRET.into()
    }

    /// Delivers events, commands and clicks as signed posts to this address instead of over sockets.
    /// The address is verified first with a challenge, as Slack does when it is saved.
    ///
    /// # Errors
    /// What Slack's settings page would say: the address did not answer the challenge.
    pub async fn posts_to(&self, url: &str) -> Result<(), String> {
        self.posts_to_each(url, url, url).await
    }

    /// The same with an address of its own for each kind.
    ///
    /// # Errors
    /// When the address for events does not answer the challenge.
    pub async fn posts_to_each(&self, events: &str, commands: &str, interactivity: &str) -> Result<(), String> {
        let read = |url: &str| Url::parse(url).map_err(|error| format!("{url}: {error}"));
        let urls = http::Urls { events: read(events)?, commands: read(commands)?, interactivity: read(interactivity)? };
        http::verify(&urls.events, self.shared.clock.unix()).await?;
        self.shared.with(|world| world.deliveries.mode = Mode::Http(Arc::new(urls)));
        Ok(())
    }

    /// A member of the workspace with this e-mail address, who is in every public channel.
    pub fn user(&self, id: &str, email: &str) {
        self.shared.with(|world| world.add_user(id, email));
    }

    /// Changes what `users.info` says of a user, by a merge: `{"deleted": true}`, `{"profile": {"email": null}}` …
    ///
    /// # Panics
    /// When there is no such user.
    pub fn user_is(&self, id: &str, details: Value) {
        self.shared.with(|world| merge(world.users.get_mut(id).expect("there is such a user"), &details));
    }

    /// A public channel that the bot and every user is in.
    pub fn channel(&self, id: &str, name: &str) {
        self.shared.with(|world| {
            let members = world.users.keys().cloned().collect();
            world.add_channel(id, name, Kind::Public, members);
        });
    }

    /// A private channel of the bot and these users.
    pub fn private_channel(&self, id: &str, name: &str, members: &[&str]) {
        let mut members: BTreeSet<String> = members.iter().map(|member| (*member).to_owned()).collect();
        members.insert(BOT_USER.into());
        self.shared.with(|world| world.add_channel(id, name, Kind::Private, members));
    }

    /// The bot is removed from a channel.
    pub fn bot_leaves(&self, channel: &str) {
        self.leaves(BOT_USER, channel);
    }

    /// The bot is invited to a channel.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn bot_joins(&self, channel: &str) {
        self.shared.with(|world| {
            world.channels.get_mut(channel).expect("there is such a channel").members.insert(BOT_USER.into());
        });
    }

    /// A user leaves a channel.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn leaves(&self, user: &str, channel: &str) {
        self.shared.with(|world| {
            world.channels.get_mut(channel).expect("there is such a channel").members.remove(user);
            world.tells_of_leaving(user, channel);
        });
    }

    /// A public channel is made private: only who is in it knows of it from then on.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn makes_private(&self, channel: &str) {
        self.shared.with(|world| {
            world.channels.get_mut(channel).expect("there is such a channel").kind = Kind::Private;
            world.tells_of_conversion(channel);
        });
    }

    /// A channel is shared with another organisation from now on.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn shares_with_others(&self, channel: &str) {
        self.shared.with(|world| {
            world.channels.get_mut(channel).expect("there is such a channel").is_shared = true;
            let ts = world.ts();
            let event = json!({ "type": "channel_shared", "connected_team_id": "T0OTHER", "channel": channel,
                "event_ts": ts });
            world.tells("channel_shared", event);
        });
    }

    /// Very many others are in a channel, of whom nothing else is known.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn crowd(&self, channel: &str, count: usize) {
        self.shared.with(|world| {
            let members = &mut world.channels.get_mut(channel).expect("there is such a channel").members;
            members.extend((0..count).map(|at| format!("U00{at:06}")));
        });
    }

    /// A channel is archived: nobody can post in it.
    ///
    /// # Panics
    /// When there is no such channel.
    pub fn archives(&self, channel: &str) {
        self.shared.with(|world| {
            world.channels.get_mut(channel).expect("there is such a channel").is_archived = true;
            if world.is_in(BOT_USER, channel) {
                world.tells_of_channel(channel, "archive");
            }
        });
    }

    /// The app's tokens are revoked: every call from now on is `token_revoked`.
    pub fn revokes_tokens(&self) {
        self.shared.with(|world| world.is_revoked = true);
    }

    /// Lets time pass at once: streams go cold, triggers and response urls expire, retries fall due. What is not acked
    /// by then is late; [`Self::settled`] waits for acks that are on their way.
    pub fn passes(&self, time: Duration) {
        self.shared.clock.passes(time);
    }

    /// From now on time passes only by [`Self::passes`]: no ack is late and no rate is forgiven because a machine is slow.
    pub fn stops_the_clock(&self) {
        self.shared.clock.stops();
    }

    /// No call is answered 429 for its rate any more (limits by tier and one message a second in a channel).
    pub fn without_rate_limits(&self) {
        self.shared.with(|world| world.rates.are_on = false);
    }

    /// Every stream that is open goes cold, as after some minutes without an append.
    pub fn streams_go_cold(&self) {
        self.shared.with(|world| {
            let streams = world.messages.values_mut().flatten().filter_map(|message| message.stream.as_mut());
            for stream in streams.filter(|stream| stream.state == StreamState::Open) {
                stream.state = StreamState::Cold;
            }
        });
    }

    /// The next `n` calls of this method are answered 429 with `Retry-After: 1`.
    pub fn rate_limit(&self, method: &str, n: usize) {
        self.fault(method, n, Fault::RateLimited(1));
    }

    /// The next call of this method fails with this error.
    pub fn fail(&self, method: &str, error: &str) {
        self.fault(method, 1, Fault::Error(error.into()));
    }

    /// The next call of this method is answered this much later.
    pub fn slow(&self, method: &str, ms: u64) {
        self.fault(method, 1, Fault::Slow(Duration::from_millis(ms)));
    }

    /// The next `n` calls of this method (`*`: of any) go wrong in this way; `usize::MAX` for all.
    pub fn fault(&self, method: &str, n: usize, fault: Fault) {
        self.shared.with(|world| world.faults.plan(method, n, fault));
    }

    /// Every connection is cut without a word.
    pub fn drop_connection(&self) {
        self.shared.with(|world| world.sockets.cut());
    }

    /// Every connection is told to be replaced; all but those that are only warned are closed soon after.
    pub async fn disconnects(&self, why: Goodbye) {
        let Some((numbers, after)) = self.act(|world| world.says_goodbye(why)).await else { return };
        let (shared, at) = (self.shared.clone(), self.shared.clock.now() + after);
        self.shared.spawn(async move {
            shared.clock.sleep_until(at).await;
            shared.with(|world| world.closes(&numbers));
        });
    }

    /// Every connection that is open goes deaf and dumb without closing.
    pub fn connections_freeze(&self) {
        self.shared.with(|world| world.sockets.freeze());
    }

    /// The next `n` acks get lost on their way.
    pub fn loses_acks(&self, n: usize) {
        self.shared.with(|world| world.faults.lost_acks = n);
    }

    /// The next `n` deliveries over sockets get lost on their way: Slack delivers events again later.
    pub fn loses_deliveries(&self, n: usize) {
        self.shared.with(|world| world.faults.lost_deliveries = n);
    }

    /// The next `n` connections hang before they are any: they are taken, and nothing is said.
    pub fn links_hang(&self, n: usize) {
        self.shared.with(|world| world.faults.hanging_links = n);
    }

    /// Whether connections are closed right after they are greeted, from now on.
    pub fn links_are_brief(&self, are_brief: bool) {
        self.shared.with(|world| world.faults.brief_links = are_brief);
    }

    /// What people did from now on is held back; [`Self::releases`] delivers it in the opposite order.
    pub fn holds_deliveries(&self) {
        self.shared.with(|world| world.deliveries.held = Some(Vec::new()));
    }

    /// Delivers what was held.
    pub async fn releases(&self) {
        self.act(|world| {
            let held = world.deliveries.held.take().unwrap_or_default();
            world.deliveries.outbox.extend(held.into_iter().rev());
        })
        .await;
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/{method}", any(api::call))
        .route("/link/", get(socket::link))
        .route("/upload/v1/{id}", any(api::upload))
        .route("/{kind}/{team}/1/{id}", post(answers::response_url))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(shared)
}

/// Puts the members of one value into another.
fn merge(into: &mut Value, from: &Value) {
    match (into.as_object_mut(), from.as_object()) {
        (Some(fields), Some(changes)) => {
            for (name, change) in changes {
                merge(fields.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
        _ => *into = from.clone(),
    }
}
