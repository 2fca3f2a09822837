//! The person who types.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    Fake, PATIENCE,
    deliver::At,
    form::{Entered, Form},
};
use crate::{
    bot::Bot,
    port::{Ack, Delivery, Intake as _},
};

/// How often it is looked whether the bot is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The commands that there are.
const COMMANDS: [&str; 3] = ["/omni", "/omni-help", "/omni-status"];

/// What is said first.
pub(super) fn intro(name: &str) -> String {
    format!(
        "This is omni as {name} has it in Slack. A line is a direct message; `@omni …` asks in #general and `> …` goes \
         on in that thread; `/omni …`, `/omni-help` and `/omni-status` are commands; `:home` is the app's page; `:3` \
         clicks on what has the number 3. The end of the input (Ctrl-D) ends it."
    )
}

/// See the module.
#[derive(Debug)]
pub(super) struct Keyboard {
    pub(super) fake: Arc<Fake>,
    pub(super) bot: Bot,
    pub(super) is_script: bool,
}

impl Keyboard {
    /// Delivers what is typed, until nobody types any more.
    pub(super) async fn run(&self, mut lines: mpsc::Receiver<String>) {
        while let Some(line) = lines.recv().await {
            let line = line.trim();
            if self.is_script {
                self.waits(line).await;
            }
            self.take(line);
        }
    }

    /// Who reads no screen cannot know when it is their turn: a line waits until what it is about is there.
    async fn waits(&self, line: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.is_turn(line) && Instant::now() < end {
            sleep(LOOK_EVERY).await;
        }
    }

    fn is_turn(&self, line: &str) -> bool {
        let world = self.fake.world();
        let has_button = number(line).is_some_and(|(number, _)| world.buttons.contains_key(&number));
        world.form.is_some() || has_button || self.bot.is_idle()
    }

    fn take(&self, line: &str) {
        let form = self.fake.world().form.take();
        if let Some(form) = form {
            return self.fill(form, line);
        }
        if line.is_empty() {
            return;
        }
        if line.starts_with(':') {
            return self.press(line);
        }
        if line.starts_with('/') {
            let name = line.split_whitespace().next().unwrap_or_default();
            return match COMMANDS.contains(&name) {
                true => self.hand_over(self.fake.command(line)),
                false => self.fake.print(&format!("There is no {name}; there are {}.", COMMANDS.join(", "))),
            };
        }
        let (text, at) = match line.strip_prefix('>') {
            Some(rest) => (rest.trim(), At::Thread),
            None if line.starts_with("@omni") => (line, At::Channel),
            None => (line, At::Direct),
        };
        self.hand_over(self.fake.message(text, at));
    }

    fn press(&self, line: &str) {
        if line == ":home" {
            return self.hand_over(self.fake.home());
        }
        let found = number(line).and_then(|(number, choice)| {
            let button = self.fake.world().buttons.get(&number).cloned()?;
            self.fake.click(&button, choice)
        });
        match found {
            Some(click) => self.hand_over(click),
            None => self.fake.print("There is nothing to click with that number, or no such choice."),
        }
    }

    fn hand_over(&self, delivery: Delivery) {
        if self.bot.take(delivery) == Ack::Refused {
            self.fake.print("omni takes nothing more at the moment.");
        }
    }

    fn fill(&self, mut form: Form, line: &str) {
        if line == ":cancel" {
            return self.fake.print("Closed.");
        }
        match form.enter(line) {
            Entered::Asks(prompt) => {
                self.fake.print(&prompt);
                self.fake.world().form = Some(form);
            }
            Entered::Sent(view) => {
                if let Ack::With(answer) = self.bot.take(self.fake.submission(view)) {
                    self.answered(form, &answer);
                }
            }
        }
    }

    /// What a modal says when it was sent in: what is wrong, or another view.
    fn answered(&self, mut form: Form, answer: &Value) {
        if answer["response_action"] == "errors" {
            for (block, wrong) in answer["errors"].as_object().into_iter().flatten() {
                self.fake.print(&format!("✗ {}: {}", form.label(block), wrong.as_str().unwrap_or_default()));
            }
            form.again();
            self.fake.print(&form.prompt());
            self.fake.world().form = Some(form);
        } else if answer["view"].is_object() {
            self.fake.open(&answer["view"]);
        }
    }
}

/// The number in `:3 choice`, and the choice.
fn number(line: &str) -> Option<(u64, &str)> {
    let (number, choice) = line.strip_prefix(':')?.split_once(' ').unwrap_or((line.strip_prefix(':')?, ""));
    Some((number.parse().ok()?, choice.trim()))
}
