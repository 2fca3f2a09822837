//! A parked run goes on: it is taken on by one, and each of its calls is what was agreed to or is not made.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{ask::Paused, noted, steps};
use crate::{
    agent::{Disposition, PlannedCall, Run, menu, plan::Judge, reading},
    answer::{Answer, AnswerEvent, CallStatus, CallSummary, json::EventJson},
    call::Agreed,
    confirm::{Bound, Broken, Change, Confirmation, MAX_RUN_BYTES, RunStore, State},
    elicit::Elicit,
    error::{Error, ErrorKind},
    identity::{CallerToken, Credential, Principal, Via},
    llm::{Block, Message},
    parts::Parts,
    policy::Grant,
};

mod lease;
pub(super) mod ready;

pub(super) use lease::{Lease, caught, within};

/// Who is there to decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present<'a> {
    pub(super) grant: &'a Arc<Grant>,
    pub(super) credential: &'a Credential,
    /// The asker, where it is they, for what servers ask.
    pub(super) elicit: Option<&'a Arc<dyn Elicit>>,
}

/// A run that goes on.
#[derive(Debug)]
pub(super) struct Resumed {
    paused: Paused,
    pub(super) lease: Arc<Lease>,
    /// The asker's own token, where they came with it to decide.
    pub(super) token: Option<Arc<CallerToken>>,
    /// Whether the asker had a role by a claim, which nobody makes now.
    lacks_claim: bool,
    /// Who is there.
    present: Option<Arc<Grant>>,
}

pub(super) fn gone() -> Error {
    Error::Conflict { message: "it was decided, and goes on or is over; its confirmation tells how it ended".into() }
}

impl Resumed {
    pub(super) fn new(paused: Paused, run: Uuid, store: Arc<dyn RunStore>, present: Option<Present<'_>>) -> Self {
        let lacks_claim = paused.principal.claimed_role().is_some() && own(&paused.principal, present).is_none();
        let present = present.map(|present| present.grant.clone());
        Self { paused, lease: Arc::new(Lease::new(store, run)), token: None, lacks_claim, present }
    }

    pub(super) fn with_token(mut self, token: Option<Arc<CallerToken>>) -> Self {
        self.token = token;
        self
    }

    /// What there is of the answer, as that of the ask that goes on.
    pub(super) fn answer(&self, request_id: Uuid) -> Answer {
        Answer { request_id, ..self.paused.answer.clone() }
    }

    /// Whether its asker's rules are those by which its calls were decided.
    pub(super) fn is_under(&self, grant: &Grant) -> bool {
        self.paused.rules == grant.rules.fingerprint()
    }

    /// Whether what was found out may still be told: by tools that the asker may use by now.
    ///
    /// # Errors
    /// [`Error::Denied`], where some of it may not.
    pub(super) fn may_be_told(&self, grant: &Grant) -> Result<(), Error> {
        if self.is_under(grant) {
            return Ok(());
        }
        let is_gone = |call: &CallSummary| match call.unsent {
            // Which tool's result was read does not show.
            true => reading::is_own(call) && call.status == CallStatus::Ok,
            false => !call.server.is_empty() && !self.is_allowed(grant, call),
        };
        match self.paused.answer.tool_calls.iter().any(is_gone) {
            false => Ok(()),
            true => {
                let message = "it used tools before it waited that its asker may not use any more".into();
                Err(Error::Denied { message })
            }
        }
    }

    /// Whether a call of the run may be made by now, with the arguments that it was made with.
    fn is_allowed(&self, grant: &Grant, call: &CallSummary) -> bool {
        let mut blocks = self.paused.run.messages().iter().flat_map(|message| &message.blocks);
        let arguments = blocks.find_map(|block| match block {
            Block::ToolUse { id, name, input } if *id == call.id => menu::given(name, input),
            _ => None,
        });
        arguments.is_some_and(|arguments| grant.decide(&call.server, &call.tool, Some(&arguments)).is_allowed())
    }

    /// The same run after what its asker may see by now of what was said before it.
    pub(super) fn state_after(&self, before: Vec<Message>) -> (usize, Run) {
        let (begins, mut run) = self.state();
        let count = before.len();
        run.begin_after(begins, before);
        (count, run)
    }

    /// Where the run's own messages begin, and the run.
    pub(super) fn state(&self) -> (usize, Run) {
        (self.paused.before.min(self.paused.run.messages().len()), self.paused.run.clone())
    }

    /// Lets the calls run that somebody agreed to and that are still what they agreed to; refuses the others.
    pub(super) async fn settle(
        &self,
        parts: &Parts,
        judge: &Judge<'_>,
        run: &mut Run,
    ) -> Result<BTreeMap<String, Agreed>, Error> {
        let confirmations = within(self.lease.store.of_run(self.lease.run)).await?;
        let waiting: Vec<PlannedCall> = run.waiting().into_iter().cloned().collect();
        let mut agreed = BTreeMap::new();
        for call in waiting {
            let one = confirmations.iter().find(|one| one.call_id == call.id);
            match self.decided(parts, judge, &call, one).await? {
                Ok(confirmation) => {
                    let store = self.lease.store.clone();
                    agreed.insert(call.id.clone(), Agreed { store, confirmation });
                    run.call_decided(&call.id, None);
                }
                Err(reason) => {
                    run.call_decided(&call.id, Some(format!("The call was not approved: {reason}.")));
                }
            }
        }
        Ok(agreed)
    }

    /// The agreement to a call, or why there is none.
    async fn decided(
        &self,
        parts: &Parts,
        judge: &Judge<'_>,
        call: &PlannedCall,
        one: Option<&Confirmation>,
    ) -> Result<Result<Confirmation, String>, Error> {
        let Some(one) = one else { return Ok(Err(Broken::Record.to_string())) };
        if one.state != State::Approved {
            let reason = one.reason.clone().unwrap_or_else(|| format!("it is {}", one.state.as_str()));
            return Ok(Err(reason));
        }
        let held = still_agreed(parts, judge, one).and_then(|()| still_holds(parts, judge, call, one));
        let Err(broken) = held else { return Ok(Ok(one.clone())) };
        let change = Change::new(one.id, State::Approved, State::Void).because(Some(&broken));
        if within(self.lease.store.change(change)).await? {
            let void = Confirmation { state: State::Void, reason: Some(broken.clone()), ..one.clone() };
            noted::write_all(parts, &[void]).await;
        }
        Ok(Err(broken))
    }

    /// The run is over, as the asker is told. One that was not let in before it was taken on waits on, unless that
    /// is for good.
    pub(super) async fn end(&self, parts: &Parts, last: &AnswerEvent) {
        let is_for_good = match last {
            AnswerEvent::Error(failure) => {
                matches!(failure.error.kind(), ErrorKind::Denied | ErrorKind::Unauthenticated)
            }
            _ => true,
        };
        // One that somebody else has taken on is theirs.
        if !self.lease.is_claimed() && (!is_for_good || self.lease.claim().await.is_err()) {
            return;
        }
        let told = serde_json::to_string(&EventJson::from(last)).ok().filter(|told| told.len() <= MAX_RUN_BYTES);
        match within(self.lease.store.end(self.lease.run, told.as_deref())).await {
            Ok(left) => noted::write_all(parts, &left).await,
            Err(error) => tracing::error!(%error, "a run that went on is over, which could not be noted"),
        }
    }
}

/// Whether somebody agreed who may by the rules of now.
fn still_agreed(parts: &Parts, judge: &Judge<'_>, one: &Confirmation) -> Result<(), String> {
    let asker = judge.grants.first().ok_or("nobody asks")?;
    parts.approvals.still_agreed(one, asker)
}

/// Whether a call is by now still what somebody agreed to.
fn still_holds(parts: &Parts, judge: &Judge<'_>, call: &PlannedCall, one: &Confirmation) -> Result<(), String> {
    let def = judge.catalog.tool(&call.server, &call.tool);
    let def = def.filter(|_| !parts.pool.is_withheld(&call.server, &call.tool));
    let (def, grant) = def.zip(judge.grants.first()).ok_or("the tool is not there any more")?;
    let mut now = call.clone();
    judge.judge(&mut now, def);
    let asking = match now.disposition {
        Disposition::Ask(asking) => asking,
        Disposition::Refuse { message, .. } => return Err(message.trim_end_matches('.').to_owned()),
        Disposition::Run | Disposition::Answer { .. } | Disposition::Read(_) => return Err(Broken::Rule.to_string()),
    };
    let principal = &grant.principal;
    let bound = Bound {
        tenant: &principal.tenant,
        subject: &principal.subject,
        actor: principal.actor.as_deref(),
        server: &now.server,
        tool: &now.tool,
        arguments: &now.arguments,
        tool_digest: def.digest(),
        rule_digest: &asking.digest,
    };
    one.holds_for(&bound).map_err(|broken| broken.to_string())
}

/// Whose rights count when a run goes on: the asker's, by the credential that they asked with. What a token or a
/// proxy claimed of them counts only if it is claimed now, by the asker's own decision.
pub(super) fn principal(asked: &Principal, decider: Option<Present<'_>>) -> Principal {
    let mut principal = asked.clone();
    if !matches!(principal.via, Via::Oidc | Via::ProxyHeader) {
        return principal;
    }
    match own(asked, decider) {
        Some(own) => principal.claimed_role.clone_from(&own.claimed_role),
        None => {
            principal.via = Via::ResumedRun;
            principal.claimed_role = None;
        }
    }
    principal
}

/// The asker who decides, in the way in which they asked.
fn own<'a>(asked: &Principal, decider: Option<Present<'a>>) -> Option<&'a Principal> {
    decider.map(|decider| &decider.grant.principal).filter(|decider| {
        (&decider.tenant, &decider.subject, decider.via) == (&asked.tenant, &asked.subject, asked.via)
    })
}

/// The token for servers that are used with it: the asker's own, if they asked by one and decide by one.
pub(super) fn token(parts: &Parts, asked: &Principal, decider: Option<Present<'_>>) -> Option<Arc<CallerToken>> {
    steps::token(parts, decider?.credential, own(asked, decider)?)
}
