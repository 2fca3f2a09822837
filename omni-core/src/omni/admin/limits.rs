//! How much somebody may do, and how much of it they did.

use std::time::Duration;

use tokio::time::timeout;

use super::{super::profile::stand, Admin};
use crate::{
    error::Error,
    limit::{self, BudgetScope, Charge, Limit, LimitError, Reserve, Settle, Spend, TurnSpend, charges_for},
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
        let asks = asks.map(|charge| (Charge { amount: 0, ..charge }, None, false));
        let budgets = grant.quota.budgets.iter().map(|budget| {
            let is_money = matches!(budget.max, Spend::Usd(_));
            (budget.charge(&grant, TurnSpend::default()), Some(budget.scope), is_money)
        });
        let limits: Vec<_> = asks.chain(budgets).collect();
        let mut standings = Vec::with_capacity(limits.len());
        for (charge, scope, is_money) in limits {
            let (limit, state) = (charge.limit, self.counted(charge).await?);
            standings.push(LimitStanding { limit, scope, is_money, state });
        }
        Ok(standings)
    }

    /// How one count stands; also one of which more is taken by now than may be.
    async fn counted(&self, charge: Charge) -> Result<limit::Standing, Error> {
        let late = || LimitError::Unavailable { message: "it did not answer in time".into() };
        let (key, max) = (charge.key.clone(), charge.limit.max());
        let reserve = Reserve::new(vec![charge]);
        match timeout(STEP_TIMEOUT, self.parts.counts.reserve(&reserve)).await.map_err(|_| late())? {
            Ok(counted) => {
                // It took nothing, and what is held for it goes.
                timeout(STEP_TIMEOUT, self.parts.counts.settle(&Settle::undo(counted.id)))
                    .await
                    .map_err(|_| late())??;
                let none = || limit::Standing { key, used: 0, max, reset_after: Duration::ZERO };
                Ok(counted.standings.into_iter().next().unwrap_or_else(none))
            }
            Err(LimitError::Refused(refusal)) => {
                Ok(limit::Standing { key, used: refusal.used, max, reset_after: refusal.retry_after })
            }
            Err(error) => Err(error.into()),
        }
    }
}
