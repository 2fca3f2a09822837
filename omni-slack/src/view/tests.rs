//! Every kind of message as Slack gets it, and that no input makes one that Slack refuses.

use chrono::{DateTime, Utc};
use omni_core::{
    Error,
    elicit::{Elicitation, testing::question},
};
use serde_json::{Value, json};

use super::*;

mod golden;
mod hostile;
mod submitted;

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

fn server(name: &str, tools: usize) -> help::Server {
    help::Server {
        name: name.into(),
        display_name: "Database Performance".into(),
        description: Some("Multi-database performance monitoring (Oracle, MySQL)".into()),
        dot: help::Dot::Healthy,
        tools,
    }
}

fn tool(name: &str) -> help::Tool {
    help::Tool {
        name: name.into(),
        description: Some("CPU, sessions, cache hit ratios".into()),
        is_read_only: true,
        ..help::Tool::default()
    }
}

fn call() -> confirm::Card {
    confirm::Card {
        value: "0190".into(),
        server: "database_mcp".into(),
        tool: "drop_index".into(),
        arguments: json!({ "database": "transformer_master", "index": "ix_<!here>\u{202E}" }),
        effect: Some("Removes an index.".into()),
        rule: None,
        asker: None,
        expires_at: at(),
    }
}

fn answered() -> answer::View {
    answer::View {
        markdown: "## Health\nAll is *well*.\n\n| db | cpu |\n|---|---|\n| a | 3 % |\n".into(),
        person: footer::Person {
            name: Some("Ann".into()),
            role: Some("power_user".into()),
            emoji: Some("⚡".into()),
            ..footer::Person::default()
        },
        footer: footer::Footer {
            tools: vec!["database_mcp.get_health".into(), "database_mcp.get_health".into()],
            name_tools: true,
            iterations: Some(2),
            duration_ms: Some(8_349),
            cost_usd: Some(0.002_1),
            ..footer::Footer::default()
        },
        buttons: answer::Buttons {
            csv: Some("r_1".into()),
            follow: Some(String::new()),
            again: Some("0190".into()),
            feedback: Some("0190".into()),
            more: Some("0190:1".into()),
            stop: None,
        },
        ..answer::View::default()
    }
}

fn form() -> Elicitation {
    let choices: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    let schema = json!({ "type": "object", "required": ["name", "size", "zone"], "properties": {
        "name": { "type": "string", "title": "Name", "description": "Of the backup", "minLength": 2, "maxLength": 40 },
        "mail": { "type": "string", "format": "email", "default": "a@b.example" },
        "page": { "type": "string", "format": "uri" },
        "day": { "type": "string", "format": "date", "default": "2026-11-28" },
        "at": { "type": "string", "format": "date-time", "default": "2026-11-28T19:00:00Z" },
        "size": { "type": "integer", "minimum": 1, "maximum": 9, "default": 3 },
        "ratio": { "type": "number" },
        "sure": { "type": "boolean", "default": false },
        "zone": { "type": "string", "enum": ["a", "b"], "enumNames": ["Zone A", "Zone B"], "default": "b" },
        "place": { "type": "string", "enum": choices },
        "parts": { "type": "array", "items": { "type": "string", "enum": ["x", "y", "z"] }, "minItems": 1 },
        "rows": { "type": "array", "items": { "type": "string", "enum": choices } },
    } });
    question("backup_mcp", "make", &json!({ "message": "What shall I <!here> make?", "requestedSchema": schema }))
}
