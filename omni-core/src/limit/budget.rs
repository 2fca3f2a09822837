//! What may be spent on models, and the charges of one model turn.

use super::{Charge, Limit, LimitKey, Period, Refusal};
use crate::{cost::NanoUsd, policy::Grant};

/// Who draws on a budget together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BudgetScope {
    /// Each person alone.
    User,
    /// All people of a role.
    Role,
    /// Everybody of the tenant.
    Tenant,
}

/// How much may be spent, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Spend {
    /// Money.
    Usd(NanoUsd),
    /// Input and output tokens together.
    Tokens(u64),
}

impl Spend {
    /// Whether it is money.
    #[must_use]
    pub fn is_money(self) -> bool {
        matches!(self, Self::Usd(_))
    }
}

/// What may be spent in a calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Who draws on it together.
    pub scope: BudgetScope,
    /// The period, in UTC.
    pub period: Period,
    /// Most in a period.
    pub max: Spend,
}

/// What a model turn takes from budgets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TurnSpend {
    pub(crate) usd: NanoUsd,
    pub(crate) tokens: u64,
}

impl Budget {
    /// The count that a person's asks draw on.
    pub(crate) fn key(&self, grant: &Grant) -> LimitKey {
        let who = match self.scope {
            BudgetScope::User => format!("user:{}", grant.principal.subject),
            BudgetScope::Role => format!("role:{}", grant.role.name),
            BudgetScope::Tenant => "tenant".into(),
        };
        let what = match self.max {
            Spend::Usd(_) => "usd",
            Spend::Tokens(_) => "tokens",
        };
        LimitKey::new(grant.principal.tenant.as_str(), format!("budget:{what}:{who}"))
    }

    /// Which count of a person it draws on; equal for budgets that differ only in `max`.
    pub(crate) fn count(&self) -> (BudgetScope, Period, bool) {
        (self.scope, self.period, self.max.is_money())
    }

    /// Whether it is this budget that a limiter refuses.
    pub(crate) fn is_meant_by(&self, refusal: &Refusal, grant: &Grant) -> bool {
        refusal.limit.count() == self.limit().count() && refusal.key == self.key(grant)
    }

    fn limit(&self) -> Limit {
        let max = match self.max {
            Spend::Usd(usd) => usd.0,
            Spend::Tokens(tokens) => tokens,
        };
        Limit::Budget { max, period: self.period }
    }

    /// How much of a turn's spending counts here.
    pub(crate) fn amount(&self, spend: TurnSpend) -> u64 {
        match self.max {
            Spend::Usd(_) => spend.usd.0,
            Spend::Tokens(_) => spend.tokens,
        }
    }

    /// The charge of a turn.
    pub(crate) fn charge(&self, grant: &Grant, spend: TurnSpend) -> Charge {
        Charge { key: self.key(grant), limit: self.limit(), amount: self.amount(spend) }
    }
}
