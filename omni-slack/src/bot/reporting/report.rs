//! One run: what is asked, and what is posted of it.

use omni_core::{
    Answer, AnswerEvent, AnswerStream, Ask, Source, answer::Status, ask::AskOptions, cost::NanoUsd, policy::Grant,
};

use super::{Fault, Job, Work, ends, who::passing};
use crate::{
    api::{Body, To},
    bot::{Bot, answering::waiting, interrupted::Doing, question::Question, running::Guard, voice::End},
    view::{answer::View, limits, report::Head},
};

/// What the model says where there is nothing to say.
const NOTHING: &str = "NOTHING_TO_REPORT";

impl Bot {
    /// Does what is due; `doing` says that until something of it is posted.
    pub(super) async fn report(&self, job: &Job, doing: &mut Option<Doing>) -> Result<(), Fault> {
        match &job.work {
            Work::Say(message) => {
                // What a file says is posted as it is.
                let body = Body { text: limits::clamp(message, limits::UPDATE), blocks: Vec::new() };
                self.put(&job.request.channel, None, &body).await.map(drop)
            }
            Work::Ask(title) => {
                let (question, grant) = self.question_of(job).await?;
                let title = title.as_deref();
                let Some(answer) = self.asked_on_schedule(job, &question).await? else { return Ok(()) };
                let ts = self.post_report(job, title, &question, &grant, &answer, doing).await?;
                self.ask_owner(question, ts, &answer).await
            }
            Work::Status(title) => {
                let (question, grant) = self.question_of(job).await?;
                let mut body = self.status(&question.person, &grant).await;
                body.blocks.splice(0..0, header(job, title.as_deref(), &question));
                body.blocks.truncate(limits::BLOCKS);
                self.put(&question.channel, None, &body).await.map(drop)
            }
        }
    }

    /// The answer to what is due; `None` where there is nothing to report.
    async fn asked_on_schedule(&self, job: &Job, question: &Question) -> Result<Option<Answer>, Fault> {
        // It is never closed.
        let Ok(_room) = self.0.room.acquire().await else { return Ok(None) };
        let spot = (question.channel.clone(), job.key.clone());
        let guard = self.0.running.begin(spot, &question.person.user.id, self.0.ending.child_token());
        let stream = self.omni().ask_stream(ask_of(job, question));
        let answer = ended(stream, &guard).await?;
        drop(guard);
        if answer.status != Status::Waiting && job.request.skip_empty && is_nothing(&answer.text) {
            tracing::debug!(schedule = job.key, "there is nothing to report");
            return Ok(None);
        }
        Ok(Some(answer))
    }

    /// Posts an answer with whose it is, and the rest of a long one in its thread, which it begins.
    async fn post_report(
        &self,
        job: &Job,
        title: Option<&str>,
        question: &Question,
        grant: &Grant,
        answer: &Answer,
        doing: &mut Option<Doing>,
    ) -> Result<String, Fault> {
        let is_waiting = answer.status == Status::Waiting;
        let (person, footer, buttons) = self.around(question, grant, answer).await;
        let note = is_waiting.then(|| waiting(&answer.pending));
        let (markdown, max) = (answer.text.clone(), self.config().max_message);
        let view = View { markdown, max, person, note, footer, buttons, ..View::default() };
        let mut messages = End { view, is_waiting }.messages().into_iter();
        let mut first = messages.next().unwrap_or_default();
        first.blocks.splice(0..0, header(job, title, question));
        first.blocks.truncate(limits::BLOCKS);
        let ts = self.put(&question.channel, None, &first).await?;
        // Under a report that is there nobody is told that nothing comes of it.
        ends(doing).await;
        self.keep_answer(question, &ts, answer.request_id).await;
        for message in messages {
            let next = self.put(&question.channel, Some(&ts), &message).await?;
            self.keep_answer(question, &next, answer.request_id).await;
        }
        Ok(ts)
    }

    /// Asks for what an answer waits for, whose thread begins with this message.
    async fn ask_owner(&self, mut question: Question, ts: String, answer: &Answer) -> Result<(), Fault> {
        if answer.status != Status::Waiting {
            return Ok(());
        }
        question.thread = Some(ts);
        // Nobody may be looking when it runs: what only the asker sees would be gone.
        let direct = self.api().direct(&question.person.user.id).await.map_err(|error| passing(&error))?;
        question.asks_in = Some(To { channel: direct, thread: None });
        self.ask_for_decisions(&question, &answer.pending).await;
        Ok(())
    }

    async fn put(&self, channel: &str, thread: Option<&str>, body: &Body) -> Result<String, Fault> {
        let to = To { channel: channel.to_owned(), thread: thread.map(str::to_owned) };
        self.api().post(&to, body).await.map_err(|error| passing(&error))
    }
}

/// What is asked. Who is nobody in Slack cannot be asked for their agreement, so nothing waits for it.
fn ask_of(job: &Job, question: &Question) -> Ask {
    let asked = match job.request.skip_empty {
        true => format!(
            "{}\n\nThis is asked on schedule and posted in a channel. If there is nothing to report, answer with exactly \
             {NOTHING} and nothing else.",
            question.text
        ),
        false => question.text.clone(),
    };
    let mut options = AskOptions::default();
    options.max_cost = job.request.max_cost_usd.map(NanoUsd::from_usd);
    let ask = Ask::new(question.person.credential(), asked)
        .with_source(Source::Slack)
        .with_client(question.client())
        .with_options(options);
    if question.person.user.id.is_empty() { ask } else { ask.with_parking() }
}

/// Waits for the end of an ask.
async fn ended(mut stream: AnswerStream, guard: &Guard) -> Result<Answer, Fault> {
    loop {
        let event = guard.stop.run_until_cancelled(stream.next()).await;
        match event {
            Some(Some(AnswerEvent::Done(answer))) => return Ok(*answer),
            Some(Some(AnswerEvent::Error(failure))) => return Err(Fault::Fails(failure.error.public_message())),
            Some(Some(_)) => {}
            Some(None) | None => return Err(Fault::Ends),
        }
    }
}

/// What stands above it.
fn header(job: &Job, title: Option<&str>, question: &Question) -> Vec<serde_json::Value> {
    let person = &question.person;
    let slack_id = Some(person.user.id.as_str()).filter(|id| !id.is_empty());
    Head { slack_id, name: &person.name, at: job.at, title, question: &job.request.question }.blocks()
}

/// Whether an answer is the word that was agreed on.
fn is_nothing(answer: &str) -> bool {
    answer.trim().trim_matches(['`', '*', '"', '.', '_']) == NOTHING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_the_word_alone() {
        for text in ["NOTHING_TO_REPORT", " `NOTHING_TO_REPORT`.\n", "**NOTHING_TO_REPORT**"] {
            assert!(is_nothing(text), "{text}");
        }
        for text in ["", "nothing", "NOTHING_TO_REPORT, but the disk is full"] {
            assert!(!is_nothing(text), "{text}");
        }
    }
}
