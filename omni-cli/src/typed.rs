//! The person at the terminal, asked while a call waits: one question at a time, whoever has it.

use std::{
    io::{self, BufRead as _, Write as _},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    console::{Console, clean::Cleaner},
    tty,
};

/// Where a person types.
#[async_trait]
pub(crate) trait Typed: Send + Sync + std::fmt::Debug {
    /// Forgets what was typed and nobody has read yet.
    fn forget(&self);

    /// The next line after a prompt, which is shown as it is; `None` when nobody types any more.
    async fn line(&self, prompt: &str) -> Option<String>;
}

/// The terminal of one person.
#[derive(Debug)]
pub(crate) struct Terminal {
    console: Arc<Console>,
    typed: Arc<dyn Typed>,
    turn: Semaphore,
}

impl Terminal {
    /// A terminal where somebody types.
    pub(crate) fn new(console: Arc<Console>, typed: Arc<dyn Typed>) -> Arc<Self> {
        Arc::new(Self { console, typed, turn: Semaphore::new(1) })
    }

    /// The terminal for as long as one question takes; `None` where it is closed. What was typed before it is no answer.
    pub(crate) async fn turn(&self) -> Option<Turn<'_>> {
        let permit = self.turn.acquire().await.ok()?;
        self.console.spinner.hold();
        self.typed.forget();
        Some(Turn { terminal: self, _permit: permit })
    }
}

/// The terminal, for one question.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    terminal: &'a Terminal,
    _permit: SemaphorePermit<'a>,
}

impl Turn<'_> {
    /// Says something that may hold text from outside.
    pub(crate) fn say(&self, text: &str) {
        // Whoever is away reads nothing.
        let _ = self.terminal.console.message(text);
    }

    /// The next line that is typed; `None` when nobody types any more.
    pub(crate) async fn line(&self, prompt: &str) -> Option<String> {
        let line = self.terminal.typed.line(&Cleaner::all(prompt)).await?;
        Some(line.trim().to_owned())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.terminal.console.release();
    }
}

/// Standard input, with prompts on standard error.
#[derive(Debug)]
pub(crate) struct Stdin;

#[async_trait]
impl Typed for Stdin {
    fn forget(&self) {
        tty::forget_typed();
    }

    async fn line(&self, prompt: &str) -> Option<String> {
        let prompt = prompt.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let mut err = io::stderr().lock();
            err.write_all(prompt.as_bytes()).and_then(|()| err.flush())?;
            drop(err);
            let mut line = String::new();
            let count = io::stdin().lock().read_line(&mut line)?;
            Ok::<_, io::Error>((count > 0).then_some(line))
        });
        read.await.ok()?.ok()?
    }
}

/// Lines that were typed beforehand.
#[cfg(test)]
pub(crate) mod testing {
    use std::{collections::VecDeque, sync::Mutex};

    use super::*;
    use crate::console::testing::{Captured, console};

    /// Types lines, then goes away.
    #[derive(Debug)]
    struct Types(Mutex<VecDeque<&'static str>>, Mutex<Captured>);

    #[async_trait]
    impl Typed for Types {
        fn forget(&self) {}

        async fn line(&self, prompt: &str) -> Option<String> {
            let _ = self.1.lock().unwrap().write_all(prompt.as_bytes());
            self.0.lock().unwrap().pop_front().map(str::to_owned)
        }
    }

    /// A terminal where these lines are typed; and what it shows.
    pub(crate) fn terminal(lines: &[&'static str]) -> (Arc<Terminal>, Captured) {
        let (console, _, err) = console(true);
        let typed = Types(Mutex::new(lines.iter().copied().collect()), Mutex::new(err.clone()));
        (Terminal::new(Arc::new(console), Arc::new(typed)), err)
    }
}
