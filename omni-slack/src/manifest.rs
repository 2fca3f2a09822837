//! The app at Slack that this build needs: its manifest, and what it asks people to grant.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::event::CHANGED;

/// What the app is granted: all of it is used.
pub const SCOPES: [&str; 15] = [
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "reactions:read",
    "users:read",
    "users:read.email",
];

/// What a scope is needed for, as whoever grants it reads it; nothing of one that no build uses.
#[must_use]
pub fn purpose(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "app_mentions:read" => "to hear that somebody mentions it",
        "assistant:write" => "to stream answers, and to say what it is doing",
        "channels:history" => "to read the threads in public channels that it is called into",
        "channels:read" => "to tell public channels from private ones, and to hear what becomes of them",
        "chat:write" => "to post answers",
        "commands" => "for /omni, /omni-help, /omni-status and the shortcut on messages",
        "files:write" => "to send tables as files",
        "groups:history" => "to read the threads in private channels that it is called into",
        "groups:read" => "to tell private channels from public ones, and to hear what becomes of them",
        "im:history" => "to read what people write to it directly",
        "im:read" => "to know its direct messages",
        "im:write" => "to write to people directly",
        "reactions:read" => "to take thumbs up and down as feedback",
        "users:read" => "to know who asks",
        "users:read.email" => "to know who asks by their e-mail address, which is how they get their role",
        _ => return None,
    })
}

/// What the app hears of, beside what makes a channel another one.
const EVENTS: [&str; 8] = [
    "agent_session_stopped",
    "app_home_opened",
    "app_mention",
    "member_left_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "reaction_added",
];

/// All that the app hears of: each once, in order.
fn events() -> BTreeSet<&'static str> {
    EVENTS.into_iter().chain(CHANGED).collect()
}

/// The manifest: for Socket Mode, or for requests to an address such as `https://omni.company.com`.
#[must_use]
pub fn manifest(address: Option<&str>) -> Value {
    let url = |path: &str| address.map(|address| format!("{}/slack/{path}", address.trim_end_matches('/')));
    let command = |name: &str, description: &str, hint: &str| {
        let mut command = json!({ "command": name, "description": description, "should_escape": true });
        if !hint.is_empty() {
            command["usage_hint"] = hint.into();
        }
        if let Some(url) = url("commands") {
            command["url"] = url.into();
        }
        command
    };
    let mut settings = json!({
        "event_subscriptions": { "bot_events": events() },
        "interactivity": { "is_enabled": true },
        "org_deploy_enabled": false,
        "socket_mode_enabled": address.is_none(),
        "token_rotation_enabled": false,
    });
    if let (Some(events), Some(clicks)) = (url("events"), url("interactivity")) {
        settings["event_subscriptions"]["request_url"] = events.into();
        settings["interactivity"]["request_url"] = clicks.into();
    }
    json!({
        "_metadata": { "major_version": 2 },
        "display_information": {
            "name": "omni",
            "description": "Ask your MCP tools in plain language",
        },
        "features": {
            "agent_view": {
                "agent_description":
                    "Answers questions by calling the MCP tools that your role allows. Every call is logged.",
                "suggested_prompts": [{ "title": "What can I do?", "message": "Which tools can I use?" }],
            },
            "app_home": {
                "home_tab_enabled": true,
                "messages_tab_enabled": true,
                "messages_tab_read_only_enabled": false,
            },
            "bot_user": { "display_name": "omni", "always_online": true },
            "slash_commands": [
                command("/omni", "Ask omni", "[--private] your question, or schedules"),
                command("/omni-help", "Servers and tools that you may use", ""),
                command("/omni-status", "Your role, your limits, and how the servers are doing", ""),
            ],
            "shortcuts": [{
                "type": "message",
                "name": "Ask omni about this",
                "callback_id": crate::view::ids::ASK_MESSAGE,
                "description": "Ask a question about this message",
            }],
        },
        "oauth_config": { "scopes": { "bot": SCOPES } },
        "settings": settings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_address_the_app_opens_sockets_and_names_none() {
        let manifest = manifest(None);
        assert_eq!(manifest["settings"]["socket_mode_enabled"], true);
        assert!(!manifest.to_string().contains("url"), "{manifest}");
    }

    #[test]
    fn with_an_address_everything_goes_there() {
        let manifest = manifest(Some("https://omni.company.com/"));
        assert_eq!(manifest["settings"]["socket_mode_enabled"], false);
        let events = &manifest["settings"]["event_subscriptions"]["request_url"];
        assert_eq!(events, "https://omni.company.com/slack/events");
        let commands = manifest["features"]["slash_commands"].as_array().unwrap();
        assert!(commands.iter().all(|one| one["url"] == "https://omni.company.com/slack/commands"));
    }

    #[test]
    fn the_app_hears_of_whatever_makes_a_channel_another_one_each_once_and_in_order() {
        let manifest = manifest(None);
        let heard: Vec<&str> = manifest["settings"]["event_subscriptions"]["bot_events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event.as_str().unwrap())
            .collect();
        assert!(CHANGED.iter().all(|event| heard.contains(event)), "{heard:?}");
        assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
        assert_eq!(heard.len(), EVENTS.len() + CHANGED.len());
    }

    #[test]
    fn what_people_paste_at_slack_is_this() {
        insta::assert_json_snapshot!("manifest", manifest(None));
    }

    #[test]
    fn of_every_scope_it_is_said_what_it_is_for() {
        assert!(SCOPES.iter().all(|scope| purpose(scope).is_some()));
    }

    /// Slack's own limits.
    #[test]
    fn no_text_is_longer_than_slack_takes() {
        let manifest = manifest(None);
        let features = &manifest["features"];
        assert!(features["agent_view"]["agent_description"].as_str().unwrap().len() <= 300);
        assert!(manifest["display_information"]["description"].as_str().unwrap().len() <= 140);
    }
}
