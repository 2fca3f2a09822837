//! What a message says, by all that Slack has of it.

use serde_json::Value;

/// What a message says. Apps often say nothing in its text, and all in what hangs on it; what somebody forwards hangs on
/// what they say of it.
pub(crate) fn of(message: &Value) -> String {
    let mut said = Vec::from_iter(text(&message["text"]));
    let has_text = !said.is_empty();
    if !has_text {
        blocks(&message["blocks"], &mut said);
    }
    for attachment in hanging(message).filter(|one| !has_text || one["is_share"] == true) {
        read(attachment, &mut said);
    }
    said.join("\n")
}

/// What hangs on a message, such as what somebody forwards by it.
pub(crate) fn attached(message: &Value) -> String {
    let mut said = Vec::new();
    hanging(message).for_each(|attachment| read(attachment, &mut said));
    said.join("\n")
}

fn hanging(message: &Value) -> impl Iterator<Item = &Value> {
    message["attachments"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn read(attachment: &Value, said: &mut Vec<String>) {
    let before = said.len();
    said.extend(["pretext", "title", "text"].iter().filter_map(|key| text(&attachment[*key])));
    blocks(&attachment["blocks"], said);
    if said.len() == before {
        // Of a forwarded message that has no text there are its blocks.
        let forwarded = attachment["message_blocks"].as_array().into_iter().flatten();
        forwarded.for_each(|one| blocks(&one["message"]["blocks"], said));
    }
    if said.len() == before {
        said.extend(text(&attachment["fallback"]));
    }
}

/// The texts of blocks, at any depth that Slack has.
fn blocks(value: &Value, said: &mut Vec<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| blocks(one, said)),
        Value::Object(fields) => {
            if let Some(text) = fields.get("text").and_then(Value::as_str).filter(|text| !text.trim().is_empty()) {
                said.push(text.to_owned());
            }
            let inner = ["text", "fields", "elements"].iter().filter_map(|key| fields.get(*key));
            inner.filter(|inner| !inner.is_string()).for_each(|inner| blocks(inner, said));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alert_is_read_by_what_hangs_on_it() {
        let alert = json!({ "text": "", "attachments": [
            { "title": "Disk is full", "text": "db-1 has 2 % left", "fallback": "not said twice" },
            { "fallback": "only this" },
            { "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": "since 10:00" } }] },
        ] });
        assert_eq!(of(&alert), "Disk is full\ndb-1 has 2 % left\nonly this\nsince 10:00");
        let rich = json!({ "blocks": [{ "type": "rich_text", "elements": [
            { "type": "rich_text_section", "elements": [{ "type": "text", "text": "hello" }] } ] }] });
        assert_eq!(of(&rich), "hello");
        assert_eq!(of(&json!({ "text": "said", "blocks": [{ "text": { "text": "other" } }] })), "said");
    }

    #[test]
    fn what_is_forwarded_is_read_beside_what_is_said_of_it() {
        let in_blocks = json!([{ "message": { "blocks": [{ "text": { "type": "mrkdwn", "text": "in blocks" } }] } }]);
        let said = json!({ "text": "Why?", "attachments": [
            { "is_share": true, "text": "Disk is full", "fallback": "not said twice" },
            { "is_share": true, "message_blocks": in_blocks, "fallback": "[no preview available]" },
            { "from_url": "https://ex.com", "text": "a page" },
        ] });
        assert_eq!(of(&said), "Why?\nDisk is full\nin blocks");
        assert_eq!(attached(&said), "Disk is full\nin blocks\na page");
        assert_eq!(attached(&json!({ "text": "Why?" })), "");
    }
}
