//! What the process was given, as a value.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{IsTerminal as _, stderr, stdin, stdout},
    path::PathBuf,
};

/// Arguments, environment, working directory and terminal, looked at once.
#[derive(Clone)]
#[non_exhaustive]
pub struct Process {
    /// The command line, the program's name first.
    pub args: Vec<OsString>,
    /// The environment; what is not UTF-8 is replaced.
    pub env: BTreeMap<String, String>,
    /// The operating system's name of whoever runs this; the number, where it has no name for them.
    pub os_user: String,
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
    /// This process, as it is now.
    #[must_use]
    pub fn capture() -> Self {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let env = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        Self {
            args: std::env::args_os().collect(),
            os_user: os_user(&env),
            env,
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            stdin_tty: stdin().is_terminal(),
            stdout_tty: stdout().is_terminal(),
            stderr_tty: stderr().is_terminal(),
        }
    }

    /// A variable that is set to something.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        set(&self.env, name)
    }
}

fn set<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// Whom the kernel runs this process for. The environment, which anybody may write what they like
/// into, is asked only where the kernel cannot be.
fn os_user(env: &BTreeMap<String, String>) -> String {
    let file = |path: &str| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match file("/proc/self/status").ok().as_deref().and_then(real_uid) {
        Some(uid) => name_of(uid, &file("/etc/passwd").unwrap_or_default()).unwrap_or(uid).to_owned(),
        None => set(env, "USER").or_else(|| set(env, "LOGNAME")).unwrap_or("unknown").to_owned(),
    }
}

/// The first number of the line `Uid:`.
fn real_uid(status: &str) -> Option<&str> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()
}

/// The name of `name:password:uid:…`.
fn name_of<'a>(uid: &str, passwd: &'a str) -> Option<&'a str> {
    let users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    users
        .filter(|fields| fields.get(2) == Some(&uid))
        .find_map(|fields| fields.first().copied())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LoadOptions;

    #[test]
    fn the_kernel_says_who_it_is_and_the_systems_list_what_they_are_called() {
        assert_eq!(real_uid("Name:\tomni\nUid:\t1000\t0\t0\t0\nGid:\t7\n"), Some("1000"));
        let passwd = "root:x:0:0::/root:/bin/sh\n\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:10:1000:::\n";
        assert_eq!(name_of("1000", passwd), Some("ann"));
        assert_eq!(name_of("1", passwd), None);
    }

    #[test]
    fn what_is_shown_for_debugging_names_variables_and_not_what_they_say() {
        let process =
            Process { env: [("OPENAI_API_KEY".to_owned(), "sk-1234".to_owned())].into(), ..Process::capture() };
        let shown = format!("{process:?} {:?}", LoadOptions::new(process.env.clone(), "/work"));
        assert!(shown.matches("OPENAI_API_KEY").count() == 2 && !shown.contains("sk-1234"), "{shown}");
    }

    #[test]
    fn the_environment_does_not_say_who_it_is() {
        let env = [("USER".to_owned(), "somebody-else".to_owned())].into();
        assert_ne!(os_user(&env), "somebody-else");
    }
}
