//! Slack without a workspace: somebody tries the bot in a terminal.
//!
//! What they type is delivered as Slack would deliver it, and what the bot posts is printed. The bot, and all that
//! it decides, is the real one; there is no HTTP, no token and nobody else.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, IsTerminal as _, Read as _, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use omni_core::{Config, Omni, Registry, identity::Credential};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    bot::Bot,
    serve::{BotError, DRAIN},
    view::text,
};

mod deliver;
mod form;
mod keyboard;
mod port;
mod render;

use form::Form;
use keyboard::Keyboard;

/// The bot's user.
const BOT: &str = "U0OMNI";
/// Whoever types.
const YOU: &str = "U0YOU";
/// Their direct messages with the bot.
const DIRECT: &str = "D0YOU";
/// The channel that is made up, where the configuration names none.
const CHANNEL: &str = "C0TERMINAL";
/// How long answers have that still run when nobody types any more.
const PATIENCE: Duration = Duration::from_secs(600);
/// Longest line, in bytes.
const LINE: u64 = 64 * 1024;
/// Most messages and buttons that are remembered; the oldest go first.
const MOST: usize = 500;

/// Where somebody types and reads.
pub struct Terminal {
    lines: mpsc::Receiver<String>,
    out: Box<dyn Write + Send>,
    /// Whether all lines are there from the beginning: then each waits for what came of the one before.
    is_script: bool,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("is_script", &self.is_script).finish_non_exhaustive()
    }
}

impl Terminal {
    /// Standard input and output.
    #[must_use]
    pub fn standard() -> Self {
        let (sender, lines) = mpsc::channel(16);
        // A thread of its own: the end of the process does not wait for a line that nobody types.
        std::thread::spawn(move || while typed().is_some_and(|line| sender.blocking_send(line).is_ok()) {});
        Self { lines, out: Box::new(std::io::stdout()), is_script: !std::io::stdin().is_terminal() }
    }
}

/// The next line of standard input; `None` at its end.
fn typed() -> Option<String> {
    let mut line = Vec::new();
    let mut input = std::io::stdin().lock();
    let read = (&mut input).take(LINE).read_until(b'\n', &mut line).ok()?;
    (read > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// The bot of a configuration in a terminal, as somebody whose rights count, until nobody types any more or `stop`.
/// Answers that run then are told.
///
/// # Errors
/// A [`BotError`] when the pipeline cannot be built, or does not know who types.
pub async fn run_fake(
    config: &Config,
    registry: Arc<Registry>,
    who: Credential,
    terminal: Terminal,
    stop: CancellationToken,
) -> Result<(), BotError> {
    let omni = Omni::from_config(config, &registry).await?;
    let tried = tried(&omni, config, who, terminal, stop).await;
    omni.shutdown().await;
    tried
}

async fn tried(
    omni: &Omni,
    config: &Config,
    who: Credential,
    terminal: Terminal,
    stop: CancellationToken,
) -> Result<(), BotError> {
    let fake = Arc::new(Fake::of(omni, config, who, terminal.out).await?);
    let bot = Bot::new(omni.clone(), config.slack.clone(), fake.clone()).await?;
    match stop.run_until_cancelled(omni.start()).await {
        Some(started) => started?,
        None => return Ok(()),
    }
    fake.print(&format!("{}\n", keyboard::intro(&fake.place.name)));
    let keyboard = Keyboard { fake, bot: bot.clone(), is_script: terminal.is_script };
    stop.run_until_cancelled(keyboard.run(terminal.lines)).await;
    // Whoever asks for the end does not wait as long as whoever only types no more.
    if stop.run_until_cancelled(bot.drain(PATIENCE)).await.is_none() {
        bot.drain(DRAIN).await;
    }
    Ok(())
}

/// Who types, and where.
#[derive(Debug)]
struct Place {
    team: String,
    email: String,
    name: String,
    channel: String,
}

/// The workspace of one person.
struct Fake {
    place: Place,
    count: AtomicU64,
    world: Mutex<World>,
    out: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What stands in it.
#[derive(Debug, Default)]
struct World {
    said: Vec<Said>,
    buttons: BTreeMap<u64, Button>,
    last_button: u64,
    /// The thread in the channel that was used last.
    thread: Option<String>,
    /// The modal that is filled in.
    form: Option<Form>,
}

/// A message.
#[derive(Debug, Clone)]
struct Said {
    channel: String,
    ts: String,
    thread: Option<String>,
    user: &'static str,
    text: String,
    /// What of it is not printed yet, because its line goes on.
    unprinted: String,
}

/// What can be clicked.
#[derive(Debug, Clone)]
struct Button {
    /// The element.
    element: Value,
    block_id: Value,
    /// Where it stands.
    spot: Spot,
}

/// Where a button stands.
#[derive(Debug, Clone)]
enum Spot {
    Message { channel: String, ts: String, thread: Option<String>, is_ephemeral: bool, blocks: Value },
    View(Value),
}

impl Fake {
    async fn of(omni: &Omni, config: &Config, who: Credential, out: Box<dyn Write + Send>) -> Result<Self, BotError> {
        let principal = omni.authenticate(who.clone()).await?;
        // Whom the policy does not know is told so by the bot.
        let name = omni.grant(who).await.map_or_else(|_| principal.subject.clone(), |grant| grant.display_name.clone());
        let slack = &config.slack;
        let team = slack.workspaces.iter().flatten().next().unwrap_or(&principal.tenant).clone();
        let channel = slack.channels.only.iter().flatten().next().map_or(CHANNEL, String::as_str).to_owned();
        let place = Place { team, email: principal.subject, name, channel };
        Ok(Self { place, count: AtomicU64::new(first()), world: Mutex::default(), out: Mutex::new(out) })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next time stamp, which names a message.
    fn ts(&self) -> String {
        let number = self.number();
        format!("{}.{:06}", number / 1_000_000, number % 1_000_000)
    }

    fn number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// Prints text that may hold anything.
    fn print(&self, shown: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever is away reads nothing.
        let _ = writeln!(out, "{}", text::clean(shown)).and_then(|()| out.flush());
    }
}

/// The first number of this life: none of before comes again, whatever is kept of it.
fn first() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(1)
}

impl World {
    fn says(&mut self, said: Said) {
        if self.said.len() >= MOST {
            self.said.remove(0);
        }
        self.said.push(said);
    }

    fn find(&mut self, ts: &str) -> Option<&mut Said> {
        self.said.iter_mut().rev().find(|said| said.ts == ts)
    }

    /// Remembers a button, and says by which number it is clicked.
    fn number(&mut self, button: Button) -> u64 {
        self.last_button += 1;
        self.buttons.insert(self.last_button, button);
        if self.buttons.len() > MOST {
            self.buttons.pop_first();
        }
        self.last_button
    }
}
