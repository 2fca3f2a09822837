//! What went wrong, as people need it: what happened, what to do, and the id under which operators find it.

use omni_core::{Error, ErrorKind, config::SlackTemplates, limit::Refusal};

use super::{Message, block, help::Dot, ids, template, text, time};

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

/// A text of the operator's with what is known of an error, by omni's names for it and by the original's.
fn filled(own: &str, error: &Error, id: Option<&str>, role: Option<&str>) -> String {
    let number = |of: fn(&Refusal) -> u64| error.refusal().map_or(String::new(), |refusal| of(refusal).to_string());
    let (limit, used) = (number(Refusal::max), number(|refusal| refusal.used));
    let (message, role) = (error.public_message(), role.unwrap_or_default());
    let hint = advice(error, id.is_some()).unwrap_or_default();
    let (server, status) = server(error);
    template::fill(
        own,
        &[
            ("emoji", sign(error)),
            ("error", &message),
            ("error_message", &message),
            ("helpful_hint", &hint),
            ("error_id", id.unwrap_or_default()),
            ("role", role),
            ("user_role", role),
            ("tool_name", tool(error)),
            ("mcp_name", server),
            ("mcp_status", status),
            ("rate_limit", &limit),
            ("requests_used", &used),
            ("reset_in_minutes", &minutes(error)),
        ],
    )
}

/// The server that an error is about, and how that is doing; nothing where it is about none.
fn server(error: &Error) -> (&str, &'static str) {
    match error {
        Error::Server { server, .. } | Error::Needed { server, .. } => {
            let is_away = error.kind() == ErrorKind::Unavailable;
            (server.as_str(), if is_away { Dot::Away.word() } else { "" })
        }
        _ => ("", ""),
    }
}

/// The tool that an error is about, where it says so.
fn tool(error: &Error) -> &str {
    match error {
        Error::UnknownTool { name, .. } => name.as_str(),
        _ => "",
    }
}

/// When to come back, in whole minutes; nothing where that is not known.
fn minutes(error: &Error) -> String {
    error.retry_after().map_or(String::new(), |after| time::seconds(after).div_ceil(60).max(1).to_string())
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
    format!("{} {}", sign(error), text::mrkdwn(&sentence(&error.public_message()), MESSAGE))
}

fn sign(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Denied | ErrorKind::Unauthenticated | ErrorKind::RateLimited => "🚫",
        ErrorKind::Timeout => "⌛",
        ErrorKind::Unavailable => "🔌",
        ErrorKind::Cancelled => "⏹",
        _ => "❌",
    }
}

fn advice(error: &Error, has_id: bool) -> Option<String> {
    let after = error.retry_after().map(|after| time::wait(time::seconds(after)));
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use omni_core::{
        limit::{Limit, LimitError, LimitKey},
        mcp::McpError,
    };

    use super::*;

    /// The placeholders that each template of the original's `slack.yaml` has, in other words.
    fn templates() -> SlackTemplates {
        let mut templates = SlackTemplates::default();
        templates.query_error = Some("{emoji} *Oh*\n{error_message}\n{helpful_hint}\nID: {error_id}".into());
        templates.permission_denied =
            Some("{emoji} *No*\nYours: *{user_role}*\nIt takes: *{required_role}*\nBlocked: `{tool_name}`".into());
        templates.rate_limit = Some(
            "{emoji} *Slowly*\nLimit: *{rate_limit} an hour*\nUsed: *{requests_used}*\nAgain in *{reset_in_minutes} \
             minutes*"
                .into(),
        );
        templates.mcp_unavailable =
            Some("{emoji} The *{mcp_name}* service is down.\nStatus: {mcp_status} | Last seen: {last_seen}".into());
        templates
    }

    fn denied() -> Error {
        Error::Denied { message: "not for you".into() }
    }

    fn away() -> Error {
        Error::Server { server: "db".into(), source: McpError::Connect { message: "refused".into() } }
    }

    fn refused() -> Error {
        let hourly = Limit::Window { max: 20, per: Duration::from_secs(3_600) };
        let refusal = Refusal::new(LimitKey::new("default", "ask:a"), hourly, 20, Duration::from_secs(1_261));
        LimitError::Refused(Box::new(refusal)).into()
    }

    #[test]
    fn the_originals_templates_say_what_is_known_and_read_where_nothing_is() {
        let said = |error: &Error, role| worded(&templates(), error, Some("e1"), role);
        assert_eq!(
            said(&denied(), Some("qa_tester")),
            "🚫 *No*\nYours: *qa_tester*\nIt takes: *another role*\nBlocked: `what you asked for`"
        );
        assert_eq!(said(&refused(), None), "🚫 *Slowly*\nLimit: *20 an hour*\nUsed: *20*\nAgain in *22 minutes*");
        assert_eq!(said(&away(), None), "🔌 The *db* service is down.\nStatus: away | Last seen: unknown");
        assert_eq!(
            said(&Error::Internal { message: "x".into() }, None),
            "❌ *Oh*\nan internal error; the operator finds it in the log\nTell an administrator the error id.\nID: e1"
        );
    }

    #[test]
    fn nobody_is_told_to_come_back_too_early() {
        let resting = |retry_after_ms| {
            let source = McpError::Resting { reason: "refused".into(), retry_after_ms };
            Error::Server { server: "db".into(), source }
        };
        let said = |ms| advice(&resting(ms), false).unwrap_or_default();
        assert_eq!(said(60_000), "Please try again in 1 minute.");
        assert_eq!(said(60_500), "Please try again in 2 minutes.");
        assert_eq!([60_000, 60_500].map(|ms| minutes(&resting(ms))), ["1", "2"]);
    }

    #[test]
    fn no_placeholder_of_the_originals_is_left_whatever_went_wrong() {
        let all = templates();
        let all = [all.query_error, all.permission_denied, all.rate_limit, all.mcp_unavailable];
        let all: String = all.into_iter().flatten().collect();
        let unknown = Error::UnknownTool { name: "drop_table".into(), near: None };
        for error in [denied(), refused(), away(), unknown.clone(), Error::Cancelled, Error::ShuttingDown] {
            let filled = filled(&all, &error, None, None);
            assert!(!filled.contains(['{', '}']), "{error:?}: {filled}");
        }
        assert!(filled(&all, &unknown, None, None).contains("Blocked: `drop_table`"));
    }
}
