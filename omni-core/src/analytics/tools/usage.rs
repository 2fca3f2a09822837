//! Who uses it, and what.

use super::{
    cost::{Spent, spent},
    count, named, nothing,
    queries::{question, text},
    some,
};
use crate::{
    analytics::{
        data::{RequestList, View},
        definitions::Args,
        error::AnalyticsError,
        period::Period,
        report::{Cell, Report, Table, dollars},
        rollup::{CALLS, PEOPLE_CALLS, REQUESTS},
        sums::Wanted,
    },
    audit::FAILURES,
};

/// What is known of somebody.
#[derive(Debug, Default)]
struct Active {
    role: String,
    role_at: Option<chrono::DateTime<chrono::Utc>>,
    requests: u64,
    failed: u64,
    duration_ms: u64,
    cost: i64,
    last: Option<chrono::DateTime<chrono::Utc>>,
}

pub(super) async fn active_users(view: &View<'_>, period: &Period, args: &Args) -> Result<Report, AnalyticsError> {
    let by = ["user_email", "user_role", "status"];
    let wanted = Wanted::new(&REQUESTS, view.tenant, period.span).only("user_role", args.role.as_deref()).by(&by);
    let mut people = std::collections::BTreeMap::<String, Active>::new();
    for row in view.sums(wanted).await? {
        let person = people.entry(named(&row, "user_email", "(nobody)")?).or_default();
        let (requests, last) = (count(&row, "requests")?, row.time("last_at")?);
        if person.role_at.is_none_or(|at| at < last) {
            (person.role, person.role_at) = (row.text("user_role")?, Some(last));
        }
        person.requests += requests;
        person.failed += if FAILURES.contains(&&*row.text("status")?) { requests } else { 0 };
        person.duration_ms += count(&row, "duration_ms")?;
        person.cost = person.cost.saturating_add(row.int("cost")?);
        person.last = person.last.max(Some(last));
    }
    if people.is_empty() {
        return Ok(nothing("Nobody asked anything", period, None));
    }
    let all = people.len() as u64;
    let mut people: Vec<_> = people.into_iter().collect();
    people.sort_by_key(|(_, person)| std::cmp::Reverse(person.requests));
    people.truncate(usize::try_from(args.limit(20)).unwrap_or(20));
    let headings = &[
        ("user", "user"),
        ("role", "role"),
        ("queries", "queries"),
        ("error_rate_percent", "errors"),
        ("average_ms", "average time"),
        ("cost_usd", "cost"),
        ("last_active", "last active"),
    ];
    let row = |(email, person): (String, Active)| {
        vec![
            Cell::text(email),
            Cell::text(person.role),
            Cell::Count(person.requests),
            Cell::share(person.failed, person.requests),
            Cell::average_ms(person.duration_ms, person.requests),
            Cell::Usd(person.cost),
            person.last.map_or(Cell::Nothing, Cell::Time),
        ]
    };
    let says = format!("{} active, the busiest first ({}).", some(all, "user was", "users were"), period.name);
    Ok(Report::new(says, Some(period))
        .total("users", Cell::Count(all))
        .table(Table::new("users", "Users", headings).with(people.into_iter().map(row))))
}

/// What is known of a tool.
#[derive(Debug, Default)]
struct Used {
    calls: u64,
    failed: u64,
    duration_ms: u64,
    cost: i64,
}

pub(super) async fn popularity(view: &View<'_>, period: &Period, args: &Args) -> Result<Report, AnalyticsError> {
    let by = ["server", "tool", "status"];
    let wanted = Wanted::new(&CALLS, view.tenant, period.span).only("server", args.mcp_name.as_deref());
    let mut tools = std::collections::BTreeMap::<(String, String), Used>::new();
    for row in view.sums(wanted.only_number("sent", 1).by(&by)).await? {
        let tool = tools.entry((row.text("server")?, row.text("tool")?)).or_default();
        let calls = count(&row, "calls")?;
        tool.calls += calls;
        tool.failed += if FAILURES.contains(&&*row.text("status")?) { calls } else { 0 };
        tool.duration_ms += count(&row, "duration_ms")?;
        tool.cost = tool.cost.saturating_add(row.int("cost")?);
    }
    if tools.is_empty() {
        return Ok(nothing("No tool was called", period, None));
    }
    let (all, calls) = (tools.len() as u64, tools.values().map(|tool| tool.calls).sum());
    let mut tools: Vec<_> = tools.into_iter().collect();
    tools.sort_by_key(|(_, tool)| std::cmp::Reverse(tool.calls));
    tools.truncate(usize::try_from(args.limit(20)).unwrap_or(20));
    let headings = &[
        ("mcp", "server"),
        ("tool", "tool"),
        ("calls", "calls"),
        ("error_rate_percent", "errors"),
        ("average_ms", "average time"),
        ("cost_usd", "cost"),
    ];
    let row = |((server, tool), used): ((String, String), Used)| {
        vec![
            Cell::text(server),
            Cell::text(tool),
            Cell::Count(used.calls),
            Cell::share(used.failed, used.calls),
            Cell::average_ms(used.duration_ms, used.calls),
            Cell::Usd(used.cost),
        ]
    };
    let says = format!(
        "{} called {}, the most popular first ({}).",
        some(all, "tool was", "tools were"),
        some(calls, "time", "times"),
        period.name
    );
    Ok(Report::new(says, Some(period))
        .total("tools", Cell::Count(all))
        .total("calls", Cell::Count(calls))
        .table(Table::new("tools", "Tools", headings).with(tools.into_iter().map(row))))
}

/// Somebody's own rows.
pub(super) async fn of_one(
    view: &View<'_>,
    period: &Period,
    subject: &str,
    args: &Args,
) -> Result<Report, AnalyticsError> {
    let user = Some(subject);
    let all = spent(view, period.span, user).await?;
    if all.requests == 0 {
        return Ok(nothing("You asked nothing", period, None));
    }
    let [input, output, cached, _] = all.tokens.map(Cell::Count);
    let says = format!(
        "You made {}, which cost {} ({}).",
        some(all.requests, "request", "requests"),
        dollars(all.cost),
        period.name
    );
    Ok(Report::new(says, Some(period))
        .total("queries", Cell::Count(all.requests))
        .total("cost_usd", Cell::Usd(all.cost))
        .total("tokens_input", input)
        .total("tokens_output", output)
        .total("tokens_cached", cached)
        .table(own_models(view, period, user).await?)
        .table(own_servers(view, period, user).await?)
        .table(own_requests(view, period, user, args.limit(10)).await?))
}

async fn own_models(view: &View<'_>, period: &Period, user: Option<&str>) -> Result<Table, AnalyticsError> {
    let wanted = Wanted::new(&REQUESTS, view.tenant, period.span).only("user_email", user).by(&["model"]);
    let headings = &[("model", "model"), ("queries", "queries"), ("cost_usd", "cost")];
    let mut table = Table::new("models", "By model", headings);
    for row in &view.sums(wanted.top("requests", 20, view.dialect())).await? {
        let spent = Spent::of(row)?;
        let model = Cell::text(named(row, "model", "(no model)")?);
        table.push(vec![model, Cell::Count(spent.requests), Cell::Usd(spent.cost)]);
    }
    Ok(table)
}

async fn own_servers(view: &View<'_>, period: &Period, user: Option<&str>) -> Result<Table, AnalyticsError> {
    let wanted = Wanted::new(&PEOPLE_CALLS, view.tenant, period.span).only("user_email", user).by(&["server"]);
    let headings = &[("mcp", "server"), ("calls", "calls"), ("errors", "errors")];
    let mut table = Table::new("mcps", "By MCP server", headings);
    for row in &view.sums(wanted.top("calls", 20, view.dialect())).await? {
        let calls = Cell::Count(count(row, "calls")?);
        table.push(vec![Cell::text(row.text("server")?), calls, Cell::Count(count(row, "failed")?)]);
    }
    Ok(table)
}

async fn own_requests(
    view: &View<'_>,
    period: &Period,
    user: Option<&str>,
    limit: u64,
) -> Result<Table, AnalyticsError> {
    let list = RequestList {
        period,
        user,
        condition: "r.request_type <> ''",
        more: Vec::new(),
        order: "r.created_at DESC, r.id DESC",
        limit,
    };
    let headings =
        &[("at", "when"), ("query", "question"), ("cost_usd", "cost"), ("end", "end"), ("request_id", "ask")];
    let mut table = Table::new("queries", "The last ones", headings);
    for row in &view.requests(&list).await? {
        let cost = row.optional_int("cost_nano_usd")?.map_or(Cell::Nothing, Cell::Usd);
        let at = Cell::Time(row.time("created_at")?);
        table.push(vec![at, question(row)?, cost, text(row, "status")?, text(row, "request_id")?]);
    }
    Ok(table)
}
