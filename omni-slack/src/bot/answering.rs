//! From the events of an ask to what people read.

use std::time::Duration;

use omni_core::{
    Answer, AnswerEvent, AnswerStream,
    answer::{Failure, PendingCall, Status},
    policy::Grant,
};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Bot,
    question::Question,
    running::Guard,
    voice::{End, Voice},
};
use crate::view::{self, answer::View, task::Card, text};

/// How often what is new is told.
const TELL_EVERY: Duration = Duration::from_millis(700);
/// Said where somebody stopped it.
const STOPPED: &str = "⏹ Stopped.";
/// Said where the bot has to end.
const RESTARTING: &str = "🔄 omni is restarting and could not finish this. Please ask again in a minute.";

/// The same of a run that goes on by somebody's agreement, which nothing takes back.
const STOPPED_TELLING: &str =
    "⏹ I tell no more of this. What was agreed to is carried out all the same; what comes of it is posted here.";
const RESTARTING_MEANWHILE: &str = "🔄 omni is restarting. What was agreed to may have been carried out: look before you \
                                    ask for it again.";

/// How the events of an ask ended.
pub(super) enum Last {
    Done(Box<Answer>),
    Failed(Box<Failure>),
    Stopped,
}

impl Bot {
    /// Tells an answer to its end, and asks for what it waits for.
    pub(super) async fn answer(
        &self,
        question: &Question,
        grant: &Grant,
        stream: AnswerStream,
        mut voice: Box<dyn Voice>,
        guard: Guard,
    ) -> Last {
        let heeds = self.heeds_others(&question.spot(), &question.person.user.id, &guard.stop);
        voice.begin().await;
        let (last, said) = told(stream, &mut *voice, &guard).await;
        drop((guard, heeds));
        let noted = |note: String| End {
            view: View { markdown: said.clone(), note: Some(note), ..View::default() },
            is_waiting: false,
        };
        let end = match &last {
            Last::Done(answer) => self.ended(question, grant, answer).await,
            Last::Failed(failure) => {
                let id = failure.answer.request_id.to_string();
                let templates = &self.config().templates;
                noted(view::error::worded(templates, &failure.error, Some(&id), Some(&grant.role.name)))
            }
            Last::Stopped => noted(stopped(self.0.ending.is_cancelled(), question.goes_on).into()),
        };
        let told = voice.end(&end).await;
        if let Last::Done(answer) = &last {
            for ts in told {
                self.keep_answer(question, &ts, answer.request_id).await;
            }
            self.ask_for_decisions(question, &answer.pending).await;
        }
        last
    }

    async fn ended(&self, question: &Question, grant: &Grant, answer: &Answer) -> End {
        let is_waiting = answer.status == Status::Waiting;
        let (person, footer, buttons) = self.around(question, grant, answer).await;
        let note = is_waiting.then(|| waiting(&answer.pending));
        let (markdown, max) = (answer.text.clone(), self.config().max_message);
        let view = View { markdown, max, person, note, footer, buttons, ..View::default() };
        End { view, is_waiting }
    }
}

/// Tells what happens, until it is over or somebody stops it; and all the text there was.
async fn told(mut stream: AnswerStream, voice: &mut dyn Voice, guard: &Guard) -> (Last, String) {
    let mut ticks = interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = String::new();
    loop {
        tokio::select! {
            biased;
            () = guard.stop.cancelled() => return (Last::Stopped, said),
            event = stream.next() => match event {
                Some(AnswerEvent::Text { text }) => {
                    said.push_str(&text);
                    voice.text(&text).await;
                }
                Some(AnswerEvent::ToolStarted { id, server, tool, arguments }) => {
                    voice.card(Card::started(&id, &server, &tool, &arguments)).await;
                }
                Some(AnswerEvent::ToolFinished(call)) => voice.card(Card::finished(&call)).await,
                Some(AnswerEvent::Done(answer)) => return (Last::Done(answer), said),
                Some(AnswerEvent::Error(failure)) => return (Last::Failed(failure), said),
                Some(_) => {}
                None => return (Last::Stopped, said),
            },
            _ = ticks.tick() => voice.tick().await,
        }
    }
}

fn stopped(is_ending: bool, goes_on: bool) -> &'static str {
    match (is_ending, goes_on) {
        (true, true) => RESTARTING_MEANWHILE,
        (true, false) => RESTARTING,
        (false, true) => STOPPED_TELLING,
        (false, false) => STOPPED,
    }
}

pub(super) fn waiting(pending: &[PendingCall]) -> String {
    let names = pending.iter().map(|call| text::code(&format!("{}.{}", call.server, call.tool), 200));
    format!("⏸ This waits for approval of {}.", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_agreed_to_is_not_said_to_be_stopped() {
        assert_eq!(stopped(false, false), STOPPED);
        for is_ending in [false, true] {
            let text = stopped(is_ending, true);
            assert!(text.contains("carried out") && !text.contains("Please ask again"), "{text}");
        }
    }
}
