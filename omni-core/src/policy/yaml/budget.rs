//! What a person may spend.

use std::collections::BTreeMap;

use crate::{
    config::spec::{BudgetPer, BudgetSpec, PeriodSpec, PersonBudgetSpec, SpendSpec},
    cost::NanoUsd,
    limit::{Budget, BudgetScope, Period, Spend},
    policy::Role,
};

/// How near a setting is to the person; the nearest one holds, and of equally near ones the tightest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Person,
    Role,
    SettingsOfRole,
    Settings,
}

/// Who draws on it together, of what, and when: one budget each.
type Slot = (BudgetScope, Period, bool);

/// Every budget that a person's asks draw on.
pub(super) fn budgets(
    general: &[BudgetSpec],
    role: &Role,
    own: &PersonBudgetSpec,
    of_role: Option<&PersonBudgetSpec>,
) -> Vec<Budget> {
    let mut nearest: BTreeMap<Slot, (Nearness, Spend)> = BTreeMap::new();
    let mut offer = |nearness: Nearness, scope: BudgetScope, period: Period, spend: SpendSpec| {
        for max in spends(spend) {
            let slot = (scope, period, matches!(max, Spend::Usd(_)));
            let offered = (nearness, max);
            nearest.entry(slot).and_modify(|known| *known = offered.min(*known)).or_insert(offered);
        }
    };
    for (nearness, spec) in [(Nearness::Person, Some(own)), (Nearness::Role, of_role)] {
        let Some(spec) = spec else { continue };
        offer(nearness, BudgetScope::User, Period::Day, spec.day);
        offer(nearness, BudgetScope::User, Period::Month, spec.month);
    }
    for spec in general.iter().filter(|spec| spec.role.as_deref().is_none_or(|name| name == &*role.name)) {
        let nearness = if spec.role.is_some() { Nearness::SettingsOfRole } else { Nearness::Settings };
        offer(nearness, scope(spec.per), period(spec.period), SpendSpec { usd: spec.usd, tokens: spec.tokens });
    }
    nearest.into_iter().map(|((scope, period, _), (_, max))| Budget { scope, period, max }).collect()
}

fn spends(spend: SpendSpec) -> impl Iterator<Item = Spend> {
    let usd = spend.usd.map(|usd| Spend::Usd(NanoUsd::from_usd(usd)));
    usd.into_iter().chain(spend.tokens.map(Spend::Tokens))
}

fn scope(per: BudgetPer) -> BudgetScope {
    match per {
        BudgetPer::User => BudgetScope::User,
        BudgetPer::Role => BudgetScope::Role,
        BudgetPer::Tenant => BudgetScope::Tenant,
    }
}

fn period(period: PeriodSpec) -> Period {
    match period {
        PeriodSpec::Day => Period::Day,
        PeriodSpec::Month => Period::Month,
    }
}
