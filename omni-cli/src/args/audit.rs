//! `omni audit`.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum, builder::PossibleValuesParser};
use omni_core::{
    Source,
    audit::{AuditQuery, Cursor, MAX_PAGE, Order, REQUEST_TYPES, UNKNOWN_SOURCE},
    ledger::Outcome,
};

use crate::render::Format;

const EXAMPLES: &str = "\
Examples:
  omni audit list --since 7d
  omni audit stats --since 30d --json
  omni audit export > all.csv
  omni audit verify

Times are UTC. A ~ before a cost: part of it is reckoned and not the vendor's word.";

/// What to do with the ledger.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum AuditCommand {
    /// List asks and direct calls, the newest first
    List(ListLogsArgs),
    /// Show the newest asks and direct calls, and perhaps those to come
    Tail(TailArgs),
    /// Sum up requests, tokens and costs
    Stats(StatsArgs),
    /// Write asks and direct calls as CSV or JSON lines, all that there are
    Export(ExportArgs),
    /// Print where all chains end, to keep elsewhere and to verify against
    #[command(after_help = "Example:\n  omni audit head > heads.json")]
    Head,
    /// Say which key seals the ledger, or make one for hosts that share a database
    Key(KeyArgs),
    /// Prove that nobody changed, removed or reordered anything; exits 1 and names the first bad row
    Verify(VerifyArgs),
}

impl AuditCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::List(args) => Format::json_if(args.json),
            Self::Tail(args) => Format::json_if(args.json),
            Self::Stats(args) => Format::json_if(args.json),
            Self::Verify(args) => Format::json_if(args.json),
            Self::Key(args) => Format::json_if(args.json),
            Self::Export(_) => Format::Text,
            Self::Head => Format::Json,
        }
    }
}

/// Which asks and direct calls.
#[derive(Debug, Clone, Default, Args)]
pub struct FilterArgs {
    /// Of this person
    #[arg(short, long, value_name = "EMAIL")]
    pub user: Option<String>,
    /// Ended like this
    #[arg(long, value_parser = PossibleValuesParser::new(Outcome::ALL.map(Outcome::as_str)))]
    pub status: Option<String>,
    /// Used this server, or wanted to
    #[arg(short, long)]
    pub server: Option<String>,
    /// Used this tool, or wanted to: SERVER.TOOL, or TOOL of any server
    #[arg(short, long)]
    pub tool: Option<String>,
    /// Came by this door
    #[arg(long, value_parser = PossibleValuesParser::new(Source::ALL.map(Source::as_str).into_iter().chain([UNKNOWN_SOURCE])))]
    pub source: Option<String>,
    /// Of this kind only
    #[arg(long = "type", value_name = "TYPE", value_parser = PossibleValuesParser::new(REQUEST_TYPES))]
    pub request_type: Option<String>,
    /// At this time or later (UTC): 7d, 24h, 2026-03-14, 2026-03-14T15:09:26Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<DateTime<Utc>>,
    /// Before this time (UTC)
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<DateTime<Utc>>,
    /// Look as somebody else would
    #[arg(long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
}

impl FilterArgs {
    /// The same as a query.
    #[must_use]
    pub fn query(&self, order: Order) -> AuditQuery {
        let mut query = AuditQuery::default();
        query.user.clone_from(&self.user);
        query.status.clone_from(&self.status);
        query.server.clone_from(&self.server);
        query.tool.clone_from(&self.tool);
        query.source.clone_from(&self.source);
        query.request_type.clone_from(&self.request_type);
        (query.since, query.until, query.order) = (self.since, self.until, order);
        query
    }
}

const LIST_EXAMPLES: &str = "\
Examples:
  omni audit list --since 7d --status denied
  omni audit list --user dba@company.com --server database_mcp --json";

/// List asks and direct calls, the newest first.
#[derive(Debug, Clone, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct ListLogsArgs {
    /// Which ones.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = page_size())]
    pub limit: u64,
    /// Go on after this place: `next` of the page before
    #[arg(long, value_name = "PLACE")]
    pub after: Option<Cursor>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Show the newest asks and direct calls, and perhaps those to come.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni audit tail\n  omni audit tail -f --status error")]
pub struct TailArgs {
    /// Which ones.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How many to begin with
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = page_size())]
    pub lines: u64,
    /// Wait for more, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

/// Sum up requests, tokens and costs.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni audit stats --since 30d\n  omni audit stats --user dba@company.com --json")]
pub struct StatsArgs {
    /// Which ones.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Comma-separated values; nothing that a spreadsheet takes for a formula.
    #[default]
    Csv,
    /// One JSON document a line.
    Ndjson,
}

/// Write asks and direct calls as CSV or JSON lines, all that there are.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  omni audit export > all.csv\n  omni audit export --format ndjson --since 30d > month.ndjson"
)]
pub struct ExportArgs {
    /// Which ones.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// The form
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: ExportFormat,
}

/// Prove that nobody changed, removed or reordered anything.
///
/// Needs the ledger's key, which lies in the data directory, not in the database. Proved are the ledger and the rows of
/// `audit_logs` and `tool_calls`; sums of them that the analytics keep are not.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni audit verify\n  omni audit verify --head heads.json --json")]
pub struct VerifyArgs {
    /// Every chain must still hold what `omni audit head` printed of it
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// A key is named by its id, which tells nothing of it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Hosts that share a database seal with one key, so that each proves what all wrote.\n\n\
    Example:\n  \
    OMNI_AUDIT_KEY=$(omni audit key --new)")]
pub struct KeyArgs {
    /// Print a new key instead, to give to every host
    #[arg(long, conflicts_with = "json")]
    pub new: bool,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

fn page_size() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=MAX_PAGE as u64)
}

/// A moment: so long ago, a day, or a time.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let ago = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: i64 = number.parse().ok().filter(|number| (0..=1_000_000).contains(number))?;
        let age = match unit {
            "m" => TimeDelta::minutes(number),
            "h" => TimeDelta::hours(number),
            "d" => TimeDelta::days(number),
            _ => return None,
        };
        Some(Utc::now() - age)
    };
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    let moment = || Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
    ago().or_else(day).or_else(moment).ok_or_else(|| "expected 7d, 24h, 2026-03-14 or 2026-03-14T15:09:26Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_days_or_moments() {
        assert_eq!(time("2026-03-14").unwrap().to_rfc3339(), "2026-03-14T00:00:00+00:00");
        assert_eq!(time("2026-03-14T15:09:26+01:00").unwrap().to_rfc3339(), "2026-03-14T14:09:26+00:00");
        let week_ago = time("7d").unwrap();
        assert_eq!((Utc::now() - week_ago).num_days(), 7);
        for wrong in ["", "d", "7w", "-1d", "99999999d", "2026-13-01", "é"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
