//! A terminal that somebody types at: `tmux` is one, with a screen that can be read.

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use crate::program::Program;

/// How long something may take to be seen.
const TRIES: u32 = 600;
const BETWEEN: Duration = Duration::from_millis(50);
/// What ended programs said stays on the screen.
const CONFIG: &str = "set -g remain-on-exit on\nset -g history-limit 5000\nset -g status off\n";

/// Runs a program, and tells its exit code, also when somebody pressed Ctrl-C.
const RUN: &str = "trap : INT; \"$0\" \"$@\"; echo $? >tmux.ended";
const ENDED: &str = "tmux.ended";

/// A program at a terminal of its own, which ends with it.
#[derive(Debug)]
pub struct Screen<'a> {
    program: &'a Program,
}

impl<'a> Screen<'a> {
    /// Starts the program at a terminal. A home has one at a time.
    pub fn start(program: &'a Program, args: &[&str]) -> Self {
        fs::write(program.home().join("tmux.conf"), CONFIG).unwrap();
        let screen = Self { program };
        let prepared = program.command(args);
        let mut command = screen.tmux(&["new-session", "-d", "-x", "160", "-y", "50", "--"]);
        // What tmux knows of how a program ended it knows late, or never.
        let _ = fs::remove_file(program.home().join(ENDED));
        command.args(["sh", "-c", RUN]).arg(prepared.get_program()).args(prepared.get_args());
        assert!(command.status().unwrap().success(), "tmux does not start");
        screen
    }

    /// Types text, and the return key.
    pub fn types(&self, text: &str) {
        self.does(&["send-keys", "-l", "--", text]);
        self.presses("Enter");
    }

    /// Presses one key, such as `C-c`.
    pub fn presses(&self, key: &str) {
        self.does(&["send-keys", key]);
    }

    /// Waits until the screen shows something so many times; the whole screen then.
    pub fn shows(&self, text: &str, times: usize) -> String {
        for _ in 0..TRIES {
            let seen = self.text();
            if seen.matches(text).count() >= times {
                return seen;
            }
            sleep(BETWEEN);
        }
        panic!("{text:?} is not there {times} times:\n{}", self.text());
    }

    /// Waits until the program has ended; its exit code.
    pub fn ends(&self) -> i32 {
        for _ in 0..TRIES {
            let code = fs::read_to_string(self.program.home().join(ENDED)).unwrap_or_default();
            if let Some(code) = code.strip_suffix('\n') {
                return code.parse().unwrap();
            }
            sleep(BETWEEN);
        }
        panic!("it does not end:\n{}", self.text());
    }

    /// What is and was on the screen, without the spaces at line ends.
    pub fn text(&self) -> String {
        self.asks(&["capture-pane", "-p", "-J", "-S", "-"])
    }

    fn does(&self, args: &[&str]) {
        assert!(self.tmux(args).status().unwrap().success(), "{args:?}");
    }

    fn asks(&self, args: &[&str]) -> String {
        let output = self.tmux(args).stdout(Stdio::piped()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `tmux` with a server that only this screen has, in the program's own environment.
    fn tmux(&self, args: &[&str]) -> Command {
        let home = self.program.home();
        let prepared = self.program.command(&[]);
        let mut command = Command::new("tmux");
        command.arg("-S").arg(home.join("tmux")).arg("-f").arg(home.join("tmux.conf")).args(args);
        command.current_dir(home).env_clear();
        command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TERM", "xterm").env("SHELL", "/bin/sh").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).status();
    }
}
