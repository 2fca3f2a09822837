//! One model turn: the request, its events on their way to the asker, and what was collected.

use std::sync::Arc;

use futures::StreamExt as _;
use tracing::Instrument as _;

use super::{
    drive::{AskContext, Ended, Progress},
    run::Finish,
    uncalled,
};
use crate::{
    answer::{AnswerEvent, EventSender, Warning},
    cost::{self, NanoUsd, Price},
    error::Error,
    limit::{Spend, TurnSpend},
    llm::{
        Block, CachePlan, ChatEvent, ChatRequest, ChatStream, LlmError, Message, ModelInfo, ModelTurn, StopReason,
        ToolChoice, Usage,
    },
    parts::Parts,
    trace,
};

/// Most bytes of one turn's blocks that are taken from a vendor.
const MAX_TURN_BYTES: usize = 8 * 1024 * 1024;
/// A turn with less output than this is not worth its prompt.
const MIN_OUTPUT: u32 = 64;
/// More bytes than a token has in any usual text: a prompt that is too long by them is so by every vendor's count.
const LONG_TOKEN: u64 = 8;

/// The request of the next turn.
///
/// # Errors
/// How the ask ends, when a bound on its tokens or its cost leaves nothing for it.
pub(super) fn request(
    parts: &Parts,
    cx: &AskContext<'_>,
    messages: Arc<Vec<Message>>,
    tool_choice: ToolChoice,
    spent: NanoUsd,
    tokens_left: Option<u64>,
) -> Result<ChatRequest, Ended> {
    let left = tokens_left.map(|left| u32::try_from(left).unwrap_or(u32::MAX));
    let max_tokens = [cx.model.max_output, left].into_iter().flatten().fold(parts.max_output, u32::min);
    let mut request = ChatRequest::new(cx.model.id.clone(), Vec::new(), max_tokens);
    request.system = cx.system.clone();
    request.tools = cx.tools.offered();
    request.messages = messages;
    request.tool_choice = tool_choice;
    request.cache = if cx.model.cache_min_tokens.is_some() { CachePlan::full() } else { CachePlan::off() };
    request.deadline = Some(cx.deadline);
    request.extra = parts.extra.clone();
    if tokens_left.is_some_and(|left| left < prompt_bytes(&request) / LONG_TOKEN + u64::from(MIN_OUTPUT)) {
        return Err(Ended::Finished(Finish::MaxTokens));
    }
    if let Some(max_cost) = cx.max_cost {
        let left = NanoUsd(max_cost.0.saturating_sub(spent.0));
        let output = output_within(&request, cx.model, Spend::Usd(left)).ok_or(Ended::MaxCost)?;
        request.max_tokens = request.max_tokens.min(output);
    }
    Ok(request)
}

/// Most output tokens of the request within what is left; `None` when that is not worth the prompt.
/// Money is no bound where the price is not known: whoever sets one refuses such a model.
pub(super) fn output_within(request: &ChatRequest, model: &ModelInfo, left: Spend) -> Option<u32> {
    let prompt = prompt_bound(request);
    match (left, &model.price) {
        (Spend::Usd(left), Some(price)) => affordable(left, price, prompt),
        (Spend::Usd(_), None) => Some(u32::MAX),
        (Spend::Tokens(left), _) => enough(left.checked_sub(prompt)?),
    }
}

/// What the request may take at most.
pub(super) fn most(request: &ChatRequest, model: &ModelInfo) -> TurnSpend {
    let (prompt, output) = (prompt_bound(request), u64::from(request.max_tokens));
    let usd = model.price.and_then(|price| {
        let costs = prompts(prompt).map(|prompt| price.cost(&Usage { output, ..prompt }));
        costs.into_iter().max()
    });
    TurnSpend { usd: usd.unwrap_or_default(), tokens: prompt.saturating_add(output) }
}

/// What a prompt of `prompt` tokens may be at its dearest: all of it is plain input, or is written to a cache.
fn prompts(prompt: u64) -> [Usage; 2] {
    [Usage::new(prompt, 0), Usage { cache_write: prompt, ..Usage::default() }]
}

/// So many output tokens, if they are enough for a turn.
fn enough(tokens: u64) -> Option<u32> {
    Some(u32::try_from(tokens).unwrap_or(u32::MAX)).filter(|&tokens| tokens >= MIN_OUTPUT)
}

/// Most output tokens that `left` pays for after a prompt of at most `prompt` tokens.
fn affordable(left: NanoUsd, price: &Price, prompt: u64) -> Option<u32> {
    let outputs = prompts(prompt).map(|prompt| price.output_within(left, &prompt));
    // Nothing is less than a number: where one of them is not paid for, there is no turn.
    enough(outputs.into_iter().min().flatten()?)
}

/// A bound on the prompt's tokens: no token is less than a byte.
fn prompt_bound(request: &ChatRequest) -> u64 {
    prompt_bytes(request) + 64
}

/// What the prompt will hardly pass: two bytes a token is more than vendors count for text.
fn prompt_estimate(request: &ChatRequest) -> u64 {
    prompt_bytes(request) / 2 + 64
}

fn prompt_bytes(request: &ChatRequest) -> u64 {
    let tools: usize = request
        .tools
        .tools()
        .iter()
        .map(|tool| tool.def.description.len() + tool.def.input_schema.get().len() + tool.llm_name.len() + 40)
        .sum();
    let messages: usize = request.messages.iter().flat_map(|message| &message.blocks).map(block_bytes).sum();
    (request.system.len() + tools + messages) as u64
}

/// About how large a block is.
pub(super) fn block_bytes(block: &Block) -> usize {
    match block {
        Block::Text { text } => text.len(),
        Block::ToolUse { name, input, .. } => name.len() + input.get().len() + 40,
        Block::ToolResult { content, .. } => content.iter().map(part_bytes).sum::<usize>() + 40,
        Block::Opaque { raw, .. } => raw.get().len(),
    }
}

fn part_bytes(part: &crate::llm::ResultPart) -> usize {
    match part {
        crate::llm::ResultPart::Text { text } => text.len(),
        // A picture is charged by its size in pixels, a few thousand tokens at most.
        crate::llm::ResultPart::Image { .. } => 16_000,
    }
}

/// Makes the turn. What was streamed is in `progress` even when this fails or is dropped.
pub(super) async fn make(
    parts: &Parts,
    cx: &AskContext<'_>,
    request: ChatRequest,
    progress: &mut Progress,
    events: &mut EventSender,
) -> Result<ModelTurn, Error> {
    let span = trace::chat(cx.model, progress.known_model(), request.max_tokens);
    let made = stream(parts, cx, request, progress, events).instrument(span.clone()).await;
    trace::chatted(&span, &made);
    made
}

async fn stream(
    parts: &Parts,
    cx: &AskContext<'_>,
    request: ChatRequest,
    progress: &mut Progress,
    events: &mut EventSender,
) -> Result<ModelTurn, Error> {
    let mut stream = open(parts, request, progress).await?;
    note_price(cx.model, progress, events).await;
    let mut blocks = Vec::new();
    let mut bytes = 0;
    let mut streamed = false;
    while let Some(event) = stream.next().await {
        match event? {
            ChatEvent::Text(text) => {
                streamed = true;
                bytes = within_bounds(cx.model, bytes, text.len())?;
                say(&text, cx, progress, events);
            }
            ChatEvent::Block(block) => {
                // Text that was streamed comes again as a block, and is neither counted nor said twice.
                if !(streamed && matches!(block, Block::Text { .. })) {
                    bytes = within_bounds(cx.model, bytes, block_bytes(&block))?;
                }
                if let (Block::Text { text }, false) = (&block, streamed) {
                    say(text, cx, progress, events);
                }
                streamed = false;
                blocks.push(block);
            }
            ChatEvent::Usage(usage) => progress.turn_usage(usage),
            ChatEvent::Warning(message) => note(Warning::new("llm", message), progress, events).await,
            ChatEvent::Done(stop) => return Ok(finish(cx.model, blocks, stop, progress)),
        }
    }
    Err(cut(cx.model).into())
}

/// Begins a turn.
pub(super) async fn open(parts: &Parts, request: ChatRequest, progress: &mut Progress) -> Result<ChatStream, Error> {
    let llm = parts.llm()?;
    progress.begin_turn(prompt_estimate(&request), request.max_tokens);
    match llm.stream(request).await {
        Ok(stream) => {
            progress.answer_begins();
            Ok(stream)
        }
        Err(error) => {
            if !error.may_be_charged() {
                progress.forget_turn();
            }
            Err(error.into())
        }
    }
}

/// A turn without an end.
pub(super) fn cut(model: &ModelInfo) -> LlmError {
    LlmError::Cut { provider: model.provider, message: "the stream ended before the turn did".into() }
}

/// Says once that what this ask costs will not be known.
async fn note_price(model: &ModelInfo, progress: &mut Progress, events: &mut EventSender) {
    let is_said = progress.answer.warnings.iter().any(|warning| warning.code == "unknown_price");
    if model.price.is_none() && cost::is_vendor(model.provider) && !is_said {
        let message = format!("the price of {} is not known; set it in llm.prices", model.id);
        note(Warning::new("unknown_price", message), progress, events).await;
    }
}

async fn note(warning: Warning, progress: &mut Progress, events: &mut EventSender) {
    progress.answer.warnings.push(warning.clone());
    events.send(AnswerEvent::Warning(warning)).await;
}

/// The turn is over, and what it took is counted.
pub(super) fn finish(model: &ModelInfo, blocks: Vec<Block>, stop: StopReason, progress: &mut Progress) -> ModelTurn {
    let usage = progress.end_turn(model);
    ModelTurn::new(blocks, usage, stop)
}

fn say(text: &str, cx: &AskContext<'_>, progress: &mut Progress, events: &mut EventSender) {
    if text.is_empty() || uncalled::is_kept_back(cx, progress) {
        return;
    }
    let separator = progress.separator();
    if !separator.is_empty() {
        events.text(separator);
    }
    progress.say(text);
    events.text(text);
}

/// `bytes` and `more`, if a turn may be that large.
pub(super) fn within_bounds(model: &ModelInfo, bytes: usize, more: usize) -> Result<usize, LlmError> {
    let bytes = bytes.saturating_add(more);
    if bytes > MAX_TURN_BYTES {
        let message = format!("a turn of more than {MAX_TURN_BYTES} bytes");
        return Err(LlmError::Protocol { provider: model.provider, message });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::Rates;

    #[test]
    fn a_prompt_is_never_paid_for_with_less_than_a_token_a_byte() {
        let mut request = ChatRequest::new("m", vec![Message::user("x".repeat(1_000))], 8);
        request.system = "y".repeat(500).into();
        let bound = prompt_bound(&request);
        assert!(bound >= 1_500);
        let price = Price::flat(Rates::new(10, 10, 20, 30, 1));
        let tokens = affordable(NanoUsd(bound * 20 + 1_000), &price, bound);
        assert_eq!(tokens, Some(100), "what the prompt takes at most is put aside");
        assert_eq!(affordable(NanoUsd(bound * 20), &price, bound), None);
    }

    #[test]
    fn a_turn_at_a_fraction_of_a_nano_dollar_a_token_takes_all_that_is_left_and_no_more() {
        let mut request = ChatRequest::new("m", vec![Message::user("x")], 8);
        let mut model = ModelInfo::new("scripted", "m");
        model.price = Some(Price::flat(Rates::in_picos(400, 400, 500, 500, 40)));
        let left = NanoUsd(1_000);
        let output = output_within(&request, &model, Spend::Usd(left)).unwrap();
        assert_eq!(u64::from(output), (1_000_000 - prompt_bound(&request) * 500) / 400);
        request.max_tokens = output;
        assert!(most(&request, &model).usd <= left);
        request.max_tokens = output + 1;
        assert!(most(&request, &model).usd > left);
    }
}
