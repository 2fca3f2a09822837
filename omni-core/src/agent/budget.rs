//! The budgets of a model turn: reserved before it for all that it may take, settled by what it took.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{
    drive::{AskContext, Progress},
    turn,
};
use crate::{
    error::Error,
    limit::{
        Budget, BudgetScope, LimitError, LimitKey, Refusal, ReservationId, Reserve, Settle, Spend, TurnSpend, time,
    },
    llm::ChatRequest,
    parts::{Parts, STEP_TIMEOUT},
    policy::Grant,
};

/// How often a turn is made smaller until it fits: others spend at the same time.
const TRIES: u32 = 16;
/// How much longer than its ask a reservation can be settled.
const SLACK: Duration = Duration::from_secs(60);

/// What is put aside for a turn.
#[derive(Debug)]
pub(crate) struct Reserved {
    id: ReservationId,
    budgets: Vec<(Budget, LimitKey)>,
    /// What the turn took; nothing while it has not begun.
    pub(super) spent: TurnSpend,
}

/// Which budget leaves nothing for a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exhausted {
    pub(crate) refusal: Refusal,
    /// Whether it is one of money.
    pub(crate) is_money: bool,
}

/// Puts aside what the turn may take at most, from all budgets at once. Where one leaves less, the
/// turn's output is cut to what is left; where that is not worth the prompt, there is no turn.
pub(super) async fn reserve(
    parts: &Parts,
    cx: &AskContext<'_>,
    request: &mut ChatRequest,
    progress: &mut Progress,
) -> Result<Result<(), Exhausted>, Error> {
    let budgets = &cx.grant.quota.budgets;
    if budgets.is_empty() {
        return Ok(Ok(()));
    }
    let mut refused = None;
    for _ in 0..TRIES {
        let most = turn::most(request, cx.model);
        let charges = budgets.iter().map(|budget| budget.charge(cx.grant, most)).collect();
        let ttl = cx.deadline.saturating_duration_since(Instant::now()) + SLACK;
        let reserve = Reserve::new(charges).with_ttl(ttl);
        // Also when this is given up in the middle of it, or the limiter takes it and cannot say so.
        progress.reserved = Some(Reserved {
            id: reserve.id.clone(),
            budgets: budgets.iter().map(|budget| (*budget, budget.key(cx.grant))).collect(),
            spent: TurnSpend::default(),
        });
        let answered = timeout(STEP_TIMEOUT, parts.limiter.reserve(&reserve)).await;
        let refusal = match answered {
            Ok(Ok(_)) => return Ok(Ok(())),
            Ok(Err(LimitError::Refused(refusal))) => *refusal,
            Ok(Err(error @ LimitError::Unavailable { .. })) => return Err(error.into()),
            Err(_) => return Err(LimitError::Unavailable { message: "no answer in time".into() }.into()),
        };
        progress.reserved = None;
        let Some(budget) = budgets.iter().find(|budget| budget.is_meant_by(&refusal, cx.grant)) else {
            return Err(LimitError::Refused(Box::new(refusal)).into());
        };
        let exhausted = exhausted(*budget, refusal, cx.grant);
        let Some(output) = turn::output_within(request, cx.model, left(*budget, &exhausted.refusal)) else {
            return Ok(Err(exhausted));
        };
        request.max_tokens = request.max_tokens.min(output);
        refused = Some(exhausted);
    }
    let busy = || Error::Internal { message: "a budget that nobody refused".into() };
    refused.map(Err).ok_or_else(busy)
}

fn left(budget: Budget, refusal: &Refusal) -> Spend {
    let left = refusal.remaining();
    match budget.max {
        Spend::Usd(_) => Spend::Usd(crate::cost::NanoUsd(left)),
        Spend::Tokens(_) => Spend::Tokens(left),
    }
}

fn exhausted(budget: Budget, refusal: Refusal, grant: &Grant) -> Exhausted {
    let whose = match budget.scope {
        BudgetScope::User => "Your budget".to_owned(),
        BudgetScope::Role => format!("The budget of the role {}", grant.role.name),
        BudgetScope::Tenant => "Everybody's budget".to_owned(),
    };
    let (used, max) = match budget.max {
        Spend::Usd(max) => {
            (format!("${:.2}", crate::cost::NanoUsd(refusal.used).as_usd()), format!("${:.2}", max.as_usd()))
        }
        Spend::Tokens(max) => (refusal.used.to_string(), format!("{max} tokens")),
    };
    let text = format!(
        "{whose} for this {} is used up: {used} of {max} are spent or set aside. It is renewed in {}.",
        budget.period.as_str(),
        time(refusal.retry_after)
    );
    Exhausted { refusal: refusal.with_text(text), is_money: budget.max.is_money() }
}

/// Settles what was put aside by what the turn took. A limiter that is away keeps all of it taken:
/// nothing is overspent by that.
pub(crate) async fn settle(parts: &Parts, progress: &mut Progress) {
    let Some(reserved) = &progress.reserved else { return };
    let mut settle = Settle::new(reserved.id.clone());
    let actual = |(budget, key): &(Budget, LimitKey)| (key.clone(), budget.amount(reserved.spent));
    settle.actuals = reserved.budgets.iter().map(actual).collect();
    parts.settle(&settle).await;
    progress.reserved = None;
}
