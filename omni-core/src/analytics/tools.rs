//! What each tool finds.

use super::{
    data::{UserId, View},
    definitions::{Args, FOR_ALL},
    error::AnalyticsError,
    period::Period,
    report::Report,
};
use crate::db::Row;

mod cost;
pub(super) mod errors;
mod feedback;
mod health;
mod queries;
mod tokens;
mod trend;
mod usage;

/// What a tool finds, asked by `subject`.
pub(super) async fn call(
    view: &View<'_>,
    name: &str,
    args: &Args,
    subject: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Report, AnalyticsError> {
    let default = match name {
        "get_cost_trend" | "get_feedback_summary" => "month",
        "get_mcp_health_summary" => "all",
        _ => "week",
    };
    let period = Period::of(&args.period, default, now)?;
    let user = user(view, args.user_id.as_ref()).await?;
    let user = user.as_deref();
    match name {
        "get_cost_summary" => cost::summary(view, &period, user, args).await,
        "get_top_expensive_queries" => queries::expensive(view, &period, user, args).await,
        "get_slow_queries" => queries::slow(view, &period, args).await,
        "get_iteration_analysis" => queries::iterations(view, &period, args).await,
        "get_error_summary" => errors::summary(view, &period, args).await,
        "get_failed_queries" => queries::failed(view, &period, user, args).await,
        "get_active_users" => usage::active_users(view, &period, args).await,
        "get_tool_popularity" => usage::popularity(view, &period, args).await,
        "get_mcp_health_summary" => health::servers(view, &period).await,
        "get_token_usage" => tokens::usage(view, &period, user).await,
        "get_cache_hit_rate" => tokens::cache(view, &period).await,
        FOR_ALL => usage::of_one(view, &period, subject, args).await,
        "get_latency_percentiles" => health::latency(view, &period, args).await,
        "get_cost_trend" => trend::of(view, &period, args).await,
        "get_denials" => errors::denials(view, &period, user, args).await,
        "get_feedback_summary" => feedback::summary(view, &period, args).await,
        _ => Err(AnalyticsError::UnknownTool { name: name.into() }),
    }
}

async fn user(view: &View<'_>, user: Option<&UserId>) -> Result<Option<String>, AnalyticsError> {
    Ok(match user {
        Some(user) => Some(view.user(user).await?),
        None => None,
    })
}

/// Sums of a row that are never negative.
pub(super) fn count(row: &Row, column: &str) -> Result<u64, AnalyticsError> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(0))
}

/// A name that may be missing where it stands for somebody or something.
pub(super) fn named(row: &Row, column: &str, otherwise: &str) -> Result<String, AnalyticsError> {
    let name = row.optional_text(column)?.filter(|name| !name.is_empty());
    Ok(name.unwrap_or_else(|| otherwise.to_owned()))
}

/// What is said of a period in which nothing was.
fn nothing(what: &str, period: &Period, user: Option<&str>) -> Report {
    let of = user.map(|user| format!(" of {user}")).unwrap_or_default();
    Report::new(format!("{what}{of} ({}).", period.name), Some(period))
}

/// `1 query`, `2 queries`.
fn some(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}
