//! What is said beside answers: whose a question is, where nothing is answered, and what was broken off.

use super::{Message, text};

/// Longest question that is shown above its answer.
const QUESTION: usize = 2_500;

/// Above an answer that everybody reads: what somebody asked by a command.
#[must_use]
pub fn asked(slack_id: &str, question: &str) -> Message {
    let asked = text::mrkdwn(question, QUESTION);
    Message::of(&format!("*<@{slack_id}> asked:*\n>{}", asked.replace('\n', "\n>")))
}

/// To whoever asks where the bot does not answer.
#[must_use]
pub fn not_here(is_direct: bool) -> Message {
    Message::of(match is_direct {
        true => "🚫 I do not answer direct messages. Ask me in a channel.",
        false => "🚫 I do not answer in this channel. Ask me in a direct message.",
    })
}

/// To whoever asked something whose answer was broken off.
#[must_use]
pub fn interrupted() -> Message {
    Message::of(
        "🔄 I was interrupted while I answered this, and nothing more comes of it. What was done until then is done. \
         Please ask again.",
    )
}

/// Where a report was to be that was broken off: what it asks.
#[must_use]
pub fn report_interrupted(asked: &str) -> Message {
    let asked = text::mrkdwn_line(asked, 500);
    Message::of(&format!(
        "🔄 I was interrupted while I made the scheduled report *{asked}*, and nothing comes of it this time. What was done \
         until then is done. It is made again at its next time."
    ))
}
