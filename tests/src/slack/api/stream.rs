//! `chat.startStream`, `chat.appendStream`, `chat.stopStream`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Method, answer, method, tier};
use crate::slack::{
    BOT_USER, Message, Stream, StreamState, Task, World,
    args::Args,
    blocks,
    content::{Content, MARKDOWN, check_blocks, metadata},
    refusal::{Answer, Refusal},
    world::Kind,
};

/// A stream without an append for so long goes cold.
const GOES_COLD: Duration = Duration::from_secs(300);
/// What one streamed message holds; not documented, but seen. Details and outputs of tasks count twice.
const WEIGHT: usize = 11_000;
const STATUSES: [&str; 4] = ["pending", "in_progress", "complete", "error"];
const WRITE: &[&str] = &["chat:write"];

pub(super) const METHODS: &[Method] = &[
    method("chat.startStream", WRITE, tier::TWO, start),
    method("chat.appendStream", WRITE, tier::FOUR, append),
    method("chat.stopStream", WRITE, tier::TWO, stop),
];

/// What a call adds to a stream.
#[derive(Debug, Default)]
struct Added {
    text: String,
    tasks: Vec<(String, Task)>,
    plan: Option<String>,
    blocks: Vec<Value>,
    is_empty: bool,
}

fn read(args: &Args) -> Result<Added, Refusal> {
    let (text, chunks) = (args.text("markdown_text"), args.list("chunks")?);
    if text.is_some() && chunks.is_some() {
        return Err(Refusal::breach("invalid_arguments").because("markdown_text and chunks exclude each other"));
    }
    let mut added = Added { text: text.unwrap_or_default().to_owned(), ..Added::default() };
    let chunks = chunks.unwrap_or_default();
    added.is_empty = text.is_none() && chunks.is_empty();
    for chunk in &chunks {
        add_chunk(&mut added, chunk)?;
    }
    if blocks::length(&added.text) > MARKDOWN {
        return Err(Refusal::breach("msg_too_long"));
    }
    if added.blocks.len() > blocks::IN_A_MESSAGE {
        return Err(Refusal::breach("invalid_blocks").because("no more than 50 items allowed"));
    }
    check_blocks(&added.blocks)?;
    Ok(added)
}

fn add_chunk(added: &mut Added, chunk: &Value) -> Result<(), Refusal> {
    let wrong = |what: &str| Err(Refusal::breach("invalid_chunks").because(what));
    let text = |name: &str| chunk[name].as_str();
    match text("type") {
        Some("markdown_text") => match text("text") {
            Some(text) => added.text.push_str(text),
            None => return wrong("missing required field: text"),
        },
        Some("plan_update") => match text("title") {
            Some(title) => added.plan = Some(title.to_owned()),
            None => return wrong("missing required field: title"),
        },
        Some("task_update") => added.tasks.push(task(chunk)?),
        Some("blocks") => match chunk["blocks"].as_array() {
            Some(blocks) => added.blocks.extend(blocks.iter().cloned()),
            None => return wrong("missing required field: blocks"),
        },
        other => return wrong(&format!("unsupported type: {}", other.unwrap_or_default())),
    }
    Ok(())
}

fn task(chunk: &Value) -> Result<(String, Task), Refusal> {
    let text = |name: &str| chunk[name].as_str().map(str::to_owned);
    let (Some(id), Some(title)) = (text("id"), text("title").filter(|title| !title.is_empty())) else {
        return Err(Refusal::breach("invalid_chunks").because("a task has an id and a title"));
    };
    let status = text("status").unwrap_or_default();
    if !STATUSES.contains(&status.as_str()) {
        return Err(Refusal::breach("invalid_chunks").because(format!("a task is not {status:?}")));
    }
    for source in chunk["sources"].as_array().into_iter().flatten() {
        if source["type"] != "url" || !source["url"].is_string() || !source["text"].is_string() {
            return Err(Refusal::breach("invalid_chunks").because("a source has the type url, an url and a text"));
        }
    }
    for name in ["title", "details", "output"] {
        if text(name).is_some_and(|text| blocks::length(&text) > 256) {
            return Err(Refusal::breach("invalid_chunks").because(format!("{name} has more than 256 characters")));
        }
    }
    Ok((id, Task { title, status, details: text("details"), output: text("output") }))
}

/// How much of a message is used up.
fn weight(message: &Message) -> usize {
    let Some(stream) = &message.stream else { return message.text.len() };
    let task = |task: &Task| {
        let twice = |text: &Option<String>| text.as_ref().map_or(0, |text| 2 * text.len());
        task.title.len() + twice(&task.details) + twice(&task.output)
    };
    message.text.len() + stream.plan.as_ref().map_or(0, String::len) + stream.tasks.values().map(task).sum::<usize>()
}

/// Adds to a message, or says that it would be too long.
fn grow(message: &mut Message, added: Added, now: Duration) -> Result<(), Refusal> {
    let mut grown = message.clone();
    grown.text.push_str(&added.text);
    grown.blocks.extend(added.blocks);
    grown.changed = now;
    if let Some(stream) = &mut grown.stream {
        stream.calls += 1;
        stream.plan = added.plan.or(stream.plan.take());
        for (id, update) in added.tasks {
            let task = stream.tasks.entry(id).or_default();
            task.title = update.title;
            task.status = update.status;
            task.details = update.details.or(task.details.take());
            task.output = update.output.or(task.output.take());
        }
    }
    if weight(&grown) > WEIGHT {
        return Err(Refusal::breach("msg_too_long").because(format!("{} of {WEIGHT}", weight(&grown))));
    }
    *message = grown;
    Ok(())
}

fn start(world: &mut World, args: &Args) -> Answer {
    let channel = world.own_channel_of(args, "channel")?;
    if world.channels[&channel].kind != Kind::Direct {
        for field in ["recipient_user_id", "recipient_team_id"] {
            args.text(field).ok_or_else(|| Refusal::breach(&format!("missing_{field}")))?;
        }
        let (user, team) = (args.need("recipient_user_id")?, args.need("recipient_team_id")?);
        if !world.is_of(user, team) {
            return Err(Refusal::breach("team_not_found").because(format!("{user} is not of {team}")));
        }
    }
    let thread_ts = args.need("thread_ts")?;
    if !world.has(&channel, thread_ts) {
        return Err(Refusal::state("thread_not_found"));
    }
    let display = args.text("task_display_mode").unwrap_or("timeline");
    if !["timeline", "plan", "dense"].contains(&display) {
        return Err(Refusal::breach("invalid_arguments").because("task_display_mode"));
    }
    let added = read(args)?;
    let mut message = world.bot_message(&channel, Some(thread_ts), Content::default());
    message.stream = Some(Stream {
        state: StreamState::Open,
        calls: 0,
        tasks: Default::default(),
        plan: None,
        display: display.to_owned(),
    });
    grow(&mut message, added, world.clock.now())?;
    let ts = message.ts.clone();
    world.add(message.clone());
    world.tells_of_own(&message);
    Ok(answer(json!({ "channel": channel, "ts": ts })))
}

/// A stream that still grows.
fn open(world: &mut World, args: &Args) -> Result<(String, Message), Refusal> {
    let channel = world.own_channel_of(args, "channel")?;
    let ts = args.need("ts")?.to_owned();
    let now = world.clock.now();
    let message = world.find(&channel, &ts).ok_or_else(|| Refusal::state("message_not_found"))?;
    if message.user != BOT_USER {
        return Err(Refusal::breach("message_not_owned_by_app"));
    }
    let changed = message.changed;
    let Some(stream) = &mut message.stream else {
        return Err(Refusal::breach("message_not_in_streaming_state").because("it was never streamed"));
    };
    if stream.state == StreamState::Open && now.saturating_sub(changed) >= GOES_COLD {
        stream.state = StreamState::Cold;
    }
    match stream.state {
        StreamState::Open => Ok((channel, message.clone())),
        // The bot knows best that it has ended it.
        StreamState::Stopped => {
            Err(Refusal::breach("message_not_in_streaming_state").because("the bot has stopped it"))
        }
        StreamState::StoppedByUser | StreamState::Cold => Err(Refusal::state("message_not_in_streaming_state")),
    }
}

fn put(world: &mut World, channel: &str, message: &Message) {
    if let Some(place) = world.find(channel, &message.ts) {
        *place = message.clone();
    }
}

fn append(world: &mut World, args: &Args) -> Answer {
    let (channel, mut message) = open(world, args)?;
    let added = read(args)?;
    if added.is_empty {
        return Err(Refusal::missing("markdown_text"));
    }
    grow(&mut message, added, world.clock.now())?;
    put(world, &channel, &message);
    Ok(answer(json!({ "channel": channel, "ts": message.ts })))
}

fn stop(world: &mut World, args: &Args) -> Answer {
    let (channel, mut message) = open(world, args)?;
    let added = read(args)?;
    let blocks = args.list("blocks")?.unwrap_or_default();
    check_blocks(&blocks)?;
    message.metadata = metadata(args)?;
    if let Some(status) = args.text("session_status") {
        super::assistant::check_status(status)?;
        let thread = message.thread_ts.clone().unwrap_or_default();
        world.threads.entry((channel.clone(), thread)).or_default().statuses.push(status.to_owned());
    }
    grow(&mut message, added, world.clock.now())?;
    let mut blocks = blocks;
    blocks::name_all(&mut blocks, || world.id("b"));
    message.blocks.extend(blocks);
    if let Some(stream) = &mut message.stream {
        stream.state = StreamState::Stopped;
    }
    put(world, &channel, &message);
    let before = Message { text: String::new(), ..message.clone() };
    world.tells_of_change(&before, &message);
    Ok(answer(json!({ "channel": channel, "ts": message.ts, "message": world.message_json(&message) })))
}
