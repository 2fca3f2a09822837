//! The Web API: who may call what, and how often.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};

use super::{
    BOT_USER, Call, Fault, Shared, World,
    args::Args,
    refusal::{Answer, Refusal},
    world::Kind,
};

mod assistant;
mod chat;
mod conversations;
mod files;
mod reactions;
mod stream;
mod users;
mod views;

pub(super) use files::upload;

/// The app's token for Socket Mode.
pub(super) const APP_TOKEN: &str = "xapp-1-A0OMNI-1-test";
/// The bot's token.
pub(super) const BOT_TOKEN: &str = "xoxb-1-2-test";

/// A method of the Web API.
pub(super) struct Method {
    name: &'static str,
    /// One of these scopes is needed; none when there are none.
    scopes: &'static [&'static str],
    /// How many calls a minute are taken.
    per_minute: usize,
    run: fn(&mut World, &Args) -> Answer,
}

const fn method(
    name: &'static str,
    scopes: &'static [&'static str],
    per_minute: usize,
    run: fn(&mut World, &Args) -> Answer,
) -> Method {
    Method { name, scopes, per_minute, run }
}

/// Slack's tiers of methods, in calls a minute.
mod tier {
    pub(super) const TWO: usize = 20;
    pub(super) const THREE: usize = 50;
    pub(super) const FOUR: usize = 100;
    /// Of methods with a limit of their own.
    pub(super) const SPECIAL: usize = 600;
}

const OWN: &[Method] = &[
    method("api.test", &[], tier::FOUR, |_, args| Ok(answer(json!({ "args": args.fields })))),
    method("apps.connections.open", &["connections:write"], tier::THREE, |world, _| super::socket::open(world)),
];

fn find(name: &str) -> Option<&'static Method> {
    let all = [
        OWN,
        chat::METHODS,
        stream::METHODS,
        conversations::METHODS,
        users::METHODS,
        views::METHODS,
        reactions::METHODS,
        files::METHODS,
        assistant::METHODS,
    ];
    all.into_iter().flatten().find(|method| method.name == name)
}

/// The members of an answer.
fn answer(members: Value) -> Map<String, Value> {
    match members {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Methods that read no JSON body: Slack takes it for most methods that write, and for no others.
pub const WITHOUT_JSON: [&str; 13] = [
    "bots.info",
    "conversations.history",
    "conversations.info",
    "conversations.list",
    "conversations.members",
    "conversations.replies",
    "files.completeUploadExternal",
    "files.getUploadURLExternal",
    "files.info",
    "users.conversations",
    "users.info",
    "users.list",
    "users.lookupByEmail",
];

/// Answers a call.
pub(super) async fn call(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let fault = shared.with(|world| world.faults.next(&name));
    let (query, is_over) = (query.unwrap_or_default(), matches!(fault, Some(Fault::Error(_) | Fault::RateLimited(_))));
    match &fault {
        Some(Fault::Status(status)) => return page(&shared, &name, *status),
        Some(Fault::Hang) => {
            shared.with(|world| world.log(&name, &Args::default(), Some("hangs")));
            return std::future::pending().await;
        }
        _ => {}
    }
    let request = Request { name: &name, query: &query, headers: &headers, raw: &raw };
    let response = shared.with(|world| {
        let refusal = match &fault {
            Some(Fault::Error(error)) => Some(Refusal::state(error)),
            Some(Fault::RateLimited(seconds)) => Some(Refusal::rate_limited(Duration::from_secs(*seconds))),
            _ => None,
        };
        request.answer(world, refusal)
    });
    match fault {
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::Cut) => return cut(),
        Some(Fault::Garbage) => {
            return (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], "{\"ok\":tr").into_response();
        }
        _ => debug_assert!(is_over || fault.is_none()),
    }
    response
}

/// What a gateway says when Slack is not well.
fn page(shared: &Arc<Shared>, name: &str, status: u16) -> Response {
    shared.with(|world| world.log(name, &Args::default(), Some(&format!("status {status}"))));
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    (status, [(header::CONTENT_TYPE, "text/html")], "<html>upstream connect error</html>").into_response()
}

/// An answer that breaks off.
fn cut() -> Response {
    let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, 100)
        .body(Body::from_stream(broken))
        .unwrap_or_default()
}

struct Request<'a> {
    name: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    raw: &'a Bytes,
}

impl Request<'_> {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn answer(&self, world: &mut World, planned: Option<Refusal>) -> Response {
        let kind = self.header(header::CONTENT_TYPE);
        // What these methods are told in JSON they do not hear.
        let is_unheard = WITHOUT_JSON.contains(&self.name) && kind.starts_with("application/json");
        let read = Args::read(self.query, kind, if is_unheard { &[] } else { self.raw });
        let (args, result) = match read {
            Ok(args) => {
                let result = match planned {
                    Some(refusal) => Err(refusal),
                    None => self.run(world, &args),
                };
                (args, result)
            }
            Err(refusal) => (Args::default(), Err(refusal)),
        };
        world.log(self.name, &args, result.as_ref().err().map(|refusal| refusal.error.as_str()));
        self.keep_breach(world, &args, result.as_ref().err());
        respond(world, &args, result)
    }

    fn keep_breach(&self, world: &mut World, args: &Args, refusal: Option<&Refusal>) {
        let now = world.clock.now();
        let key = rate_key(self.name, args);
        if let Some(early) = world.rates.too_early(&key, now).or_else(|| world.rates.too_early(self.name, now)) {
            world.breach(format!("{key}: called {:.1} s before it may be tried again", early.as_secs_f64()));
        }
        let Some(refusal) = refusal else { return };
        if refusal.breach {
            world.breach(refusal.told(self.name));
        }
        if let Some(wait) = refusal.retry_after {
            world.rates.refuse(&key, now, wait);
        }
    }

    fn run(&self, world: &mut World, args: &Args) -> Answer {
        let method = find(self.name).ok_or_else(|| {
            let mut refusal = Refusal::breach("unknown_method");
            refusal.extra.insert("req_method".into(), self.name.into());
            refusal
        })?;
        self.authorize(world, method, args)?;
        if let Some(wait) = world.rates.call(self.name, method.per_minute, world.clock.now()) {
            return Err(Refusal::rate_limited(wait));
        }
        (method.run)(world, args)
    }

    fn authorize(&self, world: &World, method: &Method, args: &Args) -> Result<(), Refusal> {
        let given = self.header(header::AUTHORIZATION);
        let is_for_app = method.name == "apps.connections.open";
        let in_header = given.strip_prefix("Bearer ").or(given.strip_prefix("bearer "));
        // The app's token is taken from the header alone.
        let token = in_header.or_else(|| args.text("token").filter(|_| !is_for_app)).unwrap_or_default();
        if token.is_empty() {
            return Err(Refusal::breach("not_authed"));
        }
        if token != APP_TOKEN && token != BOT_TOKEN {
            return Err(Refusal::state("invalid_auth"));
        }
        if world.is_revoked {
            return Err(Refusal::state("token_revoked"));
        }
        if is_for_app != (token == APP_TOKEN) {
            return Err(Refusal::breach("not_allowed_token_type"));
        }
        if is_for_app { Ok(()) } else { world.may(method.scopes) }
    }
}

/// What a refusal for the rate holds for: a method, or a method in a channel.
fn rate_key(name: &str, args: &Args) -> String {
    match args.text("channel") {
        Some(channel) if name == "chat.postMessage" => format!("{name} {channel}"),
        _ => name.to_owned(),
    }
}

fn respond(world: &World, args: &Args, result: Answer) -> Response {
    let retry_after = result.as_ref().err().and_then(|refusal| refusal.retry_after);
    let mut body = match result {
        Ok(mut members) => {
            members.insert("ok".into(), true.into());
            members
        }
        Err(refusal) => refusal.body(),
    };
    if args.without_charset {
        body.entry("warning").or_insert_with(|| "missing_charset".into());
    }
    let scopes: Vec<&str> = world.app.scopes.iter().map(String::as_str).collect();
    let status = if retry_after.is_some() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    let mut response = (
        status,
        [(header::CONTENT_TYPE, "application/json; charset=utf-8".to_owned())],
        [("x-oauth-scopes", scopes.join(","))],
        Value::Object(body).to_string(),
    )
        .into_response();
    if let Some(wait) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().into());
    }
    response
}

impl World {
    /// Refuses what the app has no scope for.
    fn may(&self, scopes: &[&str]) -> Result<(), Refusal> {
        if scopes.is_empty() || scopes.iter().any(|scope| self.app.scopes.contains(*scope)) {
            return Ok(());
        }
        let provided: Vec<&str> = self.app.scopes.iter().map(String::as_str).collect();
        let mut refusal = Refusal::breach("missing_scope").because(format!("needed: {}", scopes.join(" or ")));
        refusal.extra.insert("needed".into(), scopes.join(",").into());
        refusal.extra.insert("provided".into(), provided.join(",").into());
        Err(refusal)
    }

    pub(super) fn log(&mut self, method: &str, args: &Args, error: Option<&str>) {
        let mut fields = args.fields.clone();
        fields.remove("token");
        let at = self.clock.now();
        let error = error.map(str::to_owned);
        self.calls.push(Call { method: method.into(), args: Value::Object(fields), error, at });
    }

    /// The channel of a call: an id, the id of a user for the direct one, or `#name`.
    fn channel_of(&mut self, args: &Args, field: &str) -> Result<String, Refusal> {
        let named = args.need(field)?.to_owned();
        if self.users.contains_key(&named) {
            return self.direct(&named);
        }
        let by_name = named.strip_prefix('#').and_then(|name| {
            self.channels.values().find(|channel| channel.name == name).map(|channel| channel.id.clone())
        });
        let id = by_name.unwrap_or(named);
        match self.channels.get(&id) {
            // A private channel does not exist for who is not in it.
            Some(channel) if channel.kind != Kind::Public && !channel.members.contains(BOT_USER) => {
                Err(Refusal::state("channel_not_found"))
            }
            Some(_) => Ok(id),
            None => Err(Refusal::state("channel_not_found")),
        }
    }

    /// The channel of a call, in which the bot must be.
    fn own_channel_of(&mut self, args: &Args, field: &str) -> Result<String, Refusal> {
        let id = self.channel_of(args, field)?;
        if self.is_in(BOT_USER, &id) { Ok(id) } else { Err(Refusal::state("not_in_channel")) }
    }
}
