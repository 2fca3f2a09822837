//! The agent's state machine: no I/O, no clock, serialisable between any two steps.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::plan::{Asking, Disposition, PlannedCall, Refused};
use crate::llm::{Block, Message, ModelTurn, ResultPart, Speaker, StopReason, ToolChoice, Usage};

/// How often a run may make the very same call before it is broken off.
const MAX_IDENTICAL_CALLS: u32 = 3;
/// How many calls of one turn are carried out.
const MAX_CALLS: usize = 64;

/// Bounds that the machine itself keeps. Time and money are kept by whoever drives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunLimits {
    /// Most model turns.
    pub max_turns: u32,
    /// Most tokens, in and out, of all turns together.
    pub max_tokens: Option<u64>,
}

impl RunLimits {
    /// A bound on turns alone.
    #[must_use]
    pub fn turns(max_turns: u32) -> Self {
        Self { max_turns, max_tokens: None }
    }
}

/// What is to be done next.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Step {
    /// Ask the model for a turn over these messages.
    CallModel {
        /// The conversation.
        messages: Arc<Vec<Message>>,
        /// Whether tools may be used.
        tool_choice: ToolChoice,
    },
    /// Carry out calls, in any order or at the same time, and report each.
    Dispatch(Vec<PlannedCall>),
    /// Nothing can go on before these calls are decided by a human.
    Wait(Vec<String>),
    /// The run is over.
    Done(Finish),
}

/// Why a run is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finish {
    /// The model stopped by itself.
    Model(StopReason),
    /// The bound on turns.
    MaxTurns,
    /// The bound on tokens.
    MaxTokens,
    /// The model makes the same call again and again.
    ToolLoop,
}

/// How a call ended, as far as the model is concerned.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallOutcome {
    /// What the model reads.
    pub content: Vec<ResultPart>,
    /// Whether it is an error.
    pub is_error: bool,
}

impl CallOutcome {
    /// An error that the model reads.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self { content: vec![ResultPart::Text { text: message.into() }], is_error: true }
    }

    /// A result.
    #[must_use]
    pub fn ok(content: Vec<ResultPart>) -> Self {
        Self { content, is_error: false }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Model,
    Tools {
        calls: Vec<PlannedCall>,
        outcomes: HashMap<String, CallOutcome>,
        /// The calls that wait for a human.
        #[serde(default)]
        waiting: BTreeSet<String>,
    },
    Done(Finish),
}

/// One run: the conversation so far, and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    limits: RunLimits,
    messages: Arc<Vec<Message>>,
    turns: u32,
    usage: Usage,
    seen: HashMap<String, u32>,
    /// The ids of all calls in the conversation.
    ids: HashSet<String>,
    phase: Phase,
}

impl Run {
    /// Puts other messages in the place of the first ones. Calls in them that are named like its own get other names.
    pub(crate) fn begin_after(&mut self, count: usize, mut messages: Vec<Message>) {
        let own = &self.messages[count.min(self.messages.len())..];
        let taken = ids(own);
        for block in messages.iter_mut().flat_map(|message| &mut message.blocks) {
            if let Block::ToolUse { id, .. } | Block::ToolResult { id, .. } = block
                && taken.contains(id)
            {
                id.push_str("_before");
            }
        }
        self.ids.extend(ids(&messages));
        messages.extend_from_slice(own);
        self.messages = Arc::new(messages);
    }

    /// A run over `messages`, the question last.
    #[must_use]
    pub fn new(messages: Vec<Message>, limits: RunLimits) -> Self {
        Self {
            limits,
            ids: ids(&messages),
            messages: Arc::new(messages),
            turns: 0,
            usage: Usage::default(),
            seen: HashMap::new(),
            phase: Phase::Model,
        }
    }

    /// Adds the question to a run that has not begun.
    pub fn ask(&mut self, question: Message) {
        if self.turns == 0 {
            self.push(question);
        }
    }

    /// What is to be done next. Asking twice changes nothing.
    #[must_use]
    pub fn step(&self) -> Step {
        match &self.phase {
            Phase::Done(finish) => Step::Done(finish.clone()),
            Phase::Model => Step::CallModel { messages: self.messages.clone(), tool_choice: ToolChoice::Auto },
            Phase::Tools { calls, outcomes, waiting } => {
                let open = calls.iter().filter(|call| !outcomes.contains_key(&call.id));
                let (wait, run): (Vec<_>, Vec<_>) = open.cloned().partition(|call| waiting.contains(&call.id));
                match run.is_empty() && !wait.is_empty() {
                    true => Step::Wait(wait.into_iter().map(|call| call.id).collect()),
                    false => Step::Dispatch(run),
                }
            }
        }
    }

    /// The model made its turn; `plan` judges each of its calls.
    pub fn model_answered(
        &mut self,
        mut turn: ModelTurn,
        mut plan: impl FnMut(&str, &str, &serde_json::value::RawValue) -> PlannedCall,
    ) {
        self.turns += 1;
        self.usage += turn.usage;
        self.name_calls(&mut turn.blocks);
        let mut calls: Vec<PlannedCall> = Vec::new();
        for block in &turn.blocks {
            if let Block::ToolUse { id, name, input } = block {
                calls.push(plan(id, name, input));
            }
        }
        // The limit may have cut the last block, even where what is left of it looks whole.
        let is_cut = turn.stop == StopReason::MaxTokens && matches!(turn.blocks.last(), Some(Block::ToolUse { .. }));
        if let Some(call) = calls.last_mut().filter(|_| is_cut) {
            refuse_cut(call);
        }
        if !turn.blocks.is_empty() {
            self.push(Message::assistant(turn.blocks));
        }
        self.phase = match turn.stop {
            StopReason::PauseTurn if calls.is_empty() => self.go_on(),
            stop if calls.is_empty() => Phase::Done(Finish::Model(stop)),
            // What the model said before it broke off was not meant to be carried out.
            stop @ (StopReason::Refusal | StopReason::ContextExceeded | StopReason::Other(_)) => {
                self.end_without(calls, Finish::Model(stop))
            }
            stop @ StopReason::MaxTokens => self.plan_tools(calls, Finish::Model(stop)),
            StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::PauseTurn => {
                self.plan_tools(calls, Finish::ToolLoop)
            }
        };
    }

    /// A call of the current dispatch ended. Unknown and repeated ids change nothing.
    pub fn call_finished(&mut self, id: &str, outcome: CallOutcome) {
        let Phase::Tools { calls, outcomes, .. } = &mut self.phase else { return };
        if !calls.iter().any(|call| call.id == id) {
            return;
        }
        outcomes.entry(id.to_owned()).or_insert(outcome);
        if outcomes.len() == calls.len() {
            self.close_dispatch();
        }
    }

    /// A call of the current dispatch waits for a human, while the others go on.
    pub fn call_waits(&mut self, id: &str, asking: Asking) {
        let Phase::Tools { calls, outcomes, waiting } = &mut self.phase else { return };
        let call = calls.iter_mut().find(|call| call.id == id && !outcomes.contains_key(id));
        if let Some(call) = call {
            call.disposition = Disposition::Ask(asking);
            waiting.insert(id.to_owned());
        }
    }

    /// The calls that wait for a human, in the order in which the model made them.
    #[must_use]
    pub fn waiting(&self) -> Vec<&PlannedCall> {
        match &self.phase {
            Phase::Tools { calls, waiting, .. } => calls.iter().filter(|call| waiting.contains(&call.id)).collect(),
            Phase::Model | Phase::Done(_) => Vec::new(),
        }
    }

    /// A call waits no longer: it is carried out, or refused in these words.
    pub fn call_decided(&mut self, id: &str, refused: Option<String>) {
        let Phase::Tools { calls, waiting, .. } = &mut self.phase else { return };
        if !waiting.remove(id) {
            return;
        }
        let call = calls.iter_mut().find(|call| call.id == id);
        if let (Some(call), Some(message)) = (call, refused) {
            if let Disposition::Ask(asking) = &call.disposition {
                call.rule.clone_from(&asking.rule);
            }
            call.refuse(Refused::Unapproved, message);
        }
    }

    /// Model turns so far.
    #[must_use]
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// Tokens so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// How many tokens the bound leaves; `None` where there is no bound.
    #[must_use]
    pub fn tokens_left(&self) -> Option<u64> {
        self.limits.max_tokens.map(|max| max.saturating_sub(self.usage.total()))
    }

    /// The whole conversation.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    fn push(&mut self, message: Message) {
        Arc::make_mut(&mut self.messages).push(message);
    }

    /// Gives a call an id of its own where it has none, or that of an earlier call: results, records
    /// and vendors tell calls apart by it.
    fn name_calls(&mut self, blocks: &mut [Block]) {
        for block in blocks {
            let Block::ToolUse { id, .. } = block else { continue };
            if id.is_empty() || self.ids.contains(id) {
                *id = self.fresh_id();
            }
            self.ids.insert(id.clone());
        }
    }

    fn fresh_id(&self) -> String {
        let ids = (self.ids.len()..).map(|n| format!("call_{n}"));
        ids.into_iter().find(|id| !self.ids.contains(id)).unwrap_or_default()
    }

    /// A paused turn goes on where it stands if the vendor's own tool had the last word. Behind
    /// anything else vendors want the user's.
    fn go_on(&mut self) -> Phase {
        let last = self.messages.last().and_then(|message| message.blocks.last());
        if !matches!(last, Some(Block::Opaque { .. })) {
            self.push(Message::user("Go on."));
        }
        self.next_turn()
    }

    /// Plans the calls of a turn; `stuck_as` is how the run ends if none of them is new.
    fn plan_tools(&mut self, mut calls: Vec<PlannedCall>, stuck_as: Finish) -> Phase {
        let mut stuck = true;
        for call in &mut calls {
            let times = self.seen.entry(call.signature()).or_insert(0);
            *times += 1;
            stuck &= *times > MAX_IDENTICAL_CALLS + 1;
            if *times > MAX_IDENTICAL_CALLS {
                call.refuse(Refused::Repeated, format!(
                    "This very call was made {MAX_IDENTICAL_CALLS} times already; its result is above. Use it, or do something else."
                ));
            }
        }
        if stuck {
            return self.end_without(calls, stuck_as);
        }
        let too_many = format!("Not called: at most {MAX_CALLS} calls are carried out at once. Make it again.");
        let outcomes = unanswered(calls.get(MAX_CALLS..).unwrap_or_default(), &too_many);
        Phase::Tools { calls, outcomes, waiting: BTreeSet::new() }
    }

    /// Every call is answered even now, so that the conversation stays one that a vendor accepts.
    fn end_without(&mut self, calls: Vec<PlannedCall>, finish: Finish) -> Phase {
        let outcomes = unanswered(&calls, "Not called: the run ended here.");
        self.push(answers(calls, outcomes));
        Phase::Done(finish)
    }

    fn close_dispatch(&mut self) {
        let next = self.next_turn();
        if let Phase::Tools { calls, outcomes, .. } = std::mem::replace(&mut self.phase, next) {
            self.push(answers(calls, outcomes));
        }
    }

    fn next_turn(&self) -> Phase {
        if self.turns >= self.limits.max_turns {
            return Phase::Done(Finish::MaxTurns);
        }
        match self.limits.max_tokens {
            Some(max) if self.usage.total() >= max => Phase::Done(Finish::MaxTokens),
            Some(_) | None => Phase::Model,
        }
    }
}

/// A tool that may not be used stays what it is: unknown.
fn refuse_cut(call: &mut PlannedCall) {
    if !matches!(call.disposition, Disposition::Refuse { reason: Refused::Unknown | Refused::Policy, .. }) {
        let message = "Not called: the output limit cut this call off. Make it again, shorter or alone.";
        call.refuse(Refused::Cut, message.into());
    }
}

/// The ids of the calls in messages.
fn ids(messages: &[Message]) -> HashSet<String> {
    let blocks = messages.iter().flat_map(|message| &message.blocks);
    let ids = blocks.filter_map(|block| if let Block::ToolUse { id, .. } = block { Some(id.clone()) } else { None });
    ids.collect()
}

fn unanswered(calls: &[PlannedCall], why: &str) -> HashMap<String, CallOutcome> {
    calls.iter().map(|call| (call.id.clone(), CallOutcome::error(why))).collect()
}

/// Every call is answered, in the order of the calls, at the head of the next user message.
fn answers(calls: Vec<PlannedCall>, mut outcomes: HashMap<String, CallOutcome>) -> Message {
    let blocks = calls.into_iter().filter_map(|call| {
        let outcome = outcomes.remove(&call.id)?;
        Some(Block::ToolResult { id: call.id, content: outcome.content, is_error: outcome.is_error })
    });
    Message { speaker: Speaker::User, blocks: blocks.collect() }
}

#[cfg(test)]
mod tests;
