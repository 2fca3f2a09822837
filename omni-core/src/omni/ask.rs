//! The way of a question, step by step.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::Utc;
use futures::FutureExt as _;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use super::{Preview, steps, talk::Talk};
use crate::{
    agent::{
        Finish, RunLimits, budget,
        drive::{AskContext, Ended, Progress, drive},
        prompt,
    },
    answer::{Answer, AnswerEvent, CallStatus, EventSender, Failure, Status, Warning, millis},
    ask::Ask,
    call,
    catalog::{Catalog, Health, NameRules, ServerView, ToolSet},
    config::Ack,
    cost::NanoUsd,
    error::{Error, ErrorKind},
    identity::{CallerToken, Scope},
    ledger::{AskRecord, Event, Outcome, Party, Record},
    llm::{ModelInfo, StopReason},
    metrics,
    parts::Parts,
    policy::Grant,
    trace,
};

/// How long the last events wait for a reader who holds the stream and does not read it.
const LAST_WORDS: Duration = Duration::from_secs(10);

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
    model: Option<ModelInfo>,
    talk: Option<Talk>,
    reservation: Option<steps::Held>,
}

/// Runs an ask from its first step to its record, and tells the asker last.
pub(super) async fn run(parts: &Parts, ask: &Ask, cancel: CancellationToken, mut events: EventSender) {
    let (started, _running) = (Instant::now(), metrics::Running::begin());
    let mut progress = Progress::new(Answer::empty(ask.request_id, ""));
    let mut known = Known::default();
    let end = {
        let steps = AssertUnwindSafe(steps(parts, ask, &mut known, &mut progress, &mut events)).catch_unwind();
        tokio::select! {
            biased;
            () = cancel.cancelled() => End::Failed(Error::Cancelled),
            end = steps => end.unwrap_or_else(|_| {
                End::Failed(Error::Internal { message: "the ask panicked".into() })
            }),
        }
    };
    if let Some(model) = &known.model {
        progress.abandon_turn(model);
    }
    budget::settle(parts, &mut progress).await;
    let end = close_calls(parts, ask, &known, end, &mut progress).await;
    let is_refused = matches!(&end, End::Failed(error) if progress.answer.iterations == 0 && steps::is_refusal(error));
    steps::settle(parts, known.reservation.take(), is_refused).await;
    if let End::Ran(Ended::Budget(exhausted)) = &end {
        metrics::refused(Outcome::RateLimited, None, Some(&exhausted.refusal));
    }
    let results = progress.results_so_far();
    let messages = std::mem::take(&mut progress.said);
    let mut answer = progress.answer;
    answer.duration_ms = millis(started.elapsed());
    let (said, warned) = (answer.text.len(), answer.warnings.len());
    let error = conclude(end, results, &mut answer);
    if let (Some(talk), None) = (known.talk.take(), &error) {
        let not_kept = talk.keep(parts, messages, &answer, &answer.text[said..]).await;
        answer.warnings.extend(not_kept);
    }
    let error = record(parts, ask, &known, &answer, error).await;
    events.text(&answer.text[said..]);
    let mut last: Vec<AnswerEvent> = answer.warnings[warned..].iter().cloned().map(AnswerEvent::Warning).collect();
    last.push(match error {
        None => AnswerEvent::Done(Box::new(answer)),
        Some(error) => AnswerEvent::Error(Box::new(Failure::new(error, answer))),
    });
    events.end(last, LAST_WORDS).await;
}

async fn steps(parts: &Parts, ask: &Ask, known: &mut Known, progress: &mut Progress, events: &mut EventSender) -> End {
    match admitted(parts, ask, known, progress).await {
        Err(error) => End::Failed(error),
        Ok((grant, deadline)) => {
            let answered = answer(parts, ask, &grant, deadline, known, progress, events);
            match timeout_at(deadline, answered).await {
                Ok(Ok(end)) => end,
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
    let principal = steps::identity(parts, ask.credential.clone()).await?;
    progress.answer.user.clone_from(&principal.subject);
    known.party = Some(Party::new(&principal, ask.source).with_client(ask.client.clone()));
    let grant = steps::policy(parts, &principal).await?;
    progress.answer.role = Some(grant.role.name.to_string());
    if let Some(party) = &mut known.party {
        party.role = Some(grant.role.name.to_string());
    }
    grant.require(Scope::Ask)?;
    check_question(&ask.question)?;
    let model = model(parts, ask, &grant)?;
    progress.answer.model = Some(model.id.clone());
    progress.count_as(parts.known_model(&model, &grant));
    known.talk = Talk::of(parts, ask, &grant, &model)?;
    progress.answer.thread = known.talk.as_ref().map(|talk| talk.name().to_owned());
    known.model = Some(model);
    steps::admit(parts)?;
    let timeout = ask.options.timeout.map_or(parts.bounds.timeout, |timeout| timeout.min(parts.bounds.timeout));
    let deadline = Instant::now() + timeout;
    steps::limit(parts, &grant, deadline, &mut known.reservation).await?;
    note_start(parts, ask, known).await?;
    Ok((grant, deadline))
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
    let token = steps::token(parts, &ask.credential, &grant.principal);
    let catalog = catalog(parts, ask, token.as_ref(), deadline).await;
    let tools = tool_set(parts, ask, &catalog, grant, model);
    let away = away(ask, grant, &catalog);
    let mut messages = match &known.talk {
        Some(talk) => talk.recall(parts, grant, &catalog).await?,
        None => Vec::new(),
    };
    started(ask, grant, &away, &tools, model, progress, events).await;
    let before = messages.len();
    messages.push(prompt::question(ask, &away, Utc::now()));
    progress.said = messages[before..].to_vec();
    let system = prompt::system(grant, &catalog, &tools).into();
    let cx = AskContext {
        request_id: ask.request_id,
        party,
        grant,
        token,
        catalog: &catalog,
        tools,
        model,
        system,
        deadline,
        max_cost: max_cost(parts, ask),
        approver: ask.approver.clone(),
    };
    let mut limits = RunLimits::turns(tighter(ask.options.max_turns, Some(parts.bounds.max_turns)).unwrap_or(1).max(1));
    limits.max_tokens = parts.bounds.max_tokens;
    let agent = debug_span!(
        "invoke_agent",
        otel.name = "invoke_agent omni",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = "omni"
    );
    let (ended, run) = drive(parts, &cx, messages, limits, progress, events).instrument(agent).await?;
    if known.talk.is_some() {
        progress.said = run.messages()[before..].to_vec();
    }
    Ok(End::Ran(ended))
}

fn tighter<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Discovery within half of the ask's time: a hung server leaves the other half for an answer by means
/// of the rest. What is not there by then is taken as it was.
async fn catalog(parts: &Parts, ask: &Ask, token: Option<&Arc<CallerToken>>, deadline: Instant) -> Arc<Catalog> {
    if ask.options.no_tools {
        return parts.pool.catalog();
    }
    let discovery = parts.pool.discover_for(token).instrument(debug_span!("omni.catalog"));
    let within = deadline.saturating_duration_since(Instant::now()) / 2;
    timeout(within, discovery).await.unwrap_or_else(|_| parts.pool.catalog())
}

/// Servers that did not answer, of those that the asker may use something of.
fn away<'a>(ask: &Ask, grant: &Grant, catalog: &'a Catalog) -> Vec<&'a ServerView> {
    if ask.options.no_tools {
        return Vec::new();
    }
    let is_away = |view: &&ServerView| match view.health {
        Health::Unhealthy { .. } | Health::Unknown => !grant.rules.is_closed(&view.name),
        Health::Healthy | Health::Disabled => false,
    };
    catalog.servers.iter().filter(is_away).collect()
}

/// Why a server does not answer may tell of hosts, commands and paths: that is for admins.
fn unhealthy(view: &ServerView, grant: &Grant) -> Warning {
    let name = &view.name;
    let message = match &view.health {
        Health::Unhealthy { reason } if grant.role.is_admin => format!("{name} does not answer: {reason}"),
        Health::Unknown => format!("{name} has not answered yet"),
        Health::Unhealthy { .. } | Health::Healthy | Health::Disabled => {
            format!("{name} does not answer at the moment")
        }
    };
    Warning::new("server_unhealthy", message)
}

fn tool_set(parts: &Parts, ask: &Ask, catalog: &Catalog, grant: &Grant, model: &ModelInfo) -> Arc<ToolSet> {
    if ask.options.no_tools {
        return Arc::new(ToolSet::empty());
    }
    let names = NameRules::up_to(model.tool_name_len);
    let threshold = if model.reads_all_tools { usize::MAX } else { parts.tools.search_threshold };
    parts.tool_sets.for_model(catalog, &grant.rules, names, threshold)
}

async fn started(
    ask: &Ask,
    grant: &Grant,
    away: &[&ServerView],
    tools: &ToolSet,
    model: &ModelInfo,
    progress: &mut Progress,
    events: &mut EventSender,
) {
    let started = AnswerEvent::Started {
        request_id: ask.request_id,
        user: grant.principal.subject.clone(),
        role: grant.role.name.to_string(),
        model: model.id.clone(),
        tools: tools.len(),
        thread: progress.answer.thread.clone(),
    };
    events.send(started).await;
    for view in away {
        let warning = unhealthy(view, grant);
        progress.answer.warnings.push(warning.clone());
        events.send(AnswerEvent::Warning(warning)).await;
    }
}

/// Calls that were under way when the ask ended get their record too. An ask with a call that must be
/// recorded and cannot be has failed.
async fn close_calls(parts: &Parts, ask: &Ask, known: &Known, end: End, progress: &mut Progress) -> End {
    let status = if matches!(&end, End::TimedOut) { CallStatus::Timeout } else { CallStatus::Cancelled };
    for (_, open) in std::mem::take(&mut progress.in_flight) {
        let took = millis(open.since.elapsed());
        let why = Some("the ask ended before the call did");
        let record = call::record(&open.call, status, why, took);
        metrics::called(parts, &record, open.since.elapsed());
        let record = Record::new(ask.request_id, known.party.clone(), Event::ToolCall(record));
        progress.write(&parts.ledger, record);
        progress.answer.tool_calls.push(call::summary(parts, &open.call, status, why, took));
    }
    let mut failed = None;
    while let Some(taken) = progress.recorded().await {
        failed = failed.or(taken.err());
    }
    let Some(error) = failed else { return end };
    tracing::error!(%error, "a tool call could not be recorded");
    match end {
        End::Ran(_) | End::TimedOut => End::Failed(Error::Audit(error)),
        End::Failed(_) => end,
    }
}

/// Turns the end into status, text and warnings of the answer; what is left is an error.
fn conclude(end: End, results: Option<String>, answer: &mut Answer) -> Option<Error> {
    let (status, code, message) = match end {
        End::Ran(Ended::Finished(Finish::Model(stop))) => {
            conclude_model(&stop, answer);
            return None;
        }
        End::Failed(error) => {
            answer.status = failed_status(&error);
            return Some(error);
        }
        End::Ran(Ended::Finished(Finish::MaxTurns)) => {
            (Status::Timeout, "max_iterations_reached", format!("stopped after {} model turns", answer.iterations))
        }
        End::Ran(Ended::Finished(Finish::MaxTokens)) => {
            (Status::RateLimited, "max_tokens_budget", format!("stopped after {} tokens", answer.usage.total()))
        }
        End::Ran(Ended::Finished(Finish::ToolLoop)) => {
            (Status::Failed, "tool_loop", "stopped because the model made the same call again and again".into())
        }
        End::Ran(Ended::MaxCost) => {
            let spent = answer.cost.unwrap_or_default();
            let message = format!("stopped at {spent}: the cost limit leaves nothing for another turn");
            (Status::RateLimited, "max_cost", message)
        }
        End::Ran(Ended::Budget(exhausted)) => {
            let code = if exhausted.is_money { "max_cost" } else { "max_tokens_budget" };
            (Status::RateLimited, code, exhausted.refusal.to_string())
        }
        End::TimedOut => {
            (Status::Timeout, "timeout", format!("stopped after {:.1} s", answer.duration_ms as f64 / 1e3))
        }
    };
    partial(answer, status, Warning::new(code, message), results);
    None
}

fn conclude_model(stop: &StopReason, answer: &mut Answer) {
    answer.stop_reason = Some(stop.as_str().to_owned());
    let warning = match stop {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse if answer.text.is_empty() => {
            Some(Warning::new("empty_answer", "the model ended without saying anything"))
        }
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse => None,
        StopReason::MaxTokens => {
            Some(Warning::new("max_tokens", "the answer is cut: the model's output limit was reached"))
        }
        StopReason::Refusal => Some(Warning::new("refusal", "the model declined to answer")),
        StopReason::ContextExceeded => {
            Some(Warning::new("context_exceeded", "the conversation does not fit into the model's window"))
        }
        StopReason::PauseTurn | StopReason::Other(_) => {
            Some(Warning::new("stop_reason", format!("the model stopped with {:?}", stop.as_str())))
        }
    };
    if matches!(stop, StopReason::Refusal | StopReason::ContextExceeded) {
        answer.status = Status::Failed;
    }
    let Some(warning) = warning else { return };
    if answer.text.is_empty() {
        answer.text = sentence(&warning.message);
    }
    answer.warnings.push(warning);
}

/// An ask that ran into a bound answers with what there is.
fn partial(answer: &mut Answer, status: Status, warning: Warning, results: Option<String>) {
    answer.status = status;
    let stopped = sentence(&warning.message);
    for part in [Some(stopped), results].into_iter().flatten() {
        if !answer.text.is_empty() {
            answer.text.push_str("\n\n");
        }
        answer.text.push_str(&part);
    }
    answer.warnings.push(warning);
}

fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("({first}{}.)", chars.as_str())
}

fn failed_status(error: &Error) -> Status {
    match error.kind() {
        ErrorKind::Denied | ErrorKind::Unauthenticated => Status::Denied,
        ErrorKind::RateLimited => Status::RateLimited,
        ErrorKind::Timeout => Status::Timeout,
        ErrorKind::Cancelled => Status::Cancelled,
        ErrorKind::Invalid
        | ErrorKind::Config
        | ErrorKind::NotFound
        | ErrorKind::Unavailable
        | ErrorKind::Conflict
        | ErrorKind::Failed => Status::Failed,
    }
}

/// Step 11: the one closing record, as durable as the ledger promises, before the asker sees the end.
async fn record(parts: &Parts, ask: &Ask, known: &Known, answer: &Answer, error: Option<Error>) -> Option<Error> {
    let outcome = outcome(answer, error.as_ref());
    let sent: Vec<_> = answer.tool_calls.iter().filter(|call| call.was_sent()).collect();
    let closing = AskRecord {
        question: ask.question.clone(),
        answer: answer.text.clone(),
        outcome,
        warning: answer.warnings.iter().find(|warning| !warning.is_note()).map(|w| w.code.clone()),
        error: error.as_ref().map(ToString::to_string),
        model: answer.model.clone(),
        iterations: answer.iterations,
        tools_used: sent.iter().map(|call| format!("{}.{}", call.server, call.tool)).collect(),
        servers_used: sent.iter().map(|call| call.server.clone()).collect(),
        usage: answer.usage,
        cost: answer.cost,
        duration_ms: answer.duration_ms,
    };
    let party = known.party.clone().or_else(|| Some(steps::nobody(ask.source, &ask.client)));
    let record = Record::new(ask.request_id, party.clone(), Event::Ask(Box::new(closing)));
    let written = parts.ledger.write_with(record, parts.acks.ask).instrument(debug_span!("omni.ledger")).await;
    let outcome = if written.is_ok() { outcome } else { Outcome::Error };
    metrics::asked(outcome, party.as_ref(), Duration::from_millis(answer.duration_ms));
    metrics::refused(outcome, error.as_ref().map(Error::kind), error.as_ref().and_then(Error::refusal));
    trace::ended(outcome, answer.role.as_deref());
    match written {
        Ok(()) => error,
        Err(failed) => {
            tracing::error!(error = %failed, "an ask could not be recorded");
            error.or(Some(Error::Audit(failed)))
        }
    }
}

fn outcome(answer: &Answer, error: Option<&Error>) -> Outcome {
    match (answer.status, error) {
        (Status::Completed, None) if !answer.warnings.iter().all(Warning::is_note) => Outcome::Warning,
        (Status::Completed, _) => Outcome::Success,
        (Status::Denied, _) => Outcome::Denied,
        // A bound that was met in the middle left an answer; a limit at the door did not.
        (Status::Timeout | Status::RateLimited | Status::Failed, None) => Outcome::Warning,
        (Status::RateLimited, Some(_)) => Outcome::RateLimited,
        (Status::Timeout, Some(_)) => Outcome::Timeout,
        (Status::Failed, Some(_)) => Outcome::Error,
        (Status::Cancelled, _) => Outcome::Cancelled,
    }
}

/// What an ask would be given.
pub(super) async fn preview(parts: &Parts, ask: Ask) -> Result<Preview, Error> {
    let principal = steps::identity(parts, ask.credential.clone()).await?;
    let grant = steps::policy(parts, &principal).await?;
    grant.require(Scope::Ask)?;
    check_question(&ask.question)?;
    let model = parts.model(ask.options.model.as_deref(), &grant)?;
    let timeout = ask.options.timeout.unwrap_or(parts.bounds.timeout);
    let token = steps::token(parts, &ask.credential, &principal);
    let catalog = catalog(parts, &ask, token.as_ref(), Instant::now() + timeout).await;
    let tools = tool_set(parts, &ask, &catalog, &grant, &model);
    let system = prompt::system(&grant, &catalog, &tools);
    Ok(Preview { grant, model, system, tools, catalog })
}
