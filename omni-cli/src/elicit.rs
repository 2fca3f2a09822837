//! The person at the terminal, asked what a server wants to know in the middle of a call.

use std::sync::Arc;

use async_trait::async_trait;
use omni_core::elicit::{Elicit, Elicitation, Field, FieldKind, Form, NobodyThere, Reply, Wanted};
use serde_json::{Map, Value};

use crate::{
    app::App,
    typed::{Terminal, Turn},
};

/// How often a field is asked for that is not answered so that it fits.
const TRIES: usize = 5;

/// Who is asked, where somebody is at a terminal.
pub(crate) fn elicit(app: &App, terminal: &Arc<Terminal>) -> Arc<dyn Elicit> {
    if app.console.interactive { Arc::new(AtTerminal(terminal.clone())) } else { Arc::new(NobodyThere) }
}

/// Asks at the terminal.
#[derive(Debug)]
struct AtTerminal(Arc<Terminal>);

#[async_trait]
impl Elicit for AtTerminal {
    async fn ask(&self, question: &Elicitation) -> Reply {
        let Some(turn) = self.0.turn().await else { return Reply::Cancel };
        let Elicitation { server, tool, message, .. } = question;
        turn.say(&format!("{server} asks, for {tool}: {message}"));
        match &question.wanted {
            Wanted::Form(form) => fill_in(&turn, form).await,
            Wanted::Page { url } => {
                let origin = url.origin().ascii_serialization();
                turn.say(&format!("It wants you to open a page of {origin}:\n  {url}"));
                match answered(&turn, "Have you opened it? [y]es / [N]o: ").await.as_deref() {
                    Some("y" | "yes") => Reply::Accept(Map::new()),
                    Some(_) => Reply::Decline,
                    None => Reply::Cancel,
                }
            }
            _ => Reply::Decline,
        }
    }
}

/// What is typed, in whichever case.
async fn answered(turn: &Turn<'_>, prompt: &str) -> Option<String> {
    Some(turn.line(prompt).await?.to_lowercase())
}

async fn fill_in(turn: &Turn<'_>, form: &Form) -> Reply {
    match answered(turn, "[a]nswer / [D]ecline: ").await.as_deref() {
        Some("a" | "answer" | "y" | "yes") => {}
        Some(_) => return Reply::Decline,
        None => return Reply::Cancel,
    }
    let mut values = Map::new();
    for field in &form.fields {
        match value(turn, field).await {
            Some(Some(value)) => drop(values.insert(field.name.clone(), value)),
            Some(None) => {}
            None => return Reply::Cancel,
        }
    }
    Reply::Accept(values)
}

/// The value of a field, or that it has none; `None` when the person does not go on.
async fn value(turn: &Turn<'_>, field: &Field) -> Option<Option<Value>> {
    turn.say(&described(field));
    for _ in 0..TRIES {
        let line = turn.line(&prompt(field)).await?;
        match (line.is_empty(), &field.default) {
            (true, Some(default)) => return Some(Some(default.clone())),
            (true, None) if !field.required => return Some(None),
            // None of several is a value.
            (true, None) if !matches!(field.kind, FieldKind::Choices { .. }) => turn.say("there has to be a value"),
            _ => match field.read(&line) {
                Ok(value) => return Some(Some(value)),
                Err(why) => turn.say(&why),
            },
        }
    }
    None
}

/// What a person needs to know before answering.
fn described(field: &Field) -> String {
    let mut text = field.title.clone();
    if let Some(description) = &field.description {
        text.push_str(&format!(": {description}"));
    }
    if let FieldKind::Choice { choices } | FieldKind::Choices { choices, .. } = &field.kind {
        for (at, choice) in choices.iter().enumerate() {
            text.push_str(&format!("\n  {}. {}", at + 1, choice.title));
        }
    }
    text
}

fn prompt(field: &Field) -> String {
    let kind = match &field.kind {
        FieldKind::Text { format: Some(format), .. } => format,
        FieldKind::Number { integer: true, .. } => "whole number",
        FieldKind::Number { .. } => "number",
        FieldKind::Boolean => "yes or no",
        FieldKind::Choice { .. } => "one of them",
        FieldKind::Choices { .. } => "some of them, with commas between",
        _ => "text",
    };
    let default = match &field.default {
        Some(Value::String(text)) => format!(" [{text}]"),
        Some(default) => format!(" [{default}]"),
        None if field.required => String::new(),
        None => " [none]".into(),
    };
    format!("  {kind}{default}: ")
}

#[cfg(test)]
mod tests {
    use omni_core::elicit::testing::question;
    use serde_json::json;

    use super::*;
    use crate::typed::testing::terminal;

    async fn asked(params: Value, lines: &[&'static str]) -> (Reply, String) {
        let (terminal, shown) = terminal(lines);
        let reply = AtTerminal(terminal).ask(&question("db", "drop", &params)).await;
        (reply, shown.text())
    }

    fn form() -> Value {
        json!({ "message": "Which\u{1b}[31m one?", "requestedSchema": { "type": "object", "required": ["n"], "properties": {
            "n": { "type": "integer", "title": "Number", "minimum": 1 },
            "sure": { "type": "boolean", "default": true },
            "why": { "type": "string" },
        } } })
    }

    fn accepted() -> Reply {
        Reply::Accept(json!({ "n": 3, "sure": true }).as_object().cloned().unwrap())
    }

    #[tokio::test]
    async fn a_form_is_filled_in_field_by_field() {
        let (reply, shown) = asked(form(), &["a", "0", "3", "", ""]).await;
        assert_eq!(reply, accepted());
        assert!(shown.contains("db asks, for drop: Which") && shown.contains("less than 1"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }

    #[tokio::test]
    async fn nothing_is_answered_that_was_not_typed() {
        for lines in [&["", "3"][..], &["d"], &["what"]] {
            assert_eq!(asked(form(), lines).await.0, Reply::Decline, "{lines:?}");
        }
        for lines in [&[][..], &["a"], &["a", "3"], &["a", "0", "0", "0", "0", "0", "3", "", ""]] {
            assert_eq!(asked(form(), lines).await.0, Reply::Cancel, "{lines:?}");
        }
    }

    #[tokio::test]
    async fn the_case_of_an_answer_does_not_matter() {
        for yes in ["A", "Answer", "Y", "Yes", "YES"] {
            assert_eq!(asked(form(), &[yes, "3", "", ""]).await.0, accepted(), "{yes}");
        }
        let page = json!({ "mode": "url", "message": "Log in", "url": "https://login.example/" });
        for yes in ["Y", "Yes", "YES"] {
            assert_eq!(asked(page.clone(), &[yes]).await.0, Reply::Accept(Map::new()), "{yes}");
        }
    }

    #[tokio::test]
    async fn a_field_that_needs_a_value_is_asked_for_until_it_has_one() {
        let mut needed = form();
        needed["requestedSchema"]["required"] = json!(["n", "why"]);
        let (reply, shown) = asked(needed.clone(), &["a", "", "3", "", "", "because"]).await;
        let values = json!({ "n": 3, "sure": true, "why": "because" });
        assert_eq!(reply, Reply::Accept(values.as_object().cloned().unwrap()));
        assert_eq!(shown.matches("there has to be a value").count(), 2, "{shown}");
        assert_eq!(asked(needed, &["a", "", "", "", "", "", "3"]).await.0, Reply::Cancel, "but not for ever");
    }

    #[tokio::test]
    async fn a_page_is_shown_with_whose_it_is_and_nothing_is_opened() {
        let page = json!({ "mode": "url", "message": "Log in", "url": "https://login.example/a?b=c" });
        let (reply, shown) = asked(page.clone(), &["y"]).await;
        assert_eq!(reply, Reply::Accept(Map::new()));
        assert!(shown.contains("a page of https://login.example:") && shown.contains("/a?b=c"), "{shown}");
        assert_eq!(asked(page, &["n"]).await.0, Reply::Decline);
    }
}
