use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use super::*;

fn env() -> BTreeMap<String, String> {
    [("DB_URL", "postgres://app:s3cr%40t@db/app"), ("PW", "hunter2"), ("EMPTY", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, &env())
}

#[test]
fn variables_stand_in_values_with_and_without_a_default() {
    let text =
        "databases:\n  - name: app\n    kind: postgresql\n    url: ${DB_URL}\n    description: ${EMPTY:-orders}\n";
    let config = parse(text).unwrap();
    let app = &config.databases[0];
    assert_eq!(app.kind, Kind::Postgres);
    assert_eq!(app.url.expose_secret(), "postgres://app:s3cr%40t@db/app");
    assert_eq!(app.description, "orders");
    assert_eq!(config.limits.statement_timeout_ms, 5_000);
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let error = parse("databases:\n  - {name: app, kind: sqlite, url: \"${NOWHERE}\"}\n").unwrap_err();
    assert_eq!(error.to_string(), "databases.app.url needs the variable NOWHERE, which is not set");
}

#[test]
fn passwords_are_known_as_secrets_and_printed_nowhere() {
    let text = "databases:\n  - {name: app, kind: mysql, url: \"${DB_URL}\", password: \"${PW}\"}\n";
    let config = parse(text).unwrap();
    let secrets = config.databases[0].secrets();
    assert!(["s3cr%40t", "s3cr@t", "hunter2"].iter().all(|secret| secrets.contains(&(*secret).to_owned())));
    let printed = format!("{config:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("s3cr"), "{printed}");
}

#[test]
fn a_password_of_the_wrong_shape_is_not_repeated() {
    let error = parse("databases:\n  - {name: a, kind: mysql, url: x, password: [hunter2]}\n").unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let number = parse("databases:\n  - {name: a, kind: mysql, url: x, password: 1234}\n").unwrap();
    assert_eq!(number.databases[0].password.as_ref().unwrap().expose_secret(), "1234");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let two = "databases:\n  - {name: a, kind: sqlite, url: a}\n  - {name: a, kind: sqlite, url: b}\n";
    for (text, why) in [
        (two, "two databases \"a\""),
        ("databases:\n  - {name: a b, kind: sqlite, url: a}\n", "no name of a database"),
        ("databases:\n  - {name: a, kind: dbase, url: a}\n", "unknown variant"),
        ("databases:\n  - {name: a, kind: mysql, url: a, attach: {b: c}}\n", "only SQLite attaches"),
        ("limits: {statement_timeout_ms: 0}\n", "has to be from 10 to 600000"),
        ("limit: {}\n", "unknown field"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
