use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};

use super::{ask::duration, *};

fn ask(args: &[&str]) -> AskArgs {
    let cli = Cli::try_parse_from(["omni", "ask"].iter().chain(args)).unwrap();
    let Command::Ask(args) = cli.command else { panic!("not an ask") };
    args
}

fn refused(args: &[&str]) -> bool {
    Cli::try_parse_from(["omni"].iter().chain(args)).is_err()
}

#[test]
fn the_grammar_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_with_an_example() {
    fn visit(command: &clap::Command) {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            let help = inner.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{}", inner.get_name());
            visit(inner);
        }
    }
    visit(&Cli::command());
}

#[test]
fn times_are_read_as_people_write_them() {
    for (text, millis) in
        [("500ms", 500), ("60s", 60_000), ("2m", 120_000), ("1h", 3_600_000), ("45", 45_000), ("1.5s", 1500)]
    {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "s", "0", "-1s", "5 s", "1d", "1e400h", "9999999999999999999999h"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn the_form_of_an_answer_is_said_in_one_way() {
    assert_eq!(ask(&["hi"]).format(), Format::Text);
    assert_eq!(ask(&["--json", "hi"]).format(), Format::Json);
    assert_eq!(ask(&["--jsonl", "hi"]).format(), Format::Jsonl);
    assert_eq!(ask(&["-o", "jsonl", "hi"]).format(), Format::Jsonl);
    assert!(refused(&["ask", "--json", "--jsonl", "hi"]));
    assert!(refused(&["ask", "--json", "-o", "text", "hi"]));
}

#[test]
fn yes_is_approve_auto() {
    assert_eq!(ask(&["hi"]).approvals.mode(), ApproveMode::Ask);
    assert_eq!(ask(&["-y", "hi"]).approvals.mode(), ApproveMode::Auto);
    assert_eq!(ask(&["--approve", "never", "hi"]).approvals.mode(), ApproveMode::Never);
    assert!(refused(&["ask", "-y", "--approve", "never", "hi"]));
}

#[test]
fn bounds_that_bound_nothing_are_refused() {
    for args in [
        ["--max-cost", "0"],
        ["--max-cost", "inf"],
        ["--max-cost", "-1"],
        ["--max-iterations", "0"],
        ["--timeout", "0s"],
    ] {
        assert!(refused(&["ask", "hi", args[0], args[1]]), "{args:?}");
    }
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let before = Cli::try_parse_from(["omni", "--config", "x", "ask", "hi"]).unwrap();
    let after = Cli::try_parse_from(["omni", "ask", "hi", "--config", "x"]).unwrap();
    assert_eq!(before.global.config, after.global.config);
    assert_eq!(before.global.config, Some("x".into()));
}

#[test]
fn validate_policy_is_policy_explain_by_another_name() {
    let cli = Cli::try_parse_from(["omni", "validate-policy", "--user=a@b.c", "--mcp=db"]).unwrap();
    let Command::ValidatePolicy(args) = cli.command else { panic!("not validate-policy") };
    let args = ExplainArgs::from(args);
    assert_eq!((args.user.as_str(), args.server.as_deref(), args.tool), ("a@b.c", Some("db"), None));
}
