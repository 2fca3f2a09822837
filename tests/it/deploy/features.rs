//! What the program is built with reaches the doors that it is made of: a door built without one of its parts says
//! nothing of what is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::root;

type Features = BTreeMap<String, Vec<String>>;

/// What Cargo says of every package of the workspace.
fn packages() -> Vec<Value> {
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    told["packages"].as_array().unwrap().clone()
}

fn name(package: &Value) -> String {
    package["name"].as_str().unwrap().to_owned()
}

/// The features of every package.
fn features() -> BTreeMap<String, Features> {
    let features = |package: &Value| serde_json::from_value(package["features"].clone()).unwrap();
    packages().iter().map(|package| (name(package), features(package))).collect()
}

/// The packages that people get a program of, and not whoever measures or tests.
fn with_programs() -> BTreeSet<String> {
    let is_program = |target: &Value| target["kind"].as_array().unwrap().contains(&"bin".into());
    let has_program = |package: &Value| package["targets"].as_array().unwrap().iter().any(is_program);
    let names = packages().iter().filter(|package| has_program(package)).map(name).collect::<BTreeSet<_>>();
    &names - &["omni-benches", "omni-tests"].map(str::to_owned).into()
}

/// Whether the code below a directory asks for a feature.
fn asks_for(dir: &Path, feature: &str) -> bool {
    let asked = format!("feature = \"{feature}\"");
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).any(|path| match path.is_dir() {
        true => asks_for(&path, feature),
        false => fs::read_to_string(path).unwrap().contains(&asked),
    })
}

#[test]
fn every_feature_of_the_program_reaches_the_doors_that_ask_for_it() {
    let features = features();
    let mut passed_on = 0;
    for door in ["omni-http", "omni-slack"] {
        for (name, brings) in &features["omni-cli"] {
            let is_theirs = name != "default" && features[door].contains_key(name);
            if is_theirs && asks_for(&root().join(door).join("src"), name) {
                let ways = [format!("{door}?/{name}"), format!("{door}/{name}")];
                assert!(ways.iter().any(|way| brings.contains(way)), "`{name}` of omni-cli is not that of {door}");
                passed_on += 1;
            }
        }
    }
    assert!(passed_on >= 4, "{passed_on}");
}

#[test]
fn no_package_with_a_program_has_a_release_profile_of_its_own_which_would_leave_it_unstripped() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, own) = manifest.split_once("[profile.release.package]\n").unwrap();
    let own = own.split("\n[").next().unwrap();
    let named: Vec<&str> = own.lines().filter_map(|line| line.split_once('.')).map(|(name, _)| name).collect();
    assert!(named.contains(&"hyper"), "{named:?}");
    let programs = with_programs();
    assert!(["omni-cli", "omni-http", "omni-slack"].iter().all(|door| programs.contains(*door)), "{programs:?}");
    assert_eq!(named.into_iter().filter(|name| programs.contains(*name)).collect::<Vec<_>>(), Vec::<&str>::new());
}
