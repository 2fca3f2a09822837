//! From the events of an ask to what people read.

use std::{pin::pin, time::Duration};

use omni_core::{
    Answer, AnswerEvent, AnswerStream, Error,
    answer::{Failure, PendingCall, Status},
    policy::Grant,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    Bot,
    question::{Asked, Question},
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
    /// Tells an answer to its end, and asks for what it waits for. Whoever asked sees that it comes while `asking` takes
    /// its time.
    pub(super) async fn answer(
        &self,
        question: &Question,
        grant: &Grant,
        asking: impl Future<Output = Option<Asked>> + Send,
        mut voice: Box<dyn Voice>,
        guard: Guard,
    ) -> Last {
        let heeds = self.heeds_others(&question.spot(), &question.person.user.id, &guard.stop);
        let (last, said) = told(asking, &mut *voice, &guard).await;
        drop((guard, heeds));
        if let Some(answers) = model_answers(&last) {
            self.0.model.send_replace(Some(answers));
        }
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
async fn told(
    asking: impl Future<Output = Option<Asked>> + Send,
    voice: &mut dyn Voice,
    guard: &Guard,
) -> (Last, String) {
    let stop = &guard.stop;
    let mut stream = begun(asking, voice, stop).await;
    let mut ticks = interval(TELL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = String::new();
    while let Some(events) = &mut stream {
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            event = events.next() => event,
            _ = ticks.tick() => {
                heard(voice.tick(), &mut stream, stop).await;
                continue;
            }
        };
        match event {
            Some(AnswerEvent::Text { text }) => {
                said.push_str(&text);
                heard(voice.text(&text), &mut stream, stop).await;
            }
            Some(AnswerEvent::ToolStarted { id, server, tool, arguments }) => {
                heard(voice.card(Card::started(&id, &server, &tool, &arguments)), &mut stream, stop).await;
            }
            Some(AnswerEvent::ToolFinished(call)) => heard(voice.card(Card::finished(&call)), &mut stream, stop).await,
            Some(AnswerEvent::Done(answer)) => return (Last::Done(answer), said),
            Some(AnswerEvent::Error(failure)) => return (Last::Failed(failure), said),
            Some(_) => {}
            None => break,
        }
    }
    (Last::Stopped, said)
}

/// Says that an answer comes, and has it asked for meanwhile.
async fn begun(
    asking: impl Future<Output = Option<Asked>> + Send,
    voice: &mut dyn Voice,
    stop: &CancellationToken,
) -> Option<AnswerStream> {
    let mut asking = pin!(stop.run_until_cancelled(asking));
    let mut begins = voice.begin();
    tokio::select! {
        asked = &mut asking => {
            let mut stream = asked.flatten().map(|asked| asked.stream);
            heard(begins, &mut stream, stop).await;
            stream
        }
        () = &mut begins => {
            drop(begins);
            let asked = asking.await.flatten()?;
            let mut stream = Some(asked.stream);
            if asked.has_waited {
                heard(voice.goes_on(), &mut stream, stop).await;
            }
            stream
        }
    }
}

/// Tells something. Whoever stops the ask meanwhile does not wait for that: it is given up at once, and what is on its way
/// to Slack comes there.
async fn heard(telling: impl Future<Output = ()>, ask: &mut Option<AnswerStream>, stop: &CancellationToken) {
    let mut telling = pin!(telling);
    tokio::select! {
        biased;
        () = &mut telling => return,
        () = stop.cancelled() => drop(ask.take()),
    }
    telling.await;
}

/// Whether the model answered, where it was asked.
fn model_answers(last: &Last) -> Option<bool> {
    match last {
        Last::Done(answer) => answer.model.is_some().then_some(true),
        Last::Failed(failure) => matches!(failure.error, Error::Llm(_)).then_some(false),
        Last::Stopped => None,
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
