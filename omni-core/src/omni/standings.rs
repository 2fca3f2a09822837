//! How much somebody may do, and how much of it they did: one's own to everybody, others' to administrators.

use tokio::time::timeout;

use super::{Admin, Omni, profile::stand, steps};
use crate::{
    error::Error,
    identity::Credential,
    limit::{self, BudgetScope, Charge, Limit, LimitError, Spend, TurnSpend, charges_for},
    parts::{Parts, STEP_TIMEOUT},
    policy::{Grant, Permission},
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

impl Omni {
    /// Every limit of one's own, and how much of it is taken at the moment, as the limiter counts it. Nothing is charged.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no, or the counts cannot be read.
    pub async fn standings(&self, who: impl Into<Credential>) -> Result<Vec<LimitStanding>, Error> {
        let parts = self.parts();
        let principal = steps::identity(&parts, &who.into()).await?;
        let grant = steps::policy(&parts, &principal).await?;
        standings(&parts, &grant).await
    }
}

impl Admin {
    /// Every limit of somebody, and how much of it is taken at the moment. Nothing is charged.
    ///
    /// # Errors
    /// An [`Error`] when it may not be told, they may not use omni at all, or the counts cannot be read.
    pub async fn standings_of(&self, email: &str) -> Result<Vec<LimitStanding>, Error> {
        self.require(Permission::CanManageUsers)?;
        let grant = stand(self.parts(), email).await?.1?;
        standings(self.parts(), &grant).await
    }
}

async fn standings(parts: &Parts, grant: &Grant) -> Result<Vec<LimitStanding>, Error> {
    let asks = charges_for(&grant.principal, &grant.quota).into_iter();
    let asks = asks.map(|charge| (charge, None, false));
    let budgets = grant.quota.budgets.iter().map(|budget| {
        let is_money = matches!(budget.max, Spend::Usd(_));
        (budget.charge(grant, TurnSpend::default()), Some(budget.scope), is_money)
    });
    let (charges, told): (Vec<_>, Vec<_>) =
        asks.chain(budgets).map(|(charge, scope, is_money)| (charge, (scope, is_money))).unzip();
    let late = || LimitError::Unavailable { message: "it did not answer in time".into() };
    let states = timeout(STEP_TIMEOUT, parts.counts.peek(&charges)).await.map_err(|_| late())??;
    let standing = |((charge, (scope, is_money)), state): ((Charge, _), limit::Standing)| LimitStanding {
        limit: charge.limit,
        scope,
        is_money,
        state,
    };
    Ok(charges.into_iter().zip(told).zip(states).map(standing).collect())
}
