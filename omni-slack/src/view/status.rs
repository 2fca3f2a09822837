//! `/omni-status`: how one stands oneself, and how the servers are doing.

use omni_core::{cost::NanoUsd, limit::Period};
use serde_json::{Value, json};

use super::{
    Message, block,
    help::{Dot, Server},
    limits, text, time,
};

/// Most servers in the table.
const ROWS: usize = 40;

/// Most limits that are shown of somebody: beside role, requests, cost and questions there is room for six.
const QUOTAS: usize = limits::FIELDS - 4;

/// In what a limit counts, and in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Asks in an hour.
    AsksAnHour,
    /// Asks in a minute.
    AsksAMinute,
    /// Nano-dollars in a day or a month.
    Dollars(Period),
    /// Tokens in a day or a month.
    Tokens(Period),
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What is counted.
    pub counts: Counts,
    /// Who draws on it beside oneself.
    pub shared: Option<Shared>,
    /// How much is taken; nothing where that is not known.
    pub used: Option<u64>,
    /// Most of it.
    pub limit: u64,
    /// Seconds until the first of it counts no more; none where nothing is taken.
    pub resets_in: Option<u64>,
}

/// Who draws on a budget together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Everybody with one's role.
    Role,
    /// Everybody here.
    All,
}

impl Counts {
    fn title(self) -> &'static str {
        match self {
            Self::AsksAnHour | Self::AsksAMinute => "Requests",
            Self::Dollars(_) | Self::Tokens(_) => "Budget",
        }
    }

    fn amount(self, count: u64) -> String {
        match self {
            Self::AsksAnHour | Self::AsksAMinute => count.to_string(),
            Self::Dollars(_) => time::dollars(NanoUsd(count).as_usd()),
            Self::Tokens(_) => format!("{count} tokens"),
        }
    }

    /// The stretch of time, after "an" or "a", and as the one that goes on.
    fn period(self) -> (&'static str, &'static str) {
        match self {
            Self::AsksAnHour => ("an hour", "this hour"),
            Self::AsksAMinute => ("a minute", "this minute"),
            Self::Dollars(Period::Day) | Self::Tokens(Period::Day) => ("a day", "today"),
            Self::Dollars(Period::Month) | Self::Tokens(Period::Month) => ("a month", "this month"),
        }
    }
}

impl Quota {
    /// In a line.
    #[must_use]
    pub fn line(&self) -> String {
        let ((each, this), limit) = (self.counts.period(), self.counts.amount(self.limit));
        let Some(used) = self.used else { return format!("{limit} {each}; how many are left is not known") };
        let left = self.counts.amount(self.limit.saturating_sub(used));
        let reset = self.resets_in.map_or(String::new(), |seconds| format!(", more in {}", time::wait(seconds)));
        let shared = match self.shared {
            None => "",
            Some(Shared::Role) => ", with all of your role",
            Some(Shared::All) => ", with everybody here",
        };
        format!("{left} of {limit} left {this}{reset}{shared}")
    }

    /// As ten squares; none where nothing is known.
    #[must_use]
    pub fn bar(&self) -> String {
        let Some(used) = self.used else { return String::new() };
        let tenths = used.saturating_mul(10).checked_div(self.limit).unwrap_or(10).min(10);
        (0..10).map(|n| if n < tenths { '▰' } else { '▱' }).collect()
    }
}

/// How somebody stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: Option<String>,
    /// What is left of each limit; none where there is no limit.
    pub quotas: Vec<Quota>,
    /// What they spent today; nothing where that is not known or not shown.
    pub cost_today_usd: Option<f64>,
    /// What they asked today.
    pub asked_today: Option<u64>,
}

impl Standing {
    /// As pairs.
    #[must_use]
    pub fn fields(&self) -> Value {
        let role = self.role.as_deref().map_or_else(|| "none".into(), super::footer::title);
        let mut pairs = vec![("Role", role)];
        let is_limited = self.quotas.iter().any(|quota| quota.counts.title() == "Requests");
        pairs.extend((!is_limited).then(|| ("Requests", "no limit".to_owned())));
        pairs.extend(self.quotas.iter().take(QUOTAS).map(|quota| {
            let told = format!("{}\n{}", quota.bar(), quota.line());
            (quota.counts.title(), told.trim_start().to_owned())
        }));
        pairs.extend(self.cost_today_usd.map(|usd| ("Cost today", time::dollars(usd))));
        pairs.extend(self.asked_today.map(|count| ("Asked today", count.to_string())));
        block::fields(&pairs)
    }
}

/// What administrators see more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Operation {
    /// This build.
    pub version: String,
    /// How long it runs.
    pub uptime_s: u64,
    /// Open connections to Slack.
    pub sockets: Option<usize>,
    /// Asks that run.
    pub running: Option<usize>,
    /// The 95th percentile of how long answers took.
    pub p95_ms: Option<u64>,
    /// How many of today's asks failed, and of how many.
    pub failed: Option<(u64, u64)>,
    /// The model, and whether it answers; nothing where that is not known.
    pub provider: Option<(String, Option<bool>)>,
    /// How many records of the ledger wait to be written, and whether what they are written to takes them.
    pub ledger: Option<(usize, bool)>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    /// How the person stands.
    pub standing: Standing,
    /// The servers that they may use.
    pub servers: Vec<Server>,
    /// What administrators see more.
    pub operation: Option<Operation>,
}

/// The status.
#[must_use]
pub fn message(status: &Status) -> Message {
    let away = status.servers.iter().filter(|server| server.dot == Dot::Away).count();
    let title = match away {
        0 => "✅ OMNI2 Status: Healthy".to_owned(),
        1 => "⚠️ OMNI2 Status: 1 server is away".to_owned(),
        _ => format!("⚠️ OMNI2 Status: {away} servers are away"),
    };
    let mut blocks = vec![block::header(&title)];
    let name = text::mrkdwn_line(&status.standing.name, 100);
    if !name.is_empty() {
        blocks.push(block::context(&format!("👤 {name}")));
    }
    blocks.push(status.standing.fields());
    if status.servers.is_empty() {
        blocks.push(block::section("⚠️ _No MCPs available. Contact your administrator for access._"));
    } else {
        blocks.push(block::section("*Connected MCPs:*"));
        blocks.push(table(&status.servers));
        if status.servers.len() > ROWS {
            blocks.push(block::context(&format!("_… and {} more._", status.servers.len() - ROWS)));
        }
    }
    if let Some(operation) = &status.operation {
        blocks.push(block::divider());
        blocks.push(operation.fields());
    }
    Message::new(&title, blocks)
}

/// The first servers as a table; those that are away first.
fn table(servers: &[Server]) -> Value {
    let mut servers: Vec<&Server> = servers.iter().collect();
    servers.sort_by_key(|server| server.dot != Dot::Away);
    let cell = |shown: &str| json!({ "type": "raw_text", "text": filled(shown) });
    let head: Value = ["Server", "Health", "Tools"].iter().map(|shown| cell(shown)).collect();
    let row = |server: &&Server| {
        let name = if server.display_name.trim().is_empty() { &server.name } else { &server.display_name };
        json!([
            cell(name),
            cell(&format!("{} {}", server.dot.sign(), server.dot.word())),
            cell(&server.tools.to_string())
        ])
    };
    let rows: Vec<Value> = std::iter::once(head).chain(servers.iter().take(ROWS).map(row)).collect();
    json!({ "type": "table", "rows": rows })
}

fn filled(shown: &str) -> String {
    let shown = text::plain_line(shown, 60);
    if shown.is_empty() { "–".into() } else { limits::clamp(&shown, 60) }
}

impl Operation {
    fn fields(&self) -> Value {
        let version = text::mrkdwn_line(&self.version, 60);
        let mut pairs = vec![("Version", version), ("Up for", time::duration(self.uptime_s.saturating_mul(1_000)))];
        pairs.extend(self.sockets.map(|count| ("Slack connections", count.to_string())));
        pairs.extend(self.running.map(|count| ("Running now", count.to_string())));
        let not_known = || "not known".to_owned();
        pairs.push(("Answers, p95", self.p95_ms.map_or_else(not_known, time::duration)));
        let failed = self.failed.map_or_else(not_known, |(failed, all)| format!("{failed} of {all}"));
        pairs.push(("Failed today", failed));
        pairs.extend(self.provider.as_ref().map(|(model, answers)| {
            let sign = answers.map(|answers| if answers { Dot::Healthy } else { Dot::Away }.sign());
            let sign = sign.map_or(String::new(), |sign| format!("{sign} "));
            ("Model", format!("{sign}{}", text::code(model, 80)))
        }));
        pairs.extend(self.ledger.map(|(waiting, is_well)| {
            let dot = if is_well { Dot::Healthy } else { Dot::Away };
            ("Ledger", format!("{} {waiting} waiting", dot.sign()))
        }));
        block::fields(&pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_says_in_what_it_counts_whose_it_is_and_when_there_is_more() {
        let quota = |counts, shared, used, resets_in| Quota { counts, shared, used, limit: 5_000_000_000, resets_in };
        let own = quota(Counts::Dollars(Period::Day), None, Some(4_250_000_000), Some(9_000));
        assert_eq!(own.line(), "$0.7500 of $5.00 left today, more in 3 hours");
        let shared = quota(Counts::Tokens(Period::Month), Some(Shared::Role), Some(0), None);
        assert_eq!(shared.line(), "5000000000 tokens of 5000000000 tokens left this month, with all of your role");
        let unknown = quota(Counts::AsksAMinute, None, None, None);
        let budget = Quota { counts: Counts::Tokens(Period::Day), shared: None, used: None, limit: 7, resets_in: None };
        assert_eq!(budget.line(), "7 tokens a day; how many are left is not known");
        assert_eq!(unknown.line(), "5000000000 a minute; how many are left is not known");
    }

    #[test]
    fn however_many_limits_somebody_has_what_they_asked_and_spent_is_shown() {
        let budget =
            Quota { counts: Counts::Tokens(Period::Day), shared: None, used: Some(1), limit: 7, resets_in: None };
        let quotas = vec![budget; 20];
        let standing = Standing { quotas, cost_today_usd: Some(0.5), asked_today: Some(3), ..Standing::default() };
        let fields = standing.fields()["fields"].to_string();
        assert!(
            fields.contains("no limit") && fields.contains("Cost today") && fields.contains("Asked today"),
            "{fields}"
        );
    }
}
