use std::io::Read as _;

use omni_tests::{loopback::Loopback, program::Program};

use super::{omni, statuses, with_server};

/// Runs it for a reader that is gone before it writes.
fn unread(home: &Program, args: &[&str]) {
    let mut child = home.command(args).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}: {err}");
    assert_eq!(err, "", "{args:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = omni();
    for form in ["text", "json", "jsonl"] {
        unread(&home, &["ask", "-o", form, "What can you do?"]);
    }
    assert_eq!(statuses(&home).len(), 3);
    unread(&home, &["completions", "bash"]);
    unread(&home, &["config", "schema"]);
    let server = Loopback::start();
    unread(&with_server(&server, ""), &["tools", "list"]);
}
