//! How servers are doing, and how long things take.

use std::collections::BTreeMap;

use super::{count, nothing, some};
use crate::{
    analytics::{
        data::View,
        definitions::Args,
        error::AnalyticsError,
        period::Period,
        report::{Cell, Report, Table},
        rollup::{CALL_WAITS, CALLS, WAITS},
        sums::Wanted,
        waits::Waits,
    },
    audit::FAILURES,
    identity::DEFAULT_TENANT,
};

/// Most servers or tools of a table.
const MOST: usize = 50;

/// What the tables keep of a server, and what its calls say.
#[derive(Debug, Default)]
struct Server {
    known: Option<Known>,
    calls: u64,
    failed: u64,
    duration_ms: u64,
    last: Option<chrono::DateTime<chrono::Utc>>,
}

#[derive(Debug)]
struct Known {
    is_enabled: bool,
    is_healthy: bool,
    /// Empty for whom it does not concern.
    url: String,
    checked: Option<chrono::DateTime<chrono::Utc>>,
    tools: u64,
}

pub(super) async fn servers(view: &View<'_>, period: &Period) -> Result<Report, AnalyticsError> {
    let mut servers = known(view).await?;
    let wanted = Wanted::new(&CALLS, view.tenant, period.span).only_number("sent", 1).by(&["server", "status"]);
    for row in view.sums(wanted).await? {
        let server = servers.entry(row.text("server")?).or_default();
        let calls = count(&row, "calls")?;
        server.calls += calls;
        server.failed += if FAILURES.contains(&&*row.text("status")?) { calls } else { 0 };
        server.duration_ms += count(&row, "duration_ms")?;
        server.last = server.last.max(Some(row.time("last_at")?));
    }
    if servers.is_empty() {
        return Ok(nothing("No MCP server is known, and none was called", period, None));
    }
    let is_down = |server: &&Server| server.known.as_ref().is_some_and(|known| known.is_enabled && !known.is_healthy);
    let (all, down) = (servers.len() as u64, servers.values().filter(is_down).count());
    let health = if down == 0 { "none of them is known to be down".into() } else { format!("{down} of them down") };
    let headings = &[
        ("mcp", "server"),
        ("enabled", "on"),
        ("healthy", "healthy"),
        ("tools", "tools"),
        ("requests", "calls"),
        ("success_rate_percent", "success"),
        ("average_ms", "average time"),
        ("last_called", "last called"),
        ("last_check", "last check"),
        ("url", "where"),
    ];
    let mut table = Table::new("mcps", "MCP servers", headings);
    for (name, server) in servers.into_iter().take(MOST) {
        let of = |cell: fn(&Known) -> Cell| server.known.as_ref().map_or(Cell::Nothing, cell);
        table.push(vec![
            Cell::text(name),
            of(|known| Cell::Yes(known.is_enabled)),
            of(|known| Cell::Yes(known.is_healthy)),
            of(|known| Cell::Count(known.tools)),
            Cell::Count(server.calls),
            Cell::share(server.calls - server.failed, server.calls),
            Cell::average_ms(server.duration_ms, server.calls),
            server.last.map_or(Cell::Nothing, Cell::Time),
            of(|known| known.checked.map_or(Cell::Nothing, Cell::Time)),
            of(|known| Cell::text(known.url.clone())),
        ]);
    }
    let says = format!("{} known; {health} ({}).", some(all, "MCP server is", "MCP servers are"), period.name);
    Ok(Report::new(says, Some(period)).total("servers", Cell::Count(all)).table(table))
}

async fn known(view: &View<'_>) -> Result<BTreeMap<String, Server>, AnalyticsError> {
    const QUERY: &str = "SELECT s.name, s.url, s.is_enabled, s.is_healthy, s.last_health_check,
        (SELECT count(*) FROM mcp_tools t WHERE t.mcp_server_id = s.id) AS tools FROM mcp_servers s";
    let mut servers = BTreeMap::new();
    for row in view.rows(QUERY, &[]).await? {
        let known = Known {
            is_enabled: row.bool("is_enabled")?,
            is_healthy: row.bool("is_healthy")?,
            // The servers are all tenants' own: where they are is for the tenant that keeps them.
            url: if view.tenant == DEFAULT_TENANT { row.text("url")? } else { String::new() },
            checked: row.optional_time("last_health_check")?,
            tools: count(&row, "tools")?,
        };
        servers.insert(row.text("name")?, Server { known: Some(known), ..Server::default() });
    }
    Ok(servers)
}

fn cells(waits: &Waits) -> [Cell; 4] {
    [50, 90, 95, 99].map(|percent| percentile(waits, percent))
}

fn percentile(waits: &Waits, percent: u64) -> Cell {
    waits.percentile(percent).map_or(Cell::Nothing, Cell::Ms)
}

const PERCENTILES: &[(&str, &str)] =
    &[("count", "count"), ("p50_ms", "p50"), ("p90_ms", "p90"), ("p95_ms", "p95"), ("p99_ms", "p99")];
const OF_SERVERS: &[(&str, &str)] = &[
    ("mcp", "server"),
    ("count", "calls"),
    ("p50_ms", "p50"),
    ("p90_ms", "p90"),
    ("p95_ms", "p95"),
    ("p99_ms", "p99"),
];
const OF_TOOLS: &[(&str, &str)] = &[
    ("mcp", "server"),
    ("tool", "tool"),
    ("count", "calls"),
    ("p50_ms", "p50"),
    ("p90_ms", "p90"),
    ("p95_ms", "p95"),
    ("p99_ms", "p99"),
];

pub(super) async fn latency(view: &View<'_>, period: &Period, args: &Args) -> Result<Report, AnalyticsError> {
    let group = args.group_by.as_deref();
    if !matches!(group, None | Some("request" | "mcp" | "tool")) {
        return Err(AnalyticsError::argument("group_by", "it is none of request, mcp, tool"));
    }
    let mut requests = Waits::default();
    if args.mcp_name.is_none() {
        for row in view.sums(Wanted::new(&WAITS, view.tenant, period.span).by(&["bucket"])).await? {
            requests.add(count(&row, "bucket")?, count(&row, "requests")?);
        }
    }
    let tools = if group == Some("request") { BTreeMap::new() } else { calls(view, period, args).await? };
    if requests.count() == 0 && tools.is_empty() {
        return Ok(nothing("Nothing was asked or called, so nothing took any time", period, None));
    }
    let says = match requests.count() {
        0 => format!("How long calls took ({}).", period.name),
        count => format!(
            "Half of {} took at most about {}, 95 % at most about {} ({}).",
            some(count, "request", "requests"),
            percentile(&requests, 50).shown(None),
            percentile(&requests, 95).shown(None),
            period.name
        ),
    };
    let mut report = Report::new(says, Some(period));
    if requests.count() > 0 {
        let row = [Cell::Count(requests.count())].into_iter().chain(cells(&requests)).collect();
        report = report.table(Table::new("requests", "Whole requests", PERCENTILES).with([row]));
    }
    Ok(report.table(calls_table(tools, group == Some("tool"))))
}

/// What the calls of each server, or of each tool, took by themselves, with what they waited for before they were sent.
async fn calls(
    view: &View<'_>,
    period: &Period,
    args: &Args,
) -> Result<BTreeMap<(String, String), Waits>, AnalyticsError> {
    let by_tool = args.group_by.as_deref() == Some("tool");
    let by: &[&str] = if by_tool { &["server", "tool", "bucket"] } else { &["server", "bucket"] };
    let wanted = Wanted::new(&CALL_WAITS, view.tenant, period.span).only("server", args.mcp_name.as_deref()).by(by);
    let mut all = BTreeMap::<(String, String), Waits>::new();
    for row in view.sums(wanted).await? {
        let tool = if by_tool { row.text("tool")? } else { String::new() };
        let waits = all.entry((row.text("server")?, tool)).or_default();
        waits.add(count(&row, "bucket")?, count(&row, "calls")?);
    }
    Ok(all)
}

fn calls_table(all: BTreeMap<(String, String), Waits>, by_tool: bool) -> Table {
    let table = match by_tool {
        true => Table::new("tools", "Calls by tool", OF_TOOLS),
        false => Table::new("mcps", "Calls by MCP server", OF_SERVERS),
    };
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, waits)| std::cmp::Reverse(waits.count()));
    let row = |((server, tool), waits): ((String, String), Waits)| {
        let names = [Some(server), Some(tool).filter(|_| by_tool)].into_iter().flatten().map(Cell::text);
        names.chain([Cell::Count(waits.count())]).chain(cells(&waits)).collect()
    };
    table.with(all.into_iter().take(MOST).map(row))
}
