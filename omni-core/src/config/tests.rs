use std::{collections::BTreeMap, fs, path::Path};

use tempfile::TempDir;

use super::{Config, ConfigError, LoadOptions, Severity};

mod access;
mod approvals;
mod http;
mod input;
mod limits;
mod llm;
mod oauth;
mod pass_through;
mod places;
mod results;
mod security;
mod servers;
mod slack;
mod threading;
mod tools;

/// A directory with these files in it.
fn dir(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn env(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = dir(files);
    Config::load(LoadOptions::new(env(variables), dir.path()).with_dir(dir.path()))
}

/// The text of the error that the files give.
fn error(files: &[(&str, &str)]) -> String {
    load(files, &[]).unwrap_err().to_string()
}

/// The findings of at least a severity, as text.
fn findings(config: &Config, least: Severity) -> Vec<String> {
    let findings = config.check().into_iter().filter(|finding| finding.severity >= least);
    findings.map(|finding| finding.to_string()).collect()
}

#[test]
fn the_example_configurations_load_with_nothing_to_complain_of() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/config");
    for name in ["minimal", "team"] {
        let dir = examples.join(name);
        let variables = env(&[("GITHUB_PERSONAL_ACCESS_TOKEN", "token")]);
        let config = Config::load(LoadOptions::new(variables, &dir).with_dir(&dir).with_strict(true)).unwrap();
        assert_eq!(findings(&config, Severity::Warning), Vec::<String>::new(), "{name}");
        assert!(!config.servers.is_empty());
    }
    let dir = examples.join("team");
    let config = Config::load(LoadOptions::new(BTreeMap::new(), &dir).with_dir(&dir)).unwrap();
    assert_eq!(
        findings(&config, Severity::Warning),
        ["mcps.yaml:59: mcps[1].authentication.api_key: the environment variable GITHUB_PERSONAL_ACCESS_TOKEN is not \
          set; the server gets nothing in its place"]
    );
}

/// Whether one of the values that are to be hidden stands there: a key may well be called `secret_key`.
fn tells(text: &str) -> bool {
    text.contains("secret-") || ('1'..='7').any(|number| text.contains(&format!("secret{number}")))
}

#[test]
fn show_hides_every_secret_and_schema_covers_the_five_files() {
    let files = [
        ("settings.yaml", "llm: { provider: openai, api_key: sk-secret1, base_url: 'http://u:secret2@h/v1' }"),
        (
            "mcps.yaml",
            "mcps:\n- { name: a, url: 'http://h?key=secret3', headers: { X: secret4 }, \
             authentication: { api_key: secret5 }, env: { T: secret6 } }\n\
             - { name: b, command: sh, args: ['--token', secret-a, '--api-key=secret-b', 'postgresql://u:secret-c@h/d', \
             '${VALUE}', 'x-${A_KEY}', '--port', 8080] }\n\
             - { name: c, url: 'https://secret-t@h/mcp' }",
        ),
    ];
    let variables = [("DATABASE_URL", "postgresql://u:secret7@h/db"), ("VALUE", "secret-d"), ("A_KEY", "secret-e")];
    let config = load(&files, &variables).unwrap();
    for text in [config.show().to_string(), config.show_yaml()] {
        assert!(!tells(&text), "{text}");
        assert!(text.contains("--port") && text.contains("8080"), "{text}");
    }
    for secret in ["secret-a", "secret-b", "secret-c", "secret-e"] {
        assert!(!config.redactor().text(secret).contains(secret), "{secret}");
    }
    let debug = format!("{config:?}");
    assert!(!tells(&debug), "{debug}");
    let schema = Config::schema();
    assert!(schema["mcps.yaml"]["$defs"]["ServerSpec"]["properties"]["tool_policy"].is_object());
    assert!(schema["settings.yaml"]["properties"]["monitoring"].is_object());
    assert_eq!(schema.as_object().unwrap().len(), 5);
}

#[test]
fn the_example_configurations_satisfy_the_published_schema() {
    let schemas = Config::schema();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/config");
    for file in ["team/settings.yaml", "team/mcps.yaml", "team/users.yaml", "team/slack.yaml", "team/threading.yaml"] {
        let text = fs::read_to_string(examples.join(file)).unwrap();
        let name = file.trim_start_matches("team/");
        let document = super::yaml::parse(name, &text).unwrap().value;
        let validator = jsonschema::validator_for(&schemas[name]).unwrap();
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{file}");
    }
    let bad = serde_json::json!({ "mcps": [{ "url": "http://h" }] });
    assert!(!jsonschema::is_valid(&schemas["mcps.yaml"], &bad));
}
