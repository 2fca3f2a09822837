//! The person at the terminal, asked while a call waits: one question at a time, whoever has it.

use std::{
    io::{self, BufRead as _, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

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
#[derive(Debug, Default)]
pub(crate) struct Stdin(Reader);

#[async_trait]
impl Typed for Stdin {
    fn forget(&self) {
        tty::forget_typed();
    }

    async fn line(&self, prompt: &str) -> Option<String> {
        shown(prompt).ok()?;
        self.0.next(read).await
    }
}

fn shown(prompt: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    err.write_all(prompt.as_bytes())?;
    err.flush()
}

/// The next line of standard input; `None` at its end.
fn read() -> Option<String> {
    let mut line = String::new();
    let count = io::stdin().lock().read_line(&mut line).ok()?;
    (count > 0).then_some(line)
}

/// The one place where standard input is read. A line is for whoever waits when it is typed: a question that nobody
/// waits for any more takes none from the next.
#[derive(Debug, Clone, Default)]
struct Reader(Arc<Mutex<Reading>>);

#[derive(Debug, Default)]
struct Reading {
    /// Who waits.
    asked: Option<oneshot::Sender<Option<String>>>,
    /// Whether somebody reads, for them or for a question that is over.
    is_read: bool,
}

impl Reader {
    /// The next line, which `read` reads unless it is being read already.
    async fn next(&self, read: impl FnOnce() -> Option<String> + Send + 'static) -> Option<String> {
        let (asked, told) = oneshot::channel();
        if self.begins(asked) {
            let reader = self.clone();
            // A thread of its own: a runtime that ends would wait for one of its own until somebody types.
            let reading = thread::Builder::new().name("typed".into()).spawn(move || reader.ends(read()));
            if reading.is_err() {
                self.ends(None);
            }
        }
        told.await.ok()?
    }

    /// From now on somebody waits; whether nobody reads yet.
    fn begins(&self, asked: oneshot::Sender<Option<String>>) -> bool {
        let mut reading = self.reading();
        reading.asked = Some(asked);
        !std::mem::replace(&mut reading.is_read, true)
    }

    fn ends(&self, line: Option<String>) {
        if let Some(asked) = std::mem::take(&mut *self.reading()).asked {
            // What is typed for a question that is over answers nothing.
            let _ = asked.send(line);
        }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_line_is_for_the_question_that_waits_when_it_is_typed() {
        let (types, typed) = mpsc::channel();
        let (reader, typed) = (Reader::default(), Arc::new(Mutex::new(typed)));
        let next = || {
            let typed = typed.clone();
            reader.next(move || typed.lock().unwrap().recv().ok())
        };
        assert!(timeout(Duration::ZERO, next()).await.is_err(), "nobody types before it is over");
        let type_both = async {
            for line in ["yes", "no"] {
                types.send(line.to_owned()).unwrap();
            }
        };
        let (first, ()) = tokio::join!(next(), type_both);
        assert_eq!((first.as_deref(), next().await.as_deref()), (Some("yes"), Some("no")));
        drop(types);
        assert_eq!(next().await, None, "nobody types any more");
    }
}
