//! `files.*`: a file is announced, sent, and then shared.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use serde_json::{Value, json};

use super::{Method, answer, method, tier};
use crate::slack::{
    File, Shared, World,
    args::Args,
    content::Content,
    refusal::{Answer, Refusal},
    world::Upload,
};

const WRITE: &[&str] = &["files:write"];

pub(super) const METHODS: &[Method] = &[
    method("files.getUploadURLExternal", WRITE, tier::FOUR, announce),
    method("files.completeUploadExternal", WRITE, tier::FOUR, complete),
];

fn announce(world: &mut World, args: &Args) -> Answer {
    let name = args.need("filename")?.to_owned();
    let length = args.number("length").filter(|length| *length > 0).ok_or_else(|| Refusal::missing("length"))?;
    let id = world.id("F0");
    world.uploads.insert(id.clone(), Upload { name, length: length as usize, content: None });
    Ok(answer(json!({ "upload_url": format!("{}/upload/v1/{id}", world.url), "file_id": id })))
}

/// Takes the bytes themselves, as they are or as the first part of a form.
pub(in crate::slack) async fn upload(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> (StatusCode, String) {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let content = match kind.split_once("boundary=") {
        Some((_, boundary)) => part(&raw, boundary.trim_matches('"')),
        None => raw.to_vec(),
    };
    shared.with(|world| {
        let Some(upload) = world.uploads.get_mut(&id).filter(|upload| upload.content.is_none()) else {
            world.breach("upload: no such address");
            return (StatusCode::NOT_FOUND, "no such upload".to_owned());
        };
        let (sent, announced) = (content.len(), upload.length);
        if sent != announced {
            world.breach(format!("upload: {sent} bytes, and {announced} were announced"));
            return (StatusCode::BAD_REQUEST, "length mismatch".to_owned());
        }
        upload.content = Some(content);
        (StatusCode::OK, format!("OK - {sent}"))
    })
}

fn part(raw: &[u8], boundary: &str) -> Vec<u8> {
    let find = |what: &[u8], from: usize| {
        raw.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| at + from)
    };
    let start = find(b"\r\n\r\n", 0).map_or(0, |at| at + 4);
    let end = find(format!("\r\n--{boundary}").as_bytes(), start).unwrap_or(raw.len());
    raw[start..end].to_vec()
}

fn complete(world: &mut World, args: &Args) -> Answer {
    let files = args.list("files")?.filter(|files| !files.is_empty()).ok_or_else(|| Refusal::missing("files"))?;
    let channel = match args.text("channel_id") {
        Some(_) => Some(world.own_channel_of(args, "channel_id")?),
        None => None,
    };
    let thread_ts = args.text("thread_ts").filter(|_| channel.is_some());
    if let (Some(channel), Some(thread)) = (&channel, thread_ts) {
        world.look_up(channel, thread).ok_or_else(|| Refusal::state("thread_not_found"))?;
    }
    let mut done = Vec::new();
    for file in &files {
        done.push(take(world, file, channel.as_deref(), thread_ts)?);
    }
    if let Some(channel) = &channel {
        let text = args.text("initial_comment").unwrap_or_default().to_owned();
        let mut message = world.bot_message(channel, thread_ts, Content { text, ..Content::default() });
        message.files = done.iter().map(|file| file.name.clone()).collect();
        world.add(message.clone());
        world.tells_of_own(&message);
    }
    let listed: Vec<Value> = done.iter().map(|file| json!({ "id": file.id, "title": file.title })).collect();
    world.files.extend(done);
    Ok(answer(json!({ "files": listed })))
}

fn take(world: &mut World, file: &Value, channel: Option<&str>, thread_ts: Option<&str>) -> Result<File, Refusal> {
    let id = file["id"].as_str().unwrap_or_default().to_owned();
    let is_sent = world.uploads.get(&id).is_some_and(|upload| upload.content.is_some());
    let upload = if is_sent { world.uploads.remove(&id) } else { None };
    let upload = upload.ok_or_else(|| Refusal::breach("file_not_found").because("it was not announced and sent"))?;
    Ok(File {
        id,
        title: file["title"].as_str().unwrap_or(&upload.name).to_owned(),
        name: upload.name,
        content: upload.content.unwrap_or_default(),
        channel: channel.map(str::to_owned),
        thread_ts: thread_ts.map(str::to_owned),
    })
}
