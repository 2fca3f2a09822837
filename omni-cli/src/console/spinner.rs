//! The sign of life on a terminal.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::clean::Cleaner;

const TICK: Duration = Duration::from_millis(100);
/// Most lines that wait for the end of a prompt; more are told at once.
const MAX_KEPT: usize = 1_000;

/// A spinner on standard error; does nothing where nobody watches.
#[derive(Debug, Clone)]
pub(crate) struct Spinner {
    watched: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    bar: Option<ProgressBar>,
    /// A prompt has the screen.
    held: bool,
    /// What is to be told when it has it no more.
    kept: Vec<String>,
}

impl Spinner {
    pub(super) fn new(watched: bool) -> Self {
        Self { watched, state: Arc::default() }
    }

    /// Shows it with a message, or changes the message.
    pub(crate) fn show(&self, message: &str) {
        let mut state = self.state();
        if !self.watched || state.held {
            return;
        }
        let bar = state.bar.get_or_insert_with(start);
        bar.set_message(Cleaner::all(message));
    }

    /// Takes it off the screen.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Keeps it, and what is told meanwhile, off the screen until [`Spinner::release`].
    pub(crate) fn hold(&self) {
        self.clear();
        self.state().held = true;
    }

    /// A line that may be told now. While a prompt has the screen it is kept.
    pub(super) fn passes(&self, line: String) -> Option<String> {
        let mut state = self.state();
        if !state.held || state.kept.len() >= MAX_KEPT {
            return Some(line);
        }
        state.kept.push(line);
        None
    }

    /// Lets it be shown again; what is to be told now.
    pub(super) fn release(&self) -> Vec<String> {
        let mut state = self.state();
        state.held = false;
        mem::take(&mut state.kept)
    }

    /// Writes to standard error where it is off the screen; then it is there again.
    pub(super) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        let state = self.state();
        match &state.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}
