//! What the bot says or asks on schedule: `advanced.scheduled_messages` of `slack.yaml`.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{
    Severity,
    load::Findings,
    spec::{ScheduledMessageSpec, ScheduledMessagesSpec},
    yaml::Lines,
};
use crate::hex::to_hex;

/// Most of them.
const MOST: usize = 100;
/// The time zone where none is named.
const ZONE: &str = "UTC";
/// Where they stand.
const PATH: &str = "advanced.scheduled_messages.schedules";

/// Something that the bot says or asks again and again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SlackSchedule {
    /// Another one, where anything of it is another.
    pub id: String,
    /// When: cron of five fields.
    pub cron: String,
    /// In which time zone.
    pub zone: String,
    /// The channel's id.
    pub channel: String,
    /// What is posted as it stands; with a task, above its answer.
    pub message: Option<String>,
    /// What is asked.
    pub task: Option<SlackTask>,
    /// Most dollars of one run.
    pub max_cost_usd: Option<f64>,
}

/// What is asked, and whose rights it has.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlackTask {
    /// The person whose rights count.
    pub run_as: String,
    /// What is done.
    pub command: SlackCommand,
}

/// What can be done on schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlackCommand {
    /// A question is asked.
    Ask(String),
    /// It is told how the servers stand.
    Status,
}

/// Those that can be, and why others cannot.
pub(super) fn build(spec: &ScheduledMessagesSpec, lines: &Lines, findings: &mut Findings) -> Vec<SlackSchedule> {
    if !spec.enabled {
        return Vec::new();
    }
    if spec.schedules.len() > MOST {
        let message = format!("there are more than {MOST}; the others do not run");
        findings.all.push(lines.finding(Severity::Warning, PATH, message));
    }
    let mut built = Vec::new();
    for (at, one) in spec.schedules.iter().enumerate().take(MOST) {
        match schedule(one) {
            Ok(schedule) => built.push(schedule),
            Err((key, why)) => {
                let path = format!("{PATH}[{at}].{key}");
                findings.all.push(lines.finding(Severity::Warning, &path, format!("{why}, so this does not run")));
            }
        }
    }
    built
}

/// Why one cannot be, by its key.
type Wrong = (&'static str, String);

fn schedule(spec: &ScheduledMessageSpec) -> Result<SlackSchedule, Wrong> {
    let some =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (cron, channel) = (spec.cron.trim().to_owned(), spec.channel.trim().to_owned());
    let zone = some(&spec.timezone).unwrap_or_else(|| ZONE.into());
    comes(&cron, &zone)?;
    if !is_channel(&channel) {
        return Err(("channel", format!("{channel:?} is no channel's id such as C0123456789")));
    }
    if spec.max_cost_usd.is_some_and(|usd| !usd.is_finite() || usd <= 0.0) {
        return Err(("max_cost_usd", "a run that may cost nothing answers nothing".into()));
    }
    let (message, command, run_as) = (some(&spec.message), some(&spec.command), some(&spec.run_as));
    let task = command.map(|command| task(&command, run_as)).transpose()?;
    if message.is_none() && task.is_none() {
        return Err(("cron", "there is neither a `message` nor a `command`".into()));
    }
    let parts = json!([cron, zone, channel, message, spec.command, spec.run_as, spec.max_cost_usd]);
    let id = to_hex(&Sha256::digest(parts.to_string())[..8]);
    Ok(SlackSchedule { id, cron, zone, channel, message, task, max_cost_usd: spec.max_cost_usd })
}

fn task(command: &str, run_as: Option<String>) -> Result<SlackTask, Wrong> {
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let command = match (name, rest.trim()) {
        ("/omni", "") => return Err(("command", "there is no question after `/omni`".into())),
        ("/omni", "status") | ("/omni-status", _) => SlackCommand::Status,
        ("/omni", question) => SlackCommand::Ask(question.to_owned()),
        (other, _) if other.starts_with('/') => {
            return Err(("command", format!("{other:?} is neither `/omni <question>` nor `/omni-status`")));
        }
        _ => SlackCommand::Ask(command.to_owned()),
    };
    match run_as {
        Some(run_as) if run_as.contains('@') => Ok(SlackTask { run_as, command }),
        Some(run_as) => Err(("run_as", format!("{run_as:?} is no address of `users.yaml`"))),
        None => {
            let why = "nobody says whose rights it has: add `run_as` with the address of somebody in `users.yaml`";
            Err(("command", why.into()))
        }
    }
}

fn is_channel(channel: &str) -> bool {
    channel.len() > 2
        && channel.starts_with(['C', 'G', 'D'])
        && channel.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

#[cfg(feature = "schedule")]
fn comes(cron: &str, zone: &str) -> Result<(), Wrong> {
    use crate::schedule::{When, WhenError};
    match When::read(cron, zone) {
        Ok(_) => Ok(()),
        Err(error @ WhenError::Zone { .. }) => Err(("timezone", error.to_string())),
        Err(error @ (WhenError::Cron { .. } | WhenError::Never { .. })) => Err(("cron", error.to_string())),
    }
}

/// Who reads no cron runs none either.
#[cfg(not(feature = "schedule"))]
fn comes(_: &str, _: &str) -> Result<(), Wrong> {
    Ok(())
}

/// One of them, as `omni config show` has it.
pub(super) fn show(schedule: &SlackSchedule) -> Value {
    let run_as = schedule.task.as_ref().map(|task| task.run_as.as_str());
    json!({ "cron": schedule.cron, "timezone": schedule.zone, "channel": schedule.channel, "run_as": run_as })
}
