//! `conversations.*`, page by page.

use serde_json::{Value, json};

use super::{Method, answer, method, tier};
use crate::slack::{
    BOT_USER, World,
    args::Args,
    refusal::{Answer, Refusal},
    world::Kind,
};

const READ: &[&str] = &["channels:read", "groups:read", "im:read", "mpim:read"];
const HISTORY: &[&str] = &["channels:history", "groups:history", "im:history", "mpim:history"];

pub(super) const METHODS: &[Method] = &[
    method("conversations.info", READ, tier::THREE, info),
    method("conversations.open", &["im:write", "mpim:write"], tier::THREE, open),
    method("conversations.members", READ, tier::FOUR, members),
    method("conversations.history", HISTORY, tier::THREE, history),
    method("conversations.replies", HISTORY, tier::THREE, replies),
    method("users.conversations", READ, tier::THREE, of_user),
];

/// The channel of a call, for which its kind asks a scope of its own.
fn readable(world: &mut World, args: &Args, what: &str) -> Result<String, Refusal> {
    let channel = world.channel_of(args, "channel")?;
    let family = match world.channels[&channel].kind {
        Kind::Public => "channels",
        Kind::Private => "groups",
        Kind::Direct => "im",
    };
    world.may(&[&format!("{family}:{what}")])?;
    Ok(channel)
}

fn info(world: &mut World, args: &Args) -> Answer {
    let channel = readable(world, args, "read")?;
    Ok(answer(json!({ "channel": world.channel_json(&channel) })))
}

fn open(world: &mut World, args: &Args) -> Answer {
    let users = args.json("users").ok().flatten().and_then(|users| users.as_array().cloned());
    let first = match &users {
        Some(users) => users.first().and_then(Value::as_str).map(str::to_owned),
        None => args.text("users").and_then(|users| users.split(',').next()).map(str::to_owned),
    };
    let channel = world.direct(&first.ok_or_else(|| Refusal::missing("users"))?)?;
    Ok(answer(json!({ "channel": { "id": channel }, "no_op": false, "already_open": false })))
}

fn members(world: &mut World, args: &Args) -> Answer {
    let channel = readable(world, args, "read")?;
    let all: Vec<Value> = world.channels[&channel].members.iter().map(|member| member.as_str().into()).collect();
    Ok(page(all, args, "members", 100))
}

/// The channels that somebody is in, as far as the bot sees them: private ones where it is in them too.
fn of_user(world: &mut World, args: &Args) -> Answer {
    let user = args.text("user").unwrap_or(BOT_USER).to_owned();
    if user != BOT_USER && !world.users.contains_key(&user) {
        return Err(Refusal::state("user_not_found"));
    }
    let types = args.text("types").unwrap_or("public_channel").to_owned();
    let mut listed = Vec::new();
    for (name, family, kind) in
        [("public_channel", "channels", Kind::Public), ("private_channel", "groups", Kind::Private)]
    {
        if !types.split(',').any(|one| one.trim() == name) {
            continue;
        }
        world.may(&[&format!("{family}:read")])?;
        let theirs = world.channels.values().filter(|one| one.kind == kind && one.members.contains(&user));
        let seen = theirs.filter(|one| kind == Kind::Public || one.members.contains(BOT_USER));
        listed.extend(seen.map(|one| one.id.clone()).collect::<Vec<_>>());
    }
    let all = listed.iter().map(|id| world.channel_json(id)).collect();
    Ok(page(all, args, "channels", 100))
}

fn history(world: &mut World, args: &Args) -> Answer {
    let channel = readable(world, args, "history")?;
    world.own_channel_of(args, "channel")?;
    let is_top = |thread: &Option<String>, ts: &str| thread.as_ref().is_none_or(|thread| thread == ts);
    let all = world.messages(&channel).into_iter().filter(|message| is_top(&message.thread_ts, &message.ts)).rev();
    let listed = all.filter(|message| is_between(args, &message.ts)).map(|message| world.message_json(&message));
    Ok(page(listed.collect(), args, "messages", 100))
}

fn replies(world: &mut World, args: &Args) -> Answer {
    let channel = readable(world, args, "history")?;
    world.own_channel_of(args, "channel")?;
    let ts = args.need("ts")?.to_owned();
    let thread = world.look_up(&channel, &ts).and_then(|message| message.thread_ts.clone()).unwrap_or(ts);
    let all = world.thread(&channel, &thread);
    if all.is_empty() {
        return Err(Refusal::state("thread_not_found"));
    }
    let count = all.len() - 1;
    let listed = all.iter().filter(|message| message.ts == thread || is_between(args, &message.ts)).map(|message| {
        let mut listed = world.message_json(message);
        if message.ts == thread && count > 0 {
            listed["thread_ts"] = thread.clone().into();
            listed["reply_count"] = count.into();
            listed["latest_reply"] = all[count].ts.clone().into();
        } else if message.ts != thread {
            listed["parent_user_id"] = all[0].user.clone().into();
        }
        listed
    });
    Ok(page(listed.collect(), args, "messages", 1000))
}

/// Whether a message is in the span of time that is asked for.
fn is_between(args: &Args, ts: &str) -> bool {
    let inclusive = args.flag("inclusive");
    let after = args.text("oldest").is_none_or(|oldest| ts > oldest || (inclusive && ts == oldest));
    let before = args.text("latest").is_none_or(|latest| ts < latest || (inclusive && ts == latest));
    after && before
}

/// The part of a list that the cursor stands at.
fn page(all: Vec<Value>, args: &Args, name: &str, usual: u64) -> serde_json::Map<String, Value> {
    let limit = args.number("limit").unwrap_or(usual).clamp(1, 1000) as usize;
    let start = args.text("cursor").and_then(|cursor| cursor.strip_prefix("next_")?.parse().ok()).unwrap_or(0);
    let has_more = all.len() > start + limit;
    let next = if has_more { format!("next_{}", start + limit) } else { String::new() };
    let part: Vec<Value> = all.into_iter().skip(start).take(limit).collect();
    answer(json!({ (name): part, "has_more": has_more, "response_metadata": { "next_cursor": next } }))
}
