//! `chat.*` without streams.

use serde_json::json;

use super::{Method, answer, method, tier};
use crate::slack::{
    BOT_USER, Message, World,
    args::Args,
    content::Content,
    refusal::{Answer, Refusal},
};

const WRITE: &[&str] = &["chat:write"];

pub(super) const METHODS: &[Method] = &[
    method("chat.postMessage", WRITE, tier::SPECIAL, post),
    method("chat.update", WRITE, tier::THREE, update),
    method("chat.delete", WRITE, tier::THREE, delete),
    method("chat.postEphemeral", WRITE, tier::FOUR, whisper),
    method("chat.scheduleMessage", WRITE, tier::THREE, schedule),
    method("chat.getPermalink", &[], tier::SPECIAL, permalink),
];

/// Where the bot may post: where it is, and in public with a scope for that.
fn place(world: &mut World, args: &Args) -> Result<String, Refusal> {
    let channel = world.channel_of(args, "channel")?;
    if world.channels[&channel].is_archived {
        return Err(Refusal::state("is_archived"));
    }
    let may = world.is_in(BOT_USER, &channel) || world.app.scopes.contains("chat:write.public");
    if may { Ok(channel) } else { Err(Refusal::state("not_in_channel")) }
}

fn thread<'a>(world: &World, channel: &str, args: &'a Args) -> Result<Option<&'a str>, Refusal> {
    let Some(thread_ts) = args.text("thread_ts") else { return Ok(None) };
    match world.look_up(channel, thread_ts) {
        Some(message) if message.thread_ts.as_ref().is_some_and(|thread| thread != thread_ts) => {
            Err(Refusal::breach("invalid_thread_ts").because("it is a reply, not the thread's first message"))
        }
        Some(_) => Ok(Some(thread_ts)),
        None => Err(Refusal::state("thread_not_found")),
    }
}

fn post(world: &mut World, args: &Args) -> Answer {
    let channel = place(world, args)?;
    let content = Content::read(args)?;
    let thread = thread(world, &channel, args)?;
    if let Some(wait) = world.rates.post(&channel, world.clock.now()) {
        return Err(Refusal::rate_limited(wait));
    }
    if let Some(lost) = &content.lost {
        world.breach(format!("chat.postMessage: {lost}"));
    }
    let message = world.bot_posts(&channel, thread, content);
    world.tells_of_own(&message);
    Ok(answer(json!({ "channel": channel, "ts": message.ts, "message": world.message_json(&message) })))
}

/// A message of the bot that may be changed.
fn own(world: &mut World, channel: &str, ts: &str, refusal: &str) -> Result<Message, Refusal> {
    if world.ephemerals.iter().any(|message| message.ts == ts && message.channel == channel) {
        return Err(Refusal::breach("message_not_found").because("an ephemeral message is changed by its response url"));
    }
    let message = world.look_up(channel, ts).cloned().ok_or_else(|| Refusal::state("message_not_found"))?;
    if !message.by_bot {
        return Err(Refusal::breach(refusal));
    }
    Ok(message)
}

fn update(world: &mut World, args: &Args) -> Answer {
    let channel = world.own_channel_of(args, "channel")?;
    let ts = args.need("ts")?.to_owned();
    let before = own(world, &channel, &ts, "cant_update_message")?;
    if !before.is_done() {
        return Err(Refusal::breach("streaming_state_conflict"));
    }
    let content = Content::read_update(args)?;
    let mut after = before.clone();
    world.fill(&mut after, content);
    if let Some(message) = world.find(&channel, &ts) {
        *message = after.clone();
    }
    world.tells_of_change(&before, &after);
    Ok(answer(json!({ "channel": channel, "ts": ts, "text": after.text, "message": world.message_json(&after) })))
}

fn delete(world: &mut World, args: &Args) -> Answer {
    let channel = world.own_channel_of(args, "channel")?;
    let ts = args.need("ts")?.to_owned();
    let message = own(world, &channel, &ts, "cant_delete_message")?;
    if let Some(messages) = world.messages.get_mut(&channel) {
        messages.retain(|message| message.ts != ts);
    }
    world.tells_of_removal(&message);
    Ok(answer(json!({ "channel": channel, "ts": ts })))
}

fn whisper(world: &mut World, args: &Args) -> Answer {
    let channel = world.own_channel_of(args, "channel")?;
    let user = args.need("user")?.to_owned();
    if !world.is_in(&user, &channel) {
        return Err(Refusal::state("user_not_in_channel"));
    }
    let content = Content::read(args)?;
    let thread = thread(world, &channel, args)?;
    let mut message = world.bot_message(&channel, thread, content);
    message.only_for = Some(user);
    let ts = message.ts.clone();
    world.ephemerals.push(message);
    Ok(answer(json!({ "message_ts": ts })))
}

fn schedule(world: &mut World, args: &Args) -> Answer {
    let channel = place(world, args)?;
    Content::read(args)?;
    let post_at = args.number("post_at").ok_or_else(|| Refusal::missing("post_at"))?;
    if post_at <= world.clock.unix().as_secs() {
        return Err(Refusal::breach("time_in_past"));
    }
    let id = world.id("Q0");
    Ok(answer(json!({ "channel": channel, "scheduled_message_id": id, "post_at": post_at })))
}

fn permalink(world: &mut World, args: &Args) -> Answer {
    let channel = world.channel_of(args, "channel")?;
    let ts = args.need("message_ts")?;
    let message = world.look_up(&channel, ts).ok_or_else(|| Refusal::state("message_not_found"))?;
    let thread =
        message.thread_ts.as_ref().map(|thread| format!("?thread_ts={thread}&cid={channel}")).unwrap_or_default();
    let link = format!("https://acme.slack.com/archives/{channel}/p{}{thread}", ts.replace('.', ""));
    Ok(answer(json!({ "channel": channel, "permalink": link })))
}
