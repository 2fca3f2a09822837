//! `slack.yaml` as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// `slack.yaml`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["behavior", "channels", "logging"]))]
pub(crate) struct SlackSpec {
    pub(crate) slack: SlackAppSpec,
    pub(crate) commands: Vec<SlackCommandSpec>,
    pub(crate) allowed_channels: AllowedChannelsSpec,
    pub(crate) mentions: MentionsSpec,
    pub(crate) security: SlackSecuritySpec,
    pub(crate) user_info_display: UserInfoSpec,
    pub(crate) diagnostic_info: DiagnosticSpec,
    pub(crate) interactive: InteractiveSpec,
    pub(crate) formatting: FormattingSpec,
    pub(crate) templates: TemplatesSpec,
    pub(crate) advanced: AdvancedSpec,
    /// What single channels have of their own, by id.
    pub(crate) channel_overrides: BTreeMap<String, SlackChannelSpec>,
}

/// The app at Slack.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["bot_name", "bot_icon", "workspace_id"]))]
pub(crate) struct SlackAppSpec {
    /// `xoxb-…`; absent: `SLACK_BOT_TOKEN`.
    #[schemars(with = "Option<String>")]
    pub(crate) bot_token: Option<SecretString>,
    /// `xapp-…`, for Socket Mode; absent: `SLACK_APP_TOKEN`.
    #[schemars(with = "Option<String>")]
    pub(crate) app_token: Option<SecretString>,
    /// What Slack signs requests with, without Socket Mode; absent: `SLACK_SIGNING_SECRET`.
    #[schemars(with = "Option<String>")]
    pub(crate) signing_secret: Option<SecretString>,
    /// Whether events come over a socket that the bot opens; absent: they do.
    pub(crate) socket_mode: Option<bool>,
    /// Where the bot listens without Socket Mode; absent: this machine only.
    pub(crate) host: Option<String>,
    /// The port that it listens at; absent: 3000.
    pub(crate) port: Option<u32>,
    /// Another address of Slack's Web API; absent: `SLACK_API_URL`, else Slack's own.
    pub(crate) api_url: Option<String>,
    /// The tenant of everybody who asks in Slack; absent: their workspace's id.
    pub(crate) tenant: Option<String>,
}

/// A slash command. That its rules are enforced is said of the commands that there are, and so not here.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["description", "usage_hint", "examples", "topics", "subcommands"]))]
pub(crate) struct SlackCommandSpec {
    /// Its name, such as `/omni`.
    pub(crate) command: String,
    /// Whether it is answered; absent: it is.
    pub(crate) enabled: Option<bool>,
    /// The role that it takes; absent, or `any`: any.
    pub(crate) required_role: Option<String>,
}

/// Where the bot answers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct AllowedChannelsSpec {
    /// Which list counts; absent: `any`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) mode: ChannelModeSpec,
    /// The channels of the mode `whitelist`, by id, or by name as `#database`.
    pub(crate) whitelist: Vec<String>,
    /// The channels of the mode `blacklist`, the same way.
    pub(crate) blacklist: Vec<String>,
    /// Whether direct messages are answered; absent: they are.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) allow_direct_messages: Option<bool>,
    /// Whether private channels are; absent: they are.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) allow_private_channels: Option<bool>,
    /// Whether channels are that are shared with other organisations; absent: they are.
    pub(crate) allow_shared_channels: Option<bool>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChannelModeSpec {
    #[default]
    Any,
    Whitelist,
    Blacklist,
}

/// What the bot answers without a command.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["dm_default_command", "respond_to_name", "name_triggers"]))]
pub(crate) struct MentionsSpec {
    /// Whether mentions are answered; absent: they are.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) respond_to_mentions: Option<bool>,
    /// Whether direct messages are answered that are no command; absent: they are.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) respond_to_dm_without_command: Option<bool>,
    /// Whether replies in threads that the bot is part of are answered without a mention; absent: they are.
    pub(crate) follow_threads: Option<bool>,
    pub(crate) reaction_triggers: ReactionTriggersSpec,
}

/// Reactions that have the bot asked what a message says.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ReactionTriggersSpec {
    /// Whether they do; absent: no.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) enabled: bool,
    /// Which ones.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) reactions: Vec<ReactionSpec>,
}

/// A reaction.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ReactionSpec {
    /// Its name, such as `robot_face`.
    Name(String),
    /// The same with more about it.
    Named(NamedReactionSpec),
}

/// A reaction with more about it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["action", "command", "description"]))]
pub(crate) struct NamedReactionSpec {
    /// Its name, such as `robot_face`.
    #[serde(alias = "reaction", alias = "name")]
    pub(crate) emoji: String,
}

/// How answers are written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "use_blocks", "use_threads", "thread_threshold_lines", "code_block_style", "table_format", "max_table_rows",
    "truncate_message",
]))]
pub(crate) struct FormattingSpec {
    /// Most characters of one message; an answer takes as many messages as it needs. Absent: as many as Slack shows.
    pub(crate) max_message_length: Option<u32>,
}

/// Texts of the operator's own, with placeholders such as `{role}`; absent, or empty: omni's.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["query_success", "help", "status"]))]
pub(crate) struct TemplatesSpec {
    /// To whoever greets the bot: `{role}`, `{user}`, `{rate_limit}`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) welcome: Option<TemplateSpec>,
    /// A question failed: `{error}`, `{error_id}`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) query_error: Option<TemplateSpec>,
    /// The policy said no: `{error}`, `{error_id}`, `{role}`, `{tool_name}`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) permission_denied: Option<TemplateSpec>,
    /// A limit was reached: `{rate_limit}`, `{requests_used}`, `{reset_in_minutes}`, `{role}`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) rate_limit: Option<TemplateSpec>,
    /// A server is away: `{mcp_name}`, `{error}`, `{error_id}`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) mcp_unavailable: Option<TemplateSpec>,
}

/// A text of the operator's own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum TemplateSpec {
    /// The text.
    Text(String),
    /// The same with more about it.
    Signed(SignedTemplateSpec),
}

/// A text with what stands for `{emoji}` in it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SignedTemplateSpec {
    /// Whether it counts; absent: it does.
    pub(crate) enabled: Option<bool>,
    /// What `{emoji}` is; absent: what omni puts there.
    pub(crate) emoji: Option<String>,
    /// The text.
    pub(crate) format: Option<String>,
    /// The same, as the original calls that of `welcome`.
    pub(crate) message: Option<String>,
}

/// Whom the bot listens to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = [
    "verify_signatures", "block_bot_users", "slack_rate_limit", "enforce_channel_restrictions",
]))]
pub(crate) struct SlackSecuritySpec {
    pub(crate) workspace_restriction: WorkspaceSpec,
    /// Whether guests of the workspace may ask whose ids are not in `users.yaml`; absent: they may.
    pub(crate) allow_guests: Option<bool>,
}

/// The workspaces whose people may ask.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct WorkspaceSpec {
    pub(crate) enabled: bool,
    /// Their ids.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) allowed_workspaces: Vec<String>,
}

/// What answers show of whoever asked.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["role_colors"]))]
pub(crate) struct UserInfoSpec {
    pub(crate) enabled: Option<bool>,
    pub(crate) format: UserInfoFormatSpec,
    pub(crate) show_in_dm: Option<bool>,
    pub(crate) show_in_channels: Option<bool>,
    pub(crate) show_in_threads: Option<bool>,
    pub(crate) elements: UserInfoElementsSpec,
    /// The sign of each role, by its name; `default` is that of all others.
    pub(crate) role_emojis: BTreeMap<String, String>,
}

/// What of somebody is shown, where the format has room for it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["show_permissions"]))]
pub(crate) struct UserInfoElementsSpec {
    pub(crate) show_name: Option<bool>,
    pub(crate) show_role: Option<bool>,
    /// Absent: it is not.
    pub(crate) show_email: Option<bool>,
    pub(crate) show_mcp_count: Option<bool>,
    pub(crate) show_mcp_names: Option<bool>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UserInfoFormatSpec {
    Minimal,
    #[default]
    Standard,
    Detailed,
    FirstOnly,
}

/// What answers show of how they came about.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["format", "show_in_threads"]))]
pub(crate) struct DiagnosticSpec {
    pub(crate) enabled: bool,
    pub(crate) show_iterations: Option<bool>,
    pub(crate) show_tool_calls: Option<bool>,
    pub(crate) show_mcp_choices: Option<bool>,
    pub(crate) show_timing: Option<bool>,
    pub(crate) show_tokens: Option<bool>,
    pub(crate) show_cost: Option<bool>,
    pub(crate) show_in_dm: Option<bool>,
    pub(crate) show_in_channels: Option<bool>,
    /// The roles that it is shown to; empty: all.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) show_for_roles: Vec<String>,
}

/// What people click on.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["use_buttons", "buttons", "use_select_menus"]))]
pub(crate) struct InteractiveSpec {
    pub(crate) require_confirmation: RequireConfirmationSpec,
}

/// Calls that need a human's word, whatever door they come by.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RequireConfirmationSpec {
    /// Whether they do; absent: they do.
    pub(crate) enabled: Option<bool>,
    /// Tools that a human must agree to, as those of `global.confirm` in `mcps.yaml`.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) actions: Vec<String>,
}

/// What one channel has of its own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct SlackChannelSpec {
    /// Whether the bot answers there at all; absent: as `allowed_channels` says.
    pub(crate) enabled: Option<bool>,
    /// The role that asking there takes.
    pub(crate) required_role: Option<String>,
    /// Whether replies in threads are answered without a mention; absent: as `mentions.follow_threads` says.
    pub(crate) follow_threads: Option<bool>,
    /// Whether answers come as they are written; absent: they do.
    pub(crate) stream: Option<bool>,
}

/// What the bot does by itself.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-ignored" = ["auto_responses", "conversation_mode", "workflow_integration"]))]
pub(crate) struct AdvancedSpec {
    pub(crate) scheduled_messages: ScheduledMessagesSpec,
}

/// What it says or asks on schedule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ScheduledMessagesSpec {
    /// Whether it does; absent: it does not.
    #[schemars(extend("x-enforced" = true))]
    pub(crate) enabled: bool,
    pub(crate) schedules: Vec<ScheduledMessageSpec>,
}

/// One of them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ScheduledMessageSpec {
    /// When: minute, hour, day, month and weekday, such as `0 9 * * 1-5`.
    pub(crate) cron: String,
    /// In which time zone, such as `Europe/Berlin`; absent: UTC.
    pub(crate) timezone: Option<String>,
    /// Where, by the channel's id.
    pub(crate) channel: String,
    /// What is posted as it stands; with a command, above its answer.
    pub(crate) message: Option<String>,
    /// A question, `/omni <question>`, or `/omni-status`.
    pub(crate) command: Option<String>,
    /// Whose rights the command has: an address of `users.yaml`.
    pub(crate) run_as: Option<String>,
    /// Most dollars of one run.
    pub(crate) max_cost_usd: Option<f64>,
}
