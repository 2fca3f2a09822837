//! Cutting a result down to what may be shown of it.

use serde_json::Value;

use super::{compact, is_picture, is_told, thousands, told};
use crate::mcp::{Content, ToolOutput};

/// Most characters of base64 of one picture, sound or resource.
pub(super) const MAX_BINARY: usize = 5 * 1024 * 1024;

/// Most characters of base64 of all pictures and sounds of one result together.
const MAX_BINARY_TOTAL: usize = 10 * 1024 * 1024;

/// Most pictures of one result.
pub(super) const MAX_PICTURES: usize = 20;

/// Puts a result together so that everything a model reads of it is within `max_chars`.
pub(super) fn fit(
    parts: Vec<Content>,
    structured: Option<Value>,
    is_error: bool,
    mut truncated: bool,
    max_chars: usize,
) -> ToolOutput {
    let parts = within_binary_bounds(parts, &mut truncated);
    let total: usize = parts.iter().map(cost).sum();
    let content = if total > max_chars {
        truncated = true;
        cut(parts, total, max_chars)
    } else {
        parts
    };
    let used: usize = content.iter().map(cost).sum();
    let structured = structured.filter(|value| {
        let room = if is_told(value, &content) { max_chars } else { max_chars.saturating_sub(used) };
        let fits = compact(value).chars().count() <= room;
        truncated |= !fits;
        fits
    });
    ToolOutput { content, structured, is_error, truncated }
}

/// Characters that a model reads of a part.
fn cost(part: &Content) -> usize {
    match part {
        Content::Image { mime, .. } if is_picture(mime) => 0,
        other => told(other).chars().count(),
    }
}

fn within_binary_bounds(parts: Vec<Content>, truncated: &mut bool) -> Vec<Content> {
    let (mut bytes, mut pictures) = (MAX_BINARY_TOTAL, MAX_PICTURES);
    let mut keep = |part: Content| {
        let (Content::Image { data, .. } | Content::Audio { data, .. } | Content::Resource { blob: Some(data), .. }) =
            &part
        else {
            return part;
        };
        let is_image = matches!(part, Content::Image { .. });
        let rest = bytes.checked_sub(data.len()).filter(|_| data.len() <= MAX_BINARY);
        let why = match rest {
            None => "too large",
            Some(_) if is_image && pictures == 0 => "too many pictures",
            Some(rest) => {
                bytes = rest;
                pictures -= usize::from(is_image);
                return part;
            }
        };
        *truncated = true;
        Content::Text { text: format!("{} left out: {why}", told(&part)) }
    };
    parts.into_iter().map(&mut keep).collect()
}

/// As many whole parts as fit, then a part of one, then a note of what is missing.
fn cut(parts: Vec<Content>, total: usize, max_chars: usize) -> Vec<Content> {
    // The note is measured with the largest number that can stand in it.
    let room = max_chars.saturating_sub(note(total, total).chars().count());
    let mut left = room;
    let mut kept = Vec::new();
    for part in parts {
        let size = cost(&part);
        if size <= left {
            left -= size;
            kept.push(part);
            continue;
        }
        kept.extend(shorten(part, left));
        break;
    }
    let shown = kept.iter().map(cost).sum::<usize>();
    let text: String = note(shown, total).chars().take(max_chars.saturating_sub(shown)).collect();
    if !text.is_empty() {
        kept.push(Content::Text { text });
    }
    kept
}

fn note(shown: usize, total: usize) -> String {
    format!("[cut: {} of {} characters shown]", thousands(shown), thousands(total))
}

/// A part of a part, whole characters only. What has no text is all or nothing.
fn shorten(part: Content, room: usize) -> Option<Content> {
    let take = |text: &str, room: usize| text.chars().take(room).collect::<String>();
    match part {
        Content::Text { text } => Some(Content::Text { text: take(&text, room) }).filter(|_| room > 0),
        Content::Resource { uri, mime, text: Some(text), .. } => {
            let head = Content::Resource { uri, mime, text: Some(String::new()), blob: None };
            let left = room.checked_sub(cost(&head))?;
            let Content::Resource { uri, mime, .. } = head else { return None };
            Some(Content::Resource { uri, mime, text: Some(take(&text, left)), blob: None })
        }
        Content::Image { .. } | Content::Audio { .. } | Content::Resource { .. } | Content::ResourceLink { .. } => None,
    }
}
