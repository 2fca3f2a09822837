//! Blocks as plain text.

use serde_json::Value;

use super::{Button, Spot, World};

/// A message or a view: its blocks, or its text where it has none.
pub(super) fn shown(shown: &Value, spot: &Spot, world: &mut World) -> String {
    let blocks = shown["blocks"].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines = Vec::new();
    if let Some(title) = shown["title"]["text"].as_str() {
        lines.push(format!("== {title} =="));
    }
    if blocks.is_empty() {
        lines.extend(shown["text"].as_str().map(plain));
    }
    for block in blocks {
        lines.extend(block_lines(block, spot, world));
    }
    lines.retain(|line| !line.is_empty());
    lines.iter().map(|line| format!("  {}", line.replace('\n', "\n  "))).collect::<Vec<_>>().join("\n")
}

fn block_lines(block: &Value, spot: &Spot, world: &mut World) -> Vec<String> {
    match block["type"].as_str().unwrap_or_default() {
        "header" => vec![format!("== {} ==", words(&block["text"]))],
        "divider" => vec!["----".into()],
        "markdown" => vec![plain(block["text"].as_str().unwrap_or_default())],
        "table" => block["rows"].as_array().into_iter().flatten().map(row).collect(),
        "context" => vec![all(&block["elements"]).join("  ")],
        "section" => {
            let mut lines = vec![words(&block["text"])];
            lines.extend(all(&block["fields"]));
            lines.extend(element(&block["accessory"], block, spot, world));
            lines
        }
        "actions" | "context_actions" => {
            let elements = block["elements"].as_array().into_iter().flatten();
            let buttons: Vec<String> = elements.filter_map(|one| element(one, block, spot, world)).collect();
            vec![buttons.join("  ")]
        }
        _ => vec![words(&block["text"])],
    }
}

/// A text object.
fn words(text: &Value) -> String {
    plain(text["text"].as_str().unwrap_or_default())
}

fn all(texts: &Value) -> Vec<String> {
    texts.as_array().into_iter().flatten().map(words).collect()
}

fn row(cells: &Value) -> String {
    let cells = cells.as_array().into_iter().flatten().map(words);
    cells.collect::<Vec<_>>().join(" | ")
}

/// A button or a menu, with the number by which it is clicked.
fn element(element: &Value, block: &Value, spot: &Spot, world: &mut World) -> Option<String> {
    let kind = element["type"].as_str()?;
    if let Some(url) = element["url"].as_str() {
        return Some(format!("{} <{url}>", words(&element["text"])));
    }
    let label = match kind {
        "button" | "icon_button" => words(&element["text"]),
        "feedback_buttons" => return Some(feedback(element, block, spot, world)),
        _ => {
            let options: Vec<String> = super::form::options(element).into_iter().map(|(_, label)| label).collect();
            format!("choose with a space and one of: {}", options.join(", "))
        }
    };
    let button = Button { element: element.clone(), block_id: block["block_id"].clone(), spot: spot.clone() };
    Some(format!("[:{}] {label}", world.number(button)))
}

fn feedback(element: &Value, block: &Value, spot: &Spot, world: &mut World) -> String {
    let buttons = ["positive_button", "negative_button"].map(|name| {
        let mut one = element.clone();
        (one["value"], one["text"]) = (element[name]["value"].clone(), element[name]["text"].clone());
        let label = words(&one["text"]);
        let button = Button { element: one, block_id: block["block_id"].clone(), spot: spot.clone() };
        format!("[:{}] {label}", world.number(button))
    });
    buttons.join("  ")
}

/// A piece of a stream.
pub(super) fn chunk(chunk: &Value) -> String {
    match chunk["type"].as_str().unwrap_or_default() {
        "markdown_text" => plain(chunk["text"].as_str().unwrap_or_default()),
        "task_update" => {
            let sign = match chunk["status"].as_str().unwrap_or_default() {
                "complete" => "✓",
                "error" => "✗",
                _ => "…",
            };
            format!("\n  {sign} {}\n", plain(chunk["title"].as_str().unwrap_or_default()))
        }
        _ => String::new(),
    }
}

/// What Slack shows of a text: mentions by name, links with their address, and no entities.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        shown.push_str(before);
        let Some((inner, behind)) = after.split_once('>').filter(|(inner, _)| is_marked(inner)) else {
            shown.push('<');
            rest = after;
            continue;
        };
        shown.push_str(&marked(inner));
        rest = behind;
    }
    shown.push_str(rest);
    shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn is_marked(inner: &str) -> bool {
    inner.starts_with(['@', '#', '!']) || inner.starts_with("http://") || inner.starts_with("https://")
}

fn marked(inner: &str) -> String {
    match (inner, inner.split_once('|')) {
        ("@U0YOU", _) => "@you".into(),
        ("@U0OMNI", _) => "@omni".into(),
        (_, Some((_, name))) if inner.starts_with('!') => name.to_owned(),
        (_, Some((url, name))) => format!("{name} ({url})"),
        (other, None) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entities_mentions_and_links_read_as_in_slack() {
        assert_eq!(plain("1 &lt; 2 &amp;&amp; <@U0YOU>"), "1 < 2 && @you");
        assert_eq!(plain("see <https://a.example|this> <!date^1^{time}|12:00>"), "see this (https://a.example) 12:00");
        assert_eq!(plain("a < b and <b>"), "a < b and <b>");
    }

    #[test]
    fn buttons_are_numbered_and_found_again() {
        let mut world = World::default();
        let button = |label: &str| json!({ "type": "button", "action_id": "a", "text": { "text": label } });
        let message = json!({ "blocks": [
            { "type": "header", "text": { "text": "Approval" } },
            { "type": "actions", "block_id": "b", "elements": [button("Yes"), button("No")] },
        ] });
        let told = shown(&message, &Spot::View(json!({})), &mut world);
        assert_eq!(told, "  == Approval ==\n  [:1] Yes  [:2] No");
        assert_eq!(world.buttons[&2].element["text"]["text"], "No");
    }
}
