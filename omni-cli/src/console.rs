//! Standard output and standard error, and what they can show.

use std::{
    fmt,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use owo_colors::{OwoColorize as _, Style};

use crate::{
    Process,
    args::{ColorChoice, Global},
};

pub(crate) mod beside;
pub(crate) mod clean;
pub(crate) mod spinner;

use clean::Cleaner;
use spinner::Spinner;

type Stream = Mutex<Box<dyn Write + Send>>;

/// Where a command writes: results to `out`, everything else to `err`.
pub(crate) struct Console {
    out: Stream,
    err: Stream,
    /// Whether standard error uses colours.
    color: bool,
    /// Whether somebody watches standard error.
    pub(crate) watched: bool,
    /// Whether somebody can answer a prompt.
    pub(crate) interactive: bool,
    /// Whether output and messages share a screen.
    pub(crate) shared_screen: bool,
    pub(crate) quiet: bool,
    pub(crate) spinner: Spinner,
}

impl Console {
    /// The console of a process.
    pub(crate) fn of(process: &Process, global: &Global) -> Self {
        let watched = process.stderr_tty && !global.quiet && process.var("TERM") != Some("dumb");
        Self {
            out: Mutex::new(Box::new(io::stdout())),
            err: Mutex::new(Box::new(io::stderr())),
            color: wants_color(process, global.color, process.stderr_tty),
            watched,
            interactive: process.stdin_tty && process.stderr_tty,
            shared_screen: process.stdout_tty && process.stderr_tty,
            quiet: global.quiet,
            spinner: Spinner::new(watched),
        }
    }

    /// Writes a part of the result, as it is, and flushes it.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        self.spinner.clear();
        let mut out = lock(&self.out);
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes a line of the result that may hold text from outside.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        self.write(&format!("{}\n", Cleaner::all(text)))
    }

    /// Writes a JSON document.
    pub(crate) fn json(&self, document: &impl serde::Serialize) -> Result<(), crate::Fault> {
        let text = serde_json::to_string_pretty(document)?;
        Ok(self.write(&format!("{}\n", clean::escape(&text)))?)
    }

    /// Writes a JSON document on one line.
    pub(crate) fn json_line(&self, document: &impl serde::Serialize) -> Result<(), crate::Fault> {
        let text = serde_json::to_string(document)?;
        Ok(self.write(&format!("{}\n", clean::escape(&text)))?)
    }

    /// Says something that the person has to know, quiet or not.
    pub(crate) fn message(&self, text: &str) -> io::Result<()> {
        self.spinner.clear();
        let mut err = lock(&self.err);
        writeln!(err, "{}", Cleaner::all(text))?;
        err.flush()
    }

    /// Says what went wrong. Whatever was asked at a prompt is over.
    pub(crate) fn error(&self, message: &str) {
        self.release();
        self.marked("error:", Style::new().red().bold(), message);
    }

    /// Says what may be done about it, unless quiet.
    pub(crate) fn hint(&self, message: &str) {
        if !self.quiet {
            self.marked("hint:", Style::new().cyan(), message);
        }
    }

    /// Says what is odd, unless quiet.
    pub(crate) fn warning(&self, message: &str) {
        if !self.quiet {
            self.marked("warning:", Style::new().yellow().bold(), message);
        }
    }

    /// Says a line that begins with a mark of its own style; while a prompt has the screen, later.
    pub(crate) fn marked(&self, mark: &str, style: Style, message: &str) {
        let message = Cleaner::all(message);
        let line = match self.color {
            true => format!("{} {message}", mark.style(style)),
            false => format!("{mark} {message}"),
        };
        if let Some(line) = self.spinner.passes(line) {
            self.spinner.clear();
            self.tell(&[line]);
        }
    }

    /// A prompt has the screen no more: what was to be said meanwhile is said.
    pub(crate) fn release(&self) {
        self.tell(&self.spinner.release());
    }

    /// Nobody can be told when that fails.
    fn tell(&self, lines: &[String]) {
        let mut err = lock(&self.err);
        for line in lines {
            let _ = writeln!(err, "{line}");
        }
        let _ = err.flush();
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("color", &self.color).field("watched", &self.watched).finish_non_exhaustive()
    }
}

fn lock(stream: &Stream) -> MutexGuard<'_, Box<dyn Write + Send>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a stream uses colours: the option, then the environment's conventions, then the terminal.
pub(crate) fn wants_color(process: &Process, choice: ColorChoice, is_terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if process.var("NO_COLOR").is_some() => false,
        ColorChoice::Auto if process.var("CLICOLOR_FORCE").is_some_and(|force| force != "0") => true,
        ColorChoice::Auto => is_terminal && process.var("TERM") != Some("dumb"),
    }
}

/// A console that remembers what it was told.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Arc;

    use super::*;

    /// What was written to a stream.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A console without a terminal; then what went to its output and to its messages.
    pub(crate) fn console(watched: bool) -> (Console, Captured, Captured) {
        let (out, err) = (Captured::default(), Captured::default());
        let console = Console {
            out: Mutex::new(Box::new(out.clone())),
            err: Mutex::new(Box::new(err.clone())),
            color: false,
            watched,
            interactive: false,
            shared_screen: watched,
            quiet: false,
            spinner: Spinner::new(false),
        };
        (console, out, err)
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::console, *};

    #[test]
    fn what_is_to_be_said_while_a_prompt_has_the_screen_is_said_behind_it() {
        let (console, _, err) = console(true);
        console.spinner.hold();
        console.marked("✓", Style::new(), "db.drop_table 84 ms");
        console.warning("later");
        assert_eq!(err.text(), "");
        console.release();
        assert_eq!(err.text(), "✓ db.drop_table 84 ms\nwarning: later\n");
        console.spinner.hold();
        console.hint("before it");
        console.error("over");
        console.hint("after it");
        assert!(err.text().ends_with("later\nhint: before it\nerror: over\nhint: after it\n"), "{}", err.text());
    }

    fn color(env: &[(&str, &str)], choice: ColorChoice, is_terminal: bool) -> bool {
        let mut process = Process::capture();
        process.env = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        wants_color(&process, choice, is_terminal)
    }

    #[test]
    fn colours_follow_option_then_environment_then_terminal() {
        use ColorChoice::{Always, Auto, Never};
        assert!(color(&[], Auto, true));
        assert!(!color(&[], Auto, false));
        assert!(!color(&[("NO_COLOR", "1")], Auto, true));
        assert!(color(&[("NO_COLOR", "")], Auto, true));
        assert!(color(&[("NO_COLOR", "1")], Always, false));
        assert!(color(&[("CLICOLOR_FORCE", "1")], Auto, false));
        assert!(!color(&[("CLICOLOR_FORCE", "0")], Auto, false));
        assert!(!color(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], Auto, true));
        assert!(!color(&[("TERM", "dumb")], Auto, true));
        assert!(!color(&[], Never, true));
    }
}
