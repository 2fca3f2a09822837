//! What the process was given, as a value.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{IsTerminal as _, stderr, stdin, stdout},
    path::PathBuf,
};

/// Arguments, environment, working directory and terminal, looked at once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Process {
    /// The command line, the program's name first.
    pub args: Vec<OsString>,
    /// The environment; what is not UTF-8 is replaced.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Whether standard input is a terminal.
    pub stdin_tty: bool,
    /// Whether standard output is a terminal.
    pub stdout_tty: bool,
    /// Whether standard error is a terminal.
    pub stderr_tty: bool,
}

impl Process {
    /// This process.
    #[must_use]
    pub fn capture() -> Self {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        Self {
            args: std::env::args_os().collect(),
            env: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            stdin_tty: stdin().is_terminal(),
            stdout_tty: stdout().is_terminal(),
            stderr_tty: stderr().is_terminal(),
        }
    }

    /// A variable that is set to something.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The operating system's name of whoever runs this.
    #[must_use]
    pub fn os_user(&self) -> &str {
        self.var("USER").or_else(|| self.var("LOGNAME")).unwrap_or("unknown")
    }
}
