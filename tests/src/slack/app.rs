//! The installed app, as its manifest describes it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// What the app may do and is told of.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) name: String,
    pub(super) scopes: BTreeSet<String>,
    pub(super) events: BTreeSet<String>,
    pub(super) commands: BTreeSet<String>,
    pub(super) shortcuts: BTreeSet<String>,
    pub(super) has_home: bool,
    pub(super) has_messages: bool,
    pub(super) is_interactive: bool,
}

/// Everything that omni uses.
pub(super) fn manifest() -> Value {
    let command = |command: &str| json!({ "command": command, "description": "Asks omni" });
    json!({
        "_metadata": { "major_version": 2 },
        "display_information": { "name": "omni", "description": "Ask your tools" },
        "features": {
            "agent_view": { "agent_description": "Answers by calling tools." },
            "app_home": { "home_tab_enabled": true, "messages_tab_enabled": true, "messages_tab_read_only_enabled": false },
            "bot_user": { "display_name": "omni", "always_online": true },
            "slash_commands": (["/omni", "/omni-help", "/omni-status"].map(command)),
            "shortcuts": [{ "type": "message", "name": "Ask omni", "callback_id": "omni_ask_message", "description": "Asks" }],
        },
        "oauth_config": { "scopes": { "bot": [
            "app_mentions:read", "assistant:write", "channels:history", "channels:read", "chat:write", "commands",
            "files:read", "files:write", "groups:history", "groups:read", "im:history", "im:read", "im:write",
            "mpim:history", "reactions:read", "reactions:write", "users:read", "users:read.email",
        ] } },
        "settings": {
            "event_subscriptions": { "bot_events": [
                "agent_session_stopped", "app_context_changed", "app_home_opened", "app_mention", "channel_archive",
                "channel_deleted", "channel_left", "channel_rename", "channel_shared", "channel_unarchive",
                "channel_unshared", "group_archive", "group_deleted", "group_left", "group_rename", "group_unarchive",
                "member_left_channel", "message.channels", "message.groups", "message.im", "reaction_added",
                "reaction_removed",
            ] },
            "interactivity": { "is_enabled": true },
            "org_deploy_enabled": false, "socket_mode_enabled": true, "token_rotation_enabled": false,
        },
    })
}

impl App {
    /// Reads a manifest, or says what Slack would not take in it.
    pub(super) fn read(manifest: &Value) -> Result<Self, Vec<String>> {
        let wrong = wrong_in(manifest);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let features = &manifest["features"];
        let scopes = &manifest["oauth_config"]["scopes"];
        let settings = &manifest["settings"];
        let mut granted = strings(&scopes["bot"]);
        granted.extend(strings(&scopes["bot_optional"]));
        Ok(Self {
            name: manifest["display_information"]["name"].as_str().unwrap_or_default().to_owned(),
            scopes: granted,
            events: strings(&settings["event_subscriptions"]["bot_events"]),
            commands: named(&features["slash_commands"], "command"),
            shortcuts: named(&features["shortcuts"], "callback_id"),
            has_home: features["app_home"]["home_tab_enabled"] == true,
            has_messages: features["app_home"]["messages_tab_enabled"] == true,
            is_interactive: settings["interactivity"]["is_enabled"] == true,
        })
    }
}

fn strings(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn named(list: &Value, name: &str) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item[name].as_str().map(str::to_owned)).collect()
}

/// Which scope an event needs; others need none.
fn scope_of(event: &str) -> Option<&'static str> {
    Some(match event {
        "channel_archive"
        | "channel_deleted"
        | "channel_left"
        | "channel_rename"
        | "channel_shared"
        | "channel_unarchive"
        | "channel_unshared"
        | "member_left_channel" => "channels:read",
        "group_archive" | "group_deleted" | "group_left" | "group_rename" | "group_unarchive" => "groups:read",
        "app_mention" => "app_mentions:read",
        "message.channels" => "channels:history",
        "message.groups" => "groups:history",
        "message.im" => "im:history",
        "message.mpim" => "mpim:history",
        "reaction_added" | "reaction_removed" => "reactions:read",
        _ => return None,
    })
}

fn wrong_in(manifest: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut least_most = |at: &str, least: usize, most: usize| {
        let length = manifest.pointer(at).and_then(Value::as_str).map_or(0, |text| text.chars().count());
        if length < least || length > most {
            wrong.push(format!("{at} has {length} characters, and {least} to {most} are possible"));
        }
    };
    least_most("/display_information/name", 1, 35);
    least_most("/display_information/description", 0, 140);
    least_most("/features/bot_user/display_name", 0, 80);
    least_most("/features/agent_view/agent_description", 0, 300);
    let features = &manifest["features"];
    let commands = features["slash_commands"].as_array().map_or(&[][..], Vec::as_slice);
    if commands.len() > 50 {
        wrong.push("more than 50 commands".into());
    }
    for command in commands {
        let name = command["command"].as_str().unwrap_or_default();
        if !name.starts_with('/') || name.len() > 32 || command["description"].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("the command {name:?} is not possible"));
        }
    }
    for shortcut in features["shortcuts"].as_array().into_iter().flatten() {
        let name = shortcut["name"].as_str().unwrap_or_default();
        if name.is_empty() || name.chars().count() > 24 || shortcut["callback_id"].as_str().is_none() {
            wrong.push(format!("the shortcut {name:?} is not possible"));
        }
    }
    if features["agent_view"]["suggested_prompts"].as_array().is_some_and(|prompts| prompts.len() > 4) {
        wrong.push("more than 4 suggested prompts".into());
    }
    let scopes = strings(&manifest["oauth_config"]["scopes"]["bot"]);
    for event in strings(&manifest["settings"]["event_subscriptions"]["bot_events"]) {
        if let Some(scope) = scope_of(&event).filter(|scope| !scopes.contains(*scope)) {
            wrong.push(format!("the event {event} needs the scope {scope}"));
        }
    }
    if !commands.is_empty() && !scopes.contains("commands") {
        wrong.push("slash commands need the scope commands".into());
    }
    wrong
}
