//! Runs the built program the way a person or a script does, in a home of its own.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A person's home, and the program in it.
#[derive(Debug)]
pub struct Program {
    binary: &'static str,
    home: TempDir,
}

/// What the program left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Program {
    /// An empty home: no configuration, no key.
    pub fn new(binary: &'static str) -> Self {
        Self { binary, home: TempDir::new().unwrap() }
    }

    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The configuration directory that is found without being named.
    pub fn config_dir(&self) -> PathBuf {
        self.home().join("config")
    }

    /// The same with a configuration file.
    pub fn with_file(self, name: &str, text: &str) -> Self {
        fs::create_dir_all(self.config_dir()).unwrap();
        fs::write(self.config_dir().join(name), text).unwrap();
        self
    }

    /// The command, for more than arguments. Nothing of the test's own environment reaches it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.binary);
        let home = self.home();
        command
            .args(args)
            .current_dir(home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("xdg/config"))
            .env("XDG_DATA_HOME", home.join("xdg/data"))
            .env("XDG_STATE_HOME", home.join("xdg/state"))
            .env("USER", "tester")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it with nothing on standard input.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// Runs it with variables.
    pub fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Ran {
        self.command(args).envs(env.iter().copied()).output().unwrap().into()
    }

    /// Runs it with text on standard input; it need not read all of it.
    pub fn run_piped(&self, input: &str, args: &[&str]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }
}

impl Ran {
    /// Standard output as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Standard output as JSON lines.
    pub fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The same, if the exit code is right.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
