//! How much people may do, and how much of it is taken.

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use omni_core::{
    limit::{self, BudgetScope},
    omni::{LimitStanding, Profile},
};
use serde::Serialize;

use crate::ui::{
    answer::Frame,
    chart::{self, Svg},
    fields::link,
    show,
};

/// A person, and how their limits stand or why they have none.
#[derive(Debug)]
pub(in crate::ui) struct Counted {
    pub(in crate::ui) person: Profile,
    pub(in crate::ui) standings: Result<Vec<LimitStanding>, String>,
}

#[derive(Debug, Template, Serialize)]
#[template(path = "limits.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    people: Vec<Row>,
    /// After whom the next page begins.
    next: Option<String>,
    #[serde(skip)]
    more: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    email: String,
    role: Option<String>,
    limits: Vec<Limit>,
    /// Why they have none.
    refused: Option<String>,
    #[serde(skip)]
    to: String,
}

/// One limit, and how it stands.
#[derive(Debug, Serialize)]
pub(super) struct Limit {
    pub(super) name: String,
    pub(super) used: u64,
    pub(super) max: u64,
    #[serde(skip)]
    pub(super) told: String,
    #[serde(skip)]
    pub(super) resets: String,
    #[serde(skip)]
    pub(super) meter: Svg,
}

pub(in crate::ui) fn of(frame: Frame, counted: &[Counted], next: Option<String>, now: DateTime<Utc>) -> View {
    let row = |counted: &Counted| Row {
        email: counted.person.email.clone(),
        role: counted.person.role.clone(),
        limits: counted.standings.iter().flatten().map(|standing| Limit::of(standing, now)).collect(),
        refused: counted.standings.as_ref().err().cloned(),
        to: link("user", &[("email", &counted.person.email)]),
    };
    let more = next.as_ref().map(|next| link("limits", &[("after", next)]));
    View { frame, people: counted.iter().map(row).collect(), next, more }
}

impl Limit {
    pub(super) fn of(standing: &LimitStanding, now: DateTime<Utc>) -> Self {
        let (used, max, name) = (standing.state.used, standing.state.max, name(standing));
        let amount = |number: u64| match standing.is_money {
            true => show::nano_usd(i64::try_from(number).unwrap_or(i64::MAX)),
            false => show::count(number),
        };
        let told = format!("{} of {}", amount(used), amount(max));
        let after = TimeDelta::from_std(standing.state.reset_after).unwrap_or_default();
        let resets = if used == 0 { "free".into() } else { format!("freed {}", show::ago(now + after, now)) };
        Self { meter: chart::meter(&format!("{name}: {told}"), used, max), name, used, max, told, resets }
    }
}

fn name(standing: &LimitStanding) -> String {
    let whose = match standing.scope {
        None | Some(BudgetScope::User) => "",
        Some(BudgetScope::Role) => ", the whole role",
        Some(BudgetScope::Tenant) => ", everybody",
    };
    match standing.limit {
        limit::Limit::Window { per, .. } => match per.as_secs() {
            3_600 => "Asks in an hour".into(),
            60 => "Asks in a minute".into(),
            1 => "Asks in a second".into(),
            seconds => format!("Asks in {seconds} s"),
        },
        limit::Limit::Concurrent { .. } => "Asks at the same time".into(),
        limit::Limit::Budget { period, .. } => {
            let what = if standing.is_money { "Dollars" } else { "Tokens" };
            format!("{what} in a {}{whose}", period.as_str())
        }
    }
}
