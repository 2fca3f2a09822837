//! Messages: mentions, direct messages, and replies in threads that the bot is part of.

use omni_core::{
    ErrorKind, Source,
    ask::Attachment,
    thread::{Place, ThreadKey},
};

use super::{
    Bot,
    question::{Question, Within},
    reacting::ABOUT,
    refusing::Refusal,
    running::Spot,
    turns::Turn,
};
use crate::{
    api::{Body, To},
    event::{ChannelKind, Message},
    markup,
    people::{Person, Unknown},
    view,
};

/// The conversation of direct messages that stand in no thread.
const FLAT: &str = "direct";
/// What begins a command in a thread, where Slack takes no slash commands.
pub(super) const BANG: char = '!';
/// Somebody is greeted who only says one of these.
const GREETINGS: [&str; 5] = [HELP, "hi", "hello", "hey", "?"];
/// Who only says this in a channel is shown what there is.
const HELP: &str = "help";

impl Bot {
    /// Whether a message may be for the bot, as far as it can be seen at once.
    pub(super) fn is_for_me(&self, message: &Message) -> bool {
        let is_direct = message.kind == ChannelKind::Direct;
        is_direct || message.thread.is_some() || message.is_mention || self.is_called(&message.text)
    }

    fn is_called(&self, text: &str) -> bool {
        text.contains(&format!("<@{}", self.me().user))
    }

    /// Sees to a message. Whether it is this process's is asked for once it is known to be for the bot at all.
    pub(super) async fn message(&self, message: Message, key: Option<&str>) {
        let config = self.config();
        if message.user.id == self.me().user {
            return;
        }
        let is_direct = message.kind == ChannelKind::Direct;
        let is_called = message.is_mention || self.is_called(&message.text);
        if (is_direct && !config.direct) || (is_called && !is_direct && !config.mentions) {
            return;
        }
        // Before anything else takes its time: it comes after what was said before.
        let turn = self.0.turns.enter(self.spot(&message), &message.user.id);
        if !is_direct && !is_called && !self.follows(&message).await {
            // It comes again if its author changes it so that it calls the bot.
            if let Some(key) = key {
                self.0.seen.forget(key);
            }
            return;
        }
        if !self.is_ours(key).await {
            return;
        }
        if !is_direct && !self.is_allowed(&message).await {
            if is_called {
                self.answers_not(&message).await;
            }
            return;
        }
        match self.person(&message).await {
            Ok(person) if !is_called && !is_direct && !self.is_heard(&person).await => {}
            Ok(person) => self.said(&person, message, is_called || is_direct, turn).await,
            Err(unknown) if is_called || is_direct => self.whisper_to_unknown(&message, &unknown).await,
            Err(_) => {}
        }
    }

    async fn person(&self, message: &Message) -> Result<Person, Unknown> {
        self.resolve(&message.user, &message.channel).await
    }

    /// Whether somebody's reply is taken though they call nobody: not if they do not want that, and who only talks to
    /// others in a thread is not told that the bot has no place for them.
    async fn is_heard(&self, person: &Person) -> bool {
        let grant = self.omni().grant(person.credential()).await;
        let is_bystander = grant.is_err_and(|error| error.kind() == ErrorKind::Denied);
        !is_bystander && self.preferences(person).await.follow_up
    }

    /// Who somebody is who does something in a channel.
    pub(super) async fn resolve(&self, user: &crate::event::User, channel: &str) -> Result<Person, Unknown> {
        let config = self.config();
        let mut person = self.0.people.resolve(self.omni(), self.api(), self.me(), &config, user).await?;
        person.principal.place = Some(channel.to_owned()).filter(|channel| !channel.is_empty());
        Ok(person)
    }

    /// The name of a conversation in a channel.
    pub(super) fn key(&self, channel: &str, thread: &str) -> ThreadKey {
        ThreadKey::new(&self.config().tenant_of(&self.me().team), Source::Slack.as_str(), channel, thread)
    }

    async fn is_allowed(&self, message: &Message) -> bool {
        self.answers_in(&message.channel, message.kind).await
    }

    /// Whether the bot answers in a channel.
    pub(super) async fn answers_in(&self, channel: &str, kind: ChannelKind) -> bool {
        let config = self.config();
        if kind == ChannelKind::Direct {
            return config.direct;
        }
        // Mentions do not say what kind of channel they are in.
        let is_public = kind == ChannelKind::Public;
        let rules = &config.channels;
        let place = match rules.have_names() || rules.no_shared || (is_public && rules.no_private) {
            true => Some(self.0.channels.look_at(self.api(), channel).await),
            false => None,
        };
        let is_private = !is_public || place.as_ref().is_some_and(|place| place.is_private);
        let is_shared = place.as_ref().is_some_and(|place| place.is_shared);
        (!is_shared || config.allows_shared(channel))
            && config.allows(channel, place.and_then(|place| place.name).as_deref(), is_private)
    }

    /// Where the answer to a message stands.
    fn reply_to(&self, message: &Message) -> Option<String> {
        let place = place(message.kind, &message.channel);
        let in_thread = message.thread.is_some();
        let is_threaded = self.omni().thread_rules().replies_in_thread(&place, in_thread);
        match &message.thread {
            // A question in a thread of direct messages is answered there.
            Some(thread) if is_threaded || message.kind == ChannelKind::Direct => Some(thread.clone()),
            _ if is_threaded => Some(message.ts.clone()),
            _ => None,
        }
    }

    /// Where what a message asks runs.
    fn spot(&self, message: &Message) -> Spot {
        (message.channel.clone(), conversation(self.reply_to(message).as_deref()).to_owned())
    }

    async fn said(&self, person: &Person, message: Message, is_called: bool, turn: Turn) {
        let text = self.text_of(&message);
        let reply = self.reply_to(&message);
        let to = To { channel: message.channel.clone(), thread: reply.clone() };
        if !message.files.is_empty() && !text.starts_with(BANG) {
            self.tell_unread(person, &message, &to).await;
            if text.is_empty() {
                return;
            }
        }
        if text.is_empty() || is_greeting(&text, &message) {
            if is_called {
                self.greet(person, &to).await;
            }
            return;
        }
        if is_called && is_help(&text, &message) {
            // What only they see is shown in no thread that begins with it.
            let to = To { channel: message.channel.clone(), thread: message.thread.clone() };
            return self.bang(person, &message, &to, HELP).await;
        }
        if let Some(command) = text.strip_prefix(BANG) {
            // What stops an answer does not wait for it, and what asks takes its own place.
            drop(turn);
            return self.bang(person, &message, &to, command).await;
        }
        let mut question = Question::new(person.clone(), &message.channel, message.kind, text);
        let thread = message.thread.filter(|_| message.kind != ChannelKind::Direct);
        question.within = thread.map(|thread| Within { thread, is_called });
        question.ts = Some(message.ts);
        question.thread = reply;
        if !message.attached.is_empty() {
            question.is_about = true;
            question.attachments.push(Attachment { name: "slack message".into(), text: self.read(&message.attached) });
        }
        if !message.files.is_empty() {
            let text = view::file::attached(&message.files);
            question.attachments.push(Attachment { name: "slack files".into(), text });
        }
        self.ask_in_turn(question, Some(turn)).await;
    }

    /// What was said in the thread of a question that is no part of its conversation: all of it before the bot was called
    /// into it, or while nothing is kept of what it says itself.
    pub(super) async fn said_before(&self, question: &Question) -> Option<Attachment> {
        let Within { thread, is_called } = question.within.as_ref()?;
        let ts = question.ts.as_deref()?;
        let knows = self.omni().knows_thread(&self.key(&question.channel, thread)).await.unwrap_or(false);
        match *is_called || !knows {
            true => self.thread_before(&question.channel, thread, ts, knows).await,
            false => None,
        }
    }

    /// What a message says to the bot; of what is forwarded without a word, what is asked about that.
    fn text_of(&self, message: &Message) -> String {
        let text = self.without_me(&message.text);
        let is_about = text.is_empty() && !message.attached.is_empty();
        if is_about { ABOUT.to_owned() } else { text }
    }

    /// Tells somebody that the bot does not read what they attached.
    async fn tell_unread(&self, person: &Person, message: &Message, to: &To) {
        // What only they see is shown in no thread that begins with the answer.
        let thread = if message.kind == ChannelKind::Direct { &to.thread } else { &message.thread };
        let to = To { channel: to.channel.clone(), thread: thread.clone() };
        self.tell(&to, &person.user.id, message.kind, &view::file::unread(&message.files)).await;
    }

    /// A text without the mention of the bot that it was called by.
    pub(super) fn without_me(&self, text: &str) -> String {
        let mut rest = text;
        let mut said = String::new();
        let mention = format!("<@{}", self.me().user);
        while let Some((before, after)) = rest.split_once(&mention) {
            said.push_str(before);
            rest = after.split_once('>').map_or("", |(_, after)| after);
        }
        said.push_str(rest);
        self.read(said.trim())
    }

    /// A text of Slack's as people read it. Whom the bot met lately is called by their name.
    pub(super) fn read(&self, text: &str) -> String {
        markup::read(text, |id| match id == self.me().user {
            true => Some("omni".into()),
            false => self.0.people.known_name(id),
        })
    }

    async fn greet(&self, person: &Person, to: &To) {
        let grant = self.omni().grant(person.credential()).await.ok();
        let role = grant.as_ref().map_or("", |grant| &*grant.role.name);
        let limit = grant.as_ref().map_or(String::new(), |grant| match grant.quota.per_hour {
            Some(limit) => limit.to_string(),
            None => "unlimited".into(),
        });
        let values = [("user", &*person.name), ("role", role), ("user_role", role), ("rate_limit", &*limit)];
        let own = self.config().templates.welcome.map(|own| view::template::fill(&own, &values));
        match self.api().post(to, &view::person::greeting(own.as_deref())).await {
            // Whoever may ask goes on where they were greeted.
            Ok(_) if grant.is_some() => self.takes_part(to).await,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, user = person.user.id, "somebody could not be greeted"),
        }
    }

    async fn whisper_to_unknown(&self, message: &Message, unknown: &Unknown) {
        let Some(text) = unknown.text() else { return };
        let to = To { channel: message.channel.clone(), thread: message.thread.clone() };
        self.tell(&to, &message.user.id, message.kind, &Body::of(text)).await;
        if let Some(text) = self.asked(message) {
            self.note_unknown(unknown, &message.user, |person| question(person, message, text)).await;
        }
    }

    /// Tells whoever calls the bot that it does not answer there, and keeps what they asked.
    async fn answers_not(&self, message: &Message) {
        let refusal = Refusal::not_here(message.kind, &message.channel);
        let to = To { channel: message.channel.clone(), thread: message.thread.clone() };
        self.tell(&to, &message.user.id, message.kind, &refusal.body).await;
        let Some(text) = self.asked(message) else { return };
        match self.person(message).await {
            Ok(person) => self.note_refused(&question(person, message, text), refusal.why).await,
            Err(unknown) => {
                self.note_unknown(&unknown, &message.user, |person| question(person, message, text)).await;
            }
        }
    }

    /// What a message asks; nothing where it is empty, greets, or is a command.
    fn asked(&self, message: &Message) -> Option<String> {
        let text = self.text_of(message);
        let is_told = is_greeting(&text, message) || is_help(&text, message);
        let is_none = text.is_empty() || text.starts_with(BANG) || is_told;
        (!is_none).then_some(text)
    }

    /// The same by place. In direct messages nobody else reads anyway, and a message stays.
    pub(super) async fn tell(&self, to: &To, user: &str, kind: ChannelKind, body: &Body) {
        let told = match kind {
            ChannelKind::Direct => self.api().post(to, body).await.map(drop),
            ChannelKind::Public | ChannelKind::Private => self.api().whisper(to, user, body).await,
        };
        if let Err(error) = told {
            tracing::warn!(%error, "somebody could not be told something");
        }
    }
}

/// Whether a text only greets, which is answered as that where nobody else is greeted.
fn is_greeting(text: &str, message: &Message) -> bool {
    message.kind == ChannelKind::Direct && message.attached.is_empty() && GREETINGS.contains(&bare(text).as_str())
}

/// Whether a text only asks a channel's bot what there is.
fn is_help(text: &str, message: &Message) -> bool {
    message.kind != ChannelKind::Direct && message.attached.is_empty() && bare(text) == HELP
}

fn bare(text: &str) -> String {
    text.trim_end_matches(['!', '.']).to_lowercase()
}

/// The question of a message that is not taken.
fn question(person: Person, message: &Message, text: String) -> Question {
    let mut question = Question::new(person, &message.channel, message.kind, text);
    (question.ts, question.thread) = (Some(message.ts.clone()), message.thread.clone());
    question
}

/// What kind of place a channel is, for what is kept of conversations.
pub(super) fn place(kind: ChannelKind, channel: &str) -> Place {
    match kind {
        ChannelKind::Direct => Place::Direct(channel.to_owned()),
        ChannelKind::Public | ChannelKind::Private => Place::Channel(channel.to_owned()),
    }
}

/// The conversation that an answer belongs to; without a thread it is all of one channel.
pub(super) fn conversation(thread: Option<&str>) -> &str {
    thread.unwrap_or(FLAT)
}
