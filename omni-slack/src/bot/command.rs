//! Slash commands, and the same with a `!` in threads, where Slack takes none.

use omni_core::{Error, ask::Attachment, policy::Grant};

use super::{
    Bot,
    question::{Aside, Question},
    refusing::{Refusal, has_role},
    stopping::Stopping,
};
use crate::{
    api::{Body, To},
    event::{ChannelKind, Command, Message},
    people::Person,
    view,
};

/// The commands that ask nothing.
const HELP: &str = "/omni-help";
const STATUS: &str = "/omni-status";
/// What is no question after a command that asks one.
const NO_QUESTION: [&str; 4] = ["", "help", "status", "schedules"];
/// What makes an answer one for the asker alone. Keyboards make one dash of two.
const PRIVATE: [&str; 3] = ["--private", "—private", "–private"];
/// The codes with which Slack says that the bot cannot post in a channel.
const NOT_THERE: [&str; 4] = ["not_in_channel", "channel_not_found", "is_archived", "restricted_action"];

/// What the giver of a command is told, and why what they asked is not taken, if that is it.
struct Told {
    body: Body,
    why: Option<Error>,
}

impl From<Body> for Told {
    fn from(body: Body) -> Self {
        Self { body, why: None }
    }
}

impl From<Refusal> for Told {
    fn from(refusal: Refusal) -> Self {
        Self { body: refusal.body, why: Some(refusal.why) }
    }
}

impl Bot {
    /// Does what a command asks for, or tells its giver why not; whatever they asked by it is kept after that.
    pub(super) async fn command(&self, command: Command) {
        let question = |person: Person, text| Question::new(person, &command.channel, kind_of(&command.channel), text);
        let person = match self.resolve(&command.user, &command.channel).await {
            Ok(person) => person,
            Err(unknown) => {
                self.answer_command(&command, &Body::of(unknown.text().unwrap_or_default())).await;
                if let Some(text) = self.asked_by(&command) {
                    self.note_unknown(&unknown, &command.user, |person| question(person, text)).await;
                }
                return;
            }
        };
        let Err(told) = self.carried_out(&person, &command).await else { return };
        self.answer_command(&command, &told.body).await;
        if let (Some(text), Some(why)) = (self.asked_by(&command), told.why) {
            self.note_refused(&question(person, text), why).await;
        }
    }

    /// What a command asks; nothing where it only wants to know something of the bot.
    fn asked_by(&self, command: &Command) -> Option<String> {
        let text = self.read(without_flag(&command.text).unwrap_or(&command.text));
        let is_none = [HELP, STATUS].contains(&command.name.as_str()) || NO_QUESTION.contains(&text.as_str());
        (!is_none).then_some(text)
    }

    async fn answer_command(&self, command: &Command, body: &Body) {
        if let Err(error) = self.api().respond(&command.response_url, body, false).await {
            tracing::warn!(%error, command = command.name, "a command could not be answered");
        }
    }

    async fn carried_out(&self, person: &Person, command: &Command) -> Result<(), Told> {
        let grant = self.omni().grant(person.credential()).await.map_err(|error| self.refusal(person, error))?;
        self.allows(&command.name, &grant)?;
        match command.name.as_str() {
            HELP => Err(self.menu(person, &grant, None).await.into()),
            STATUS => Err(self.status(person, &grant).await.into()),
            _ => self.asked_by_command(person, &grant, command).await,
        }
    }

    /// Whether somebody may do what a command does, whatever it is called where they ask for it.
    fn allows(&self, command: &str, grant: &Grant) -> Result<(), Refusal> {
        let rules = self.config().commands.get(command).cloned().unwrap_or_default();
        let name = view::text::code(command, 60);
        if rules.is_off {
            let body = Body::of(&format!("🚫 {name} is switched off here."));
            return Err(Refusal::new(body, format!("the Slack command {command} is switched off")));
        }
        match &rules.required_role {
            Some(role) if !has_role(grant, role) => {
                let body = Body::of(&format!("🚫 {name} takes the role {}.", view::text::code(role, 60)));
                let own = &grant.role.name;
                let why = format!("the Slack command {command} takes the role {role}, and theirs is {own}");
                Err(Refusal::new(body, why))
            }
            _ => Ok(()),
        }
    }

    async fn asked_by_command(&self, person: &Person, grant: &Grant, command: &Command) -> Result<(), Told> {
        let kind = kind_of(&command.channel);
        if !self.answers_in(&command.channel, kind).await {
            return Err(Refusal::not_here(kind, &command.channel).into());
        }
        let (text, is_private) = match without_flag(&command.text) {
            Some(rest) => (self.read(rest), true),
            None => (self.read(&command.text), self.preferences(person).await.private_by_default),
        };
        match text.as_str() {
            "" => return Err(view::person::no_question(&[]).into()),
            "help" => {
                self.allows(HELP, grant)?;
                return Err(self.menu(person, grant, None).await.into());
            }
            "status" => {
                self.allows(STATUS, grant)?;
                return Err(self.status(person, grant).await.into());
            }
            "schedules" => return Err(self.schedules(person, grant).await.into()),
            _ => {}
        }
        let mut question = Question::new(person.clone(), &command.channel, kind, text);
        match is_private {
            true => {
                question.private = Some(Aside::Url(command.response_url.clone()));
                self.ask(question).await;
            }
            false => self.ask_openly(question, Some(&command.response_url)).await,
        }
        Ok(())
    }

    /// Asks in a thread of its own, where everybody reads it.
    pub(super) async fn ask_openly(&self, mut question: Question, url: Option<&str>) {
        let aside = || url.map_or(Aside::Whisper, |url| Aside::Url(url.to_owned()));
        // What is not to be asked here is not posted here either.
        if let Err(refusal) = self.admitted(&question).await {
            question.private = Some(aside());
            return self.turn_away(&question, refusal).await;
        }
        match self.announce(&question).await {
            Some(ts) => (question.ts, question.thread) = (Some(ts.clone()), Some(ts)),
            // The bot is not in the channel: whoever asked is answered all the same.
            None => question.private = Some(aside()),
        }
        self.ask(question).await;
    }

    /// Posts what somebody asked, for whoever reads the answer; `None` where the bot cannot post.
    async fn announce(&self, question: &Question) -> Option<String> {
        let body = view::notice::asked(&question.person.user.id, &question.text);
        let to = To { channel: question.channel.clone(), thread: None };
        match self.api().post(&to, &body).await {
            Ok(ts) => Some(ts),
            Err(error) => {
                if !error.code().is_some_and(|code| NOT_THERE.contains(&code)) {
                    tracing::warn!(%error, "a question could not be posted");
                }
                None
            }
        }
    }

    /// A command in a thread or in direct messages.
    pub(super) async fn bang(&self, person: &Person, message: &Message, to: &To, command: &str) {
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let name = name.to_lowercase();
        let grant = match self.omni().grant(person.credential()).await {
            Ok(grant) => grant,
            Err(error) => {
                self.tell(to, &person.user.id, message.kind, &self.refused(person, &error)).await;
                if let Some(text) = self.asked_by_bang(person, message, &name, rest).await {
                    self.note_refused(&asked_in(person, message, to, &text), error).await;
                }
                return;
            }
        };
        let body = match name.as_str() {
            "help" => match self.allows(HELP, &grant) {
                Ok(()) => self.menu(person, &grant, None).await,
                Err(refusal) => refusal.body,
            },
            "status" => match self.allows(STATUS, &grant) {
                Ok(()) => self.status(person, &grant).await,
                Err(refusal) => refusal.body,
            },
            "stop" => self.stop_here(person, to).await,
            "retry" => return self.retry(person, message, to).await,
            "private" if !rest.trim().is_empty() => return self.ask_aside(person, message, to, rest.trim()).await,
            _ => view::help::in_threads(),
        };
        self.tell(to, &person.user.id, message.kind, &body).await;
    }

    /// What a command in a thread asks; nothing where it only wants to know or end something.
    async fn asked_by_bang(&self, person: &Person, message: &Message, name: &str, rest: &str) -> Option<String> {
        match name {
            "retry" => self.last_question(person, message).await.map(|(text, _)| text),
            "private" => Some(rest.trim().to_owned()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    async fn stop_here(&self, person: &Person, to: &To) -> Body {
        let spot = (to.channel.clone(), super::message::conversation(to.thread.as_deref()).to_owned());
        Body::of(match self.stop_everywhere(&spot, &person.user.id).await {
            Stopping::Here => "⏹ Stopping.",
            Stopping::Elsewhere => "⏹ If something of yours runs here, it stops in a moment.",
            Stopping::Nothing => "There is nothing of yours to stop here.",
        })
    }

    /// Asks the thread's last question of this person again.
    async fn retry(&self, person: &Person, message: &Message, to: &To) {
        let Some((text, attached)) = self.last_question(person, message).await else {
            let body = Body::of("I find no question of yours here that I could ask again.");
            return self.tell(to, &person.user.id, message.kind, &body).await;
        };
        let mut question = asked_in(person, message, to, &text);
        question.is_about = !attached.is_empty();
        let about = Some(attached).filter(|attached| !attached.is_empty());
        question.attachments.extend(about.map(|text| Attachment { name: "slack message".into(), text }));
        self.ask(question).await;
    }

    /// A question in a thread that is answered to whoever asks it alone.
    async fn ask_aside(&self, person: &Person, message: &Message, to: &To, text: &str) {
        let mut question = asked_in(person, message, to, text);
        question.private = Some(Aside::Whisper);
        self.ask(question).await;
    }
}

/// The question without the word that makes it private, at its beginning or end; `None` where it has none.
fn without_flag(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_apart = |rest: &str, by: fn(char) -> bool, at: Option<char>| rest.is_empty() || at.is_some_and(by);
    PRIVATE.iter().find_map(|flag| {
        let first = text.strip_prefix(flag).filter(|rest| is_apart(rest, char::is_whitespace, rest.chars().next()));
        let last = || text.strip_suffix(flag).filter(|rest| is_apart(rest, char::is_whitespace, rest.chars().last()));
        first.or_else(last).map(str::trim)
    })
}

/// A question that somebody asks by a command in a thread.
fn asked_in(person: &Person, message: &Message, to: &To, text: &str) -> Question {
    let mut question = Question::new(person.clone(), &message.channel, message.kind, text.to_owned());
    (question.ts, question.thread) = (Some(message.ts.clone()), to.thread.clone());
    question
}

/// The kind of a channel of which there is only the id.
pub(super) fn kind_of(channel: &str) -> ChannelKind {
    match channel.as_bytes() {
        // A person's id stands for the direct messages with them.
        [b'D' | b'U' | b'W', ..] => ChannelKind::Direct,
        [b'G', ..] => ChannelKind::Private,
        _ => ChannelKind::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_question_is_private_however_a_keyboard_writes_its_dashes() {
        for text in [
            "--private who earns what?",
            "—private who earns what?",
            "–private  who earns what?",
            "who earns what? --private",
        ] {
            assert_eq!(without_flag(text), Some("who earns what?"), "{text}");
        }
        assert_eq!(without_flag("—private"), Some(""));
        for text in ["--privatexyz", "what does --private do?", "private", ""] {
            assert_eq!(without_flag(text), None, "{text}");
        }
    }
}
