//! The budgets of a model turn: reserved before it for all that it may take, settled by what it took.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, debug_span};

use super::{
    drive::{AskContext, Progress},
    turn,
};
use crate::{
    cost::NanoUsd,
    error::Error,
    limit::{
        Budget, BudgetScope, LimitError, LimitKey, Refusal, ReservationId, Reserve, Settle, Spend, TurnSpend, time,
    },
    llm::{ChatRequest, ModelInfo},
    parts::{Parts, STEP_TIMEOUT},
    policy::Grant,
};

/// How often a turn is made smaller until it fits: others spend at the same time.
const TRIES: u32 = 16;
/// How much longer than its ask a reservation can be settled.
const SLACK: Duration = Duration::from_secs(60);

/// Whose budgets a turn takes from, what is charged for it, and until when it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payer<'a> {
    pub(crate) grant: &'a Grant,
    pub(crate) model: &'a ModelInfo,
    pub(crate) deadline: Instant,
}

/// What is put aside for a turn.
#[derive(Debug)]
pub(crate) struct Reserved {
    id: ReservationId,
    /// Until when it can be settled.
    until: Instant,
    budgets: Vec<(Budget, LimitKey)>,
    /// What the turn may take.
    pub(super) most: TurnSpend,
    /// What the turn took; nothing while it has not begun.
    pub(super) spent: TurnSpend,
}

impl Reserved {
    fn settlement(&self) -> Settle {
        let mut settle = Settle::new(self.id.clone());
        let actual = |(budget, key): &(Budget, LimitKey)| (key.clone(), budget.amount(self.spent));
        settle.actuals = self.budgets.iter().map(actual).collect();
        settle
    }
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
    let mut tries = 0;
    loop {
        let Some(refusal) = put_aside(parts, cx.payer(), request, progress).await? else { return Ok(Ok(())) };
        let Some(budget) = budgets.iter().find(|budget| budget.is_meant_by(&refusal, cx.grant)) else {
            return Err(LimitError::Refused(Box::new(refusal)).into());
        };
        let exhausted = exhausted(*budget, refusal, cx.grant);
        tries += 1;
        match turn::output_within(request, cx.model, left(*budget, &exhausted.refusal)) {
            Some(output) if tries < TRIES => request.max_tokens = request.max_tokens.min(output),
            Some(_) | None => return Ok(Err(exhausted)),
        }
    }
}

/// Puts aside what the request as it is may take; what the limiter refuses comes back.
pub(super) async fn put_aside(
    parts: &Parts,
    Payer { grant, model, deadline }: Payer<'_>,
    request: &ChatRequest,
    progress: &mut Progress,
) -> Result<Option<Refusal>, Error> {
    let budgets = &grant.quota.budgets;
    let most = turn::most(request, model);
    let charges = budgets.iter().map(|budget| budget.charge(grant, most)).collect();
    let reserve = Reserve::new(charges).with_ttl(deadline.saturating_duration_since(Instant::now()) + SLACK);
    let budgets = budgets.iter().map(|budget| (*budget, budget.key(grant))).collect();
    let reserved =
        Reserved { id: reserve.id.clone(), until: deadline + SLACK, budgets, most, spent: TurnSpend::default() };
    let unspent = reserved.settlement();
    // From here on it is settled, also when this is given up in the middle of it.
    progress.reserved = Some(reserved);
    let reserved = parts.limiter.reserve(&reserve).instrument(debug_span!("omni.limit"));
    match timeout(STEP_TIMEOUT, reserved).await {
        Ok(Ok(_)) => Ok(None),
        Ok(Err(LimitError::Refused(refusal))) => {
            progress.reserved = None;
            Ok(Some(*refusal))
        }
        Ok(Err(away @ LimitError::Unavailable { .. })) => {
            parts.give_back(&unspent).await;
            progress.reserved = None;
            Err(away.into())
        }
        Err(_) => Err(LimitError::Unavailable { message: "no answer in time".into() }.into()),
    }
}

fn left(budget: Budget, refusal: &Refusal) -> Spend {
    let left = refusal.remaining();
    match budget.max {
        Spend::Usd(_) => Spend::Usd(NanoUsd(left)),
        Spend::Tokens(_) => Spend::Tokens(left),
    }
}

fn exhausted(budget: Budget, refusal: Refusal, grant: &Grant) -> Exhausted {
    let whose = match budget.scope {
        BudgetScope::User => "Your budget".to_owned(),
        BudgetScope::Role => format!("The budget of the role {}", grant.role.name),
        BudgetScope::Tenant => "Everybody's budget".to_owned(),
    };
    let left = refusal.remaining();
    let (used, still, max) = match budget.max {
        Spend::Usd(max) => (money(NanoUsd(refusal.used), max), money(NanoUsd(left), NanoUsd(left)), money(max, max)),
        Spend::Tokens(max) => (refusal.used.to_string(), left.to_string(), format!("{max} tokens")),
    };
    let (period, renewed) = (budget.period.as_str(), time(refusal.retry_after));
    let whose = format!("{whose} for this {period}");
    let text = match (refusal.used, left) {
        (0, _) => format!("{whose} is {max}, which is less than one turn of the model may take."),
        (_, 0) => {
            format!("{whose} is used up: {used} of {max} are spent or set aside. It is renewed in {renewed}.")
        }
        (_, _) => format!(
            "{whose} has {still} left of {max}, which is less than one turn of the model may take: {used} are spent or set \
             aside. It is renewed in {renewed}."
        ),
    };
    Exhausted { refusal: refusal.with_text(text), is_money: budget.max.is_money() }
}

/// An amount in as many digits as a sum of `max` needs.
fn money(amount: NanoUsd, max: NanoUsd) -> String {
    if max < NanoUsd::from_usd(1.0) { amount.to_string() } else { format!("${:.2}", amount.as_usd()) }
}

/// Settles what was put aside by what the turn took. A limiter that is away is asked again later, and
/// keeps all of it taken until then: nothing is overspent by that.
pub(crate) async fn settle(parts: &Parts, progress: &mut Progress) {
    let Some(reserved) = &progress.reserved else { return };
    parts.settle(&reserved.settlement(), reserved.until).instrument(debug_span!("omni.settle")).await;
    progress.reserved = None;
}
