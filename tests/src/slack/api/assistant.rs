//! `assistant.threads.*` and `agents.sessions.*`: what the bot is doing, and what it suggests.

use serde_json::{Value, json};

use super::{Method, answer, method, tier};
use crate::slack::{
    World,
    args::Args,
    blocks,
    refusal::{Answer, Refusal},
    world::ThreadState,
};

const WRITE: &[&str] = &["assistant:write", "chat:write"];
const SESSION: [&str; 4] = ["active", "processing", "suspended", "closed"];

pub(super) const METHODS: &[Method] = &[
    method("assistant.threads.setStatus", WRITE, tier::SPECIAL, set_status),
    method("assistant.threads.setTitle", WRITE, tier::FOUR, set_title),
    method("assistant.threads.setSuggestedPrompts", WRITE, tier::FOUR, set_prompts),
    method("agents.sessions.setStatus", WRITE, tier::THREE, set_session),
    method("agents.sessions.rename", WRITE, tier::THREE, set_title),
];

/// Refuses a status that no session has.
pub(super) fn check_status(status: &str) -> Result<(), Refusal> {
    if SESSION.contains(&status) {
        return Ok(());
    }
    Err(Refusal::breach("invalid_arguments").because(format!("must be a valid enum value: {}", SESSION.join(", "))))
}

fn thread<'a>(world: &'a mut World, args: &Args) -> Result<&'a mut ThreadState, Refusal> {
    let channel = world.own_channel_of(args, "channel_id")?;
    let thread_ts = args.need("thread_ts")?.to_owned();
    if !world.has(&channel, &thread_ts) {
        return Err(Refusal::state("invalid_thread_ts"));
    }
    Ok(world.threads.entry((channel, thread_ts)).or_default())
}

fn set_status(world: &mut World, args: &Args) -> Answer {
    let status = args.fields.get("status").and_then(Value::as_str).ok_or_else(|| Refusal::missing("status"))?;
    if args.list("loading_messages")?.is_some_and(|messages| messages.len() > 10) {
        return Err(Refusal::breach("invalid_arguments").because("no more than 10 items allowed"));
    }
    thread(world, args)?.statuses.push(status.to_owned());
    Ok(answer(json!({})))
}

fn set_title(world: &mut World, args: &Args) -> Answer {
    let title = args.need("title")?.to_owned();
    thread(world, args)?.title = Some(title.clone());
    Ok(answer(json!({ "title": title })))
}

fn set_prompts(world: &mut World, args: &Args) -> Answer {
    let channel = world.own_channel_of(args, "channel_id")?;
    let prompts = args.list("prompts")?.ok_or_else(|| Refusal::missing("prompts"))?;
    let read = |prompt: &Value| Some((prompt["title"].as_str()?.to_owned(), prompt["message"].as_str()?.to_owned()));
    let read: Option<Vec<(String, String)>> = prompts.iter().map(read).collect();
    let is_good = |prompts: &[(String, String)]| {
        (1..=4).contains(&prompts.len())
            && prompts.iter().all(|(title, message)| !title.is_empty() && !message.is_empty())
    };
    let prompts = read.filter(|prompts| is_good(prompts));
    let prompts =
        prompts.ok_or_else(|| Refusal::breach("invalid_arguments").because("1 to 4 prompts with title and message"))?;
    world.prompts.insert(channel, prompts);
    Ok(answer(json!({})))
}

fn set_session(world: &mut World, args: &Args) -> Answer {
    let status = args.need("status")?.to_owned();
    check_status(&status)?;
    let title = args.text("title").map(str::to_owned);
    if title.as_ref().is_some_and(|title| blocks::length(title) > 255) {
        return Err(Refusal::breach("invalid_arguments").because("title must be less than 256 characters"));
    }
    let is_told = world.app.events.contains("agent_session_stopped");
    let thread = thread(world, args)?;
    thread.statuses.push(status.clone());
    thread.title = title.or(thread.title.take());
    let mut members = answer(json!({ "status": status, "title": thread.title }));
    if !is_told {
        members.insert("warning".into(), "missing_agent_session_stopped_event_subscription".into());
    }
    Ok(members)
}
