//! What a host can prove of a ledger: its own chains, those of other hosts, those of another database.

use std::fs;

use omni_tests::{loopback::Loopback, program::Program};
use serde_json::{Value, json};

use super::{aged, with_server};

const CALL: [&str; 3] = ["tools", "call", "db.get_health"];

/// The URL of a database that hosts share.
fn url(dir: &tempfile::TempDir, name: &str) -> String {
    format!("sqlite://{}", dir.path().join(name).display())
}

fn verified(home: &Program, url: &str, code: i32) -> Value {
    home.run_with(&[("DATABASE_URL", url)], &["audit", "verify", "--json"]).exits(code).json()
}

#[test]
fn a_database_that_is_another_one_begins_with_a_chain_that_names_none_of_the_old_one() {
    let (server, dir) = (Loopback::start(), tempfile::tempdir().unwrap());
    let home = with_server(&server, "");
    let (old, new) = (url(&dir, "old.db"), url(&dir, "new.db"));
    for (url, chains) in [(&old, 1), (&new, 1), (&old, 2), (&new, 2)] {
        home.run_with(&[("DATABASE_URL", url)], &CALL).exits(0);
        let verified = verified(&home, url, 0);
        assert_eq!((&verified["ok"], &verified["chains"]), (&json!(true), &json!(chains)), "{verified}");
    }
    // Back in the old one, its chains still name each other.
    change(&dir, "old.db", &["DROP TRIGGER ledger_is_append_only_delete", LAST_OF_FIRST, LAST_ROW, LAST_CALL]);
    let fault = verified(&home, &old, 1)["first_break"]["fault"].clone();
    assert!(fault.as_str().unwrap().contains("lost its end"), "{fault}");
}

const LAST_OF_FIRST: &str = "DELETE FROM ledger WHERE chain_id = (SELECT min(chain_id) FROM ledger) AND seq =
    (SELECT max(seq) FROM ledger WHERE chain_id = (SELECT min(chain_id) FROM ledger))";
const LAST_ROW: &str = "DELETE FROM audit_logs WHERE chain_id = (SELECT min(chain_id) FROM ledger)";
const LAST_CALL: &str = "DELETE FROM tool_calls WHERE chain_id = (SELECT min(chain_id) FROM ledger)";

fn change(dir: &tempfile::TempDir, name: &str, statements: &[&'static str]) {
    let path = dir.path().join(name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
        for statement in statements {
            sqlx::query(*statement).execute(&pool).await.unwrap();
        }
        pool.close().await;
    });
}

#[test]
fn a_data_directory_that_was_moved_knows_the_end_of_its_ledger_and_says_which_it_does_not_look_for() {
    let (server, dir) = (Loopback::start(), tempfile::tempdir().unwrap());
    let home = with_server(&server, "");
    for _ in 0..2 {
        home.run(&CALL).exits(0);
    }
    fs::rename(home.home().join("xdg/data"), dir.path().join("data")).unwrap();
    let (moved, other) = (dir.path().join("data").display().to_string(), url(&dir, "other.db"));
    let env = [("XDG_DATA_HOME", &*moved)];
    let verify = |code| home.run_with(&env, &["audit", "verify", "--json"]).exits(code).json();
    assert_eq!((&verify(0)["chains"], &verify(0)["elsewhere"]), (&json!(2), &json!(0)));
    change(&dir, "data/omni/omni.db", &WITHOUT_YOUNGEST);
    let fault = verify(1)["first_break"]["fault"].clone();
    assert!(fault.as_str().unwrap().contains("data directory"), "{fault}");
    let env = [("XDG_DATA_HOME", &*moved), ("DATABASE_URL", &*other)];
    let text = home.run_with(&env, &["audit", "verify"]).exits(1).out;
    assert!(text.starts_with("not ok: there is no ledger"), "{text}");
    assert!(!dir.path().join("other.db").exists(), "nothing began there by that");
    home.run_with(&env, &["db", "migrate"]).exits(0);
    let text = home.run_with(&env, &["audit", "verify"]).exits(1).out;
    assert!(text.starts_with("not ok: no record is here") && text.contains("1 belong to another database"), "{text}");
}

/// Removes the youngest chain, its rows first.
const WITHOUT_YOUNGEST: [&str; 4] = [
    "DROP TRIGGER ledger_is_append_only_delete",
    "DELETE FROM audit_logs WHERE chain_id = (SELECT max(chain_id) FROM ledger)",
    "DELETE FROM tool_calls WHERE chain_id = (SELECT max(chain_id) FROM ledger)",
    "DELETE FROM ledger WHERE chain_id = (SELECT max(chain_id) FROM ledger)",
];

#[test]
fn a_host_proves_its_own_chains_beside_those_of_hosts_whose_key_it_lacks() {
    let (server, dir) = (Loopback::start(), tempfile::tempdir().unwrap());
    let [mine, theirs] = [with_server(&server, ""), with_server(&server, "")];
    let shared = url(&dir, "shared.db");
    let env = [("DATABASE_URL", &*shared)];
    for home in [&theirs, &mine, &theirs] {
        home.run_with(&env, &CALL).exits(0);
    }
    let key = theirs.run(&["audit", "key", "--json"]).exits(0).json()["key"].clone();
    let seen = verified(&mine, &shared, 1);
    assert_eq!(
        (&seen["ok"], &seen["first_break"], &seen["chains"]),
        (&json!(false), &json!(null), &json!(1)),
        "{seen}"
    );
    let named: Vec<&Value> = seen["not_provable"].as_array().unwrap().iter().map(|chain| &chain["key"]).collect();
    assert_eq!(named, [&key, &key]);
    let text = mine.run_with(&env, &["audit", "verify"]).exits(1).out;
    assert!(text.starts_with("not ok") && text.contains("2 chains cannot be proved here"), "{text}");
    assert!(text.contains(key.as_str().unwrap()) && text.contains("audit.verify_keys"), "{text}");

    // What others sealed is theirs to prune, and no reason to fail.
    aged(&theirs, &shared);
    aged(&theirs, &shared);
    let pruned = mine.run_with(&env, &["db", "prune", "--older-than", "1"]).exits(0);
    assert!(pruned.err.contains("2 chains") && !pruned.err.contains("not as omni wrote"), "{pruned:?}");
    let json = mine.run_with(&env, &["db", "prune", "--older-than", "1", "--json"]).exits(0).json();
    assert_eq!((&json["refused"], &json["not_provable"]), (&json!([]), &json!(2)), "{json}");
    // What they pruned is signed with their key, and no forgery.
    let pruned = theirs.run_with(&env, &["db", "prune", "--older-than", "1", "--json"]).exits(0).json();
    assert_eq!(pruned["records"], 4, "{pruned}");
    let seen = verified(&mine, &shared, 1);
    assert_eq!(seen["first_break"], json!(null), "{seen}");

    change(&dir, "shared.db", &["UPDATE audit_logs SET user_email = 'other' WHERE request_type = 'admin'"]);
    let broken = verified(&mine, &shared, 1);
    assert!(broken["first_break"]["fault"].as_str().unwrap().contains("audit_logs"), "{broken}");
}

#[test]
fn the_doctor_finds_a_database_that_takes_no_records() {
    let (server, dir) = (Loopback::start(), tempfile::tempdir().unwrap());
    let home = with_server(&server, "");
    let url = url(&dir, "stuck.db");
    let env = [("DATABASE_URL", &*url)];
    home.run_with(&env, &["doctor"]).exits(0);
    change(&dir, "stuck.db", &[TAKES_NOTHING]);
    let ran = home.run_with(&env, &["doctor"]).exits(1);
    assert!(ran.out.contains("✗ ledger"), "{ran:?}");
}

const TAKES_NOTHING: &str =
    "CREATE TRIGGER takes_nothing BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'it takes nothing'); END";

#[test]
fn a_key_file_without_a_key_and_a_data_directory_that_is_none_are_wrong_until_somebody_mends_them() {
    let (server, dir) = (Loopback::start(), tempfile::tempdir().unwrap());
    let home = with_server(&server, "");
    let (data, url) = (home.home().join("xdg/data/omni"), url(&dir, "elsewhere.db"));
    let list = || {
        let ran = home.run_with(&[("DATABASE_URL", &*url)], &["audit", "list"]).exits(3);
        assert!(ran.err.contains("data_dir") && !ran.err.contains("in a while"), "{ran:?}");
        ran.err
    };
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("ledger.key"), "junk").unwrap();
    assert!(list().contains("ledger.key"));
    fs::remove_dir_all(&data).unwrap();
    fs::write(&data, "").unwrap();
    list();
}

#[test]
fn a_key_that_cannot_be_used_is_an_error_and_never_another_key() {
    let server = Loopback::start();
    let home = with_server(&server, "").with_file("settings.yaml", "audit: { key: \"${THE_AUDIT_KEY}\" }");
    let with_key = [("THE_AUDIT_KEY", &*"07".repeat(32))];
    home.run_with(&with_key, &CALL).exits(0);
    for command in [&["audit", "key"][..], &["audit", "verify"], &["db", "prune", "--older-than", "1"]] {
        let unset = home.run(command).exits(3);
        assert!(unset.err.contains("THE_AUDIT_KEY"), "{unset:?}");
        let bad = home.run_with(&[with_key[0], ("OMNI_AUDIT_KEY", "abc")], command).exits(3);
        assert!(bad.err.contains("OMNI_AUDIT_KEY"), "{bad:?}");
        home.run_with(&with_key, command).exits(0);
    }
}
