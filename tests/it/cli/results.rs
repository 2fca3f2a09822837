//! `omni results`, and what a chat has of it.

use omni_tests::{loopback::Loopback, program::Program, screen::Screen};
use serde_json::Value;

use super::{omni, schema, statuses, with_server};

/// The id of what a question's tool returned.
fn asked(home: &Program, args: &[&str]) -> String {
    let document = schema::document(&home.run(&[&["ask", "--json"], args].concat()).exits(0));
    let id = document["tool_calls"][0]["result_id"].as_str().unwrap_or_else(|| panic!("{document}"));
    id.to_owned()
}

#[test]
fn what_a_tool_returned_is_at_hand_in_later_runs() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let id = asked(&home, &["--session", "x", "database health"]);
    let listed = home.run(&["results", "list", "--json"]).exits(0).json();
    assert_eq!((&listed[0]["result_id"], &listed[0]["session_id"]), (&Value::from(&*id), &Value::from("x")));
    assert_eq!(home.run(&["results", "list", "--session", "y", "--json"]).exits(0).json(), Value::Array(Vec::new()));
    assert!(home.run(&["results", "list"]).exits(0).out.contains("db.get_health"));

    let shown = home.run(&["results", "show", &id, "--limit", "3"]).exits(0);
    assert_eq!((&*shown.out, shown.err.contains("--offset 3")), ("all\n", true), "{shown:?}");
    let page = home.run(&["results", "show", &id, "--offset", "4", "--json"]).exits(0).json();
    assert!(page["text"].as_str().unwrap().starts_with("healthy, limit") && page["next_offset"].is_null(), "{page}");
    assert!(home.run(&["results", "export", &id]).exits(0).out.starts_with("all healthy, limit"));
    let no_table = home.run(&["results", "export", &id, "--csv"]);
    assert!(no_table.code != 0 && no_table.err.contains("is no table"), "{no_table:?}");
    assert_eq!(server.calls().len(), 1, "none of this calls it");

    let again = home.run(&["results", "again", &id]).exits(0);
    assert!(again.out.starts_with("all healthy, limit"), "{again:?}");
    assert_eq!(
        (server.calls()[1]["arguments"].clone(), statuses(&home).len()),
        (server.calls()[0]["arguments"].clone(), 2)
    );
}

#[test]
fn a_result_is_its_askers_own() {
    let server = Loopback::start();
    let everybody = "default_user: { role: dba, allowed_mcps: \"*\" }\n";
    let home = with_server(&server, "").with_file("users.yaml", everybody);
    let id = asked(&home, &["database health"]);
    for args in [&["results", "show", &id][..], &["results", "export", &id], &["results", "again", &id]] {
        let others = home.run(&[args, &["--as", "eve@company.com"]].concat());
        assert!(others.code != 0 && others.err.contains("omni results list"), "{others:?}");
    }
    assert_eq!(server.calls().len(), 1);
    let none = omni().run(&["results", "list"]).exits(0);
    assert!(none.out.contains("Nothing is kept"), "{none:?}");
}

#[test]
fn a_chat_shows_more_of_the_last_result_and_makes_its_call_again() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let chat = Screen::start(&home, &["chat"]);
    chat.types("/more");
    chat.shows("nothing is kept that a tool returned in this session", 1);
    chat.types("database health");
    chat.shows("all healthy", 1);
    chat.types("/more");
    chat.shows("db.get_health r_", 1);
    chat.shows("all healthy", 2);
    chat.types("/more");
    chat.shows("That is all of r_", 1);
    chat.types("/csv rows.csv");
    chat.shows("is no table", 1);
    assert!(!home.home().join("rows.csv").exists());
    chat.types("/again");
    chat.shows("all healthy", 3);
    assert_eq!(server.calls().len(), 2, "{}", chat.text());
    chat.types("/more r_0000000000");
    chat.shows("omni results list", 1);
    chat.types("/exit");
    assert_eq!(chat.ends(), 0);
}
