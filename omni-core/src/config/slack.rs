//! The Slack door: its app, where it answers, and what it shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{Severity, load::Findings, spec::SlackSpec, yaml::Lines};

mod channels;
mod schedules;
mod shown;
mod unset;
mod words;

pub use channels::ChannelRules;
pub use schedules::{SlackCommand, SlackSchedule, SlackTask};
pub use shown::{DiagnosticRules, UserInfoFormat, UserInfoRules};
pub(super) use unset::report as report_unset;
pub use words::SlackTemplates;

/// Slack's Web API.
const API_URL: &str = "https://slack.com/api";
/// Where the bot listens without Socket Mode, unless somebody says otherwise.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 3000;
/// A `required_role` that requires none.
const ANY_ROLE: &str = "any";

/// The Slack door.
#[derive(Clone)]
#[non_exhaustive]
pub struct SlackConfig {
    /// The bot's token.
    pub bot_token: Option<SecretString>,
    /// The app's token, which opens sockets.
    pub app_token: Option<SecretString>,
    /// What Slack signs requests with.
    pub signing_secret: Option<SecretString>,
    /// Whether events come over a socket that the bot opens.
    pub socket_mode: bool,
    /// Where the bot listens without Socket Mode.
    pub host: String,
    /// At which port.
    pub port: u16,
    /// The Web API, without a slash at its end.
    pub api_url: String,
    /// The tenant of everybody who asks; `None`: their workspace.
    pub tenant: Option<String>,
    /// Commands that are switched off, or take a role.
    pub commands: BTreeMap<String, CommandRules>,
    /// Where it answers.
    pub channels: ChannelRules,
    /// What single channels have of their own, by id.
    pub places: BTreeMap<String, SlackPlaceRules>,
    /// Whether mentions are answered.
    pub mentions: bool,
    /// Whether direct messages are.
    pub direct: bool,
    /// Whether replies in threads that the bot is part of are answered without a mention.
    pub follow_threads: bool,
    /// The workspaces whose people may ask; `None`: all that installed the app.
    pub workspaces: Option<BTreeSet<String>>,
    /// Whether guests of a workspace may ask as its members do.
    pub guests: bool,
    /// What answers show of whoever asked.
    pub user_info: UserInfoRules,
    /// What answers show of how they came about.
    pub diagnostics: DiagnosticRules,
    /// Reactions that have the bot asked what a message says, by name.
    pub reactions: BTreeSet<String>,
    /// Most characters of one message.
    pub max_message: Option<usize>,
    /// Texts of the operator's own.
    pub templates: SlackTemplates,
    /// What it says or asks on schedule.
    pub schedules: Vec<SlackSchedule>,
}

/// What a slash command takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandRules {
    /// Whether nobody may use it.
    pub is_off: bool,
    /// The role that it takes.
    pub required_role: Option<String>,
}

/// What one channel has of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlackPlaceRules {
    /// Whether the bot answers there at all.
    pub enabled: Option<bool>,
    /// The role that asking there takes.
    pub required_role: Option<String>,
    /// Whether replies in threads are answered without a mention.
    pub follow_threads: Option<bool>,
    /// Whether answers come as they are written.
    pub stream: Option<bool>,
}

impl Default for SlackConfig {
    fn default() -> Self {
        build(&SlackSpec::default(), &Lines::of("slack.yaml"), &BTreeMap::new(), &mut Findings::default())
    }
}

/// Without its secrets.
impl fmt::Debug for SlackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackConfig")
            .field("socket_mode", &self.socket_mode)
            .field("api_url", &self.api_url)
            .field("tenant", &self.tenant)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

impl SlackConfig {
    /// Whether the bot answers in a channel. `name` is what it is called now, without `#`, where that is known.
    #[must_use]
    pub fn allows(&self, channel: &str, name: Option<&str>, is_private: bool) -> bool {
        let own = self.places.get(channel).and_then(|place| place.enabled);
        own.unwrap_or_else(|| self.channels.allow(channel, name, is_private))
    }

    /// Whether the bot answers in a channel, if it is allowed otherwise, that is shared with other organisations.
    #[must_use]
    pub fn allows_shared(&self, channel: &str) -> bool {
        let own = self.places.get(channel).and_then(|place| place.enabled);
        own.unwrap_or(!self.channels.no_shared)
    }

    /// Whether replies in threads of a channel are answered without a mention.
    #[must_use]
    pub fn follows(&self, channel: &str) -> bool {
        self.places.get(channel).and_then(|place| place.follow_threads).unwrap_or(self.follow_threads)
    }

    /// Whether answers in a channel come as they are written.
    #[must_use]
    pub fn streams(&self, channel: &str) -> bool {
        self.places.get(channel).and_then(|place| place.stream).unwrap_or(true)
    }

    /// The tenant of somebody of a workspace.
    #[must_use]
    pub fn tenant_of(&self, team: &str) -> String {
        self.tenant.clone().unwrap_or_else(|| team.to_owned())
    }

    pub(super) fn secrets(&self) -> Vec<String> {
        let all = [&self.bot_token, &self.app_token, &self.signing_secret];
        all.into_iter().flatten().map(|secret| secret.expose_secret().to_owned()).collect()
    }
}

/// What the file says, and where it says nothing the environment.
pub(super) fn build(
    spec: &SlackSpec,
    lines: &Lines,
    env: &BTreeMap<String, String>,
    findings: &mut Findings,
) -> SlackConfig {
    let app = &spec.slack;
    let variable = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let secret = |own: &Option<SecretString>, name: &str| {
        let own = own.clone().filter(|secret| !secret.expose_secret().trim().is_empty());
        own.or_else(|| variable(name).map(Into::into))
    };
    let text = |own: &Option<String>| own.clone().filter(|text| !text.trim().is_empty());
    let port = app.port.map_or(Some(PORT), |port| u16::try_from(port).ok());
    if port.is_none() {
        findings.all.push(lines.finding(Severity::Error, "slack.port", "expected a number from 0 to 65535"));
    }
    SlackConfig {
        bot_token: secret(&app.bot_token, "SLACK_BOT_TOKEN"),
        app_token: secret(&app.app_token, "SLACK_APP_TOKEN"),
        signing_secret: secret(&app.signing_secret, "SLACK_SIGNING_SECRET"),
        socket_mode: app.socket_mode.unwrap_or(true),
        host: text(&app.host).unwrap_or_else(|| HOST.into()),
        port: port.unwrap_or(PORT),
        api_url: api_url(text(&app.api_url).or_else(|| variable("SLACK_API_URL")), lines, findings),
        tenant: text(&app.tenant),
        commands: commands(spec),
        channels: channels::build(&spec.allowed_channels, lines, findings),
        places: places(spec),
        mentions: spec.mentions.respond_to_mentions.unwrap_or(true),
        direct: spec.allowed_channels.allow_direct_messages.unwrap_or(true)
            && spec.mentions.respond_to_dm_without_command.unwrap_or(true),
        follow_threads: spec.mentions.follow_threads.unwrap_or(true),
        workspaces: workspaces(spec),
        guests: spec.security.allow_guests.unwrap_or(true),
        user_info: shown::user_info(&spec.user_info_display),
        diagnostics: shown::diagnostics(&spec.diagnostic_info),
        reactions: words::reactions(&spec.mentions.reaction_triggers),
        max_message: spec.formatting.max_message_length.map(|most| most as usize),
        templates: words::templates(&spec.templates),
        schedules: schedules::build(&spec.advanced.scheduled_messages, lines, findings),
    }
}

/// Tokens go there: https, or this machine.
fn api_url(own: Option<String>, lines: &Lines, findings: &mut Findings) -> String {
    let url = own.unwrap_or_else(|| API_URL.into()).trim_end_matches('/').to_owned();
    let is_safe = url::Url::parse(&url)
        .is_ok_and(|url| url.scheme() == "https" || (url.scheme() == "http" && crate::loopback::is_loopback(&url)));
    if !is_safe {
        let message = format!("{url:?} is no https address, and tokens would be sent there");
        findings.all.push(lines.finding(Severity::Error, "slack.api_url", message));
        return API_URL.into();
    }
    url
}

fn role(required: &Option<String>) -> Option<String> {
    required.clone().filter(|role| !role.is_empty() && role != ANY_ROLE)
}

fn commands(spec: &SlackSpec) -> BTreeMap<String, CommandRules> {
    let rules = spec.commands.iter().map(|command| {
        let rules =
            CommandRules { is_off: command.enabled == Some(false), required_role: role(&command.required_role) };
        (command.command.trim().to_owned(), rules)
    });
    rules.collect()
}

fn places(spec: &SlackSpec) -> BTreeMap<String, SlackPlaceRules> {
    let places = spec.channel_overrides.iter().map(|(id, own)| {
        let rules = SlackPlaceRules {
            enabled: own.enabled,
            required_role: role(&own.required_role),
            follow_threads: own.follow_threads,
            stream: own.stream,
        };
        (id.clone(), rules)
    });
    places.collect()
}

fn workspaces(spec: &SlackSpec) -> Option<BTreeSet<String>> {
    let restriction = &spec.security.workspace_restriction;
    restriction.enabled.then(|| restriction.allowed_workspaces.iter().cloned().collect())
}

/// The door for people, as `omni config show` has it.
pub(super) fn show(config: &SlackConfig) -> Value {
    let hidden = |secret: &Option<SecretString>| secret.as_ref().map(|_| "***");
    json!({
        "bot_token": hidden(&config.bot_token),
        "app_token": hidden(&config.app_token),
        "signing_secret": hidden(&config.signing_secret),
        "socket_mode": config.socket_mode,
        "host": config.host,
        "port": config.port,
        "api_url": config.api_url,
        "tenant": config.tenant,
        "channels": {
            "only": config.channels.only,
            "except": config.channels.except,
            "private": !config.channels.no_private,
            "shared": !config.channels.no_shared,
            "direct_messages": config.direct,
        },
        "follow_threads": config.follow_threads,
        "workspaces": config.workspaces,
        "guests": config.guests,
        "schedules": config.schedules.iter().map(schedules::show).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
