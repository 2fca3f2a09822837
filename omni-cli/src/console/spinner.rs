//! The sign of life on a terminal.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::clean::Cleaner;

const TICK: Duration = Duration::from_millis(100);

/// A spinner on standard error; does nothing where nobody watches.
#[derive(Debug)]
pub(crate) struct Spinner {
    watched: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bar: Option<ProgressBar>,
    /// A prompt has the screen.
    held: bool,
}

impl Spinner {
    pub(super) fn new(watched: bool) -> Self {
        Self { watched, state: Mutex::default() }
    }

    /// Shows it with a message, or changes the message.
    pub(crate) fn show(&self, message: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.watched || state.held {
            return;
        }
        let bar = state.bar.get_or_insert_with(start);
        bar.set_message(Cleaner::all(message));
    }

    /// Takes it off the screen.
    pub(crate) fn clear(&self) {
        let bar = self.state.lock().unwrap_or_else(PoisonError::into_inner).bar.take();
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }

    /// Keeps it off the screen until [`Spinner::release`].
    pub(crate) fn hold(&self) {
        self.clear();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).held = true;
    }

    /// Lets it be shown again.
    pub(crate) fn release(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).held = false;
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
