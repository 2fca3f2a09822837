//! What a message is made of, and what Slack refuses in it.

use serde_json::Value;

use super::{args::Args, blocks, refusal::Refusal};

/// Text beyond this is cut off.
const TEXT: usize = 40_000;
/// What `chat.update` takes.
const UPDATED_TEXT: usize = 4_000;
/// What `markdown_text` takes.
pub(super) const MARKDOWN: usize = 12_000;
/// All text in blocks together; not documented, but seen.
const TEXT_IN_BLOCKS: usize = 13_200;

#[derive(Debug, Default, Clone)]
pub(super) struct Content {
    pub(super) text: String,
    pub(super) blocks: Vec<Value>,
    pub(super) attachments: Vec<Value>,
    pub(super) metadata: Option<Value>,
    /// What went wrong without being refused.
    pub(super) lost: Option<String>,
}

impl Content {
    /// Reads a new message.
    pub(super) fn read(args: &Args) -> Result<Self, Refusal> {
        let (text, markdown) = (args.text("text"), args.text("markdown_text"));
        let blocks = args.list("blocks")?.unwrap_or_default();
        let attachments = args.list("attachments")?.unwrap_or_default();
        if markdown.is_some() && (text.is_some() || !blocks.is_empty()) {
            return Err(Refusal::breach("markdown_text_conflict"));
        }
        if markdown.is_some_and(|markdown| blocks::length(markdown) > MARKDOWN) {
            return Err(Refusal::breach("msg_too_long"));
        }
        if text.or(markdown).is_none() && blocks.is_empty() && attachments.is_empty() {
            return Err(Refusal::breach("no_text"));
        }
        check_blocks(&blocks)?;
        check_attachments(&attachments)?;
        let mut content = Self { blocks, attachments, metadata: metadata(args)?, ..Self::default() };
        content.text = text.or(markdown).unwrap_or_default().to_owned();
        if blocks::length(&content.text) > TEXT {
            content.text = content.text.chars().take(TEXT).collect();
            content.lost = Some(format!("text over {TEXT} characters is cut off"));
        }
        Ok(content)
    }

    /// Reads what a message is to become.
    pub(super) fn read_update(args: &Args) -> Result<Self, Refusal> {
        if args.text("text").is_some_and(|text| blocks::length(text) > UPDATED_TEXT) {
            return Err(Refusal::breach("msg_too_long"));
        }
        Self::read(args)
    }
}

/// Refuses blocks that a message cannot have.
pub(super) fn check_blocks(blocks: &[Value]) -> Result<(), Refusal> {
    let wrong = blocks::wrong_in(blocks, "/blocks", blocks::IN_A_MESSAGE);
    if !wrong.is_empty() {
        return Err(Refusal { messages: wrong, ..Refusal::breach("invalid_blocks") });
    }
    if blocks.iter().filter(|block| block["type"] == "table").count() > 1 {
        return Err(Refusal::breach("invalid_attachments").because("only_one_table_allowed"));
    }
    let size: usize = blocks.iter().map(text_in).sum();
    if size > TEXT_IN_BLOCKS {
        return Err(Refusal::breach("msg_blocks_too_long").because(format!("{size} characters")));
    }
    Ok(())
}

fn check_attachments(attachments: &[Value]) -> Result<(), Refusal> {
    if attachments.len() > 100 {
        return Err(Refusal::breach("too_many_attachments"));
    }
    let mut wrong = Vec::new();
    for (index, attachment) in attachments.iter().enumerate() {
        if let Some(inner) = attachment["blocks"].as_array() {
            wrong.extend(blocks::wrong_in(inner, &format!("/attachments/{index}/blocks"), blocks::IN_A_MESSAGE));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Refusal { messages: wrong, ..Refusal::breach("invalid_blocks") }) }
}

/// Metadata has a type and a payload.
pub(super) fn metadata(args: &Args) -> Result<Option<Value>, Refusal> {
    let metadata = args.json("metadata")?;
    let is_good = |value: &Value| value["event_type"].is_string() && value["event_payload"].is_object();
    match metadata {
        Some(value) if !is_good(&value) => Err(Refusal::breach("invalid_metadata_format")),
        metadata => Ok(metadata),
    }
}

/// How much text there is under the name of text.
fn text_in(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(text_in).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, inner)| match inner {
                Value::String(text) if name == "text" => blocks::length(text),
                _ => text_in(inner),
            })
            .sum(),
        _ => 0,
    }
}
