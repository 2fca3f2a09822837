//! How much somebody may do, and how much of it they did.

use tokio::time::timeout;

use super::{super::profile::stand, Admin};
use crate::{
    error::Error,
    limit::{self, BudgetScope, Charge, Limit, LimitError, Spend, TurnSpend, charges_for},
    parts::STEP_TIMEOUT,
    policy::Permission,
};

/// One limit of somebody, and how it stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LimitStanding {
    /// How much is allowed.
    pub limit: Limit,
    /// Of a budget: who draws on it together.
    pub scope: Option<BudgetScope>,
    /// Whether it counts nano-dollars.
    pub is_money: bool,
    /// How it stands.
    pub state: limit::Standing,
}

impl Admin {
    /// Every limit of somebody, and how much of it is taken at the moment. Nothing is charged.
    ///
    /// # Errors
    /// An [`Error`] when it may not be told, they may not use omni at all, or the counts cannot be read.
    pub async fn standings_of(&self, email: &str) -> Result<Vec<LimitStanding>, Error> {
        self.require(Permission::CanManageUsers)?;
        let grant = stand(&self.parts, email).await?.1?;
        let asks = charges_for(&grant.principal, &grant.quota).into_iter();
        let asks = asks.map(|charge| (charge, None, false));
        let budgets = grant.quota.budgets.iter().map(|budget| {
            let is_money = matches!(budget.max, Spend::Usd(_));
            (budget.charge(&grant, TurnSpend::default()), Some(budget.scope), is_money)
        });
        let (charges, told): (Vec<_>, Vec<_>) =
            asks.chain(budgets).map(|(charge, scope, is_money)| (charge, (scope, is_money))).unzip();
        let late = || LimitError::Unavailable { message: "it did not answer in time".into() };
        let states = timeout(STEP_TIMEOUT, self.parts.counts.peek(&charges)).await.map_err(|_| late())??;
        let standing = |((charge, (scope, is_money)), state): ((Charge, _), limit::Standing)| LimitStanding {
            limit: charge.limit,
            scope,
            is_money,
            state,
        };
        Ok(charges.into_iter().zip(told).zip(states).map(standing).collect())
    }
}
