//! Performs what [`Run`] decides: model turns, tool calls, events, records.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    budget::{self, Exhausted, Payer, Reserved},
    dispatch,
    plan::{Disposition, Judge, PlannedCall},
    run::{Finish, Run, Step},
    turn, uncalled,
};
use crate::{
    answer::{Answer, AnswerEvent, EventSender, millis},
    audit::AuditError,
    call::{Agreed, Humans, Sent},
    catalog::{Catalog, ToolSet},
    config::Ack,
    cost::NanoUsd,
    elicit::Elicit,
    error::Error,
    identity::CallerToken,
    ledger::{Ledger, Party, Record, TurnRecord},
    limit::{LimitError, TurnSpend},
    llm::{LlmError, Message, ModelInfo, ModelTurn, ToolChoice, Usage},
    metrics,
    parts::Parts,
    policy::Grant,
    results::Kept,
    thread::ThreadKey,
};

/// What one ask was resolved to; it does not change while the ask runs.
#[derive(Debug)]
pub(crate) struct AskContext<'a> {
    pub(crate) request_id: Uuid,
    pub(crate) party: &'a Party,
    pub(crate) grant: &'a Arc<Grant>,
    /// The token with which the asker came, for servers that are used with it.
    pub(crate) token: Option<Arc<CallerToken>>,
    pub(crate) catalog: &'a Catalog,
    pub(crate) tools: Arc<ToolSet>,
    pub(crate) model: &'a ModelInfo,
    /// The conversation, where it is asked in one.
    pub(crate) thread: Option<&'a ThreadKey>,
    pub(crate) system: Arc<str>,
    pub(crate) deadline: Instant,
    pub(crate) max_cost: Option<NanoUsd>,
    pub(crate) humans: Humans,
    /// Whom servers may ask something.
    pub(crate) elicit: Arc<dyn Elicit>,
    /// The calls that somebody agreed to before this began, by the model's ids of them.
    pub(crate) agreed: BTreeMap<String, Agreed>,
}

impl AskContext<'_> {
    /// What its turns are paid from.
    pub(super) fn payer(&self) -> Payer<'_> {
        Payer { grant: self.grant, model: self.model, deadline: self.deadline }
    }
}

/// A call that is under way and has not come back.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    pub(crate) call: PlannedCall,
    pub(crate) since: Instant,
    /// Whether it came as far as to its server.
    pub(crate) sent: Sent,
}

#[derive(Debug)]
struct OpenTurn {
    prompt: u64,
    max_tokens: u32,
    /// Whether anything of the answer came.
    has_begun: bool,
    usage: Option<Usage>,
    since: Instant,
}

impl OpenTurn {
    /// What the vendor said that the turn took. An estimate is nobody's word.
    fn told(&self) -> Option<Usage> {
        self.usage.filter(|usage| !usage.estimated)
    }

    /// The same of a turn that broke off. No prompt is of nothing: some servers say so until they have counted.
    fn told_so_far(&self) -> Option<Usage> {
        self.told().filter(|usage| usage.prompt() > 0)
    }

    /// What the turn may have taken at most, beginning with what the vendor said.
    fn bound(&self) -> Usage {
        let mut usage = self.told_so_far().unwrap_or_else(|| Usage::new(self.prompt, 0));
        usage.output = usage.output.max(self.max_tokens.into());
        usage.estimated = true;
        usage
    }
}

/// How far an ask has come. It outlives the future that drives it, so that an ask that is dropped,
/// runs out of time or panics still answers and settles with what there was.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) answer: Answer,
    pub(crate) in_flight: BTreeMap<String, InFlight>,
    /// Records on their way into the ledger, and what became of agreements on its way into its store: whoever is
    /// dropped while one is, drops none.
    records: FuturesUnordered<BoxFuture<'static, Result<(), AuditError>>>,
    /// What tools returned, on its way to where it is kept.
    pub(crate) kept: Kept,
    /// What tools returned, in short, should the ask break off before the model made an answer of it.
    results: Vec<String>,
    turn: Option<OpenTurn>,
    /// The turns that ended, for the record.
    pub(crate) turns: Vec<TurnRecord>,
    /// The model, as its turns are counted.
    known_model: Arc<str>,
    /// What is put aside for the turn; settled by [`budget::settle`].
    pub(super) reserved: Option<Reserved>,
    said_in_turn: bool,
    /// What was said in this ask, for its conversation: the question first.
    pub(crate) said: Vec<Message>,
    /// What the last turn cost.
    pub(super) turn_cost: Option<NanoUsd>,
    /// The run that was stored, or may have been.
    pub(crate) parked: Option<Uuid>,
    /// How often that was tried.
    pub(crate) parkings: u32,
}

/// Most tool results that an answer shows that was broken off, and most characters of each.
const MAX_RESULTS: usize = 10;
const MAX_RESULT_CHARS: usize = 2_000;

impl Progress {
    pub(crate) fn new(answer: Answer) -> Self {
        Self {
            answer,
            in_flight: BTreeMap::new(),
            records: FuturesUnordered::new(),
            kept: Kept::default(),
            results: Vec::new(),
            turn: None,
            turns: Vec::new(),
            known_model: metrics::UNKNOWN.into(),
            reserved: None,
            said_in_turn: false,
            said: Vec::new(),
            turn_cost: None,
            parked: None,
            parkings: 0,
        }
    }

    /// Turns from now on are those of this model.
    pub(crate) fn count_as(&mut self, model: Arc<str>) {
        self.known_model = model;
    }

    /// The model, as its turns are counted.
    pub(super) fn known_model(&self) -> &str {
        &self.known_model
    }

    /// Begins to write a record; [`Self::recorded`] brings it to its end.
    pub(crate) fn write(&self, ledger: &Ledger, record: Record) {
        let ledger = ledger.clone();
        self.records.push(Box::pin(async move { ledger.write_with(record, Ack::Local).await }));
    }

    /// Begins to take something else down that no ask fails for; [`Self::recorded`] brings it to its end too.
    pub(super) fn take_down(&self, taking: BoxFuture<'static, ()>) {
        self.records.push(Box::pin(async move {
            taking.await;
            Ok(())
        }));
    }

    /// How the next record was taken; `None` when none is on its way.
    pub(crate) async fn recorded(&mut self) -> Option<Result<(), AuditError>> {
        self.records.next().await
    }

    pub(super) fn keep_result(&mut self, name: &str, text: &str) {
        if self.results.len() < MAX_RESULTS && !text.is_empty() {
            let text: String = text.chars().take(MAX_RESULT_CHARS).collect();
            self.results.push(format!("{name}:\n{text}"));
        }
    }

    /// What tools returned so far, for the person who asked; `None` if nothing.
    pub(crate) fn results_so_far(&self) -> Option<String> {
        let results = self.results.join("\n\n");
        if results.is_empty() { None } else { Some(format!("Results so far:\n\n{results}")) }
    }

    pub(super) fn begin_turn(&mut self, prompt: u64, max_tokens: u32) {
        self.turn = Some(OpenTurn { prompt, max_tokens, has_begun: false, usage: None, since: Instant::now() });
        self.said_in_turn = false;
    }

    /// The vendor answers.
    pub(super) fn answer_begins(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.has_begun = true;
        }
    }

    /// Whether the vendor may have made the turn though nothing of it came.
    fn is_lost(&self, error: &Error) -> bool {
        let is_unanswered = self.turn.as_ref().is_some_and(|turn| !turn.has_begun);
        is_unanswered && matches!(error, Error::Llm(LlmError::Cut { .. }))
    }

    /// The turn was refused at the door: there is nothing to settle.
    pub(super) fn forget_turn(&mut self) {
        self.turn = None;
        metrics::turn_ended(&self.known_model, None);
    }

    /// What stands between this turn's text and what was said before it.
    pub(super) fn separator(&mut self) -> &'static str {
        let first = !std::mem::replace(&mut self.said_in_turn, true);
        if !first || self.answer.text.is_empty() {
            return "";
        }
        self.answer.text.push_str("\n\n");
        "\n\n"
    }

    pub(super) fn say(&mut self, text: &str) {
        self.answer.text.push_str(text);
    }

    pub(super) fn turn_usage(&mut self, usage: Usage) {
        if let Some(turn) = &mut self.turn {
            turn.usage = Some(usage);
        }
    }

    pub(super) fn end_turn(&mut self, model: &ModelInfo) -> Usage {
        let turn = self.turn.take();
        let is_told = turn.as_ref().is_some_and(|turn| turn.told().is_some());
        let took = turn.as_ref().map_or(Duration::ZERO, |turn| turn.since.elapsed());
        metrics::turn_ended(&self.known_model, Some(took));
        let usage = turn.map(|turn| turn.usage.unwrap_or_else(|| turn.bound())).unwrap_or_default();
        self.settle(usage, is_told, took, model);
        usage
    }

    /// Settles a turn that broke off at its bound: what the model thought and wrote unseen is charged too.
    pub(crate) fn abandon_turn(&mut self, model: &ModelInfo) {
        let Some(turn) = self.turn.take() else { return };
        metrics::turn_ended(&self.known_model, None);
        self.settle(turn.bound(), turn.told_so_far().is_some(), turn.since.elapsed(), model);
    }

    /// What the record says is estimated where the vendor told of no usage. Budgets settle at what was put
    /// aside then: what the vendor charges may be more than an estimate.
    fn settle(&mut self, usage: Usage, is_told: bool, took: Duration, model: &ModelInfo) {
        self.answer.iterations += 1;
        self.answer.usage += usage;
        let cost = model.price.map(|price| price.cost(&usage));
        self.turn_cost = cost;
        self.turns.push(TurnRecord::new(usage, cost, millis(took)));
        metrics::usage(&self.known_model, &usage, cost);
        self.answer.cost = self.answer.cost.zip(cost).map(|(sum, cost)| sum + cost);
        if let Some(reserved) = &mut self.reserved {
            let told = TurnSpend { usd: cost.unwrap_or_default(), tokens: usage.total() };
            reserved.spent = if is_told { told } else { reserved.most };
        }
    }
}

/// Why the loop ended without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The machine came to its end, or its bound on tokens leaves nothing for another turn.
    Finished(Finish),
    /// The cost bound leaves nothing for another turn.
    MaxCost,
    /// A budget leaves nothing for another turn.
    Budget(Box<Exhausted>),
    /// Nothing can go on before a human has decided.
    Waits,
}

/// Drives a run to its end, or to where a human has to decide.
pub(crate) async fn drive(
    parts: &Parts,
    cx: &AskContext<'_>,
    run: &mut Run,
    progress: &mut Progress,
    events: &mut EventSender,
) -> Result<Ended, Error> {
    loop {
        match run.step() {
            Step::CallModel { messages, tool_choice } => {
                let due = Due { messages, tool_choice, tokens_left: run.tokens_left() };
                let made = match model_turn(parts, cx, due, progress, events).await? {
                    Ok(made) => made,
                    Err(ended) => return Ok(ended),
                };
                settle(parts, progress, events).await;
                let judge = Judge { tools: &cx.tools, catalog: cx.catalog, grants: &[cx.grant] };
                run.model_answered(made, |id, name, input| judge.plan(id, name, input));
            }
            Step::Dispatch(calls) => {
                let calls = set_aside(cx, run, some(calls)?);
                if !calls.is_empty() {
                    dispatch::dispatch(parts, cx, calls, run, progress, events).await?;
                }
            }
            Step::Wait(_) => return Ok(Ended::Waits),
            Step::Done(finish) => {
                uncalled::end(cx, progress, events);
                return Ok(Ended::Finished(finish));
            }
        }
    }
}

/// What a turn of the model is made of.
#[derive(Debug, Clone)]
struct Due {
    messages: Arc<Vec<Message>>,
    tool_choice: ToolChoice,
    tokens_left: Option<u64>,
}

impl Due {
    /// The same when so many tokens of what the ask may take are gone; `None` where that leaves nothing.
    fn without(mut self, tokens: u64) -> Option<Self> {
        if let Some(left) = &mut self.tokens_left {
            *left = left.checked_sub(tokens).filter(|left| *left > 0)?;
        }
        Some(self)
    }
}

/// Gives up a turn of which nothing came though it was sent, if it is to be made once more: so much it may have
/// taken. It is for the caller to settle it and to put aside anew.
///
/// The vendor may charge for the one that was lost, so it is counted at its bound and is a turn of its own in the
/// record. It is made again by who pays and not where requests are sent, because all that it may take is put aside
/// first: a retry down there would be paid for by nobody, and told only would still overspend a budget.
pub(super) fn give_up_lost(parts: &Parts, model: &ModelInfo, error: &Error, progress: &mut Progress) -> Option<Usage> {
    if !progress.is_lost(error) || !parts.llm.as_ref().is_ok_and(|llm| llm.makes_again()) {
        return None;
    }
    tracing::warn!(provider = model.provider, %error, "a turn of the model was lost; it is charged at its bound");
    let before = progress.answer.usage;
    progress.abandon_turn(model);
    Some(progress.answer.usage.since(before))
}

/// Makes a turn, and once more where it was lost.
async fn model_turn(
    parts: &Parts,
    cx: &AskContext<'_>,
    due: Due,
    progress: &mut Progress,
    events: &mut EventSender,
) -> Result<Result<ModelTurn, Ended>, Error> {
    let made = attempt(parts, cx, due.clone(), progress, events).await;
    let error = made.as_ref().err();
    let Some(lost) = error.and_then(|error| give_up_lost(parts, cx.model, error, progress)) else { return made };
    settle(parts, progress, events).await;
    let Some(due) = due.without(lost.total()) else { return made };
    let made = attempt(parts, cx, due, progress, events).await?;
    Ok(made.map(|mut turn| {
        // The bound on the tokens of an ask counts what was lost as well.
        turn.usage += lost;
        turn
    }))
}

/// Makes a turn once, out of the budgets.
async fn attempt(
    parts: &Parts,
    cx: &AskContext<'_>,
    due: Due,
    progress: &mut Progress,
    events: &mut EventSender,
) -> Result<Result<ModelTurn, Ended>, Error> {
    let spent = progress.answer.cost.unwrap_or_default();
    let mut request = match turn::request(parts, cx, due.messages, due.tool_choice, spent, due.tokens_left) {
        Ok(request) => request,
        Err(ended) => return Ok(Err(ended)),
    };
    if let Err(exhausted) = budget::reserve(parts, cx, &mut request, progress).await? {
        return out_of_budget(exhausted, progress).map(Err);
    }
    turn::make(parts, cx, request, progress, events).await.map(Ok)
}

/// A turn is over: its budgets are settled, and the asker is told what was used until now.
async fn settle(parts: &Parts, progress: &mut Progress, events: &mut EventSender) {
    budget::settle(parts, progress).await;
    let (usage, cost) = (progress.answer.usage, progress.answer.cost);
    events.send(AnswerEvent::Usage { usage, cost }).await;
}

/// Calls that need a human who answers later wait, and the others go on without them.
fn set_aside(cx: &AskContext<'_>, run: &mut Run, calls: Vec<PlannedCall>) -> Vec<PlannedCall> {
    let later = matches!(cx.humans, Humans::Later);
    let mut on = Vec::with_capacity(calls.len());
    for call in calls {
        match &call.disposition {
            Disposition::Ask(asking) if later && !cx.agreed.contains_key(&call.id) => {
                run.call_waits(&call.id, asking.clone());
            }
            _ => on.push(call),
        }
    }
    on
}

/// Before anything was answered a budget that is used up is a refusal, later an end.
fn out_of_budget(exhausted: Exhausted, progress: &Progress) -> Result<Ended, Error> {
    if progress.answer.iterations == 0 {
        return Err(LimitError::Refused(Box::new(exhausted.refusal)).into());
    }
    Ok(Ended::Budget(Box::new(exhausted)))
}

/// A dispatch of nothing would come again at once and for ever, and let nobody break it off.
fn some(calls: Vec<PlannedCall>) -> Result<Vec<PlannedCall>, Error> {
    if calls.is_empty() {
        return Err(Error::Internal { message: "a run waits for calls of which none is left".into() });
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispatch_of_nothing_is_an_error_and_no_endless_loop() {
        assert!(matches!(some(Vec::new()), Err(Error::Internal { .. })));
    }

    fn open(usage: Option<Usage>) -> OpenTurn {
        OpenTurn { prompt: 700, max_tokens: 50, has_begun: true, usage, since: Instant::now() }
    }

    #[test]
    fn an_estimate_and_a_prompt_of_nothing_are_not_the_vendors_word() {
        let estimate = Usage { estimated: true, ..Usage::new(3, 2) };
        for (usage, is_told, is_told_so_far, prompt) in [
            (None, false, false, 700),
            (Some(estimate), false, false, 700),
            (Some(Usage::default()), true, false, 700),
            (Some(Usage::new(9, 2)), true, true, 9),
        ] {
            let turn = open(usage);
            assert_eq!((turn.told().is_some(), turn.told_so_far().is_some()), (is_told, is_told_so_far), "{usage:?}");
            assert_eq!(turn.bound(), Usage { estimated: true, ..Usage::new(prompt, 50) }, "{usage:?}");
        }
    }

    #[test]
    fn only_a_turn_that_was_sent_and_never_answered_is_lost() {
        let cut = Error::Llm(LlmError::Cut { provider: "scripted", message: "reset".into() });
        let mut progress = Progress::new(Answer::empty(Uuid::nil(), ""));
        assert!(!progress.is_lost(&cut), "there is no turn");
        progress.begin_turn(1, 1);
        assert!(progress.is_lost(&cut));
        assert!(!progress.is_lost(&Error::Llm(LlmError::Timeout { provider: "scripted" })), "its time is used up");
        progress.answer_begins();
        assert!(!progress.is_lost(&cut));
    }

    #[test]
    fn what_was_lost_is_gone_from_what_the_ask_may_take() {
        let after = |tokens_left| {
            let due = Due { messages: Arc::default(), tool_choice: ToolChoice::Auto, tokens_left };
            due.without(100).map(|due| due.tokens_left)
        };
        assert_eq!([None, Some(101), Some(100), Some(7)].map(after), [Some(None), Some(Some(1)), None, None]);
    }
}
