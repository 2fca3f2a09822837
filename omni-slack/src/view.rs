//! What Slack is sent: messages, cards, modals and the home tab, from plain data.
//!
//! Nothing here does I/O, knows the time or decides anything. Whatever comes from people, models, tools and servers is
//! taken for hostile: it mentions nobody, hides no address, and never makes a message longer than Slack takes.

pub mod answer;
pub mod block;
#[cfg(test)]
pub(crate) mod check;
pub mod confirm;
pub mod elicit;
pub mod error;
pub mod feedback;
pub mod file;
pub mod footer;
pub mod help;
pub mod home;
pub mod ids;
pub mod limits;
pub mod markdown;
pub mod message;
pub mod notice;
pub mod person;
pub mod prompt;
pub mod report;
pub mod rollover;
pub mod schedule;
pub mod shortcut;
pub mod status;
pub mod task;
pub mod template;
pub mod text;
pub mod time;

pub use message::Message;
pub use task::task;

#[cfg(test)]
mod tests;
