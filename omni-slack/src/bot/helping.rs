//! What somebody may use here, and how it is doing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use omni_core::{
    audit::{AuditAccess, AuditQuery, AuditStats, MAX_PAGE},
    catalog::{ServerView, ToolDef},
    identity::Scope,
    ledger::Outcome,
    limit::{BudgetScope, Limit, Period, Spend},
    omni::{LimitStanding, OfferedServer},
    policy::{self, Grant},
};

use super::Bot;
use crate::{
    api::Body,
    people::Person,
    view::{
        self,
        help::{Dot, Menu, Server, Target, Tool},
        ids,
        status::{Counts, Operation, Quota, Shared, Standing, Status},
        time,
    },
};

/// The stretches of time in which asks are counted.
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

/// What somebody looks at in the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    server: String,
    page: usize,
}

impl Open {
    /// What a click in the menu opens; `None`: nothing. The outer one: it is no click in the menu.
    pub(super) fn clicked(id: &str, value: &str) -> Option<Option<Self>> {
        if let Some(server) = ids::explored(id) {
            return Some(Some(Self { server: server.to_owned(), page: 0 }));
        }
        match id {
            ids::HELP_SELECT => Some(Some(Self { server: value.to_owned(), page: 0 })),
            ids::HELP_BACK => Some(None),
            id if id.starts_with(ids::HELP_PAGE) => match Target::read(value)? {
                Target::Page { server, page } => Some(Some(Self { server, page })),
                Target::Tool { .. } => None,
            },
            _ => None,
        }
    }
}

impl Bot {
    /// The menu of the servers that somebody may use something of, perhaps with the tools of one under it.
    pub(super) async fn menu(&self, person: &Person, grant: &Grant, open: Option<Open>) -> Body {
        let mut menu = Menu { role: Some(grant.role.name.to_string()), ..Menu::default() };
        if let Some(open) = open {
            // Whoever looks at a server has it asked, if nobody did before.
            match self.omni().server(person.credential(), &open.server).await {
                Ok(server) => menu.tools = server.view.tools.iter().map(|def| tool(def, grant)).collect(),
                Err(error) => menu.problem = Some(view::error::text(&error, None)),
            }
            (menu.open, menu.page) = (Some(open.server), open.page);
        }
        match self.omni().known_servers(person.credential()).await {
            Ok(offered) => menu.servers = servers(&offered),
            Err(error) => return Body::of(&view::error::text(&error, None)),
        }
        view::help::menu(&menu)
    }

    /// How somebody and the servers stand.
    pub(super) async fn status(&self, person: &Person, grant: &Grant) -> Body {
        let offered = match self.omni().known_servers(person.credential()).await {
            Ok(offered) => offered,
            Err(error) => return Body::of(&view::error::text(&error, None)),
        };
        view::status::message(&Status {
            standing: self.standing(person, grant).await,
            servers: servers(&offered),
            operation: if grant.role.is_admin { Some(self.inside(person).await) } else { None },
        })
    }

    /// How somebody stands: what they may ask, and what they did by the ledger.
    pub(super) async fn standing(&self, person: &Person, grant: &Grant) -> Standing {
        let (quotas, day) = tokio::join!(self.quotas(person, grant), self.asked_since(person, self.midnight()));
        Standing {
            name: person.name.clone(),
            role: Some(grant.role.name.to_string()),
            quotas,
            cost_today_usd: day.as_ref().map(|stats| stats.total_cost),
            asked_today: day.as_ref().map(taken),
        }
    }

    /// When today began.
    fn midnight(&self) -> DateTime<Utc> {
        Period::Day.began(self.0.clock.now())
    }

    /// What somebody did since then; `None` where the ledger cannot be read.
    async fn asked_since(&self, person: &Person, since: DateTime<Utc>) -> Option<AuditStats> {
        let log = self.omni().audit(person.credential()).await.ok()?;
        let mut query = AuditQuery::default();
        (query.user, query.since) = (Some(person.principal.subject.clone()), Some(since));
        log.stats(&query).await.ok()
    }

    /// What is left of what somebody may ask and spend, as the limiter counts it.
    async fn quotas(&self, person: &Person, grant: &Grant) -> Vec<Quota> {
        match self.omni().standings(person.credential()).await {
            Ok(standings) => standings.iter().filter_map(quota).collect(),
            Err(error) => {
                tracing::warn!(%error, "it is not known how much somebody may still ask");
                uncounted(&grant.quota)
            }
        }
    }

    /// The servers that somebody may use something of.
    pub(super) async fn servers_of(&self, person: &Person) -> Vec<Server> {
        servers(&self.omni().known_servers(person.credential()).await.unwrap_or_default())
    }

    /// What administrators see beside it.
    async fn inside(&self, person: &Person) -> Operation {
        let answered = self.answered_since(person, self.midnight()).await;
        // Nobody asks it anything for this: whether it answers is what it did when it was asked last.
        let answers = *self.0.model.borrow();
        let provider = self.omni().models().ok().and_then(|models| Some((models.first()?.id.clone(), answers)));
        let ledger = self.omni().ledger();
        Operation {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_s: self.0.began.elapsed().as_secs(),
            sockets: self.0.sockets.get().map(|sockets| sockets.connections()),
            running: Some(self.0.running.count()),
            ledger: Some((ledger.backlog(), ledger.sink_fault().is_none())),
            p95_ms: answered.as_ref().and_then(|(p95_ms, _)| *p95_ms),
            failed: answered.map(|(_, failed)| failed),
            provider,
        }
    }

    /// How long the newest answers to everybody took since then at most, but for the slowest twentieth; and how many of
    /// all asks failed. `None` where somebody may not see those of others, or the ledger cannot be read.
    async fn answered_since(&self, person: &Person, since: DateTime<Utc>) -> Option<(Option<u64>, (u64, u64))> {
        // The role decides: whoever talks to the bot has no key that could be for less.
        let scopes = person.principal.scopes.iter().chain([Scope::Audit]).collect();
        let reader = person.principal.clone().with_scopes(scopes);
        let log = self.omni().audit(reader).await.ok().filter(AuditAccess::sees_all)?;
        let mut query = AuditQuery::default();
        (query.since, query.request_type, query.limit) = (Some(since), Some("chat".into()), Some(MAX_PAGE));
        query.brief = true;
        let (page, stats) = tokio::try_join!(log.logs(&query), log.stats(&query)).ok()?;
        let count = |outcome: Outcome| stats.by_status.get(outcome.as_str()).copied().unwrap_or(0);
        let failed = [Outcome::Error, Outcome::Timeout, Outcome::UnknownOutcome].map(count).iter().sum();
        let took = page.entries.iter().filter(|entry| !entry.was_blocked).map(|entry| entry.duration_ms);
        Some((p95(took.collect()), (failed, taken(&stats))))
    }
}

/// How many questions were taken: what is refused draws on no limit either.
fn taken(stats: &AuditStats) -> u64 {
    let refused = stats.by_status.get(Outcome::Denied.as_str()).copied().unwrap_or(0);
    stats.total_requests.saturating_sub(refused)
}

/// What 95 of 100 do not exceed.
fn p95(mut all: Vec<u64>) -> Option<u64> {
    all.sort_unstable();
    let rank = (all.len() * 95).div_ceil(100);
    all.get(rank.checked_sub(1)?).copied()
}

/// A limit as it is shown; of how many run at once and in a second nobody need know.
fn quota(standing: &LimitStanding) -> Option<Quota> {
    let counts = match standing.limit {
        Limit::Window { per, .. } if per == HOUR => Counts::AsksAnHour,
        Limit::Window { per, .. } if per == MINUTE => Counts::AsksAMinute,
        Limit::Budget { period, .. } if standing.is_money => Counts::Dollars(period),
        Limit::Budget { period, .. } => Counts::Tokens(period),
        Limit::Window { .. } | Limit::Concurrent { .. } => return None,
    };
    let state = &standing.state;
    let resets_in = (state.used > 0).then_some(time::seconds(state.reset_after));
    let shared = standing.scope.and_then(shared);
    Some(Quota { counts, shared, used: Some(state.used), limit: state.max, resets_in })
}

/// Who draws on a budget beside oneself.
fn shared(scope: BudgetScope) -> Option<Shared> {
    match scope {
        BudgetScope::User => None,
        BudgetScope::Role => Some(Shared::Role),
        BudgetScope::Tenant => Some(Shared::All),
    }
}

/// The same limits where nobody knows how much of them is taken.
fn uncounted(quota: &policy::Quota) -> Vec<Quota> {
    let unknown = |counts, shared, limit| Quota { counts, shared, used: None, limit, resets_in: None };
    let asks = [(Counts::AsksAnHour, quota.per_hour), (Counts::AsksAMinute, quota.per_minute)];
    let asks = asks.into_iter().filter_map(|(counts, limit)| Some(unknown(counts, None, limit?)));
    let budgets = quota.budgets.iter().map(|budget| match budget.max {
        Spend::Usd(max) => unknown(Counts::Dollars(budget.period), shared(budget.scope), max.0),
        Spend::Tokens(max) => unknown(Counts::Tokens(budget.period), shared(budget.scope), max),
    });
    asks.chain(budgets).collect()
}

fn servers(offered: &[OfferedServer]) -> Vec<Server> {
    offered.iter().map(|offered| server(&offered.view)).collect()
}

fn server(view: &ServerView) -> Server {
    Server {
        name: view.name.to_string(),
        display_name: view.display_name.clone(),
        description: Some(view.description.clone()).filter(|text| !text.trim().is_empty()),
        dot: Dot::from(&view.health),
        tools: view.tools.len(),
    }
}

fn tool(def: &ToolDef, grant: &Grant) -> Tool {
    Tool {
        name: def.name.to_string(),
        description: Some(def.description.clone()).filter(|text| !text.trim().is_empty()),
        is_read_only: def.annotations.read_only_hint == Some(true),
        is_destructive: def.annotations.destructive_hint == Some(true),
        needs_approval: grant.decide_tool(def.rule_ref(), None).confirm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_twenty_the_slowest_is_left_out() {
        assert_eq!(p95((1..=20).collect()), Some(19));
        assert_eq!((p95(vec![7]), p95(Vec::new())), (Some(7), None));
    }
}
