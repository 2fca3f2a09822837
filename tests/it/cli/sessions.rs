//! `omni ask -c`, `--session` and `omni sessions`.

use omni_tests::{
    loopback::Loopback,
    program::{Program, Ran},
    vendor::{KEY, Vendor},
};
use serde_json::Value;

use super::{omni, schema};

/// A home whose model is the stand-in, with a server.
fn home(vendor: &Vendor, server: &Loopback) -> Program {
    let settings = format!("llm: {{ provider: anthropic, base_url: \"{}\", api_key: {KEY} }}\n", vendor.base_url());
    omni().with_file("settings.yaml", &settings).with_file("mcps.yaml", &server.mcps(""))
}

fn ask(home: &Program, args: &[&str]) -> Ran {
    home.run(&[&["ask"], args].concat()).exits(0)
}

/// What the newest request tells the model.
fn told(vendor: &Vendor) -> Vec<String> {
    let body = vendor.requests().pop().unwrap().body;
    body["messages"].as_array().unwrap().iter().map(Value::to_string).collect()
}

fn names(home: &Program) -> Vec<String> {
    let list = home.run(&["sessions", "list", "--json"]).exits(0).json();
    list.as_array().unwrap().iter().map(|entry| entry["session_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_from_one_run_to_the_next() {
    let (vendor, server) = (Vendor::start().await, Loopback::start());
    let home = home(&vendor, &server);
    ask(&home, &["--session", "x", r#"#tool db__get_health {"limit":3}"#]);
    let document = schema::document(&ask(&home, &["--session", "x", "--json", "#plain Since noon."]));
    assert_eq!(document["session_id"], "x");
    let messages = told(&vendor);
    assert_eq!(messages.len(), 5, "question, call, result, answer, question: {messages:?}");
    assert!(messages[0].contains("#tool") && messages[2].contains("all healthy, limit 3"), "{messages:?}");
    assert!(messages[3].contains("all healthy"), "{messages:?}");

    ask(&home, &["--session", "y", "#plain Another."]);
    assert_eq!(told(&vendor).len(), 1, "another session knows nothing of it");
    ask(&home, &["--session", "x", "#plain Again."]);
    let document = schema::document(&ask(&home, &["-c", "--json", "#plain The last one."]));
    assert_eq!(document["session_id"], "x", "it goes on with the one that was used last");
    assert!(told(&vendor).iter().any(|message| message.contains("Again.")));
    assert_eq!(vendor.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_question_begins_a_session_unless_it_says_otherwise() {
    let (vendor, server) = (Vendor::start().await, Loopback::start());
    let home = home(&vendor, &server);
    let none = home.run(&["ask", "-c", "hi"]).exits(2);
    assert!(none.err.contains("no session to go on with"), "{none:?}");
    let alone = schema::document(&ask(&home, &["--no-session", "--json", "#plain Alone."]));
    assert_eq!((&alone["session_id"], names(&home).len()), (&Value::Null, 0));
    let begun = schema::document(&ask(&home, &["--json", "#plain It is 42."]));
    let id = begun["session_id"].as_str().unwrap();
    assert_eq!(names(&home), [id]);
    let events = schema::events(&ask(&home, &["-c", "--jsonl", "And now?"]));
    assert_eq!((&events[0]["event"], &events[0]["thread_id"]), (&Value::from("started"), &Value::from(id)));
    assert!(told(&vendor)[1].contains("It is 42."));
    assert!(!home.run(&["ask", "-c", "--session", "x", "hi"]).exits(2).err.is_empty());
}

#[test]
fn a_session_is_its_askers_own() {
    let home = omni();
    ask(&home, &["--session", "x", "What can you do?"]);
    let others = home.run(&["sessions", "show", "x", "--as", "eve@company.com"]);
    assert!(others.code != 0 && others.err.contains("there is no conversation \"x\""), "{others:?}");
    ask(&home, &["--as", "eve@company.com", "--session", "x", "What can you do?"]);
    home.run(&["sessions", "rm", "x", "--as", "eve@company.com"]).exits(0);
    assert_eq!(names(&home), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_no_content_kept_has_no_sessions_but_those_that_are_named() {
    let home = omni().with_file("settings.yaml", "llm: { provider: offline }\naudit: { store_content: none }\n");
    ask(&home, &["What can you do?"]);
    assert!(names(&home).is_empty());
    ask(&home, &["--session", "x", "What can you do?"]);
    assert_eq!(names(&home), ["x"]);
    let home = omni().with_file("settings.yaml", "llm: { provider: offline }\naudit: { enabled: false }\n");
    let told = ask(&home, &["--session", "x", "What can you do?"]).err;
    assert!(told.contains("the session ends with this command"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_shown_exported_and_forgotten() {
    let (vendor, server) = (Vendor::start().await, Loopback::start());
    let home = home(&vendor, &server);
    assert!(home.run(&["sessions", "list"]).exits(0).out.contains("no session"));
    ask(&home, &["--session", "first one", "#plain Hello\nyou"]);
    ask(&home, &["--session", "health", r#"How is it? #tool db__get_health {"limit":3}"#]);
    assert_eq!(names(&home), ["health", "first one"]);
    let list = home.run(&["sessions", "list"]).exits(0).out;
    assert!(list.contains("#plain Hello you") && list.lines().count() == 3, "{list}");

    let shown = home.run(&["sessions", "show", "health"]).exits(0).out;
    assert!(shown.starts_with("# health\n\n## 1. ") && shown.contains("\n> How is it?"), "{shown}");
    assert!(shown.contains("*Called `db.get_health`.*") && shown.contains("all healthy, limit 3"), "{shown}");
    assert_eq!(home.run(&["sessions", "export", "health"]).exits(0).out, shown);
    let document = home.run(&["sessions", "export", "health", "--format", "json"]).exits(0).json();
    assert_eq!((&document["schema"], &document["session_id"]), (&"omni.session/1".into(), &"health".into()));
    let turn = &document["turns"][0];
    assert_eq!((&turn["number"], &turn["calls"][0]["tool"]), (&1.into(), &"get_health".into()));
    assert_eq!(turn["calls"][0]["arguments"]["limit"], 3);
    assert!(turn["calls"][0]["result"].as_str().unwrap().starts_with("all healthy"), "{document:#}");
    assert_eq!(home.run(&["sessions", "show", "health", "--json"]).exits(0).json(), document);

    let forgotten = home.run(&["sessions", "rm", "health", "first one", "--json"]).exits(0).json();
    assert_eq!(forgotten["removed"], serde_json::json!(["health", "first one"]));
    assert!(names(&home).is_empty());
    let unknown = home.run(&["sessions", "rm", "health"]);
    assert!(unknown.code != 0 && unknown.err.contains("omni sessions list"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_model_is_told_of_older_questions_is_shown_and_goes_with_the_session() {
    let (vendor, server) = (Vendor::start().await, Loopback::start());
    let threading = "threading: { summary: { enabled: true, above_tokens: 0 } }\nsessions: { max_messages: 2 }\n";
    let home = home(&vendor, &server).with_file("threading.yaml", threading);
    ask(&home, &["--session", "x", "#plain The first."]);
    assert_eq!(home.run(&["sessions", "show", "x", "--json"]).exits(0).json().get("summary"), None);
    let document = schema::document(&ask(&home, &["--session", "x", "--json", "#plain The second."]));
    assert_eq!((&document["answer"], &document["iterations"]), (&"The second.".into(), &1.into()));
    ask(&home, &["--session", "x", "#plain The third."]);
    let messages = told(&vendor);
    assert!(messages[0].contains("<turn asker="), "the last request is that of the next summary: {messages:?}");

    let document = home.run(&["sessions", "export", "x", "--format", "json"]).exits(0).json();
    let expected = serde_json::json!({ "through_turn": 2, "text": "The second." });
    assert_eq!((&document["summary"], document["turns"].as_array().unwrap().len()), (&expected, 3));
    let shown = home.run(&["sessions", "show", "x"]).exits(0).out;
    assert!(shown.contains("*Of the questions up to 2 the model is told:*\n\nThe second.\n\n## 1. "), "{shown}");
    home.run(&["sessions", "rm", "x"]).exits(0);
    ask(&home, &["--session", "x", "#plain Anew."]);
    assert!(!told(&vendor)[0].contains("<summary>"));
    assert_eq!(vendor.violations(), Vec::<String>::new());
}
