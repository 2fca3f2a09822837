use std::fs;

use omni_tests::{loopback::Loopback, program::Program};
use serde_json::Value;

use super::{omni, silent_vendor, with_server};

const USERS: &str = "users:\n  - email: dba@company.com\n    role: dba\n";

#[test]
fn an_ask_as_somebody_else_has_their_rights() {
    let server = Loopback::start();
    let restricted = "    role_restrictions:\n      dba:\n        allow_only: [get_*]\n";
    let home = with_server(&server, restricted).with_file("users.yaml", USERS);
    let asked = home.run(&["ask", "--as", "DBA@company.com", "--json", "database health"]).exits(0).json();
    assert_eq!((&asked["user"], &asked["role"]), (&"dba@company.com".into(), &"dba".into()));
    let tools = home.run(&["tools", "list", "-u", "dba@company.com", "--json"]).exits(0).json();
    let names: Vec<&Value> = tools.as_array().unwrap().iter().map(|tool| &tool["tool"]).collect();
    assert_eq!(names, ["get_health"]);
}

#[test]
fn a_model_goes_by_its_short_name() {
    let env = [("ANTHROPIC_API_KEY", "sk-ant-x")];
    let dry = ["ask", "--dry-run", "--json", "hello"];
    for (option, part) in [("haiku", "haiku"), ("opus", "opus")] {
        let document = omni().run_with(&env, &[&dry[..], &["-m", option]].concat()).exits(0).json();
        assert_eq!(document["provider"], "anthropic");
        assert!(document["model"].as_str().unwrap().contains(part), "{document:#}");
    }
}

#[test]
fn an_ask_that_would_cost_more_than_it_may_is_not_made() {
    let (vendor, settings) = silent_vendor();
    let home =
        omni().with_file("settings.yaml", &settings.replace("openai", "anthropic").replace(": m\n", ": haiku\n"));
    let ran = home.run(&["ask", "--max-cost", "0.0000001", "hello"]).exits(6);
    assert!(ran.err.contains('$'), "{ran:?}");
    vendor.set_nonblocking(true).unwrap();
    assert!(vendor.accept().is_err(), "the model was asked");
}

#[test]
fn quiet_is_the_answer_alone_and_an_answer_in_one_piece_is_the_same() {
    let home = omni();
    let loud = home.run(&["ask", "What can you do?"]).exits(0);
    let quiet = home.run(&["-q", "ask", "--no-stream", "What can you do?"]).exits(0);
    assert_ne!(loud.err, "");
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), (loud.out.as_str(), ""));
}

#[test]
fn variables_of_a_dotenv_file_count_and_the_environments_win() {
    let home = omni();
    fs::write(home.home().join(".env"), "OPENAI_BASE_URL=http://127.0.0.1:1/v1\nOPENAI_MODEL=of-the-file\n").unwrap();
    let model = |env: &[(&str, &str)]| {
        home.run_with(env, &["ask", "--dry-run", "--json", "hi"]).exits(0).json()["model"].clone()
    };
    assert_eq!(model(&[]), "of-the-file");
    assert_eq!(model(&[("OPENAI_MODEL", "of-the-process")]), "of-the-process");
}

#[test]
fn the_configuration_sets_how_much_is_logged_and_the_command_line_wins() {
    // That it is left out is told to whoever looks for faults.
    let mcps = "mcps: [{ name: incomplete, enabled: false }]\n";
    let logs = |home: &Program, env: &[(&str, &str)], options: &[&str]| {
        home.run_with(env, &[options, &["tools", "list"]].concat()).exits(0).err.contains("left out")
    };
    let home = omni().with_file("mcps.yaml", mcps).with_file("settings.yaml", "audit: { log_level: DEBUG }\n");
    assert!(logs(&home, &[], &[]));
    assert!(!logs(&home, &[], &["-q"]));
    assert!(!logs(&home, &[("RUST_LOG", "error")], &[]));
    assert!(!logs(&home, &[("LOG_LEVEL", "ERROR")], &[]));
    let home = omni().with_file("mcps.yaml", mcps);
    assert!(!logs(&home, &[], &[]));
    assert!(logs(&home, &[("DEBUG", "true")], &[]));
    fs::write(home.home().join(".env"), "LOG_LEVEL=DEBUG\n").unwrap();
    assert!(logs(&home, &[], &[]));
}

#[test]
fn help_and_mistakes_have_colours_only_where_they_are_wanted() {
    let has_colours = |args: &[&str]| {
        let ran = omni().run_with(&[("CLICOLOR_FORCE", "1")], args);
        (ran.out + &ran.err).contains('\u{1b}')
    };
    for args in [&["ask", "--help"][..], &["ask", "--josn"], &["--color", "auto", "--help"]] {
        assert!(has_colours(args), "{args:?}");
    }
    for args in [&["--color", "never", "ask", "--help"][..], &["ask", "--color=never", "--josn"]] {
        assert!(!has_colours(args), "{args:?}");
    }
}
