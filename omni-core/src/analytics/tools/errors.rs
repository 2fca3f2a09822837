//! What failed, and what was refused.

use super::{
    count, nothing,
    queries::{question, text},
    some,
};
use crate::{
    analytics::{
        data::{RequestList, View},
        definitions::Args,
        error::AnalyticsError,
        period::Period,
        report::{Cell, Report, Table},
        rollup::{CALL_FAULTS, CALLS, FAULTS, REQUESTS, RULES},
        sums::Wanted,
    },
    audit::FAILURES,
};

const GOOD: [&str; 2] = ["success", "warning"];
const REFUSED: [&str; 2] = ["denied", "rate_limited"];
/// Most messages, tools, rules or people of a table.
const MOST: usize = 10;

/// How many ended how.
#[derive(Debug, Default, Clone, Copy)]
struct Ends {
    all: u64,
    good: u64,
    failed: u64,
    refused: u64,
}

impl Ends {
    fn add(&mut self, status: &str, count: u64) {
        self.all += count;
        self.good += if GOOD.contains(&status) { count } else { 0 };
        self.failed += if FAILURES.contains(&status) { count } else { 0 };
        self.refused += if REFUSED.contains(&status) { count } else { 0 };
    }
}

pub(super) async fn summary(view: &View<'_>, period: &Period, args: &Args) -> Result<Report, AnalyticsError> {
    let (server, tool) = (args.mcp_name.as_deref(), args.tool_name.as_deref());
    let of_tools = server.is_some() || tool.is_some();
    let ends = if of_tools { call_ends(view, period, server, tool).await? } else { request_ends(view, period).await? };
    let (one, many) = if of_tools { ("call", "calls") } else { ("request", "requests") };
    if ends.all == 0 {
        return Ok(nothing(&format!("There were no {many}, so none failed"), period, None));
    }
    let rate = Cell::share(ends.failed, ends.all);
    let says = format!(
        "{} of {} failed, which is {} ({}).",
        ends.failed,
        some(ends.all, one, many),
        rate.shown(None),
        period.name
    );
    Ok(Report::new(says, Some(period))
        .total("total", Cell::Count(ends.all))
        .total("errors", Cell::Count(ends.failed))
        .total("successes", Cell::Count(ends.good))
        .total("refused", Cell::Count(ends.refused))
        .total("error_rate_percent", rate)
        .table(by_tool(view, period, server, tool).await?)
        .table(messages(view, period, server, tool).await?))
}

async fn request_ends(view: &View<'_>, period: &Period) -> Result<Ends, AnalyticsError> {
    let mut ends = Ends::default();
    for row in view.sums(Wanted::new(&REQUESTS, view.tenant, period.span).by(&["status"])).await? {
        ends.add(&row.text("status")?, count(&row, "requests")?);
    }
    Ok(ends)
}

async fn call_ends(
    view: &View<'_>,
    period: &Period,
    server: Option<&str>,
    tool: Option<&str>,
) -> Result<Ends, AnalyticsError> {
    let wanted = Wanted::new(&CALLS, view.tenant, period.span).only("server", server).only("tool", tool);
    let mut ends = Ends::default();
    for row in view.sums(wanted.by(&["status"])).await? {
        ends.add(&row.text("status")?, count(&row, "calls")?);
    }
    Ok(ends)
}

/// Tools of which calls failed, the worst first.
async fn by_tool(
    view: &View<'_>,
    period: &Period,
    server: Option<&str>,
    tool: Option<&str>,
) -> Result<Table, AnalyticsError> {
    let wanted = Wanted::new(&CALLS, view.tenant, period.span).only("server", server).only("tool", tool);
    let mut tools = std::collections::BTreeMap::<(String, String), Ends>::new();
    for row in view.sums(wanted.only_number("sent", 1).by(&["server", "tool", "status"])).await? {
        let ends = tools.entry((row.text("server")?, row.text("tool")?)).or_default();
        ends.add(&row.text("status")?, count(&row, "calls")?);
    }
    let mut failing: Vec<_> = tools.into_iter().filter(|(_, ends)| ends.failed > 0).collect();
    failing.sort_by_key(|(_, ends)| std::cmp::Reverse(ends.failed));
    failing.truncate(MOST);
    let headings = &[
        ("mcp", "server"),
        ("tool", "tool"),
        ("calls", "calls"),
        ("errors", "errors"),
        ("error_rate_percent", "error rate"),
    ];
    let row = |((server, tool), ends): ((String, String), Ends)| {
        let rate = Cell::share(ends.failed, ends.all);
        vec![Cell::text(server), Cell::text(tool), Cell::Count(ends.all), Cell::Count(ends.failed), rate]
    };
    Ok(Table::new("tools", "Failing tools", headings).with(failing.into_iter().map(row)))
}

/// What was said of failures most often.
async fn messages(
    view: &View<'_>,
    period: &Period,
    server: Option<&str>,
    tool: Option<&str>,
) -> Result<Table, AnalyticsError> {
    let of_tools = server.is_some() || tool.is_some();
    let (rollup, sum) = if of_tools { (&CALL_FAULTS, "calls") } else { (&FAULTS, "requests") };
    let by = ["status", "message"];
    let mut wanted = Wanted::new(rollup, view.tenant, period.span).by(&by);
    if of_tools {
        wanted = wanted.only("server", server).only("tool", tool);
    }
    // What was refused is no failure: a few rows more, of which those are left out.
    let rows = view.sums(wanted.top(sum, 100, view.dialect())).await?;
    let mut table =
        Table::new("messages", "Most frequent errors", &[("count", "times"), ("end", "end"), ("message", "message")]);
    for row in &rows {
        let status = row.text("status")?;
        if FAILURES.contains(&&*status) && table.len() < MOST {
            let message = row.text("message")?;
            table.push(vec![Cell::Count(count(row, sum)?), Cell::text(status), Cell::text(message)]);
        }
    }
    Ok(table)
}

pub(super) async fn denials(
    view: &View<'_>,
    period: &Period,
    user: Option<&str>,
    args: &Args,
) -> Result<Report, AnalyticsError> {
    let by = ["user_email", "status"];
    let wanted = Wanted::new(&REQUESTS, view.tenant, period.span).only("user_email", user).by(&by);
    let mut people = std::collections::BTreeMap::<String, [u64; 2]>::new();
    for row in view.sums(wanted).await? {
        let status = row.text("status")?;
        if let Some(at) = REFUSED.iter().position(|refused| *refused == status) {
            people.entry(row.text("user_email")?).or_default()[at] += count(&row, "requests")?;
        }
    }
    let rules = rules(view, period, user).await?;
    let calls = refused_calls(view, period, user).await?;
    let recent = recent_denials(view, period, user, args.limit(10)).await?;
    let [denied, limited] = people.values().fold([0, 0], |sum, more| [sum[0] + more[0], sum[1] + more[1]]);
    if denied + limited + calls == 0 {
        return Ok(nothing("Nothing was denied", period, user));
    }
    let mut people: Vec<_> = people.into_iter().collect();
    people.sort_by_key(|(_, [denied, limited])| std::cmp::Reverse(denied + limited));
    people.truncate(MOST);
    let row = |(person, [denied, limited]): (String, [u64; 2])| {
        vec![Cell::text(person), Cell::Count(denied), Cell::Count(limited)]
    };
    let headings = &[("user", "user"), ("denied", "denied"), ("rate_limited", "over a limit")];
    let says = format!(
        "Policy denied {} and limits refused {limited}; {} refused within requests, also answered ones ({}).",
        some(denied, "request", "requests"),
        some(calls, "call was", "calls were"),
        period.name
    );
    Ok(Report::new(says, Some(period))
        .total("denied", Cell::Count(denied))
        .total("rate_limited", Cell::Count(limited))
        .total("refused_calls", Cell::Count(calls))
        .table(Table::new("users", "By user", headings).with(people.into_iter().map(row)))
        .table(rules)
        .table(recent))
}

/// How many calls were refused, also within questions that were answered all the same.
async fn refused_calls(view: &View<'_>, period: &Period, user: Option<&str>) -> Result<u64, AnalyticsError> {
    let wanted = Wanted::new(&RULES, view.tenant, period.span).only("user_email", user).by(&["status"]);
    let mut calls = 0;
    for row in view.sums(wanted).await? {
        calls += count(&row, "calls")?;
    }
    Ok(calls)
}

/// Which rules refused which tools, also within questions that were answered all the same.
async fn rules(view: &View<'_>, period: &Period, user: Option<&str>) -> Result<Table, AnalyticsError> {
    let by = ["server", "tool", "status", "rule"];
    let wanted = Wanted::new(&RULES, view.tenant, period.span).only("user_email", user).by(&by);
    let rows = view.sums(wanted.top("calls", MOST as u64, view.dialect())).await?;
    let headings = &[("mcp", "server"), ("tool", "tool"), ("end", "end"), ("rule", "rule"), ("calls", "calls")];
    let mut table = Table::new("rules", "Refused calls by rule", headings);
    for row in &rows {
        let mut cells = Vec::new();
        for key in by {
            cells.push(Cell::text(row.text(key)?));
        }
        cells.push(Cell::Count(count(row, "calls")?));
        table.push(cells);
    }
    Ok(table)
}

async fn recent_denials(
    view: &View<'_>,
    period: &Period,
    user: Option<&str>,
    limit: u64,
) -> Result<Table, AnalyticsError> {
    let rows = view
        .requests(&RequestList {
            period,
            user,
            condition: "NOT r.success AND r.status IN ('denied', 'rate_limited')",
            more: Vec::new(),
            order: "r.created_at DESC, r.id DESC",
            limit,
        })
        .await?;
    let headings = &[("at", "when"), ("user", "user"), ("query", "question"), ("end", "end"), ("reason", "reason")];
    let mut table = Table::new("recent", "Recent", headings);
    for row in &rows {
        table.push(vec![
            Cell::Time(row.time("created_at")?),
            text(row, "user_email")?,
            question(row)?,
            text(row, "status")?,
            text(row, "block_reason")?,
        ]);
    }
    Ok(table)
}
