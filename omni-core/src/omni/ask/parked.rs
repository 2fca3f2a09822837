//! An ask whose calls wait for a human is stored, and everything that it takes to go on with it.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::{Instrument as _, debug_span};
use uuid::Uuid;

use crate::{
    agent::{
        Disposition, PlannedCall, Run,
        drive::{AskContext, Progress},
        reads_policy,
    },
    answer::{Answer, PendingCall},
    ask::{Ask, AskOptions, Client, Source},
    confirm::{Bound, Confirmation, MAX_PENDING, MAX_RUN_BYTES, ParkedRun, RunError, Whose},
    error::Error,
    identity::{Credential, Principal},
    omni::{noted, resumed::caught},
    parts::Parts,
    thread::Conversation,
};

/// Grows when a parked run of before cannot be read any more.
const VERSION: u32 = 1;
/// How long parking may take.
const PARKING: Duration = Duration::from_secs(10);

/// A parked run, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::omni) struct Paused {
    version: u32,
    pub(in crate::omni) principal: Principal,
    /// The number of the key with which it was asked, if it was with one.
    #[serde(default)]
    key: Option<i64>,
    source: Source,
    client: Client,
    question: String,
    thread: Option<Conversation>,
    options: AskOptions,
    /// The fingerprint of the rules that its calls were decided by; of older builds there is none.
    #[serde(default)]
    pub(in crate::omni) rules: String,
    /// Where its own messages begin.
    pub(in crate::omni) before: usize,
    /// What there is of the answer.
    pub(in crate::omni) answer: Answer,
    pub(in crate::omni) run: Run,
}

impl Paused {
    fn of(ask: &Ask, cx: &AskContext<'_>, key: Option<i64>, before: usize, run: &Run, answer: &Answer) -> Self {
        let mut options = ask.options.clone();
        options.model = Some(cx.model.id.clone());
        Self {
            version: VERSION,
            principal: cx.grant.principal.clone(),
            key,
            source: ask.source,
            client: ask.client.clone(),
            question: ask.question.clone(),
            thread: ask.thread.clone(),
            options,
            rules: cx.grant.rules.fingerprint().to_owned(),
            before,
            answer: answer.clone(),
            run: run.clone(),
        }
    }

    /// What was stored.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another build stored it in a way that this one does not know.
    pub(in crate::omni) fn decode(body: &str) -> Result<Self, Error> {
        let unreadable = || Error::Conflict { message: "this build cannot go on with what was parked".into() };
        serde_json::from_str(body).ok().filter(|paused: &Self| paused.version == VERSION).ok_or_else(unreadable)
    }

    /// The ask that goes on, under the rights that its asker has by now.
    pub(in crate::omni) fn ask(&self, principal: Principal) -> Ask {
        let mut ask = Ask::new(principal, self.question.clone())
            .with_source(self.source)
            .with_client(self.client.clone())
            .with_options(self.options.clone())
            .with_parking();
        ask.thread.clone_from(&self.thread);
        ask.key = self.key;
        ask
    }
}

/// Stores the run with a confirmation for every call that waits.
///
/// # Errors
/// Why it cannot be. What may be stored all the same, [`undo`] ends.
pub(super) async fn park(
    parts: &Parts,
    ask: &Ask,
    cx: &AskContext<'_>,
    before: usize,
    run: &Run,
    progress: &mut Progress,
) -> Result<(), String> {
    let parking = AssertUnwindSafe(try_park(parts, ask, cx, before, run, progress)).catch_unwind();
    let parked = timeout(PARKING, parking.instrument(debug_span!("omni.confirm"))).await;
    progress.answer.pending = match parked {
        Ok(Ok(parked)) => parked?,
        Ok(Err(_)) => return Err("it could not be kept until somebody decides".into()),
        Err(_) => return Err("it could not be kept in time until somebody decides".into()),
    };
    Ok(())
}

/// Ends the run that is stored, or may be: nobody shall agree to what does not wait.
///
/// # Errors
/// It may still be there.
pub(super) async fn undo(parts: &Parts, progress: &mut Progress) -> Result<(), Error> {
    let Some(run) = progress.parked else { return Ok(()) };
    let ended = timeout(PARKING, caught(parts.runs.end(run, None))).await;
    let left = ended.unwrap_or_else(|_| Err(RunError::new("no answer in time")))?;
    progress.parked = None;
    noted::write_all(parts, &left).await;
    Ok(())
}

/// What waits is refused, and the run goes on.
pub(super) fn go_without(run: &mut Run, reason: &str) {
    let ids: Vec<String> = run.waiting().into_iter().map(|call| call.id.clone()).collect();
    for id in ids {
        run.call_decided(&id, Some(format!("The call was not approved: {reason}.")));
    }
}

async fn try_park(
    parts: &Parts,
    ask: &Ask,
    cx: &AskContext<'_>,
    before: usize,
    run: &Run,
    progress: &mut Progress,
) -> Result<Vec<PendingCall>, String> {
    let principal = &cx.grant.principal;
    let whose = Whose::of(&principal.tenant, &principal.subject);
    let waiting = parts.runs.pending(whose, MAX_PENDING).await.map_err(|error| unkept(&error))?;
    if waiting.len() + run.waiting().len() > MAX_PENDING {
        return Err(format!("{MAX_PENDING} calls of {} wait for a decision already", principal.subject));
    }
    // The first time it is the ask's own id, under which people find it.
    let id = if progress.parkings == 0 { ask.request_id } else { Uuid::now_v7() };
    let confirmations = run.waiting().into_iter().map(|call| confirmation(ask, cx, id, call));
    let confirmations = confirmations.collect::<Option<Vec<_>>>().ok_or("the tool is not there any more")?;
    let key = key(parts, ask).await?;
    let body = serde_json::to_string(&Paused::of(ask, cx, key, before, run, &progress.answer));
    let body = body.map_err(|error| unkept(&RunError::new(error.to_string())))?;
    if body.len() > MAX_RUN_BYTES {
        return Err("there is too much to keep until somebody decides".into());
    }
    (progress.parked, progress.parkings) = (Some(id), progress.parkings + 1);
    let parked = ParkedRun::new(id, &body, &confirmations, parts.approvals.expiry);
    parts.runs.park(parked).await.map_err(|error| unkept(&error))?;
    let kept = parts.runs.of_run(id).await.map_err(|error| unkept(&error))?;
    for one in &kept {
        if let Err(error) = noted::write(parts, one, Some(cx.party.clone())).await {
            tracing::error!(%error, "a call does not wait because the ledger cannot take its question");
            return Err("the ledger cannot record it at the moment".into());
        }
    }
    Ok(kept.iter().map(|one| pending(parts, cx, one)).collect())
}

/// The key with which it was asked: an agreement does not outlive it.
async fn key(parts: &Parts, ask: &Ask) -> Result<Option<i64>, String> {
    let Credential::ApiKey { key, .. } = ask.credential.brought() else { return Ok(ask.key) };
    let gone = || "the API key with which it was asked is not valid any more".to_owned();
    let keys = parts.authenticator.keys().ok_or_else(gone)?;
    let key = keys.judge(key).await.map_err(|error| unkept(&RunError::new(error.to_string())))?;
    Ok(Some(key.ok_or_else(gone)?.id))
}

fn unkept(error: &RunError) -> String {
    tracing::error!(%error, "a call that needs a human cannot wait");
    "it cannot be kept until somebody decides".into()
}

/// `None` where the call does not wait after all, or its tool is gone.
fn confirmation(ask: &Ask, cx: &AskContext<'_>, run: Uuid, call: &PlannedCall) -> Option<Confirmation> {
    let Disposition::Ask(asking) = &call.disposition else { return None };
    let principal = &cx.grant.principal;
    let tool_digest = cx.catalog.tool(&call.server, &call.tool)?.digest();
    let bound = Bound {
        tenant: &principal.tenant,
        subject: &principal.subject,
        actor: principal.actor.as_deref(),
        server: &call.server,
        tool: &call.tool,
        arguments: &call.arguments,
        tool_digest,
        rule_digest: &asking.digest,
    };
    let (id, now) = (Uuid::now_v7(), chrono::Utc::now());
    let mut one = Confirmation::stored(id, run, call.id.as_str(), ask.source, &bound, bound.digest(), (now, now));
    one.thread = ask.thread.as_ref().map(|thread| thread.name().to_owned());
    one.rule.clone_from(&asking.rule);
    Some(one)
}

fn pending(parts: &Parts, cx: &AskContext<'_>, one: &Confirmation) -> PendingCall {
    PendingCall {
        id: one.id,
        server: one.server.clone(),
        tool: one.tool.clone(),
        arguments: noted::arguments(parts, one),
        rule: if reads_policy(cx) { one.rule.clone() } else { String::new() },
        expires_at: one.expires_at,
    }
}
