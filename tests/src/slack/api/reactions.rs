//! `reactions.*`.

use serde_json::json;

use super::{Method, answer, method, tier};
use crate::slack::{
    BOT_USER, World,
    args::Args,
    refusal::{Answer, Refusal},
};

const WRITE: &[&str] = &["reactions:write"];
const NONE_MORE: usize = 23;

pub(super) const METHODS: &[Method] = &[
    method("reactions.add", WRITE, tier::THREE, add),
    method("reactions.remove", WRITE, tier::TWO, remove),
    method("reactions.get", &["reactions:read"], tier::THREE, show),
];

fn target(world: &mut World, args: &Args) -> Result<(String, String), Refusal> {
    let channel = world.channel_of(args, "channel")?;
    let ts = args.need("timestamp")?.to_owned();
    if world.has(&channel, &ts) { Ok((channel, ts)) } else { Err(Refusal::state("message_not_found")) }
}

fn name(args: &Args) -> Result<String, Refusal> {
    let name = args.need("name")?;
    let is_good = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+':".contains(c));
    if is_good && !name.starts_with(':') { Ok(name.to_owned()) } else { Err(Refusal::breach("invalid_name")) }
}

fn add(world: &mut World, args: &Args) -> Answer {
    let (target, name) = (target(world, args)?, name(args)?);
    let reactions = world.reactions.entry(target).or_default();
    if reactions.iter().any(|(other, user)| *other == name && user == BOT_USER) {
        return Err(Refusal::state("already_reacted"));
    }
    if reactions.len() >= NONE_MORE {
        return Err(Refusal::state("too_many_reactions"));
    }
    reactions.push((name, BOT_USER.into()));
    Ok(answer(json!({})))
}

fn remove(world: &mut World, args: &Args) -> Answer {
    let (target, name) = (target(world, args)?, name(args)?);
    let reactions = world.reactions.entry(target).or_default();
    let before = reactions.len();
    reactions.retain(|(other, user)| *other != name || user != BOT_USER);
    if reactions.len() == before { Err(Refusal::state("no_reaction")) } else { Ok(answer(json!({}))) }
}

fn show(world: &mut World, args: &Args) -> Answer {
    let (channel, ts) = target(world, args)?;
    let message = world.look_up(&channel, &ts).map(|message| world.message_json(message));
    let mut message = message.unwrap_or_default();
    let mut listed: Vec<(String, Vec<String>)> = Vec::new();
    for (name, user) in world.reactions.get(&(channel.clone(), ts)).into_iter().flatten() {
        match listed.iter_mut().find(|(other, _)| other == name) {
            Some((_, users)) => users.push(user.clone()),
            None => listed.push((name.clone(), vec![user.clone()])),
        }
    }
    let reactions = listed.iter().map(|(name, users)| json!({ "name": name, "users": users, "count": users.len() }));
    message["reactions"] = reactions.collect();
    Ok(answer(json!({ "type": "message", "channel": channel, "message": message })))
}
