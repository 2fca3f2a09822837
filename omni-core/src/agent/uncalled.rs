//! Answers of those who may have none but from tools: text that no tool call stands behind is not
//! said, and what omni can do is said in its place.

use super::{
    drive::{AskContext, Progress},
    reading,
};
use crate::{
    answer::{CallStatus, CallSummary, EventSender},
    catalog::ToolSet,
};

/// Most tools that are named.
const MAX_NAMED: usize = 20;

/// Whether the model's text is kept back for now.
pub(super) fn is_kept_back(cx: &AskContext<'_>, progress: &Progress) -> bool {
    cx.grant.answers_by_tools_only() && !progress.answer.tool_calls.iter().any(stands_behind)
}

/// Whether there is a tool behind what is said after this call. To have looked for one is not to have called it, and
/// neither is to have made one up, or to have been refused. What a tool returned before counts where it was read.
fn stands_behind(call: &CallSummary) -> bool {
    call.was_sent() || (reading::is_own(call) && call.status == CallStatus::Ok)
}

/// The end of an ask whose text was kept back.
pub(super) fn end(cx: &AskContext<'_>, progress: &mut Progress, events: &mut EventSender) {
    if is_kept_back(cx, progress) {
        let text = what_there_is(&cx.tools);
        progress.say(&text);
        events.text(&text);
    }
}

fn what_there_is(tools: &ToolSet) -> String {
    let names: Vec<String> = tools.tools().iter().map(|tool| tool.def.full_name()).collect();
    match names.len() {
        0 => "I answer from the results of tools only, and there is no tool that you may use.".into(),
        many => {
            let more = if many > MAX_NAMED { format!(" and {} more", many - MAX_NAMED) } else { String::new() };
            let named = names[..many.min(MAX_NAMED)].join(", ");
            format!(
                "I answer from the results of tools only, and none of them was of use here. I can use: {named}{more}."
            )
        }
    }
}
