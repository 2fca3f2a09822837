//! How an answer is told: as it is written, by a message that is changed, or to one person alone.

use async_trait::async_trait;
use serde_json::Value;

use super::{Bot, question::Question};

mod plain;
mod private;
mod streamed;

/// A tool call, as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) state: CardState,
    pub(super) details: Option<String>,
    pub(super) output: Option<String>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CardState {
    Running,
    Done,
    Failed,
}

/// The end of an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    /// All of its text.
    pub(super) text: String,
    /// What is added to it that was not told as text: what went wrong, or what it waits for.
    pub(super) note: String,
    /// What stands under it: footer and buttons.
    pub(super) tail: Vec<Value>,
    /// Whether people decide now how it goes on.
    pub(super) is_waiting: bool,
}

/// Tells one answer. What Slack does not take is said in the log, and as much as possible told nonetheless.
#[async_trait]
pub(super) trait Voice: Send {
    /// The answer begins.
    async fn begin(&mut self) {}
    /// More of its text.
    async fn text(&mut self, piece: &str);
    /// A call begins, or has ended.
    async fn card(&mut self, card: Card);
    /// Some time went by.
    async fn tick(&mut self);
    /// It is over.
    async fn end(&mut self, end: &End);
}

/// How a question is answered: as it is written where Slack can do that, which takes a thread.
pub(super) fn of(bot: &Bot, question: &Question) -> Box<dyn Voice> {
    match &question.private {
        Some(aside) => Box::new(private::Private::new(bot.api().clone(), aside.clone(), question)),
        None => match &question.thread {
            Some(thread) if bot.config().streams(&question.channel) => {
                Box::new(streamed::Streamed::new(bot.api().clone(), question, thread))
            }
            _ => Box::new(plain::Plain::new(bot, question)),
        },
    }
}
