//! What is said to people by themselves: greetings, and how to be let in.

use super::{Message, block, text};

/// To whoever says hello.
#[must_use]
pub fn greeting(introduction: Option<&str>) -> Message {
    let text = "👋 Hi! Ask me anything: mention me with your question, write me a direct message, or use \
                `/omni <your question>`. `/omni-help` shows what you can use."
        .replace("<your question>", "&lt;your question&gt;");
    Message::of(introduction.unwrap_or(&text))
}

/// To whoever sends `/omni` without a question.
#[must_use]
pub fn no_question(examples: &[String]) -> Message {
    let default = ["What can you do?", "Which tools can I use?", "Show my queries and cost for the last 7 days"];
    let shown = |example: &str| format!("• {}", text::code(&format!("/omni {example}"), 200));
    let lines: Vec<String> = match examples {
        [] => default.iter().map(|example| shown(example)).collect(),
        examples => examples.iter().take(5).map(|example| shown(example)).collect(),
    };
    Message::of(&format!("❓ Please provide a question after `/omni`\n\n*Examples:*\n{}", lines.join("\n")))
}

/// To somebody whom omni does not know: how to be added. Nothing is said of who is known.
#[must_use]
pub fn unknown(slack_id: &str, email: Option<&str>, contact: Option<&str>) -> Message {
    let who = match contact.map(|contact| text::mrkdwn_line(contact, 200)).filter(|contact| !contact.is_empty()) {
        Some(contact) => format!("Ask {contact} to add you"),
        None => "Ask an administrator of omni to add you".into(),
    };
    let known_as = match email {
        Some(email) => format!("with the e-mail address {}", text::code(email, 200)),
        None => format!(
            "with `slack_user_id: {}` (Slack tells me no confirmed e-mail address of yours)",
            text::mrkdwn_line(slack_id, 40).replace('`', "'")
        ),
    };
    let mut message = Message::of(&format!("👋 I do not know you yet, so I cannot answer you.\n{who} {known_as}."));
    message.blocks.push(block::context(&format!("Your id in Slack is {}.", text::code(slack_id, 40))));
    message
}

/// To somebody who is kept out.
#[must_use]
pub fn refused(reason: &str) -> Message {
    Message::of(&format!("🚫 {}\nAn administrator of omni knows more.", text::mrkdwn_line(reason, 500)))
}
