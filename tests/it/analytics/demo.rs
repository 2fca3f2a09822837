//! `omni --demo`: answers with substance, no key, no network, nothing left behind.

use std::{
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use omni_tests::program::{Program, Ran};

use crate::cli::hears_hangup;

fn omni() -> Program {
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
}

#[test]
fn the_demo_answers_with_substance_and_leaves_nothing() {
    let home = omni();
    let temp = home.home().join("temp");
    std::fs::create_dir(&temp).unwrap();
    let env = [("TMPDIR", temp.to_str().unwrap()), ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")];
    let ask = |question: &str| home.run_with(&env, &["--demo", "ask", question]).exits(0);
    let expensive = ask("Which were the five most expensive questions this week?");
    assert!(expensive.out.contains("`analytics_mcp.get_top_expensive_queries`"), "{}", expensive.out);
    assert!(expensive.out.contains("The 5 most expensive questions (the last 7 days)."), "{}", expensive.out);
    assert_eq!(expensive.out.lines().filter(|line| line.contains("@company.com")).count(), 5, "{}", expensive.out);
    assert!(!expensive.out.contains("\"summary\""), "what is said in words is not said in JSON: {}", expensive.out);
    let slow = ask("Show slow queries");
    assert!(slow.out.contains("this is the output of") && slow.out.lines().count() > 5, "{}", slow.out);
    let health = ask("What's the health of transformer_master?");
    assert!(health.out.contains("transformer_master"), "{}", health.out);
    assert_eq!(std::fs::read_dir(&temp).unwrap().count(), 0, "the demo is thrown away");
    let init = home.run(&["--demo", "init"]).exits(2);
    assert!(init.err.contains("--demo keeps nothing"), "{}", init.err);
    assert!(!home.home().join("xdg/data").exists() && !home.config_dir().exists());
}

#[test]
fn everybody_in_the_demo_may_do_what_their_role_may() {
    let home = omni();
    let tools = |who: &str| {
        let listed = home.run(&["--demo", "tools", "list", "--json", "--as", who]).exits(0);
        listed.out.matches("\"tool\"").count().max(listed.out.matches("\"name\"").count())
    };
    let (owner, dba, contractor) =
        (tools("owner@company.com"), tools("dba@company.com"), tools("contractor@company.com"));
    assert!(owner > dba && dba > contractor, "{owner} {dba} {contractor}");
    let denied = home.run(&["--demo", "ask", "--as", "dba@company.com", "Show me cost summary for today"]).exits(0);
    assert!(!denied.out.contains("get_cost_summary"), "{}", denied.out);
    let own = home.run(&["--demo", "ask", "--as", "dba@company.com", "my usage this month"]).exits(0);
    assert!(own.out.contains("You made ") && !own.out.contains("owner@company.com"), "{}", own.out);
}

#[test]
fn the_ledger_of_the_demo_can_be_proved_and_its_configuration_is_right() {
    let ran = omni().run(&["--demo", "audit", "verify"]).exits(0);
    assert!(ran.out.starts_with("ok: "), "{ran:?}");
    let checked = omni().run(&["--demo", "config", "check", "--strict"]).exits(0);
    assert!(!checked.out.contains("warning:") && !checked.err.contains("warning:"), "{checked:?}");
}

/// Names in a directory.
fn within(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_demo_that_is_interrupted_while_it_is_made_leaves_nothing_either() {
    for signal in ["INT", "TERM", "HUP"].into_iter().filter(|signal| *signal != "HUP" || hears_hangup()) {
        let home = omni();
        let temp = home.home().join("temp");
        std::fs::create_dir(&temp).unwrap();
        let child = home.command(&["--demo", "audit", "verify"]).env("TMPDIR", &temp).spawn().unwrap();
        let started = Instant::now();
        while within(&temp).is_empty() {
            assert!(started.elapsed() < Duration::from_secs(60), "no demo is made");
            sleep(Duration::from_millis(5));
        }
        let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
        assert!(kill.success());
        Ran::from(child.wait_with_output().unwrap()).exits(130);
        assert_eq!(within(&temp), [""; 0], "{signal}");
    }
}
