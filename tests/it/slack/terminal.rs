//! `omni slack --fake`: the bot in a terminal, without a workspace.

use omni_tests::{
    loopback::Loopback,
    program::{Program, Ran},
    vendor::{KEY, Vendor},
};

fn home() -> Program {
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
}

fn tried(input: &str) -> Ran {
    home().run_piped(input, &["--demo", "slack", "--fake"]).exits(0)
}

#[test]
fn a_question_in_the_terminal_is_answered() {
    let ran = tried("Which were the five most expensive questions this week?\n");
    assert!(ran.out.contains("5 most expensive questions") && ran.out.contains("[:"), "{ran:#?}");
    assert!(!ran.out.contains("&lt;") && !ran.out.contains('\u{1b}'), "{ran:#?}");
}

#[test]
fn a_click_in_the_menu_of_the_terminal_shows_tools() {
    let ran = tried("/omni-help\n:1\n");
    let (menu, tools) = ran.out.split_once("Your Available Tools").unwrap();
    assert!(menu.contains("Click to explore tools") && menu.contains("[:1]"), "{ran:#?}");
    assert!(tools.contains("Try it"), "{ran:#?}");
}

#[test]
fn in_the_channel_of_the_terminal_answers_stand_in_threads_that_go_on() {
    let ran = tried("@omni Which were the five most expensive questions this week?\n> And how many were there?\n");
    assert_eq!(ran.out.matches("omni in a thread of #general:").count(), 2, "{ran:#?}");
    assert!(ran.out.contains("5 most expensive questions"), "{ran:#?}");
}

#[test]
fn status_and_page_of_the_terminal_are_those_of_whoever_runs_it() {
    let ran = tried("/omni-status\n:home\n");
    assert!(ran.out.contains("OMNI2 Status") && ran.out.contains("Admin"), "{ran:#?}");
    assert!(ran.out.contains("The app's page"), "{ran:#?}");
}

#[test]
fn what_is_no_command_or_no_button_is_said() {
    let ran = tried("/oops\n:7\n");
    assert!(ran.out.contains("There is no /oops") && ran.out.contains("nothing to click"), "{ran:#?}");
}

#[test]
fn in_the_terminal_somebody_else_is_tried_as_they_are() {
    let os_user = crate::cli::os_user();
    let users = format!("users: [{{ email: boss@company.com, role: admin, os_user: {os_user}, allowed_mcps: '*' }}]\n");
    let home = home().with_file("users.yaml", &users);
    let ran = home.run_piped("Where?\n", &["slack", "--fake", "--as", "nobody@company.com"]).exits(0);
    assert!(ran.out.contains("I do not know you") && ran.out.contains("nobody@company.com"), "{ran:#?}");
    let ran = home.run_piped("/omni-status\n", &["slack", "--fake"]).exits(0);
    assert!(ran.out.contains("OMNI2 Status") && ran.out.contains("boss@company.com"), "{ran:#?}");
    home.run(&["slack", "--as", "nobody@company.com"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_denied_in_the_terminal_with_a_reason_that_is_typed() {
    let (vendor, server) = (Vendor::start().await, Loopback::start());
    let settings = format!("llm: {{ provider: anthropic, base_url: '{}', api_key: '{KEY}' }}\n", vendor.base_url());
    let os_user = crate::cli::os_user();
    let users = format!("users: [{{ email: boss@company.com, role: admin, os_user: {os_user}, allowed_mcps: '*' }}]\n");
    let home = home()
        .with_file("settings.yaml", &settings)
        .with_file("users.yaml", &users)
        .with_file("mcps.yaml", &server.mcps("    confirm: [get_health]\n"));
    let question = "#tool db__get_health {\"limit\":3}\n";
    let (asked, denied) = tokio::task::spawn_blocking(move || {
        let asked = home.run_piped(question, &["slack", "--fake"]).exits(0);
        let (before, _) = asked.out.split_once("] Deny with reason").unwrap_or_else(|| panic!("{asked:#?}"));
        let (_, number) = before.rsplit_once("[:").unwrap();
        // The same again, and the button of the card is clicked; the form takes no empty line.
        let input = format!("{question}:{number}\n\nnot on a Friday\n");
        let denied = home.run_piped(&input, &["slack", "--fake"]).exits(0);
        (asked, denied)
    })
    .await
    .unwrap();
    assert!(asked.out.contains("Approval needed") && asked.out.contains("\"limit\": 3"), "{asked:#?}");
    assert!(denied.out.contains("That is no answer to this.") && denied.out.contains("not on a Friday"), "{denied:#?}");
    assert!(denied.out.contains("Denied by @you"), "{denied:#?}");
    assert!(server.calls().is_empty(), "{denied:#?}");
}
