//! What the bot answers without the Web API: with an ack, or at a response url.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

use super::{Shared, Submitted, View, World, args::Args, content::Content, refusal::Refusal, views, world::Hook};

/// How often something can be posted to a response url.
const USES: u32 = 5;
/// How long a response url lives.
const LIVES: Duration = Duration::from_secs(30 * 60);

fn args_of(value: &Value) -> Args {
    Args { fields: value.as_object().cloned().unwrap_or_default(), without_charset: false }
}

/// The ack of a command carries a message.
pub(super) fn command(world: &mut World, body: &Value, payload: &Value) {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let hook =
        Hook { at: world.clock.now(), uses: 0, channel: text("channel_id"), user: text("user_id"), original: None };
    if let Err(refusal) = posts(world, &hook, &args_of(payload)) {
        world.breach(refusal.told("ack of a command"));
    }
}

/// A post to a response url.
pub(super) async fn response_url(
    State(shared): State<Arc<Shared>>,
    Path((_, _, id)): Path<(String, String, String)>,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    shared.with(|world| {
        let read = Args::read("", kind, &raw);
        let (args, result) = match read {
            Ok(args) => (args.clone(), respond(world, &id, &args)),
            Err(refusal) => (Args::default(), Err(refusal)),
        };
        world.log("response_url", &args, result.as_ref().err().map(|refusal| refusal.error.as_str()));
        match result {
            Ok(()) => (StatusCode::OK, "ok").into_response(),
            Err(refusal) => {
                if refusal.breach {
                    world.breach(refusal.told("response_url"));
                }
                let is_gone = matches!(refusal.error.as_str(), "used_url" | "expired_url" | "no_such_hook");
                let status = if is_gone { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
                (status, refusal.error).into_response()
            }
        }
    })
}

fn respond(world: &mut World, id: &str, args: &Args) -> Result<(), Refusal> {
    let now = world.clock.now();
    let hook = world.hooks.get_mut(id).ok_or_else(|| Refusal::breach("no_such_hook"))?;
    if now.saturating_sub(hook.at) > LIVES {
        return Err(Refusal::breach("expired_url"));
    }
    if hook.uses >= USES {
        return Err(Refusal::breach("used_url"));
    }
    hook.uses += 1;
    let hook = hook.clone();
    posts(world, &hook, args)
}

/// Posts a message to where something was done.
fn posts(world: &mut World, hook: &Hook, args: &Args) -> Result<(), Refusal> {
    if args.flag("delete_original") {
        return deletes(world, hook);
    }
    let content = Content::read(args)?;
    if let (true, Some((ts, is_ephemeral))) = (args.flag("replace_original"), &hook.original) {
        return replaces(world, hook, ts, *is_ephemeral, content);
    }
    let thread = args.text("thread_ts").map(str::to_owned);
    if args.text("response_type") == Some("in_channel") {
        let message = world.bot_posts(&hook.channel, thread.as_deref(), content);
        world.tells_of_own(&message);
        return Ok(());
    }
    let mut message = world.bot_message(&hook.channel, thread.as_deref(), content);
    message.only_for = Some(hook.user.clone());
    world.ephemerals.push(message);
    Ok(())
}

fn deletes(world: &mut World, hook: &Hook) -> Result<(), Refusal> {
    let Some((ts, is_ephemeral)) = &hook.original else {
        return Err(Refusal::breach("no_original").because("a command has no message that it came from"));
    };
    if *is_ephemeral {
        world.ephemerals.retain(|message| message.ts != *ts || message.only_for.as_ref() != Some(&hook.user));
    } else if let Some(messages) = world.messages.get_mut(&hook.channel) {
        messages.retain(|message| message.ts != *ts);
    }
    Ok(())
}

fn replaces(world: &mut World, hook: &Hook, ts: &str, is_ephemeral: bool, content: Content) -> Result<(), Refusal> {
    if is_ephemeral {
        let place = world.ephemerals.iter().position(|message| message.ts == ts && message.channel == hook.channel);
        let mut message = match place {
            Some(place) => world.ephemerals[place].clone(),
            None => return Err(Refusal::state("message_not_found")),
        };
        world.fill(&mut message, content);
        if let Some(place) = place {
            world.ephemerals[place] = message;
        }
        return Ok(());
    }
    let before = world.look_up(&hook.channel, ts).cloned().ok_or_else(|| Refusal::state("message_not_found"))?;
    let mut after = before.clone();
    world.fill(&mut after, content);
    if let Some(message) = world.find(&hook.channel, ts) {
        *message = after.clone();
    }
    world.tells_of_change(&before, &after);
    Ok(())
}

/// What the ack of a form does to it.
pub(super) fn submitted(world: &mut World, view: &View, payload: Option<&Value>) -> Submitted {
    let Some(payload) = payload else {
        world.views.retain(|open| open.id != view.id);
        return Submitted::Closed;
    };
    match payload["response_action"].as_str() {
        Some("clear") => {
            world.views.retain(|open| open.user != view.user);
            Submitted::Cleared
        }
        Some("errors") => errors(world, view, &payload["errors"]),
        Some(action @ ("update" | "push")) => shows(world, view, action, &payload["view"]),
        _ => {
            world.breach(format!("ack of a form: {payload} has no response_action"));
            Submitted::Failed
        }
    }
}

fn errors(world: &mut World, view: &View, errors: &Value) -> Submitted {
    let told = errors.as_object().into_iter().flatten();
    let told: std::collections::BTreeMap<String, String> =
        told.map(|(block, what)| (block.clone(), what.as_str().unwrap_or_default().to_owned())).collect();
    let is_input =
        |id: &String| view.blocks().iter().any(|block| block["block_id"] == **id && block["type"] == "input");
    if told.is_empty() || told.values().any(String::is_empty) {
        world.breach("ack of a form: errors without a text");
    }
    for block in told.keys().filter(|id| !is_input(id)) {
        world.breach(format!("ack of a form: {block} is no input of it"));
    }
    Submitted::Errors(told)
}

fn shows(world: &mut World, view: &View, action: &str, given: &Value) -> Submitted {
    if let Err(refusal) = views::check(given, "modal") {
        world.breach(refusal.told("ack of a form"));
        return Submitted::Failed;
    }
    if action == "update" {
        return Submitted::Updated(world.changes(view, given.clone()));
    }
    if world.views(&view.user).len() >= views::IN_A_STACK {
        world.breach("ack of a form: push_limit_reached");
        return Submitted::Failed;
    }
    Submitted::Pushed(world.shows(&view.user, given.clone()))
}
