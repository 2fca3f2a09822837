//! Somebody decides on calls that wait.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    EVENT_BUFFER, Omni,
    ask::{self, Paused},
    noted,
    resumed::{self, Present, Resumed, ready, within},
    steps,
};
use crate::{
    answer::{Answer, AnswerEvent, AnswerStream, EventSender, PendingCall, Status},
    ask::{Client, Source},
    audit::AuditError,
    confirm::{Change, Confirmation, MAX_LISTED, MAX_REASON, State, Verdict, Whose, is_asker, may_make},
    elicit::{Elicit, NobodyThere},
    error::Error,
    identity::{Credential, Scope},
    ledger::Party,
    parts::Parts,
    policy::Grant,
    trace,
};

/// How long whoever decided is left to record it themselves, and how often it is looked for meanwhile.
const OWN_RECORD: TimeDelta = TimeDelta::seconds(5);
const LOOKS: u32 = 100;

/// Who decides, and by which door.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Decider {
    /// Who.
    pub credential: Credential,
    /// The door.
    pub source: Source,
    /// What the request says of itself.
    pub client: Client,
    /// Whom servers may ask something in calls that go on, where whoever decides is the asker; by default nobody.
    pub elicit: Arc<dyn Elicit>,
}

impl Decider {
    /// Somebody at a door.
    #[must_use]
    pub fn new(who: impl Into<Credential>, source: Source) -> Self {
        Self { credential: who.into(), source, client: Client::default(), elicit: Arc::new(NobodyThere) }
    }

    /// The same with what the request says of itself.
    #[must_use]
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// The same with somebody whom servers may ask something.
    #[must_use]
    pub fn with_elicit(mut self, elicit: Arc<dyn Elicit>) -> Self {
        self.elicit = elicit;
        self
    }
}

/// A confirmation as somebody may see it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConfirmationView {
    /// The confirmation; its rule is empty for whoever may not know the policy. Its arguments may hold secrets.
    pub confirmation: Confirmation,
    /// The arguments, redacted.
    pub arguments: Value,
    /// Whether this person may agree.
    pub may_approve: bool,
    /// What came of the run, as [its last event](crate::answer::json::EventJson), once it is over; for the asker, by a
    /// credential that may make all of its calls that took a human.
    pub result: Option<Value>,
}

impl Omni {
    /// The calls that wait and that somebody may decide on, oldest first: their own, as far as their credential may
    /// make them, and those of others for whoever has a role that decides. After them those that were agreed to and
    /// cannot go on yet: somebody may have to say the same again. At most [`MAX_LISTED`] of each are looked at.
    ///
    /// # Errors
    /// An [`Error`] when credential or policy say no, or they cannot be read.
    pub async fn confirmations(&self, who: impl Into<Credential>) -> Result<Vec<ConfirmationView>, Error> {
        let parts = self.parts();
        let grant = decider(&parts, &who.into()).await?;
        let principal = &grant.principal;
        let whose = match parts.approvals.decides_for_others(&grant) {
            true => Whose::all(&principal.tenant),
            false => Whose::of(&principal.tenant, &principal.subject),
        };
        let mut found = within(parts.runs.pending(whose, MAX_LISTED)).await?;
        found.extend(within(parts.runs.agreed(whose, MAX_LISTED)).await?);
        let catalog = parts.pool.catalog();
        found.retain(|one| parts.approvals.may_see(one, &grant, &catalog));
        Ok(found.into_iter().map(|one| view(&parts, &grant, one, None)).collect())
    }

    /// One of them, also when it is decided: until a day after its run has ended.
    ///
    /// # Errors
    /// As [`Omni::confirmations`], and [`Error::NotFound`].
    pub async fn confirmation(&self, who: impl Into<Credential>, id: Uuid) -> Result<ConfirmationView, Error> {
        let parts = self.parts();
        let grant = decider(&parts, &who.into()).await?;
        let one = self.look_up(&parts, &grant, id).await?;
        let is_told =
            is_asker(&one, &grant) && may_make_all(&parts, &grant, &within(parts.runs.of_run(one.run)).await?);
        let result = match is_told {
            true => within(parts.runs.result(one.run)).await?,
            false => None,
        };
        Ok(view(&parts, &grant, one, result.and_then(|told| serde_json::from_str(&told).ok())))
    }

    /// Decides on a call that waits, and goes on with its ask once all of its calls are decided. Where others
    /// still wait the answer has the status [`Waiting`](Status::Waiting), and names them.
    ///
    /// The ask goes on whether the stream is read or dropped. Whoever decides for somebody else is not told the
    /// answer: it is the asker's, and not for a credential that may not make all of the run's calls.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none for this person by this credential, [`Error::Denied`] where they may
    /// not decide, [`Error::Conflict`] where it is decided already.
    pub async fn confirm(&self, id: Uuid, verdict: Verdict, by: Decider) -> Result<AnswerStream, Error> {
        let omni = self.clone();
        // Whoever goes away in the middle leaves no decision without its record.
        self.to_its_end(async move { omni.decide_on(id, &verdict, &by).await }).await
    }

    /// Does something to its end, whether somebody waits for it or not.
    pub(super) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let done = self.inner.tasks.spawn(work.in_current_span()).await;
        done.unwrap_or_else(|error| Err(Error::Internal { message: error.to_string() }))
    }

    async fn decide_on(&self, id: Uuid, verdict: &Verdict, by: &Decider) -> Result<AnswerStream, Error> {
        let parts = self.parts();
        let grant = decider(&parts, &by.credential).await?;
        steps::admit(&parts)?;
        let one = self.look_up(&parts, &grant, id).await?;
        let to = match verdict {
            Verdict::Approve => State::Approved,
            Verdict::Decline { .. } => State::Denied,
        };
        // The asker may go on with what others agreed to.
        if to == State::Approved && !(is_asker(&one, &grant) && one.state == to) {
            parts.approvals.may_agree(&one, &grant)?;
        }
        let recorded = match one.state {
            State::Pending => decide(&parts, &grant, by, &one, verdict, to).await?,
            // It was decided so before; whoever did may not have gone on with the run.
            state if state == to => {
                if within(parts.runs.body(one.run)).await?.is_none() {
                    return Err(resumed::gone());
                }
                again(&parts, &grant, by, &one).await?;
                Ok(())
            }
            state => return Err(decided_as(state)),
        };
        // What is void by now the asker and the model are told once the ledger takes it.
        if let Err(error) = recorded {
            return Err(match to {
                State::Denied => kept(error.into()),
                _ => error.into(),
            });
        }
        let all = recorded_by_now(&parts, one.run).await.map_err(kept)?;
        match all.iter().all(Confirmation::is_decided) {
            true => self.go_on(&parts, &grant, by, &one, &all, to).await,
            false => Ok(AnswerStream::told(waits(&parts, &grant, &one, &all))),
        }
    }

    /// Goes on with a run after the decision on one of its calls, which was the last. By a credential of the asker's
    /// that may not make all of them it goes on as if nobody were there, and tells that credential nothing.
    async fn go_on(
        &self,
        parts: &Arc<Parts>,
        grant: &Arc<Grant>,
        by: &Decider,
        one: &Confirmation,
        all: &[Confirmation],
        to: State,
    ) -> Result<AnswerStream, Error> {
        let is_own = is_asker(one, grant);
        let is_told = is_own && may_make_all(parts, grant, all);
        let now = Present { grant, credential: &by.credential, elicit: is_told.then_some(&by.elicit) };
        let mut stream = self.resume(parts, one.run, (is_told || !is_own).then_some(now)).await?;
        if is_told {
            return Ok(stream);
        }
        // Where it is not let in, nobody else would learn of it.
        match stream.next().await {
            Some(AnswerEvent::Error(failure)) => Err(failure.error),
            _ => Ok(AnswerStream::told(for_others(one, grant, to))),
        }
    }

    /// Goes on with a run all of whose calls are decided.
    pub(super) async fn resume(
        &self,
        parts: &Arc<Parts>,
        run: Uuid,
        decider: Option<Present<'_>>,
    ) -> Result<AnswerStream, Error> {
        recorded_by_now(parts, run).await?;
        let body = within(parts.runs.body(run)).await?.ok_or_else(resumed::gone)?;
        let paused = Paused::decode(&body)?;
        let mut ask = paused.ask(resumed::principal(&paused.principal, decider));
        if let Some(elicit) = decider.and_then(|decider| decider.elicit) {
            ask.elicit = elicit.clone();
        }
        let token = resumed::token(parts, &paused.principal, decider);
        let resumed = Resumed::new(paused, run, parts.runs.clone(), decider).with_token(token);
        let (sender, receiver) = mpsc::channel(EVENT_BUFFER);
        // Dropping the stream gives nothing up: what was agreed to is carried out.
        let stream = AnswerStream::new(ask.request_id, receiver, CancellationToken::new());
        let (events, cancel, parts) = (EventSender::new(sender), self.inner.kill.child_token(), parts.clone());
        let span = trace::ask(&ask);
        let going_on = async move { ask::run(&parts, &ask, Some(resumed), cancel, events).await };
        self.inner.tasks.spawn(going_on.instrument(span));
        Ok(stream)
    }

    /// A confirmation that somebody may see, as it is by now. What is not there for a credential it cannot deny either:
    /// a run goes on after a no as well, under the rights of whoever asked, and tells its answer.
    async fn look_up(&self, parts: &Arc<Parts>, grant: &Grant, id: Uuid) -> Result<Confirmation, Error> {
        let unknown = || Error::NotFound { message: format!("no call {id} waits for a decision") };
        let is_seen = |one: &Confirmation| parts.approvals.may_see(one, grant, &parts.pool.catalog());
        let mut one = within(parts.runs.confirmation(id)).await?.filter(is_seen).ok_or_else(unknown)?;
        let is_due = one.state == State::Pending && one.expires_at <= Utc::now();
        if is_due || one.state == State::Running {
            self.lapse(parts).await?;
            one = within(parts.runs.confirmation(id)).await?.ok_or_else(unknown)?;
        }
        Ok(one)
    }
}

async fn decider(parts: &Parts, who: &Credential) -> Result<Arc<Grant>, Error> {
    let principal = steps::identity(parts, who).await?;
    let grant = steps::policy(parts, &principal).await?;
    grant.require(Scope::Ask)?;
    Ok(grant)
}

/// The calls of a run, with every decision on them in the ledger. Whoever just made one is left to record it.
async fn recorded_by_now(parts: &Parts, run: Uuid) -> Result<Vec<Confirmation>, Error> {
    let is_on_its_way = |one: &Confirmation| {
        one.unrecorded().and_then(|said| said.decided_at).is_some_and(|at| Utc::now() - at < OWN_RECORD)
    };
    let mut all = within(parts.runs.of_run(run)).await?;
    for _ in 0..LOOKS {
        if !all.iter().any(is_on_its_way) {
            break;
        }
        sleep(OWN_RECORD.to_std().unwrap_or_default() / LOOKS).await;
        all = within(parts.runs.of_run(run)).await?;
    }
    noted::decisions(parts, &all).await?;
    Ok(all)
}

/// What was said is kept all the same.
fn kept(why: Error) -> Error {
    Error::Waits { why: Box::new(why), again: false }
}

/// Somebody who may agree says the same as whoever did before and may not any more: it is their word then.
async fn again(parts: &Parts, grant: &Grant, by: &Decider, one: &Confirmation) -> Result<(), Error> {
    let subject = grant.principal.subject.as_str();
    let is_theirs = one.decided_by.as_deref() == Some(subject);
    if one.state != State::Approved || is_theirs || parts.approvals.may_agree(one, grant).is_err() {
        return Ok(());
    }
    // Who may agree only while they are there takes the place of nobody whose word still counts.
    let from = one.decided_by.as_deref().unwrap_or_default();
    if ready::against(parts, one, from).await?.is_none() {
        return Ok(());
    }
    if !within(parts.runs.agree_again(one.id, from, subject)).await? {
        let now = within(parts.runs.confirmation(one.id)).await?;
        return match now.is_some_and(|now| now.state == State::Approved && now.decided_by.as_deref() == Some(subject)) {
            true => Ok(()),
            false => Err(resumed::gone()),
        };
    }
    let said = Confirmation { decided_by: Some(subject.to_owned()), ..one.clone() };
    noted::decision(parts, &said, party(grant, by)).await.map_err(|error| kept(error.into()))
}

/// Takes the decision down, here and in the ledger. An agreement that the ledger does not have does not count: it is
/// void then. A denial counts all the same.
async fn decide(
    parts: &Parts,
    grant: &Grant,
    by: &Decider,
    one: &Confirmation,
    verdict: &Verdict,
    to: State,
) -> Result<Result<(), AuditError>, Error> {
    let reason = match verdict {
        Verdict::Approve => None,
        Verdict::Decline { reason } => Some(cleaned(reason)),
    };
    let who = &*grant.principal.subject;
    let change = Change::new(one.id, State::Pending, to).by(who).because(reason.as_deref());
    if !within(parts.runs.change(change)).await? {
        let now = within(parts.runs.confirmation(one.id)).await?.map_or(State::Void, |one| one.state);
        return Err(decided_as(now));
    }
    let decided = Confirmation { state: to, decided_by: Some(who.to_owned()), reason, ..one.clone() };
    let recorded = noted::decision(parts, &decided, party(grant, by)).await;
    if recorded.is_err() && to == State::Approved {
        let why = "the ledger could not record the decision";
        within(parts.runs.change(Change::new(one.id, to, State::Void).because(Some(why)))).await?;
    }
    Ok(recorded)
}

fn party(grant: &Grant, by: &Decider) -> Party {
    let mut party = Party::new(&grant.principal, by.source).with_client(by.client.clone());
    party.role = Some(grant.role.name.to_string());
    party
}

/// A reason as the model and the ledger have it.
fn cleaned(reason: &str) -> String {
    let shown: String =
        reason.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_REASON).collect();
    match shown.trim().trim_end_matches('.') {
        "" => "somebody said no".into(),
        reason => reason.to_owned(),
    }
}

fn decided_as(state: State) -> Error {
    let message = match state {
        State::Pending | State::Expired => "the time to decide on it is over",
        State::Approved => "it was decided already: it is approved",
        State::Denied => "it was decided already: it is denied",
        State::Running => "it was decided already: it is running",
        State::Done => "it was decided already: it is done",
        State::Void => "it was decided already: it is void, and was not run",
        State::UnknownOutcome => "it was decided already: it may have run, and nobody knows how it ended",
    };
    Error::Conflict { message: message.into() }
}

fn knows_rules(grant: &Grant) -> bool {
    grant.role.is_admin
}

/// Whether somebody may make all of these calls themselves by now.
fn may_make_all(parts: &Parts, grant: &Grant, calls: &[Confirmation]) -> bool {
    let catalog = parts.pool.catalog();
    calls.iter().all(|one| may_make(one, grant, &catalog))
}

fn view(parts: &Parts, grant: &Grant, mut one: Confirmation, result: Option<Value>) -> ConfirmationView {
    let arguments = noted::arguments(parts, &one);
    let is_open = matches!(one.state, State::Pending | State::Approved);
    let may_approve = is_open && parts.approvals.may_agree(&one, grant).is_ok();
    if !knows_rules(grant) {
        one.rule = String::new();
    }
    ConfirmationView { confirmation: one, arguments, may_approve, result }
}

/// What is said while other calls of the same ask wait; those are named that are there for whoever decides.
fn waits(parts: &Parts, grant: &Grant, one: &Confirmation, all: &[Confirmation]) -> Answer {
    let mut answer = Answer::empty(one.run, &*one.subject);
    answer.status = Status::Waiting;
    let catalog = parts.pool.catalog();
    let is_named = |one: &&Confirmation| !one.is_decided() && parts.approvals.may_see(one, grant, &catalog);
    let pending = all.iter().filter(is_named).map(|one| PendingCall {
        id: one.id,
        server: one.server.clone(),
        tool: one.tool.clone(),
        arguments: noted::arguments(parts, one),
        rule: if knows_rules(grant) { one.rule.clone() } else { String::new() },
        expires_at: one.expires_at,
    });
    answer.pending = pending.collect();
    answer
}

/// What somebody is told who decides for somebody else, or by a credential that the answer is not for.
fn for_others(one: &Confirmation, grant: &Grant, to: State) -> Answer {
    let mut answer = Answer::empty(one.run, &*grant.principal.subject);
    let Confirmation { server, tool, subject, .. } = one;
    answer.text = format!("{server}.{tool} is {}. The answer goes to {subject}.", to.as_str());
    answer
}
