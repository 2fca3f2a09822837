//! What people see, and waiting for it.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use super::{Ack, Call, File, Message, Post, Shared, Slack, View, World, delivery::Outcome};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a message that is not streamed must have stood to be finished.
const STANDS: Duration = Duration::from_millis(250);
/// How soon is looked again at first, and at last: many may wait while much changes.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(160));

impl Shared {
    /// Waits until this finds something, or the time is over.
    async fn sees<T>(&self, patience: Duration, mut look: impl FnMut(&World) -> Option<T>) -> Option<T> {
        let end = Instant::now() + patience;
        let mut changed = self.changed.subscribe();
        let mut pause = LOOKS.0;
        loop {
            changed.borrow_and_update();
            if let Some(found) = self.look(&mut look) {
                return Some(found);
            }
            if Instant::now() >= end {
                return None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOKS.1);
            // Time itself may be what is waited for.
            let _ = tokio::time::timeout(LOOKS.1, changed.changed()).await;
        }
    }

    /// Waits until something that was delivered came to its end.
    pub(super) async fn outcome(&self, delivery: &str) -> Outcome {
        self.sees(PATIENCE, |world| world.deliveries.outcome(delivery)).await.unwrap_or(Outcome::Failed)
    }
}

impl Slack {
    /// Waits until this finds something; half a minute at most.
    ///
    /// # Panics
    /// When the time is over, with what was waited for and the transcript.
    pub async fn until<T>(&self, what: &str, look: impl FnMut(&World) -> Option<T>) -> T {
        self.until_within(PATIENCE, what, look).await
    }

    /// The same with another patience.
    ///
    /// # Panics
    /// When the time is over, with what was waited for and the transcript.
    pub async fn until_within<T>(&self, patience: Duration, what: &str, look: impl FnMut(&World) -> Option<T>) -> T {
        let found = self.shared.sees(patience, look).await;
        found.unwrap_or_else(|| panic!("waited in vain for {what}\n{}", self.transcript()))
    }

    /// Waits for the bot's finished message in the thread of a post, newer than the post; the newest of several. A
    /// stream is finished when it is stopped; a message that is not streamed when nothing changed it for a quarter
    /// of a second.
    pub async fn answer(&self, to: &Post) -> Message {
        self.until(&format!("an answer to {}", to.ts), |world| world.answer(to, "")).await
    }

    /// Waits for the bot's finished message in that thread which says this.
    pub async fn answer_saying(&self, to: &Post, words: &str) -> Message {
        self.until(&format!("an answer to {} that says {words:?}", to.ts), |world| world.answer(to, words)).await
    }

    /// Waits for an ephemeral message to this user which says this.
    pub async fn whisper(&self, user: &str, words: &str) -> Message {
        let look = |world: &World| world.ephemerals(user).into_iter().rev().find(|message| message.says(words));
        self.until(&format!("an ephemeral message to {user} that says {words:?}"), look).await
    }

    /// Waits for a modal on top that shows this to a user.
    pub async fn modal(&self, user: &str, words: &str) -> View {
        let look = |world: &World| world.views(user).pop().filter(|view| view.says(words));
        self.until(&format!("a modal of {user} that says {words:?}"), look).await
    }

    /// Waits for a home that shows this to a user.
    pub async fn home_saying(&self, user: &str, words: &str) -> View {
        let look = |world: &World| world.home(user).filter(|view| view.says(words));
        self.until(&format!("a home of {user} that says {words:?}"), look).await
    }

    /// Waits until the bot has this many connections.
    pub async fn connected(&self, connections: usize) {
        let look = |world: &World| (world.connections() >= connections).then_some(());
        self.until(&format!("{connections} connections"), look).await;
    }

    /// Waits until everything that was delivered is acked or given up.
    pub async fn settled(&self) {
        self.until("every ack", |world| world.deliveries.is_settled().then_some(())).await;
    }

    /// What stands in a channel, oldest first.
    pub fn messages(&self, channel: &str) -> Vec<Message> {
        self.shared.look(|world| world.messages(channel))
    }

    /// A thread, its first message included.
    pub fn thread(&self, channel: &str, thread_ts: &str) -> Vec<Message> {
        self.shared.look(|world| world.thread(channel, thread_ts))
    }

    /// What only this user sees, oldest first.
    pub fn ephemerals(&self, user: &str) -> Vec<Message> {
        self.shared.look(|world| world.ephemerals(user))
    }

    /// The modals that this user has open, the topmost last.
    pub fn views(&self, user: &str) -> Vec<View> {
        self.shared.look(|world| world.views(user))
    }

    /// The home that was published for a user.
    pub fn home(&self, user: &str) -> Option<View> {
        self.shared.look(|world| world.home(user))
    }

    /// The direct channel of a user and the bot.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn direct(&self, user: &str) -> String {
        self.shared.with(|world| world.direct(user)).unwrap_or_else(|_| panic!("there is no user {user}"))
    }

    /// The files that the bot shared.
    pub fn files(&self) -> Vec<File> {
        self.shared.look(World::files)
    }

    /// Every call of one method.
    pub fn calls(&self, method: &str) -> Vec<Call> {
        self.shared.look(|world| world.calls(method))
    }

    /// Every ack, oldest first, with how long it took.
    pub fn acks(&self) -> Vec<Ack> {
        self.shared.look(World::acks)
    }

    /// Every rule that the bot broke, in order.
    pub fn violations(&self) -> Vec<String> {
        self.shared.look(World::violations)
    }

    /// The workspace in plain text, for the message of a test that failed.
    pub fn transcript(&self) -> String {
        self.shared.look(World::transcript)
    }
}

impl World {
    fn answer(&self, to: &Post, words: &str) -> Option<Message> {
        let all = self.messages.get(&to.channel)?;
        let newer = &all[all.partition_point(|message| message.ts <= to.ts)..];
        let now = self.clock.real();
        let is_finished = |message: &&Message| {
            let stands = message.stream.is_some() || now.saturating_sub(message.touched) >= STANDS;
            message.by_bot && message.thread_ts.as_deref() == Some(to.thread()) && message.is_done() && stands
        };
        newer.iter().rev().filter(is_finished).find(|message| message.says(words)).cloned()
    }

    fn transcript(&self) -> String {
        let mut told = String::new();
        for (channel, messages) in &self.messages {
            let _ = writeln!(told, "{channel}:");
            for message in messages {
                let indent = if message.thread_ts.is_some() { "    " } else { "  " };
                let state = message.stream.as_ref().map(|stream| format!(" ({:?})", stream.state)).unwrap_or_default();
                let text = message.reads().replace('\n', "\n      ");
                let _ = writeln!(told, "{indent}{} {}{state}: {text}", message.ts, message.user);
            }
        }
        for message in &self.ephemerals {
            let only = message.only_for.as_deref().unwrap_or_default();
            let _ = writeln!(told, "only for {only} in {}: {}", message.channel, message.reads());
        }
        for view in self.views.iter().chain(self.homes.values()) {
            let _ = writeln!(told, "{} of {}: {}", view.kind, view.user, view.reads());
        }
        for call in self.calls.iter().rev().take(20).rev() {
            let error = call.error.as_deref().unwrap_or("ok");
            let _ = writeln!(told, "{:.3} {} -> {error}", call.at.as_secs_f64(), call.method);
        }
        for violation in &self.violations {
            let _ = writeln!(told, "violation: {violation}");
        }
        let _ = writeln!(told, "{} connections, {} acks", self.connections(), self.deliveries.acks.len());
        told
    }
}
