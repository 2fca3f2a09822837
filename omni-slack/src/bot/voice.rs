//! How an answer is told: as it is written, by a message that is changed, or to one person alone.

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Bot, interrupted::Doing, more, question::Question};
use crate::view::{
    Message,
    answer::{self, Style, View},
    footer::{Footer, Person},
    task::Card,
};

mod plain;
mod private;
mod streamed;

/// The end of an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    /// All of it.
    pub(super) view: View,
    /// Whether people decide now how it goes on.
    pub(super) is_waiting: bool,
}

impl End {
    /// The answer in as many messages as it takes, or the first of very many where the rest can be had by a button; what
    /// stands under it is under the last.
    pub(super) fn messages(&self) -> Vec<Message> {
        let count = answer::page_count(&self.view);
        let last = if self.view.buttons.more.is_some() { count.min(more::AT_ONCE) } else { count } - 1;
        let before = View { footer: Footer::default(), buttons: answer::Buttons::default(), ..self.view.clone() };
        (0..=last).map(|page| answer::message(if page == last { &self.view } else { &before }, page)).collect()
    }

    /// What stands under it.
    fn tail(&self) -> Vec<Value> {
        let (note, header) = (answer::note(&self.view), self.view.person.header());
        note.into_iter().chain(header).chain(answer::tail(&self.view.footer, &self.whole())).collect()
    }

    /// The buttons where nothing of the text is left out.
    fn whole(&self) -> answer::Buttons {
        answer::Buttons { more: None, ..self.view.buttons.clone() }
    }

    /// The same with this text alone, which is safe: the others were told already.
    fn rest(&self, safe: String) -> Self {
        let (style, buttons) = (Style::Neutral, self.whole());
        let view = View { markdown: safe, style, buttons, person: Person::default(), ..self.view.clone() };
        Self { view, ..self.clone() }
    }
}

/// Tells one answer. What Slack does not take is said in the log, and as much as possible told nonetheless.
#[async_trait]
pub(super) trait Voice: Send {
    /// The answer begins.
    async fn begin(&mut self) {}
    /// It goes on after one that it waited for: whoever reads may have been told that nothing is in progress.
    async fn goes_on(&mut self) {}
    /// More of its text.
    async fn text(&mut self, piece: &str);
    /// A call begins, or has ended.
    async fn card(&mut self, card: Card);
    /// Some time went by.
    async fn tick(&mut self);
    /// It is over: the messages that it is, where everybody sees them.
    async fn end(&mut self, end: &End) -> Vec<String>;
}

/// How a question is answered: as it is written where Slack can do that, which takes a thread. After `stop` nobody waits
/// to tell more of it. `doing`: what others know of it.
pub(super) fn of(bot: &Bot, question: &Question, stop: &CancellationToken, doing: Option<&Doing>) -> Box<dyn Voice> {
    match &question.private {
        Some(aside) => Box::new(private::Private::new(bot.api().clone(), aside.clone(), question)),
        None => match &question.thread {
            Some(thread) if bot.config().streams(&question.channel) && bot.api().may_stream() => {
                Box::new(streamed::Streamed::new(bot, question, thread, stop.clone(), doing.cloned()))
            }
            _ => Box::new(plain::Plain::new(bot, question, doing.cloned())),
        },
    }
}
