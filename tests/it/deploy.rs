//! What an operator installs: the image, the files of `examples/deploy`, and what stands in them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use omni_tests::program::Program;
use serde::Deserialize as _;
use serde_json::Value;

mod arranged;
mod commands;
mod compose;
mod features;
mod image;
mod kubernetes;
mod metrics;
mod original;
mod recipe;
mod systemd;

/// What the image is called.
const IMAGE: &str = "omni";
/// A key that counts as one.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn omni() -> Program {
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A file of `examples/deploy`.
fn deploy(name: &str) -> PathBuf {
    root().join("examples/deploy").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML file, with what they merge in its place.
fn documents(path: &Path) -> Vec<Value> {
    let text = read(path);
    let parsed = serde_yaml::Deserializer::from_str(&text).map(|document| {
        let value = serde_yaml::Value::deserialize(document);
        let mut value = value.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        value.apply_merge().unwrap();
        serde_json::to_value(value).unwrap()
    });
    parsed.collect()
}

/// The one document of a YAML file.
fn document(path: &Path) -> Value {
    let mut all = documents(path);
    assert_eq!(all.len(), 1, "{}", path.display());
    all.remove(0)
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|text| text.as_str().unwrap_or_else(|| panic!("no text: {text}")).to_owned()).collect()
}

/// The keys of a mapping.
fn keys(mapping: &Value) -> BTreeSet<String> {
    mapping.as_object().unwrap_or_else(|| panic!("no mapping: {mapping}")).keys().cloned().collect()
}

/// Whether a text is the name of an environment variable, as people write them.
fn is_variable(text: &str) -> bool {
    text.len() > 2
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Every variable that omni's configuration knows by name.
fn variables_of_omni() -> BTreeSet<String> {
    let sources = files(&root().join("omni-core/src/config"));
    let rust = sources.iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let quoted = |text: String| text.split('"').map(str::to_owned).collect::<Vec<_>>();
    rust.flat_map(|path| quoted(read(path))).filter(|text| is_variable(text)).collect()
}

/// The variables that a text refers to as `${NAME}`, and whether each has a default.
fn references(text: &str) -> Vec<(String, bool)> {
    let parts = text.split("${").skip(1);
    let inner = parts.map(|rest| rest.split('}').next().unwrap());
    inner
        .map(|inner| match inner.split_once(':') {
            Some((name, _)) => (name.to_owned(), true),
            None => (inner.to_owned(), false),
        })
        .collect()
}

#[test]
fn every_yaml_and_json_file_of_the_examples_parses() {
    let mut parsed = 0;
    for path in files(&root().join("examples/deploy")).into_iter().chain(files(&root().join("examples/config"))) {
        match path.extension().and_then(|end| end.to_str()) {
            Some("yaml" | "yml") => assert!(!documents(&path).is_empty(), "{}", path.display()),
            Some("json") => drop(serde_json::from_str::<Value>(&read(&path)).unwrap()),
            _ => continue,
        }
        parsed += 1;
    }
    assert!(parsed >= 25, "{parsed} files were found");
}

#[test]
fn no_example_holds_a_secret_or_reaches_the_docker_socket() {
    for path in files(&root().join("examples/deploy")) {
        let text = read(&path);
        assert!(!text.contains("docker.sock"), "{}", path.display());
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let is_key = ["sk-ant-", "xoxb-", "xapp-"].iter().any(|mark| word.starts_with(mark));
            assert!(!is_key || word.contains("your-"), "{word} in {}", path.display());
            let is_hex = word.len() >= 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(!is_hex, "{word} in {}", path.display());
        }
    }
    for path in
        ["examples/deploy/.env", "examples/deploy/secrets/metrics_key", "examples/deploy/kubernetes/secret.yaml"]
    {
        let ignored = std::process::Command::new("git").args(["check-ignore", "-q", path]).current_dir(root()).status();
        // Where there is no repository, nothing of it can be committed.
        assert_ne!(ignored.unwrap().code(), Some(1), "{path} could be committed");
    }
}
