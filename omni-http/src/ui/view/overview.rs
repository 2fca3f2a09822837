//! What is shown at a glance.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use askama::Template;
use chrono::{DateTime, Utc};
use omni_core::{
    analytics::overview::{Others, Overview, Portion, Stretch, Sum},
    audit::{LogEntry, UNKNOWN_SOURCE},
    catalog::{Catalog, Health, ServerView},
    uptime::{self, Spell},
};
use serde::Serialize;

use crate::{
    ui::{
        answer::Frame,
        chart::{self, Column, Svg, Told},
        fields::link,
        show,
        view::audit::FAILED,
    },
    wire::{LogDetail, server_status},
};

/// Most sources of a picture that have a colour of their own, and what the rest is called together.
const SERIES: usize = 5;
const OTHER: &str = "other";
/// Each stretch by its name, its title, and how many days of the log it is.
const STRETCHES: [(Stretch, &str, &str, u8); 3] =
    [(Stretch::Day, "24h", "24 hours", 1), (Stretch::Week, "7d", "7 days", 7), (Stretch::Month, "30d", "30 days", 30)];

/// What the core said.
#[derive(Debug, Default)]
pub(in crate::ui) struct Seen {
    pub(in crate::ui) stretch: Stretch,
    /// The only door that is looked at.
    pub(in crate::ui) source: Option<String>,
    /// What changes are compared with.
    pub(in crate::ui) look: Option<u64>,
    pub(in crate::ui) usage: Option<Overview>,
    pub(in crate::ui) failures: Vec<LogEntry>,
    pub(in crate::ui) servers: Option<Arc<Catalog>>,
    /// How these did.
    pub(in crate::ui) spells: Vec<Spell>,
    pub(in crate::ui) waiting: usize,
}

#[derive(Debug, Default, Template, Serialize)]
#[template(path = "overview.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    usage: Option<Overview>,
    servers: Vec<Server>,
    /// Since when how servers did is all there is; nothing where it all is.
    health_complete_since: Option<DateTime<Utc>>,
    failures: Vec<LogDetail>,
    /// Calls that wait for a human.
    waiting: usize,
    #[serde(skip)]
    seen: Option<u64>,
    #[serde(skip)]
    stretches: Vec<Choice>,
    #[serde(skip)]
    doors: Vec<Door>,
    /// Where this very page is, and all errors of it.
    #[serde(skip)]
    here: String,
    #[serde(skip)]
    all_failed: String,
    #[serde(skip)]
    cards: Vec<Card>,
    #[serde(skip)]
    charts: Vec<Chart>,
    #[serde(skip)]
    cut: Option<String>,
    #[serde(skip)]
    people: Vec<Share>,
    #[serde(skip)]
    other_people: Option<Share>,
    #[serde(skip)]
    models: Vec<Share>,
    #[serde(skip)]
    other_models: Option<Share>,
    #[serde(skip)]
    failed: Vec<Failure>,
}

#[derive(Debug)]
struct Choice {
    title: &'static str,
    to: String,
    is_here: bool,
}

/// A door by which asks come.
#[derive(Debug)]
struct Door {
    name: String,
    count: String,
    to: String,
    is_here: bool,
}

impl View {
    /// The stretch that is shown.
    fn stretch(&self) -> &'static str {
        self.stretches.iter().find(|choice| choice.is_here).map_or("", |choice| choice.title)
    }

    /// The door that is looked at.
    fn door(&self) -> Option<&str> {
        self.doors.iter().find(|door| door.is_here && !door.count.is_empty()).map(|door| &*door.name)
    }
}

/// A number that says a lot.
#[derive(Debug)]
struct Card {
    title: &'static str,
    value: String,
    note: String,
    mark: &'static str,
}

#[derive(Debug)]
struct Chart {
    title: &'static str,
    /// What its colours stand for.
    series: Vec<String>,
    svg: Svg,
}

#[derive(Debug)]
struct Share {
    name: String,
    cost: String,
    requests: String,
    meter: Svg,
}

#[derive(Debug)]
struct Failure {
    to: String,
    when: String,
    who: String,
    what: String,
    why: String,
}

/// A server, how it did, and how its calls went.
#[derive(Debug, Serialize)]
struct Server {
    name: String,
    status: &'static str,
    breaker: &'static str,
    calls: u64,
    failed: u64,
    /// By portion of time, whether or not anybody called it.
    health: Vec<uptime::Portion>,
    #[serde(skip)]
    mark: &'static str,
    #[serde(skip)]
    to: String,
    #[serde(skip)]
    strip: Svg,
    #[serde(skip)]
    call_strip: Option<Svg>,
}

pub(in crate::ui) fn of(frame: Frame, seen: Seen, now: DateTime<Utc>) -> View {
    let portions = seen.usage.as_ref().map(|usage| &*usage.portions).unwrap_or_default();
    let names = names(&seen.stretch.begins(now), seen.stretch);
    let servers: Vec<Server> = servers(&seen, portions, &names, now);
    let cut = uptime::complete_since(&seen.spells);
    let door = seen.source.clone().unwrap_or_default();
    let (_, period, _, days) =
        STRETCHES.into_iter().find(|(stretch, ..)| *stretch == seen.stretch).unwrap_or(STRETCHES[0]);
    let choice = |(stretch, name, title, _)| Choice {
        title,
        to: link("overview", &[("period", name), ("source", &door)]),
        is_here: stretch == seen.stretch,
    };
    let usage = seen.usage.as_ref();
    let of_people = usage.map(|usage| shares(&usage.people, usage.other_people, "nobody"));
    let of_models = usage.map(|usage| shares(&usage.models, usage.other_models, "without a model"));
    let ((people, other_people), (models, other_models)) =
        (of_people.unwrap_or_default(), of_models.unwrap_or_default());
    View {
        frame,
        seen: seen.look,
        stretches: STRETCHES.into_iter().map(choice).collect(),
        doors: doors(portions, &door, period),
        here: link("overview", &[("period", period), ("source", &door)]),
        all_failed: link("audit", &[("status", FAILED), ("days", &days.to_string()), ("source", logged(&door))]),
        cards: cards(&seen, &servers),
        health_complete_since: cut,
        cut: cut.map(show::moment),
        charts: seen.usage.iter().flat_map(|usage| charts(usage, &names)).collect(),
        people,
        other_people,
        models,
        other_models,
        failed: seen.failures.iter().map(|entry| failure(entry, now)).collect(),
        failures: seen.failures.into_iter().map(LogDetail::from).collect(),
        usage: seen.usage,
        waiting: seen.waiting,
        servers,
    }
}

fn names(begins: &[DateTime<Utc>], stretch: Stretch) -> Vec<String> {
    let form = if stretch == Stretch::Day { "%H:%M" } else { "%d %b" };
    begins.iter().map(|begins| begins.format(form).to_string()).collect()
}

fn cards(seen: &Seen, servers: &[Server]) -> Vec<Card> {
    let mut cards = Vec::new();
    if let Some(usage) = &seen.usage {
        let Overview { all, before, .. } = usage;
        let than_before = |now: f64, before: f64| show::change(now, before).unwrap_or_else(|| "nothing before".into());
        let requests = than_before(all.requests as f64, before.requests as f64);
        let cost = match all.unpriced {
            0 => than_before(all.cost as f64, before.cost as f64),
            1 => "and an ask without a price".into(),
            unpriced => format!("and {} asks without a price", show::count(unpriced)),
        };
        let refused = format!("{} failed, {} refused", show::count(all.failed), show::count(all.refused));
        let is_bad = all.failed * 20 > all.requests;
        cards.push(Card { title: "Asks and calls", value: show::count(all.requests), note: requests, mark: "" });
        cards.push(Card { title: "Cost", value: show::nano_usd(all.cost), note: cost, mark: "" });
        let errors = show::share(all.failed, all.requests);
        cards.push(Card { title: "Errors", value: errors, note: refused, mark: if is_bad { "bad" } else { "" } });
        let half = format!("half within {}", show::duration_or_none(usage.p50_ms));
        cards.push(Card { title: "Latency (95 %)", value: show::duration_or_none(usage.p95_ms), note: half, mark: "" });
    }
    if seen.servers.is_some() {
        let on = servers.iter().filter(|server| server.status != "disabled");
        let (all, healthy) = (on.clone().count(), on.filter(|server| server.status == "healthy").count());
        let mark = if healthy < all { "bad" } else { "" };
        let note = format!("{} tools known", seen.servers.iter().map(|known| known.tools().count()).sum::<usize>());
        cards.push(Card { title: "Servers healthy", value: format!("{healthy} of {all}"), note, mark });
    }
    let mark = if seen.waiting > 0 { "warn" } else { "" };
    let note = if seen.waiting > 0 { "somebody has to decide" } else { "nothing waits for a decision of yours" };
    cards.push(Card { title: "Approvals", value: seen.waiting.to_string(), note: note.into(), mark });
    cards
}

/// The sources of the most asks, and last what the others are together: those beyond, and what has no source, as what
/// is older than omni.
fn sources(usage: &Overview) -> Vec<&str> {
    if let Some(only) = &usage.source {
        return vec![only];
    }
    let portions = &usage.portions;
    let mut sums = BTreeMap::<&str, u64>::new();
    for (name, sum) in portions.iter().flat_map(|portion| &portion.sources) {
        *sums.entry(name).or_default() += sum.requests;
    }
    let mut named: Vec<_> = sums.iter().filter(|(name, _)| ![show::NONE, OTHER].contains(*name)).collect();
    named.sort_by_key(|(_, requests)| Reverse(**requests));
    let mut shown: Vec<&str> = named.into_iter().map(|(name, _)| *name).take(SERIES).collect();
    if shown.len() < sums.len() {
        shown.push(OTHER);
    }
    shown
}

fn charts(usage: &Overview, names: &[String]) -> Vec<Chart> {
    let sources = sources(usage);
    let of_source = |portion: &Portion| {
        let mut left = portion.all.requests;
        let mut counts: Vec<u64> = sources
            .iter()
            .filter(|name| **name != OTHER)
            .map(|name| portion.sources.get(*name).map_or(0, |sum| sum.requests))
            .collect();
        counts.iter().for_each(|count| left = left.saturating_sub(*count));
        counts.resize(sources.len(), left);
        counts.into_iter().map(|count| Some(count as f64)).collect()
    };
    let errors = |portion: &Portion| vec![Some(portion.all.failed as f64), Some(portion.all.refused as f64)];
    let cost = |portion: &Portion| vec![Some(portion.all.cost as f64 / 1e9)];
    let latency = |portion: &Portion| vec![portion.p50_ms.map(|ms| ms as f64), portion.p95_ms.map(|ms| ms as f64)];
    let count = |value: f64| show::count(value.round() as u64);
    let time = |value: f64| match value.round() as u64 {
        0 => "0 s".to_owned(),
        ms => show::duration(ms).replace(".0 s", " s"),
    };
    let columns = |values: &dyn Fn(&Portion) -> Vec<Option<f64>>| -> Vec<Column> {
        let column = |(name, portion): (&String, &Portion)| Column { name: name.clone(), values: values(portion) };
        names.iter().zip(&usage.portions).map(column).collect()
    };
    let chart =
        |title, series: &[&str], svg| Chart { title, series: series.iter().map(|name| (*name).into()).collect(), svg };
    let told = |title, series, value| Told { title, series, value };
    vec![
        chart(
            if usage.source.is_some() { "Asks" } else { "Asks by source" },
            &sources,
            chart::bars(told("Asks by source over time", &sources, count), &columns(&of_source)),
        ),
        chart("Cost", &["cost"], chart::bars(told("Cost over time", &["cost"], show::usd), &columns(&cost))),
        chart(
            "Errors and refusals",
            &["failed", "refused"],
            chart::bars(told("Errors and refusals over time", &["failed", "refused"], count), &columns(&errors)),
        ),
        chart(
            "Latency",
            &["half within", "95 % within"],
            chart::lines(told("Latency over time", &["half within", "95 % within"], time), &columns(&latency)),
        ),
    ]
}

fn servers(seen: &Seen, portions: &[Portion], names: &[String], now: DateTime<Utc>) -> Vec<Server> {
    let begins = seen.stretch.begins(now);
    let one = |server: &ServerView| {
        let of = |portion: &Portion| portion.servers.get(&*server.name).copied().unwrap_or_default();
        let (calls, failed) =
            portions.iter().map(of).fold((0, 0), |(all, bad), (calls, failed)| (all + calls, bad + failed));
        let cells: Vec<_> = portions.iter().zip(names).map(|(portion, name)| super::cell(name, of(portion))).collect();
        let health = uptime::portions(&seen.spells, &server.name, &begins, now);
        let status = server_status(&server.health).0;
        Server {
            name: server.name.to_string(),
            status,
            breaker: server.breaker.as_str(),
            calls,
            failed,
            mark: if server.health == Health::Disabled { "dim" } else { super::mark_of(status) },
            to: link("server", &[("name", &server.name)]),
            strip: super::health_strip(&server.name, &health, names),
            call_strip: (calls > 0).then(|| chart::strip(&format!("Calls of {} over time", server.name), &cells)),
            health,
        }
    };
    seen.servers.iter().flat_map(|catalog| &catalog.servers).map(one).collect()
}

/// What was spent, as far as it is known.
fn cost(sum: &Sum) -> String {
    match sum.unpriced {
        0 => show::nano_usd(sum.cost),
        _ if sum.cost == 0 => "no price".into(),
        unpriced => format!("{}, {} without a price", show::nano_usd(sum.cost), show::count(unpriced)),
    }
}

/// Shares of what was spent, and those of all others; `none` is what a name is shown as that there is none of.
fn shares(sums: &[(String, Sum)], others: Option<Others>, none: &str) -> (Vec<Share>, Option<Share>) {
    let others = others.map(|others| (format!("{} others together", others.count), others.sum));
    let most = sums.iter().chain(&others).map(|(_, sum)| sum.cost).max().unwrap_or(0).max(1);
    let share = |(name, sum): &(String, Sum)| {
        let (used, max) = (u64::try_from(sum.cost).unwrap_or(0), u64::try_from(most).unwrap_or(1));
        let name = if name == show::NONE { none } else { name };
        Share {
            name: name.to_owned(),
            cost: cost(sum),
            requests: show::count(sum.requests),
            meter: chart::share(&format!("{name}: {}", cost(sum)), used, max),
        }
    };
    (sums.iter().map(share).collect(), others.as_ref().map(share))
}

/// A source as the ledger is asked for it.
pub(in crate::ui) fn logged(source: &str) -> &str {
    if source == show::NONE { UNKNOWN_SOURCE } else { source }
}

/// All doors together, and each by which something came; the one that is looked at in any case.
fn doors(portions: &[Portion], here: &str, period: &str) -> Vec<Door> {
    let mut counts = BTreeMap::<&str, u64>::new();
    if !here.is_empty() {
        counts.insert(here, 0);
    }
    for (name, sum) in portions.iter().flat_map(|portion| &portion.sources) {
        *counts.entry(name).or_default() += sum.requests;
    }
    let door = |name: &str, title: &str, count: String| Door {
        name: title.to_owned(),
        count,
        to: link("overview", &[("period", period), ("source", name)]),
        is_here: name == here,
    };
    let each = |(name, count): (&str, u64)| door(name, logged(name), show::count(count));
    match counts.len() {
        0 => Vec::new(),
        _ => [door("", "all sources", String::new())].into_iter().chain(counts.into_iter().map(each)).collect(),
    }
}

fn failure(entry: &LogEntry, now: DateTime<Utc>) -> Failure {
    let direct =
        entry.mcp_target.iter().zip(&entry.tool_called).map(|(server, tool)| format!("{server}.{tool}")).next();
    Failure {
        to: link("ask", &[("id", &entry.request_id.to_string())]),
        when: show::ago(entry.created_at, now),
        who: entry.user_email.clone().unwrap_or_else(|| show::NONE.into()),
        what: direct.or_else(|| entry.message_preview.clone()).unwrap_or_default(),
        why: entry.error_message.clone().unwrap_or_else(|| entry.status.replace('_', " ")),
    }
}
