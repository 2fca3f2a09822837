//! What is logged on a thread, for tests of what an operator is told.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{Dispatch, Level, level_filters::LevelFilter, subscriber::DefaultGuard};

/// Somebody else who listens, and hears nothing. Where there is one listener alone, whether a line is ever logged is up
/// to the thread that comes to it first, which may be one of another test where nobody listens.
static OTHER: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::fmt().with_max_level(LevelFilter::OFF).finish()));

/// Everything that was logged.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Listens on this thread, for as long as the guard is there.
    #[must_use]
    pub fn of(most: Level) -> (Self, DefaultGuard) {
        LazyLock::force(&OTHER);
        let log = Self::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_max_level(most).with_writer(move || writer.clone());
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    /// All of it, and from now on what comes next.
    ///
    /// # Panics
    /// When it is no text.
    #[allow(clippy::must_use_candidate, reason = "what came until now may be of no interest")]
    pub fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
