//! `omni chat`, as somebody types at it.

use omni_tests::{loopback::Loopback, screen::Screen};

use super::{statuses, with_server};

#[test]
fn a_chat_answers_asks_before_it_changes_something_and_goes_on_later() {
    let server = Loopback::start();
    let home = with_server(&server, "    confirm: [\"drop_*\"]\n");
    let chat = Screen::start(&home, &["chat"]);
    chat.shows("/help lists the commands", 1);
    chat.types("database health");
    chat.shows("all healthy", 1);

    chat.types("drop table \"users\"");
    chat.shows("[y]es / [N]o / [d]etails:", 1);
    chat.types("n");
    chat.shows("was not approved", 1);
    assert_eq!(server.calls().len(), 1, "{}", chat.text());
    chat.types("/retry");
    chat.shows("[y]es / [N]o / [d]etails:", 2);
    chat.types("y");
    chat.shows("dropped", 1);
    assert_eq!(server.calls().len(), 2, "{}", chat.text());

    chat.types("/session");
    chat.types("/exit");
    assert_eq!(chat.ends(), 0);
    let seen = chat.text();
    let name = seen.split("omni chat --resume=").nth(1).and_then(|rest| rest.split('`').next()).unwrap().to_owned();
    drop(chat);
    // Three questions, and the agreement to a call.
    assert_eq!(statuses(&home).len(), 4);

    let resumed = Screen::start(&home, &["chat", "--resume"]);
    resumed.shows(&format!("session {name}"), 1);
    // What was typed in the chat before is at the up arrow.
    for _ in 0..6 {
        resumed.presses("Up");
    }
    resumed.shows("omni> database health", 1);
    resumed.presses("Enter");
    resumed.shows("all healthy", 1);
    resumed.shows("omni>", 2);
    resumed.presses("C-d");
    assert_eq!(resumed.ends(), 0);
    drop(resumed);
    let shown = home.run(&["sessions", "show", &name, "--json"]).exits(0).json();
    assert_eq!(shown["turns"].as_array().unwrap().len(), 4, "{shown}");
}

#[test]
fn ctrl_c_ends_the_answer_and_not_the_chat() {
    let server = Loopback::start();
    let home = with_server(&server, "    confirm: [\"drop_*\"]\n");
    let chat = Screen::start(&home, &["chat"]);
    chat.types("/tool db.hang");
    chat.shows("db.hang …", 1);
    while server.calls().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    chat.presses("C-c");
    chat.shows("error:", 1);

    // Where the person is asked, it is the whole turn that is given up.
    chat.types("drop table \"users\"");
    chat.shows("[y]es / [N]o / [d]etails:", 1);
    chat.presses("C-c");
    chat.shows("given up", 1);
    chat.types("/tool db.get_health {\"limit\": 3}");
    chat.shows("all healthy, limit 3", 1);
    assert_eq!(server.calls().len(), 2, "{}", chat.text());

    chat.shows("omni>", 4);
    chat.types("/cost");
    chat.shows("1 question, ", 1);
    chat.shows("omni>", 5);
    chat.presses("C-c");
    chat.shows("Ctrl-C once more ends the chat", 1);
    chat.shows("omni>", 6);
    chat.presses("C-c");
    assert_eq!(chat.ends(), 0);
}

#[test]
fn the_commands_of_a_chat_do_what_their_names_say() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let chat = Screen::start(&home, &["chat"]);
    chat.types("/help");
    chat.shows("/save [FILE]", 1);
    chat.types("/tools db");
    chat.shows("db.get_health", 1);
    chat.types("/modle x");
    chat.shows("did you mean /model?", 1);
    chat.types("/save");
    chat.shows("nothing is kept of this session yet", 1);
    chat.types("database health");
    chat.shows("all healthy", 1);
    chat.types("/save talk.md");
    chat.shows("Saved as talk.md", 1);
    let saved = std::fs::read_to_string(home.home().join("talk.md")).unwrap();
    assert!(saved.contains("> database health") && saved.contains("*Called `db.get_health`.*"), "{saved}");
    chat.types("/save talk.md");
    chat.shows("cannot be written", 1);
    chat.types("/cost");
    chat.shows("1 question, ", 1);
    chat.types("/approve never");
    chat.types("/approve");
    chat.shows("\nnever\n", 1);
    chat.types("/clear");
    chat.shows("A new session begins", 1);
    chat.types("/save other.md");
    chat.shows("nothing is kept of this session yet", 2);
    chat.types("/exit");
    assert_eq!(chat.ends(), 0);
    // Nothing was asked in the session that began last.
    assert!(!chat.text().contains("--resume"), "{}", chat.text());
}

#[test]
fn what_is_typed_at_a_question_that_is_over_is_no_answer_and_not_lost() {
    let server = Loopback::start();
    let home = with_server(&server, "    confirm: [\"drop_*\"]\n");
    let chat = Screen::start(&home, &["chat", "--timeout", "10s"]);
    chat.shows("omni>", 1);
    chat.types("drop table \"users\"");
    chat.shows("[y]es / [N]o / [d]etails:", 1);
    chat.shows("the question above is over; press Enter", 1);
    chat.types("database health");
    chat.shows("omni> database health", 1);
    assert_eq!(server.calls().len(), 0, "{}", chat.text());
    chat.presses("Enter");
    chat.shows("all healthy", 1);
    chat.shows("omni>", 3);
    chat.presses("C-d");
    assert_eq!(chat.ends(), 0);
}

#[test]
fn what_is_piped_into_a_chat_is_asked_line_by_line() {
    let server = Loopback::start();
    let home = with_server(&server, "    confirm: [\"drop_*\"]\n");
    let ran = home.run_piped("database health\n\n/nope\ndrop table \"users\"\n", &["chat"]).exits(0);
    assert!(ran.out.contains("all healthy"), "{ran:?}");
    assert!(ran.err.contains("there is no /nope") && ran.err.contains("no terminal to ask at"), "{ran:?}");
    assert_eq!(server.calls().len(), 1);
    let unknown = home.run_piped("", &["chat", "--resume=nothing"]).exits(2);
    assert!(unknown.err.contains("omni sessions list"), "{unknown:?}");
}
