//! What `slack.yaml` says that is probably not meant.

use super::Linter;
use crate::config::{Severity, SlackConfig, nearest, shape::NOW_ENFORCED};

/// The commands of the bot.
const COMMANDS: [&str; 3] = ["/omni", "/omni-help", "/omni-status"];

impl Linter<'_> {
    pub(super) fn slack(&mut self, slack: &SlackConfig) {
        if slack.bot_token.is_some() && slack.tenant.is_none() {
            let message = "who asks in Slack is of their workspace's tenant, and so another one than by a key or at a \
                           terminal, with a log and limits of their own; `tenant: default` makes them the same";
            self.slack_note(Severity::Info, "slack.tenant", message);
        }
        self.commands();
    }

    /// A rule of a command that is there is enforced; one that is not there has none.
    fn commands(&mut self) {
        let files = self.files;
        for (at, command) in files.slack.commands.iter().enumerate() {
            let (path, name) = (format!("commands[{at}]"), command.command.trim());
            if !COMMANDS.contains(&name) {
                let near = nearest(name, COMMANDS.into_iter());
                let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                let message = format!("not used: the bot has no command {name:?}{near}");
                self.slack_note(Severity::Warning, &path, message);
                continue;
            }
            let rules = [("enabled", command.enabled.is_some()), ("required_role", command.required_role.is_some())];
            for (key, _) in rules.into_iter().filter(|(_, is_set)| *is_set) {
                self.slack_note(Severity::Info, &format!("{path}.{key}"), NOW_ENFORCED);
            }
        }
    }

    fn slack_note(&mut self, severity: Severity, path: &str, message: impl Into<String>) {
        self.findings.push(self.files.slack_lines.finding(severity, path, message));
    }
}
