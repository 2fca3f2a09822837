//! What it cost.

use super::{count, named, nothing, some};
use crate::{
    analytics::{
        data::View,
        definitions::Args,
        error::AnalyticsError,
        period::Period,
        report::{Cell, Report, Table, dollars},
        rollup::{CALLS, Grain, PEOPLE_CALLS, QUARTERS, REQUESTS},
        span::{Span, quarter_begins},
        sums::{Statement, Wanted, start_of},
    },
    db::Row,
};

/// Most people, servers or models of a table.
const MOST: u64 = 20;
/// Most days of a table.
pub(super) const MOST_DAYS: i64 = 92;

/// What a sum of requests says.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Spent {
    pub(super) requests: u64,
    pub(super) cost: i64,
    pub(super) tokens: [u64; 4],
    pub(super) unpriced: u64,
}

impl Spent {
    pub(super) fn of(row: &Row) -> Result<Self, AnalyticsError> {
        let tokens = ["input", "output", "cached", "cache_write"];
        let mut spent = Self { requests: count(row, "requests")?, cost: row.int("cost")?, ..Self::default() };
        for (sum, column) in spent.tokens.iter_mut().zip(tokens) {
            *sum = count(row, column)?;
        }
        Ok(spent)
    }

    pub(super) fn average(&self) -> Cell {
        let requests = i64::try_from(self.requests).unwrap_or(i64::MAX);
        if requests == 0 { Cell::Nothing } else { Cell::Usd((self.cost + requests / 2) / requests) }
    }
}

/// All requests of a period, or of one person.
pub(super) async fn spent(view: &View<'_>, span: Span, user: Option<&str>) -> Result<Spent, AnalyticsError> {
    let rows = view.sums(Wanted::new(&REQUESTS, view.tenant, span).only("user_email", user)).await?;
    let Some(row) = rows.first() else { return Ok(Spent::default()) };
    Ok(Spent { unpriced: count(row, "unpriced")?, ..Spent::of(row)? })
}

pub(super) async fn summary(
    view: &View<'_>,
    period: &Period,
    user: Option<&str>,
    args: &Args,
) -> Result<Report, AnalyticsError> {
    let group = args.group_by.as_deref();
    if !matches!(group, None | Some("user" | "mcp" | "model" | "day" | "date")) {
        return Err(AnalyticsError::argument("group_by", "it is none of user, mcp, day, date, model"));
    }
    let all = spent(view, period.span, user).await?;
    if all.requests == 0 {
        return Ok(nothing("Nothing was asked, so nothing was spent", period, user));
    }
    let whose = user.map(|user| format!(" of {user}")).unwrap_or_default();
    let mut says =
        format!("{}{whose} cost {} ({}).", some(all.requests, "request", "requests"), dollars(all.cost), period.name);
    if all.unpriced > 0 {
        says.push_str(&format!(" Of {} the price is not known.", some(all.unpriced, "request", "requests")));
    }
    let report = Report::new(says, Some(period))
        .total("cost_usd", Cell::Usd(all.cost))
        .total("queries", Cell::Count(all.requests))
        .total("average_usd", all.average())
        .total("tokens_input", Cell::Count(all.tokens[0]))
        .total("tokens_output", Cell::Count(all.tokens[1]))
        .total("tokens_cached", Cell::Count(all.tokens[2]))
        .total("unpriced_queries", Cell::Count(all.unpriced));
    Ok(match group {
        Some("mcp") => report.table(by_server(view, period, user, all.cost).await?),
        Some("day" | "date") => report.table(by_day(view, period, user).await?),
        Some("model") => report.table(by_key(view, period, user, "model").await?),
        None if user.is_some() => report.table(by_key(view, period, user, "model").await?),
        Some(_) | None => report.table(by_key(view, period, user, "user_email").await?),
    })
}

async fn by_key(
    view: &View<'_>,
    period: &Period,
    user: Option<&str>,
    key: &'static str,
) -> Result<Table, AnalyticsError> {
    let (title, headings, otherwise) = match key {
        "model" => ("By model", MODEL, "(no model)"),
        _ => ("By user", USER, "(nobody)"),
    };
    let by = [key];
    let wanted = Wanted::new(&REQUESTS, view.tenant, period.span).only("user_email", user).by(&by);
    let rows = view.sums(wanted.top("cost", MOST, view.dialect())).await?;
    let mut table = Table::new(if key == "model" { "models" } else { "users" }, title, headings);
    for row in &rows {
        let spent = Spent::of(row)?;
        let name = Cell::text(named(row, key, otherwise)?);
        table.push(vec![name, Cell::Usd(spent.cost), Cell::Count(spent.requests), spent.average()]);
    }
    Ok(table)
}

const USER: &[(&str, &str)] =
    &[("user", "user"), ("cost_usd", "cost"), ("queries", "queries"), ("average_usd", "average")];
const MODEL: &[(&str, &str)] =
    &[("model", "model"), ("cost_usd", "cost"), ("queries", "queries"), ("average_usd", "average")];

/// What a model turn cost is split among the calls that it made, so that servers share it; turns without calls are of
/// no server. Together that is the whole.
async fn by_server(view: &View<'_>, period: &Period, user: Option<&str>, whole: i64) -> Result<Table, AnalyticsError> {
    let by = ["server"];
    let wanted = match user {
        Some(_) => Wanted::new(&PEOPLE_CALLS, view.tenant, period.span).only("user_email", user),
        None => Wanted::new(&CALLS, view.tenant, period.span).only_number("sent", 1),
    };
    let rows = view.sums(wanted.by(&by).top("cost", 100, view.dialect())).await?;
    let mut left = whole;
    let mut table = Table::new("mcps", "By MCP server", &[("mcp", "server"), ("cost_usd", "cost"), ("calls", "calls")]);
    for row in &rows {
        let cost = row.int("cost")?;
        left -= cost;
        table.push(vec![Cell::text(row.text("server")?), Cell::Usd(cost), Cell::Count(count(row, "calls")?)]);
    }
    // Calls count when they were made, and an ask when it ended: at the edges of a period they may be apart.
    let rest = if left < 0 { "(asks that ended outside the period)" } else { "(no server)" };
    table.push(vec![Cell::text(rest), Cell::Usd(left), Cell::Nothing]);
    Ok(table)
}

async fn by_day(view: &View<'_>, period: &Period, user: Option<&str>) -> Result<Table, AnalyticsError> {
    let headings = &[("day", "day"), ("cost_usd", "cost"), ("queries", "queries"), ("average_usd", "average")];
    let days = days(view, period, user).await?;
    let row = |(day, spent): &(chrono::NaiveDate, Spent)| {
        vec![Cell::text(day.to_string()), Cell::Usd(spent.cost), Cell::Count(spent.requests), spent.average()]
    };
    Ok(Table::new("days", "By day", headings).with(days.iter().rev().map(row)))
}

/// How many quarters of an hour a day has.
const QUARTERS_OF_A_DAY: i64 = 96;

/// Every day of a period on which anything was asked, of at most three months, the oldest first.
pub(super) async fn days(
    view: &View<'_>,
    period: &Period,
    user: Option<&str>,
) -> Result<Vec<(chrono::NaiveDate, Spent)>, AnalyticsError> {
    let last = period.span.to.unwrap_or(period.now);
    let earliest = period.begins(period.day(last) - chrono::TimeDelta::days(MOST_DAYS - 1));
    let from = period.span.from.map_or(earliest, |from| from.max(earliest));
    let span = Span::new(Some(from), period.span.to);
    // Days of UTC are summed up by the database; others begin at another quarter, and perhaps at one and then another.
    let quarters = if user.is_none() && period.zone == chrono_tz::UTC { QUARTERS_OF_A_DAY } else { 1 };
    let rows = match user {
        None => view.sums(Wanted::new(&QUARTERS, view.tenant, span).by(&["start"]).together(quarters)).await?,
        Some(user) => of_user(view, span, user).await?,
    };
    let mut days = std::collections::BTreeMap::<chrono::NaiveDate, Spent>::new();
    for row in &rows {
        let more = Spent::of(row)?;
        let day = days.entry(period.day(quarter_begins(row.int("start")? * quarters))).or_default();
        day.requests += more.requests;
        day.cost += more.cost;
        day.tokens.iter_mut().zip(more.tokens).for_each(|(sum, more)| *sum += more);
    }
    Ok(days.into_iter().collect())
}

/// The same of one person, whose rows an index finds.
async fn of_user(view: &View<'_>, span: Span, user: &str) -> Result<Vec<Row>, AnalyticsError> {
    let start = start_of(Grain::Quarter, view.dialect());
    let sum = |(sum, value): &(&str, &str)| format!(", CAST(sum({value}) AS BIGINT) AS {sum}");
    let sums: String = QUARTERS.sums.iter().map(sum).collect();
    let filter = QUARTERS.filter;
    let sql = format!("SELECT {start} AS start{sums} FROM audit_logs r WHERE r.user_email = ? AND {filter}");
    let mut statement = Statement::new(sql, user.into());
    statement.and("r.tenant = ?", view.tenant.into());
    statement.bounds("r.created_at", span.from.map(Into::into), span.to.map(Into::into));
    statement.sql.push_str(" GROUP BY 1");
    Ok(view.rows(&statement.sql, &statement.values).await?)
}
