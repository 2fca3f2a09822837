//! Standard error as the log has it: beside the spinner.

use std::{
    io::{self, Write},
    sync::{Arc, OnceLock},
};

use super::spinner::Spinner;

/// Writes to standard error, where the spinner makes room as soon as there is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside(Arc<OnceLock<Spinner>>);

impl Beside {
    /// From now on this one makes room.
    pub(crate) fn set(&self, spinner: &Spinner) {
        // A run has one.
        let _ = self.0.set(spinner.clone());
    }
}

impl Write for Beside {
    /// Never fails: the log would say so in the same place, and panic where the terminal is gone.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().lock().write_all(bytes);
        let _ = match self.0.get() {
            Some(spinner) => spinner.beside(write),
            None => write(),
        };
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
