//! One server, its tools, and those that are kept back.

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use omni_core::{
    analytics::overview::Stretch,
    catalog::ServerView,
    omni::OfferedServer,
    pin::Pin,
    uptime::{self, HEARTBEAT, Spell},
};
use serde::Serialize;

use crate::{
    ui::{answer::Frame, chart::Svg, fields::link, show},
    wire::{AdminServer, AdminTool, PinEntry, all_tools},
};

/// How many absences are listed.
const ABSENCES: usize = 10;

#[derive(Debug, Template, Serialize)]
#[template(path = "server.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    server: AdminServer,
    tools: Vec<AdminTool>,
    pins: Vec<PinEntry>,
    health: Past,
    #[serde(skip)]
    strips: Vec<(&'static str, Svg)>,
    #[serde(skip)]
    absences: Vec<Absence>,
    #[serde(skip)]
    cut: Option<String>,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    description: String,
    #[serde(skip)]
    mark: &'static str,
    #[serde(skip)]
    breaker_mark: &'static str,
    #[serde(skip)]
    facts: Vec<(&'static str, String)>,
    #[serde(skip)]
    held: Vec<Held>,
    #[serde(skip)]
    rows: Vec<Row>,
}

/// How the server did over time.
#[derive(Debug, Default, Serialize)]
struct Past {
    day: Vec<uptime::Portion>,
    month: Vec<uptime::Portion>,
    /// When it was away, the latest first.
    away: Vec<Spell>,
    /// Since when that is all there is; nothing where it all is.
    complete_since: Option<DateTime<Utc>>,
}

/// When it was away.
#[derive(Debug)]
struct Absence {
    at: String,
    ago: String,
    long: String,
    /// Whether that goes on.
    goes_on: bool,
    why: String,
}

/// A tool that is kept back.
#[derive(Debug)]
struct Held {
    tool: String,
    why: &'static str,
    digest: String,
    findings: Vec<Finding>,
    diff: Vec<Line>,
}

#[derive(Debug)]
struct Finding {
    kind: &'static str,
    at: String,
    excerpt: String,
}

/// A line of what changed.
#[derive(Debug)]
struct Line {
    mark: &'static str,
    text: String,
}

/// A tool of the list.
#[derive(Debug)]
struct Row {
    name: String,
    title: String,
    description: String,
    to: String,
    hints: Vec<(&'static str, &'static str)>,
    pinned: String,
}

pub(in crate::ui) fn of(
    frame: Frame,
    offered: &OfferedServer,
    pins: Vec<Pin>,
    spells: &[Spell],
    now: DateTime<Utc>,
) -> View {
    let (server, view) = (AdminServer::from(offered), &offered.view);
    let held = pins.iter().filter_map(held).collect();
    let pinned = |tool: &str| pins.iter().find(|pin| pin.tool == tool).map(|pin| pinned(pin, now));
    let row = |def: &std::sync::Arc<omni_core::catalog::ToolDef>| Row {
        name: def.name.to_string(),
        title: def.title.clone().or_else(|| def.annotations.title.clone()).unwrap_or_default(),
        description: def.description.clone(),
        to: link("tool", &[("server", &view.name), ("tool", &def.name)]),
        hints: super::tool::hints(&def.annotations),
        pinned: pinned(&def.name).unwrap_or_else(|| "not pinned".into()),
    };
    let health = past(spells, &view.name, now);
    View {
        frame: frame.titled(&*view.display_name),
        name: view.name.to_string(),
        description: view.description.clone(),
        mark: super::mark_of(server.status),
        breaker_mark: super::mark_of(server.breaker),
        facts: facts(offered, &server, now),
        rows: view.tools.iter().map(row).collect(),
        tools: all_tools(offered),
        pins: pins.into_iter().map(PinEntry::from).collect(),
        strips: strips(&health, &view.name),
        absences: health.away.iter().map(|spell| absence(spell, &offered.view, now)).collect(),
        cut: health.complete_since.map(show::moment),
        health,
        held,
        server,
    }
}

fn past(spells: &[Spell], server: &str, now: DateTime<Utc>) -> Past {
    let of = |stretch: Stretch| uptime::portions(spells, server, &stretch.begins(now), now);
    Past {
        day: of(Stretch::Day),
        month: of(Stretch::Month),
        away: uptime::absences(spells, server, ABSENCES),
        complete_since: uptime::complete_since(spells),
    }
}

fn strips(past: &Past, server: &str) -> Vec<(&'static str, Svg)> {
    let strip = |portions: &[uptime::Portion], form: &str| {
        let names: Vec<_> = portions.iter().map(|portion| portion.begins.format(form).to_string()).collect();
        super::health_strip(server, portions, &names)
    };
    vec![("The last 24 hours", strip(&past.day, "%H:%M")), ("The last 30 days", strip(&past.month, "%d %b"))]
}

fn absence(spell: &Spell, view: &ServerView, now: DateTime<Utc>) -> Absence {
    // It is looked at once a heartbeat.
    let goes_on =
        !view.health.is_healthy() && now - spell.last_at < TimeDelta::seconds(2 * HEARTBEAT.as_secs().cast_signed());
    let until = if goes_on { now } else { spell.last_at };
    let long = (until - spell.began_at).num_milliseconds();
    Absence {
        at: show::moment(spell.began_at),
        ago: show::ago(spell.began_at, now),
        long: show::duration(u64::try_from(long).unwrap_or(0)),
        goes_on,
        why: spell.reason.clone().unwrap_or_default(),
    }
}

fn facts(offered: &OfferedServer, server: &AdminServer, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let view = &offered.view;
    let place = offered.place.as_ref();
    let program =
        place.and_then(|place| Some(format!("{} {}", place.command.as_ref()?, place.args.join(" ")).trim().to_owned()));
    let at = |at: Option<DateTime<Utc>>| at.map_or_else(|| "never".into(), |at| show::ago(at, now));
    let is_per_minute = offered.options.calls_per_minute;
    let facts = [
        ("Reached by", Some(view.kind.clone())),
        ("Where", place.and_then(|place| place.url.clone()).or(program)),
        ("Credentials", place.and_then(|place| place.auth).map(str::to_owned)),
        ("Last check", Some(at(server.last_check))),
        ("Took", server.latency_ms.map(show::duration)),
        ("Last answered", Some(at(server.last_seen))),
        ("Failures in a row", Some(server.failures.to_string())),
        ("Calls a minute and person", is_per_minute.map(show::count)),
        ("Tool policy", Some(offered.policy_mode.to_owned())),
        ("Prompts", Some(view.prompts.len().to_string())),
        ("Resources", Some((view.resources.len() + view.templates.len()).to_string())),
        ("Why it is away", server.error.clone()),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn pinned(pin: &Pin, now: DateTime<Utc>) -> String {
    match (&pin.pinned, &pin.pinned_by) {
        (None, _) => "not pinned".into(),
        (Some(seen), None) => format!("at first sight, {}", show::ago(seen.at, now)),
        (Some(seen), Some(who)) => format!("by {who}, {}", show::ago(seen.at, now)),
    }
}

fn held(pin: &Pin) -> Option<Held> {
    let (why, seen) = pin.held.as_ref()?;
    let finding = |finding: &omni_core::scan::Finding| Finding {
        kind: finding.kind.as_str(),
        at: finding.at.clone(),
        excerpt: finding.excerpt.clone(),
    };
    let line = |text: &str| {
        let mark = match text.chars().next() {
            Some('+') => "added",
            Some('-') => "removed",
            _ => "same",
        };
        Line { mark, text: text.to_owned() }
    };
    let diff = pin.diff().unwrap_or_else(|| seen.definition.clone());
    Some(Held {
        tool: pin.tool.clone(),
        why: why.told(),
        digest: seen.digest.clone(),
        findings: seen.findings.iter().map(finding).collect(),
        diff: diff.lines().map(line).collect(),
    })
}
