//! What went wrong, as people need it: what happened, what to do, and the id under which operators find it.

use omni_core::{Error, ErrorKind, config::SlackTemplates, limit::Refusal};

use super::{Message, block, ids, template, text, time};

/// Most of what is said of it.
const MESSAGE: usize = 1_000;

/// In mrkdwn: what happened, what to do, and the id.
#[must_use]
pub fn text(error: &Error, id: Option<&str>) -> String {
    let said = match error.refusal() {
        Some(refusal) => refused(refusal),
        None => {
            [Some(happened(error)), advice(error, id.is_some())].into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
    };
    // To whom it is said how long to wait, an id is of no use.
    match id.filter(|id| !id.trim().is_empty() && error.refusal().is_none()) {
        Some(id) => format!("{said}\nError id: {}", text::code(id, 60)),
        None => said,
    }
}

/// The same in the operator's words, where there are such; `role` is that of whoever asked, where it is known.
#[must_use]
pub fn worded(templates: &SlackTemplates, error: &Error, id: Option<&str>, role: Option<&str>) -> String {
    let own = match (error, error.kind()) {
        (_, ErrorKind::RateLimited) if error.refusal().is_some() => &templates.rate_limit,
        (Error::Server { .. }, ErrorKind::Unavailable) => &templates.mcp_unavailable,
        (_, ErrorKind::Denied | ErrorKind::Unauthenticated) => &templates.permission_denied,
        _ => &templates.query_error,
    };
    own.as_deref().map_or_else(|| text(error, id), |own| filled(own, error, id, role))
}

fn filled(own: &str, error: &Error, id: Option<&str>, role: Option<&str>) -> String {
    let refusal = error.refusal();
    let number = |of: fn(&Refusal) -> u64| refusal.map_or(String::new(), |refusal| of(refusal).to_string());
    let server = match error {
        Error::Server { server, .. } => server.as_str(),
        _ => "",
    };
    let (message, limit, used) = (error.public_message(), number(Refusal::max), number(|refusal| refusal.used));
    template::fill(
        own,
        &[
            ("error", &message),
            ("error_message", &message),
            ("error_id", id.unwrap_or_default()),
            ("role", role.unwrap_or_default()),
            ("mcp_name", server),
            ("rate_limit", &limit),
            ("requests_used", &used),
            ("reset_in_minutes", &number(Refusal::reset_minutes)),
        ],
    )
}

/// The same as a message; `again` is the value of its button, where asking again may help.
#[must_use]
pub fn message(error: &Error, id: Option<&str>, again: Option<&str>) -> Message {
    let mrkdwn = text(error, id);
    let mut message = Message::of(&mrkdwn);
    let again = again.filter(|_| error.is_retryable());
    let button = again.and_then(|again| block::button(ids::AGAIN, "Run again", again, block::Look::Plain));
    message.blocks.extend(block::actions("omni:answer", button.into_iter().collect()));
    message
}

/// The words of the limit, which are the original's.
fn refused(refusal: &Refusal) -> String {
    format!("🚫 {}", text::mrkdwn(&refusal.to_string(), MESSAGE))
}

fn happened(error: &Error) -> String {
    let message = text::mrkdwn(&sentence(&error.public_message()), MESSAGE);
    let sign = match error.kind() {
        ErrorKind::Denied | ErrorKind::Unauthenticated | ErrorKind::RateLimited => "🚫",
        ErrorKind::Timeout => "⌛",
        ErrorKind::Unavailable => "🔌",
        ErrorKind::Cancelled => "⏹",
        _ => "❌",
    };
    format!("{sign} {message}")
}

fn advice(error: &Error, has_id: bool) -> Option<String> {
    let after = error.retry_after().map(|after| time::wait(after.as_secs()));
    let advice = match error.kind() {
        ErrorKind::Denied => "An administrator can give you access; `/omni-help` shows what you can use.",
        ErrorKind::Unauthenticated => "Ask an administrator to add you.",
        ErrorKind::NotFound => "`/omni-help` shows what you can use.",
        ErrorKind::Invalid => "Say it in another way, or with more detail.",
        ErrorKind::Timeout => "Ask for less at once, or try again later.",
        ErrorKind::RateLimited | ErrorKind::Unavailable => {
            return Some(
                after.map_or("Please try again in a minute.".into(), |after| format!("Please try again in {after}.")),
            );
        }
        ErrorKind::Conflict => "Look how it is now, and ask again.",
        ErrorKind::Config | ErrorKind::Failed if has_id => "Tell an administrator the error id.",
        ErrorKind::Config | ErrorKind::Failed => "Tell an administrator.",
        ErrorKind::Cancelled => return None,
        _ => "Please try again.",
    };
    Some(advice.into())
}

/// With a capital, and a full stop.
fn sentence(words: &str) -> String {
    let words = words.trim();
    let mut chars = words.chars();
    let mut sentence: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

/// A server that is away, in words that say which.
#[must_use]
pub fn away(server: &str) -> String {
    format!(
        "🔌 {} is away at the moment. Other servers can be used; `/omni-status` shows how it stands.",
        text::code(server, 100)
    )
}
