//! The terminal at standard input, as the system has it: its modes, and what was typed that nobody has read.

use std::io::{self, Write as _};

use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};

/// What ends the marking of pasted text, which whoever reads lines key by key asks for.
const NO_MARKED_PASTE: &[u8] = b"\x1b[?2004l\n";

/// Forgets what was typed and nobody has read yet. What is piped in stays.
pub(crate) fn forget_typed() {
    // What is no terminal refuses, and has nothing to forget.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}

/// The modes of the terminal, which it has again when this goes: whoever reads a line key by key changes them, and is not
/// always done by then.
#[derive(Debug)]
pub(crate) struct Modes(Option<Termios>);

impl Modes {
    /// Those that it has now; none where there is no terminal.
    pub(crate) fn keep() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        let Some(kept) = &self.0 else { return };
        let is_changed = tcgetattr(io::stdin()).is_ok_and(|now| now.local_modes != kept.local_modes);
        if !is_changed {
            return;
        }
        // Nobody is left to be told that it fails.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, kept);
        let mut out = io::stdout().lock();
        let _ = out.write_all(NO_MARKED_PASTE).and_then(|()| out.flush());
    }
}
