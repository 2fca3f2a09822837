//! From the events of an ask to what people read.

use std::time::Duration;

use omni_core::{
    Answer, AnswerEvent, AnswerStream,
    answer::{CallStatus, CallSummary, Failure, PendingCall, Status},
    policy::Grant,
};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Bot,
    question::Question,
    running::Guard,
    voice::{Card, CardState, End, Voice},
};
use crate::view;

/// How often what is new is told.
const TELL_EVERY: Duration = Duration::from_millis(700);
/// Most characters of a call's arguments on its card.
const MOST_OF_ARGUMENTS: usize = 200;
/// Said where somebody stopped it.
const STOPPED: &str = "⏹ Stopped.";
/// Said where the bot has to end.
const RESTARTING: &str = "🔄 omni is restarting and could not finish this. Please ask again in a minute.";

/// How the events of an ask ended.
enum Last {
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
    ) {
        voice.begin().await;
        let (last, said) = told(stream, &mut *voice, &guard).await;
        drop(guard);
        let end = match &last {
            Last::Done(answer) => self.ended(question, grant, answer).await,
            Last::Failed(failure) => {
                let note = view::error::text(&failure.error, Some(&failure.answer.request_id.to_string()));
                End { text: said, note, ..End::default() }
            }
            Last::Stopped => {
                let note = if self.0.ending.is_cancelled() { RESTARTING } else { STOPPED };
                End { text: said, note: note.into(), ..End::default() }
            }
        };
        voice.end(&end).await;
        if let Last::Done(answer) = &last {
            self.ask_for_decisions(question, &answer.pending).await;
        }
    }

    async fn ended(&self, question: &Question, grant: &Grant, answer: &Answer) -> End {
        let waits = answer.status == Status::Waiting;
        let note = if waits { waiting(&answer.pending) } else { String::new() };
        let tail = self.tail(question, grant, answer).await;
        End { text: answer.text.clone(), note, tail, is_waiting: waits }
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
                    let details = Some(short(&arguments.to_string(), MOST_OF_ARGUMENTS));
                    let title = format!("{server} · {tool}");
                    voice.card(Card { id, title, state: CardState::Running, details, output: None }).await;
                }
                Some(AnswerEvent::ToolFinished(call)) => voice.card(finished(&call)).await,
                Some(AnswerEvent::Done(answer)) => return (Last::Done(answer), said),
                Some(AnswerEvent::Error(failure)) => return (Last::Failed(failure), said),
                Some(_) => {}
                None => return (Last::Stopped, said),
            },
            _ = ticks.tick() => voice.tick().await,
        }
    }
}

fn finished(call: &CallSummary) -> Card {
    let seconds = Duration::from_millis(call.duration_ms).as_secs_f64();
    let (state, output) = match call.status {
        CallStatus::Ok => (CardState::Done, format!("{seconds:.1} s")),
        CallStatus::Denied => (CardState::Failed, "not allowed".into()),
        CallStatus::Declined => (CardState::Failed, "not approved".into()),
        CallStatus::RateLimited => (CardState::Failed, "rate limited".into()),
        CallStatus::Timeout => (CardState::Failed, format!("timed out after {seconds:.1} s")),
        CallStatus::Cancelled => (CardState::Failed, "stopped".into()),
        _ => (CardState::Failed, "failed".into()),
    };
    let name = if call.server.is_empty() { call.tool.clone() } else { format!("{} · {}", call.server, call.tool) };
    Card { id: call.id.clone(), title: name, state, details: None, output: Some(output) }
}

fn waiting(pending: &[PendingCall]) -> String {
    let names: Vec<String> = pending.iter().map(|call| format!("`{}.{}`", call.server, call.tool)).collect();
    format!("⏸ This waits for approval of {}.", names.join(", "))
}

/// The first characters, and a sign that there are more.
pub(super) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
