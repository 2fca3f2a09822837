//! The way of a question, step by step.

use std::{future, panic::AssertUnwindSafe, sync::Arc};

use chrono::Utc;
use futures::FutureExt as _;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use super::{Preview, resumed::Resumed, steps, talk::Talk};
use crate::{
    agent::{
        Run, RunLimits, budget,
        drive::{AskContext, Ended, Progress, drive},
        plan::Judge,
        prompt,
    },
    answer::{Answer, EventSender, millis},
    ask::Ask,
    call::Humans,
    catalog::Catalog,
    clock,
    config::Ack,
    cost::NanoUsd,
    error::{Error, ErrorKind},
    identity::Scope,
    ledger::{Event, Outcome, Party, Record},
    limit::{charges_for, lease_for},
    llm::{Message, ModelInfo},
    metrics,
    parts::Parts,
    policy::Grant,
};

mod closing;
mod given;
mod parked;
mod refused;
mod summary;

use closing::{Before, close_calls, conclude, record, tell};
pub(super) use parked::Paused;
pub(super) use refused::refuse;

/// How an ask ended, before it is recorded.
enum End {
    Ran(Ended),
    TimedOut,
    Failed(Error),
}

/// What is known of the asker, as far as the steps came.
#[derive(Default)]
struct Known {
    party: Option<Party>,
    /// What they may do, and until when.
    admitted: Option<(Arc<Grant>, Instant)>,
    model: Option<ModelInfo>,
    talk: Option<Talk>,
    reservation: Option<steps::Held>,
    /// Where it goes on, if it does.
    resumed: Option<Resumed>,
}

impl Known {
    /// Whether it goes on with a run that it has not taken on yet.
    fn waits_on(&self) -> bool {
        self.resumed.as_ref().is_some_and(|resumed| !resumed.lease.is_claimed())
    }

    /// The error as whoever waits is told of it.
    fn told(&self, error: Error) -> Error {
        match &self.resumed {
            Some(resumed) => resumed.told(error),
            None => error,
        }
    }
}

/// When an ask began, and what it had taken before.
struct Began {
    at: Instant,
    before: Before,
}

/// Runs an ask from its first step, or from where it waited, to its record, and tells the asker last.
pub(super) async fn run(
    parts: &Parts,
    ask: &Ask,
    resumed: Option<Resumed>,
    cancel: CancellationToken,
    mut events: EventSender,
) {
    let _running = metrics::Running::begin();
    let at = Instant::now();
    let answer = resumed.as_ref().map(|resumed| resumed.answer(ask.request_id));
    let mut progress = Progress::new(answer.unwrap_or_else(|| Answer::empty(ask.request_id, "")));
    let began = Began { at, before: Before::of(&progress.answer) };
    let lease = resumed.as_ref().map(|resumed| resumed.lease.clone());
    let mut known = Known { resumed, ..Known::default() };
    let end = {
        let lost = async {
            match &lease {
                Some(lease) => lease.keep().await,
                None => future::pending().await,
            }
        };
        let steps = AssertUnwindSafe(steps(parts, ask, &mut known, &mut progress, &mut events)).catch_unwind();
        tokio::select! {
            biased;
            () = cancel.cancelled() => End::Failed(Error::Cancelled),
            () = lost => End::Failed(Error::Conflict { message: "the run was ended by another instance".into() }),
            end = steps => end.unwrap_or_else(|_| {
                End::Failed(Error::Internal { message: "the ask panicked".into() })
            }),
        }
    };
    let ending = Box::pin(finish(parts, ask, (known, progress), began, end, &cancel, events));
    match &lease {
        Some(lease) => lease.kept_while(ending).await,
        None => ending.await,
    }
}

/// From how an ask ended to what its asker is told of it, with everything written down in between.
async fn finish(
    parts: &Parts,
    ask: &Ask,
    (mut known, mut progress): (Known, Progress),
    began: Began,
    end: End,
    cancel: &CancellationToken,
    mut events: EventSender,
) {
    if let Some(model) = &known.model {
        progress.abandon_turn(model);
    }
    budget::settle(parts, &mut progress).await;
    let end = match close_calls(parts, ask, &known, end, &mut progress).await {
        waits @ End::Ran(Ended::Waits) => waits,
        other => unparked(parts, other, &mut progress).await,
    };
    let did_nothing = progress.answer.iterations == began.before.iterations();
    let is_refused = matches!(&end, End::Failed(error) if did_nothing && steps::is_refusal(error));
    if let End::Ran(Ended::Budget(exhausted)) = &end {
        metrics::refused(Outcome::RateLimited, None, Some(&exhausted.refusal));
    }
    let results = progress.results_so_far();
    let (messages, kept) = (std::mem::take(&mut progress.said), std::mem::take(&mut progress.kept));
    let mut answer = std::mem::replace(&mut progress.answer, Answer::empty(ask.request_id, ""));
    answer.duration_ms = millis(began.at.elapsed());
    let (said, warned) = (answer.text.len(), answer.warnings.len());
    let error = conclude(end, results, &mut answer);
    let talk = known.talk.take().filter(|_| error.is_none());
    let keeping = async {
        let talk = talk.as_ref()?;
        Some((talk, talk.keep(parts, messages, &answer, &answer.text[said..]).await))
    };
    let (turn, lost) = tokio::join!(keeping, kept.end());
    match turn {
        Some((talk, Ok(turn))) => {
            // What was said is on its way to whoever reads.
            events.text("");
            summary::roll(parts, ask, &known, talk, turn, &mut answer, cancel).await;
        }
        Some((talk, Err(not_kept))) => {
            // Nobody goes on with a session of which nothing is kept.
            answer.thread.take_if(|_| talk.is_new && not_kept.is_some());
            answer.warnings.extend(not_kept);
        }
        None => {}
    }
    steps::settle(parts, known.reservation.take(), is_refused).await;
    // Nobody is told the name of what is not there.
    for call in &mut answer.tool_calls {
        call.result_id.take_if(|id| lost.contains(id));
    }
    let error = recorded(parts, ask, &known, &mut progress, (&answer, error), &began.before).await;
    tell(parts, &known, (answer, error), (said, warned), events).await;
}

/// Writes down how an ask ended, and sees to it that nothing waits of one that failed. What is left is its error.
async fn recorded(
    parts: &Parts,
    ask: &Ask,
    known: &Known,
    progress: &mut Progress,
    (answer, error): (&Answer, Option<Error>),
    before: &Before,
) -> Option<Error> {
    let error = match error.map(|error| known.told(error)) {
        // Nothing has begun: what was decided has its record, and what waits, or is somebody else's, has none.
        waits @ Some(Error::Waits { .. } | Error::Conflict { .. }) if known.waits_on() => waits,
        error => {
            let turns = std::mem::take(&mut progress.turns);
            record(parts, ask, known, (answer, turns), before, error).await
        }
    };
    if error.is_some()
        && let Err(kept) = parked::undo(parts, progress).await
    {
        tracing::error!(error = %kept, "a run waits of an ask that failed");
    }
    error
}

/// An ask that does not wait after all leaves nothing behind that anybody could agree to.
async fn unparked(parts: &Parts, end: End, progress: &mut Progress) -> End {
    match (parked::undo(parts, progress).await, end) {
        (Ok(()), end) | (Err(_), end @ End::Failed(_)) => end,
        (Err(error), End::Ran(_) | End::TimedOut) => End::Failed(error),
    }
}

async fn steps(parts: &Parts, ask: &Ask, known: &mut Known, progress: &mut Progress, events: &mut EventSender) -> End {
    match admitted(parts, ask, known, progress).await {
        Err(error) => End::Failed(error),
        Ok((grant, deadline)) => {
            known.admitted = Some((grant.clone(), deadline));
            let began = Instant::now();
            let answered = answer(parts, ask, &grant, deadline, known, progress, events);
            match timeout_at(deadline, answered).await {
                Ok(Ok(end)) => end,
                // Nothing of what was agreed to was tried.
                Ok(Err(_)) | Err(_) if Instant::now() >= deadline && known.waits_on() => {
                    End::Failed(Error::Timeout { after: deadline - began })
                }
                // Whatever gives up at the ask's own deadline is the ask running out of time.
                Ok(Err(error)) if Instant::now() < deadline || error.kind() != ErrorKind::Timeout => End::Failed(error),
                Ok(Err(_)) | Err(_) => End::TimedOut,
            }
        }
    }
}

/// Steps 1 to 3: who asks, what may they do and by which model, is there room.
async fn admitted(
    parts: &Parts,
    ask: &Ask,
    known: &mut Known,
    progress: &mut Progress,
) -> Result<(Arc<Grant>, Instant), Error> {
    let principal = steps::identity(parts, &ask.credential).await?;
    progress.answer.user.clone_from(&principal.subject);
    known.party = Some(Party::new(&principal, ask.source).with_client(ask.client.clone()));
    steps::key(parts, ask.key).await?;
    let grant = steps::policy(parts, &principal).await?;
    progress.answer.role = Some(grant.role.name.to_string());
    if let Some(party) = &mut known.party {
        party.role = Some(grant.role.name.to_string());
    }
    let judged = judged(parts, ask, &grant, known);
    if let Some(model) = &known.model {
        progress.answer.model = Some(model.id.clone());
        progress.count_as(parts.known_model(model, &grant));
    }
    if let (Some(resumed), Some(talk)) = (&known.resumed, &mut known.talk)
        && !resumed.is_under(&grant)
    {
        talk.is_judged_by_each();
    }
    if judged.is_ok() || known.talk.is_some() {
        progress.answer.thread = known.talk.as_ref().map(|talk| talk.name().to_owned());
    }
    let deadline = judged?;
    // One that goes on was counted when it was asked.
    let charges = match &known.resumed {
        Some(_) => lease_for(&grant.principal, &grant.quota).into_iter().collect(),
        None => charges_for(&grant.principal, &grant.quota),
    };
    steps::limit(parts, charges, deadline, &mut known.reservation).await?;
    if known.resumed.is_none() {
        note_start(parts, ask, known).await?;
    }
    Ok((grant, deadline))
}

/// What is judged of an ask before anything of it is counted, also of one that is only looked at: by which model and in
/// which conversation it is answered, as far as that is known, and until when.
fn judged(parts: &Parts, ask: &Ask, grant: &Grant, known: &mut Known) -> Result<Instant, Error> {
    grant.require(Scope::Ask)?;
    check_question(&ask.question)?;
    let model = known.model.insert(model(parts, ask, grant)?);
    known.talk = Talk::of(parts, ask, grant, model)?;
    steps::admit(parts)?;
    let timeout = ask.options.timeout.map_or(parts.bounds.timeout, |timeout| timeout.min(parts.bounds.timeout));
    Ok(clock::from_now(timeout))
}

/// The model to use; one without a price can be held to no limit in money.
fn model(parts: &Parts, ask: &Ask, grant: &Grant) -> Result<ModelInfo, Error> {
    let model = parts.model(ask.options.model.as_deref(), grant)?;
    let is_budgeted = grant.quota.budgets.iter().any(|budget| budget.max.is_money());
    if model.price.is_none() && (is_budgeted || max_cost(parts, ask).is_some()) {
        let message = format!("the price of {} is not known, so it cannot be used under a cost limit", model.id);
        return Err(Error::Denied { message });
    }
    Ok(model)
}

fn max_cost(parts: &Parts, ask: &Ask) -> Option<NanoUsd> {
    tighter(ask.options.max_cost, parts.bounds.max_cost)
}

/// From here on even a crash leaves one closing record: the ledger closes what it knows has begun.
async fn note_start(parts: &Parts, ask: &Ask, known: &Known) -> Result<(), Error> {
    let started = Event::AskStarted { question: ask.question.clone() };
    let record = Record::new(ask.request_id, known.party.clone(), started);
    Ok(parts.ledger.write_with(record, Ack::Local).instrument(debug_span!("omni.ledger")).await?)
}

fn check_question(question: &str) -> Result<(), Error> {
    if question.trim().is_empty() {
        return Err(Error::Invalid { message: "the question is empty".into() });
    }
    if question.chars().nth(prompt::MAX_QUESTION_CHARS).is_some() {
        let message = format!("the question is longer than {} characters", prompt::MAX_QUESTION_CHARS);
        return Err(Error::Invalid { message });
    }
    Ok(())
}

/// Steps 4 to 9: what was said before, what there is to use, and the loop.
async fn answer(
    parts: &Parts,
    ask: &Ask,
    grant: &Arc<Grant>,
    deadline: Instant,
    known: &Known,
    progress: &mut Progress,
    events: &mut EventSender,
) -> Result<End, Error> {
    let (Some(party), Some(model)) = (&known.party, &known.model) else {
        return Err(Error::Internal { message: "an ask goes on that was not admitted".into() });
    };
    let token = match &known.resumed {
        Some(resumed) => resumed.token.clone(),
        None => steps::token(parts, &ask.credential, &grant.principal),
    };
    let mut catalog = given::catalog(parts, ask, token.as_ref(), deadline).await;
    // Before it is taken on: a store that is away burns nothing that was agreed to.
    let (before, mut run) = begin(parts, ask, grant, &catalog, known).await?;
    if let Some(resumed) = &known.resumed {
        let within = deadline.saturating_duration_since(Instant::now()) / 2;
        let ready = timeout(within, resumed.is_ready(parts, catalog)).await;
        catalog = ready.unwrap_or(Err(Error::Timeout { after: within }))?;
    }
    let reads_results = known.talk.is_some() && parts.result_rules.keeps();
    let tools = given::tool_set(parts, ask, &catalog, grant, model, reads_results);
    if let Some(resumed) = &known.resumed {
        let judge = Judge { tools: &tools, catalog: &catalog, grants: &[grant] };
        resumed.stands_without_claim(parts, &judge, &run).await?;
        resumed.lease.claim().await?;
        note_start(parts, ask, known).await?;
    }
    let away = given::away(ask, grant, &catalog);
    let system = prompt::system(grant, &catalog, &tools).into();
    let humans = if ask.parks { Humans::Later } else { Humans::AtDoor(ask.approver.clone()) };
    let mut cx = AskContext {
        request_id: ask.request_id,
        party,
        grant,
        token,
        catalog: &catalog,
        tools,
        model,
        thread: known.talk.as_ref().map(|talk| &talk.key),
        system,
        deadline,
        max_cost: max_cost(parts, ask),
        humans,
        elicit: ask.elicit.clone(),
        agreed: Default::default(),
    };
    given::started(ask, grant, &away, &cx.tools, model, progress, events).await;
    match &known.resumed {
        Some(resumed) => {
            let judge = Judge { tools: &cx.tools, catalog: &catalog, grants: &[grant] };
            cx.agreed = resumed.settle(parts, &judge, &mut run).await?;
        }
        None => run.ask(prompt::question(ask, &away, Utc::now())),
    }
    progress.said = run.messages()[before..].to_vec();
    let ended = go(parts, ask, &cx, before, &mut run, progress, events).await?;
    if known.talk.is_some() {
        progress.said = run.messages()[before..].to_vec();
    }
    Ok(End::Ran(ended))
}

/// A run after what was said before, and where its own turn begins. One that goes on stands where it stood; under other
/// rules than then, what was said before it is read anew.
async fn begin(
    parts: &Parts,
    ask: &Ask,
    grant: &Grant,
    catalog: &Catalog,
    known: &Known,
) -> Result<(usize, Run), Error> {
    if let Some(resumed) = &known.resumed {
        resumed.may_be_told(grant)?;
        if resumed.is_under(grant) {
            return Ok(resumed.state());
        }
    }
    let messages = match &known.talk {
        Some(talk) => talk.recall(parts, grant, catalog).await?,
        None => Vec::new(),
    };
    Ok(match &known.resumed {
        Some(resumed) => resumed.state_after(messages),
        None => new_run(parts, ask, messages),
    })
}

fn new_run(parts: &Parts, ask: &Ask, messages: Vec<Message>) -> (usize, Run) {
    let mut limits = RunLimits::turns(tighter(ask.options.max_turns, Some(parts.bounds.max_turns)).unwrap_or(1).max(1));
    limits.max_tokens = parts.bounds.max_tokens;
    (messages.len(), Run::new(messages, limits))
}

/// Goes on until the run ends, or is parked. A run that cannot be parked goes on without what waits.
async fn go(
    parts: &Parts,
    ask: &Ask,
    cx: &AskContext<'_>,
    before: usize,
    run: &mut Run,
    progress: &mut Progress,
    events: &mut EventSender,
) -> Result<Ended, Error> {
    let agent = debug_span!(
        "invoke_agent",
        otel.name = "invoke_agent omni",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = "omni"
    );
    loop {
        let ended = drive(parts, cx, run, progress, events).instrument(agent.clone()).await?;
        if ended != Ended::Waits {
            return Ok(ended);
        }
        match parked::park(parts, ask, cx, before, run, progress).await {
            Ok(()) => return Ok(ended),
            Err(reason) => {
                parked::undo(parts, progress).await?;
                parked::go_without(run, &reason);
            }
        }
    }
}

fn tighter<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What an ask would be given.
pub(super) async fn preview(parts: &Parts, ask: Ask) -> Result<Preview, Error> {
    let principal = steps::identity(parts, &ask.credential).await?;
    let grant = steps::policy(parts, &principal).await?;
    let mut known = Known::default();
    let deadline = judged(parts, &ask, &grant, &mut known)?;
    let Known { model: Some(model), talk, .. } = known else {
        return Err(Error::Internal { message: "an ask is let in without a model".into() });
    };
    let token = steps::token(parts, &ask.credential, &principal);
    let catalog = given::catalog(parts, &ask, token.as_ref(), deadline).await;
    let reads_results = talk.is_some() && parts.result_rules.keeps();
    let tools = given::tool_set(parts, &ask, &catalog, &grant, &model, reads_results);
    let system = prompt::system(&grant, &catalog, &tools);
    Ok(Preview { grant, model, system, tools, catalog })
}
