//! The ids of buttons, menus and modals: what comes back when somebody uses them.

/// Before a server's name: the button that shows its tools.
pub const EXPLORE: &str = "explore_mcp_";
/// The menu of servers, where they are too many for buttons; the chosen option is the server's name.
pub const HELP_SELECT: &str = "omni:help:select";
/// Another page of tools; its value is read by [`help::Target`](super::help::Target).
pub const HELP_PAGE: &str = "omni:help:page";
/// Back to the list of servers.
pub const HELP_BACK: &str = "omni:help:back";
/// Try a tool; its value is read by [`help::Target`](super::help::Target).
pub const HELP_TRY: &str = "omni:help:try";
/// The answer was good.
pub const FEEDBACK_GOOD: &str = "feedback_positive";
/// The answer was bad.
pub const FEEDBACK_BAD: &str = "feedback_negative";
/// The rest of an answer.
pub const MORE: &str = "omni:more";
/// The table of an answer.
pub const CSV: &str = "omni:csv";
/// Ask again.
pub const AGAIN: &str = "omni:again";
/// Ask something more in the same thread.
pub const FOLLOW: &str = "omni:follow";
/// Give up.
pub const STOP: &str = "omni:stop";
/// Agree to a call.
pub const APPROVE: &str = "omni:approve";
/// Do not agree.
pub const DENY: &str = "omni:deny";
/// Do not agree, and say why.
pub const DENY_REASON: &str = "omni:deny_reason";
/// All of a call.
pub const DETAILS: &str = "omni:details";
/// Fill in a server's form.
pub const ELICIT: &str = "omni:elicit";
/// Do not answer a server.
pub const ELICIT_DECLINE: &str = "omni:elicit:decline";
/// A server's page was opened.
pub const ELICIT_OPENED: &str = "omni:elicit:opened";
/// Before a number: a button that opens an address. There is nothing to do but to acknowledge it.
pub const LINK: &str = "omni:link";
/// The home tab anew.
pub const HOME_REFRESH: &str = "omni:home:refresh";
/// A preference was changed; see [`home::preferences`](super::home::preferences).
pub const PREFERENCES: &str = "omni:preferences";
/// How much answers say of themselves was changed.
pub const VERBOSITY: &str = "omni:verbosity";
/// Before all that concerns schedules.
pub const SCHEDULE: &str = "omni:schedule:";
/// A new schedule.
pub const SCHEDULE_NEW: &str = "omni:schedule:new";
/// A schedule rests.
pub const SCHEDULE_PAUSE: &str = "omni:schedule:pause";
/// A schedule goes on.
pub const SCHEDULE_RESUME: &str = "omni:schedule:resume";
/// A schedule ends for ever.
pub const SCHEDULE_DELETE: &str = "omni:schedule:delete";

/// The modal for why a call is denied.
pub const DENY_MODAL: &str = "omni_deny_reason";
/// The modal with all of a call.
pub const DETAILS_MODAL: &str = "omni_details";
/// The modal of a server's form.
pub const ELICIT_MODAL: &str = "omni_elicit";
/// The modal for what was bad about an answer.
pub const FEEDBACK_MODAL: &str = "omni_feedback";
/// The message shortcut, and its modal.
pub const ASK_MESSAGE: &str = "omni_ask_message";
/// The modal of a schedule.
pub const SCHEDULE_MODAL: &str = "omni_schedule";

/// The server of a button that shows its tools.
#[must_use]
pub fn explored(action_id: &str) -> Option<&str> {
    action_id.strip_prefix(EXPLORE).filter(|server| !server.is_empty())
}
