//! The words of a command line that could not be understood as a whole.

use std::ffi::OsString;

use clap::{Command, CommandFactory as _};

use super::Cli;

/// The arguments up to `--` that are neither options nor values of options that every command takes. The first is the
/// command, as clap finds it; where that has commands of its own, the second is one of those.
pub(crate) fn words(args: &[OsString]) -> impl Iterator<Item = &OsString> {
    let cli = Cli::command();
    let mut args = args.iter().skip(1).take_while(|arg| *arg != "--");
    std::iter::from_fn(move || {
        loop {
            let arg = args.next()?;
            let text = arg.to_string_lossy();
            if !text.starts_with('-') {
                return Some(arg);
            }
            if takes_value(&cli, &text) {
                args.next();
            }
        }
    })
}

/// Whether an option of every command has its value in the next argument.
fn takes_value(cli: &Command, option: &str) -> bool {
    let is_it = |long: &str| option.strip_prefix("--") == Some(long);
    cli.get_arguments().any(|arg| arg.get_action().takes_values() && arg.get_long().is_some_and(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_the_command_whatever_values_are_called() {
        let line = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (text, command) in [
            ("omni ask hi", Some("ask")),
            ("omni -qv --demo ask", Some("ask")),
            ("omni --config ask --color never keys create --scope ask", Some("keys")),
            ("omni --config=ask tools list", Some("tools")),
            ("omni --config", None),
            ("omni -- ask", None),
        ] {
            let args = line(text);
            assert_eq!(words(&args).next().and_then(|word| word.to_str()), command, "{text}");
        }
        assert!(words(&line("omni tools --config x call db.get")).take(2).eq(["tools", "call"]));
    }
}
