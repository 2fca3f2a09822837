//! `docker-compose.yml`: the services of OMNI2's quick start, by their names and ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use omni_tests::program::Ran;
use serde_json::{Value, json};

use super::{
    IMAGE, KEY, deploy, document, files, is_variable, keys, omni, read, recipe::Recipe, references, root, texts,
    variables_of_omni,
};

/// What the mcps.yaml that OMNI2 came with refers to.
const OF_OMNI2: [&str; 4] =
    ["GITHUB_PERSONAL_ACCESS_TOKEN", "INFORMATICA_MCP_TOKEN", "MCP_FILESYSTEM_PATH", "MCP_ORACLE_API_KEY"];

fn compose() -> Value {
    document(&deploy("docker-compose.yml"))
}

/// The services of the image of this repository.
pub(super) fn own(compose: &Value) -> Vec<(String, Value)> {
    let services = compose["services"].as_object().unwrap();
    let own = |service: &&Value| service["image"].as_str().unwrap().split(':').next() == Some(IMAGE);
    let found: Vec<_> =
        services.iter().filter(|(_, it)| own(it)).map(|(name, it)| (name.clone(), it.clone())).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    found
}

/// A port of this machine, and that of the container it leads to.
fn published(service: &Value) -> Option<(u16, u16)> {
    let port = service["ports"][0].as_str()?;
    let mut parts = port.rsplit(':').map(|part| part.parse().unwrap());
    let inner = parts.next()?;
    Some((parts.next()?, inner))
}

#[test]
fn containers_have_the_time_that_ending_takes() {
    for (name, service) in own(&compose()) {
        let grace = service["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
        assert!(grace > 41, "{name}: what runs has 30 s to finish, and the ledger some 11 s");
    }
}

#[test]
fn the_services_are_those_that_the_quick_start_names() {
    let compose = compose();
    let services = &compose["services"];
    for (service, container, port, profile) in [
        ("omni2", "omni2-bridge", Some(8000), None),
        ("omni2-slack-bot", "omni2-slack-bot", None, None),
        ("omni2-postgres", "omni2-postgres", Some(5433), None),
        ("omni2-analytics-mcp", "omni2-analytics-mcp", Some(8302), None),
        ("omni2-redis", "omni2-redis", None, Some("redis")),
        ("omni2-prometheus", "omni2-prometheus", Some(9090), Some("prometheus")),
        ("omni2-grafana", "omni2-grafana", Some(3000), Some("grafana")),
    ] {
        let own = &services[service];
        assert_eq!(own["container_name"], container);
        assert_eq!(published(own).map(|(outer, _)| outer), port, "{service}");
        let profiles = own["profiles"].as_array().map(|_| texts(&own["profiles"])).unwrap_or_default();
        assert_eq!(profiles.first().map(String::as_str), profile, "{service}");
    }
    assert_eq!(services.as_object().unwrap().len(), 7);
    assert_eq!(published(&services["omni2-postgres"]), Some((5433, 5432)));
}

#[test]
fn containers_of_omni_are_confined_and_write_into_their_volume_alone() {
    let (compose, recipe) = (compose(), Recipe::load());
    for (name, service) in own(&compose) {
        assert_eq!((&service["read_only"], &service["init"]), (&json!(true), &json!(true)), "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        for key in ["privileged", "user", "cap_add", "devices", "network_mode", "pid"] {
            assert!(service[key].is_null(), "{name}: {key}");
        }
        let mounts = texts(&service["volumes"]);
        let writable: Vec<&String> = mounts.iter().filter(|mount| !mount.ends_with(":ro")).collect();
        assert_eq!(writable.len(), 1, "{name}: {mounts:?}");
        let (volume, target) = writable[0].split_once(':').unwrap();
        assert_eq!(target, recipe.volume(), "{name}");
        assert!(keys(&compose["volumes"]).contains(volume), "{name}: {volume}");
        let config = format!(":{}:ro", recipe.config_dir());
        assert!(mounts.iter().any(|mount| mount.ends_with(&config)), "{name}: {mounts:?}");
        let build = &service["build"];
        let context = deploy("docker-compose.yml").with_file_name(build["context"].as_str().unwrap());
        assert_eq!(context.canonicalize().unwrap(), root());
        assert!(context.join(build["dockerfile"].as_str().unwrap()).is_file());
        assert!(recipe.stages().contains(build["target"].as_str().unwrap()), "{name}: {build}");
    }
}

#[test]
fn a_published_port_is_the_one_that_is_listened_at_and_probed() {
    for (name, service) in own(&compose()) {
        let command = texts(&service["command"]).join(" ");
        let inner = published(&service).map_or(Recipe::load().port(), |(_, inner)| inner);
        assert!(command.ends_with(&format!(" 0.0.0.0:{inner}")), "{name}: {command}");
        assert!(service["healthcheck"]["disable"].is_null(), "{name}");
        let probe = service["healthcheck"]["test"].as_array().map(|_| texts(&service["healthcheck"]["test"]));
        let probe = probe.unwrap_or_else(|| Recipe::load().probe()).join(" ");
        assert!(probe.contains(&format!("http://127.0.0.1:{inner}")), "{name}: {probe}");
    }
}

#[test]
fn no_service_takes_the_port_or_the_records_of_another() {
    let compose = compose();
    let (mut ports, mut volumes, mut bots) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (name, service) in compose["services"].as_object().unwrap() {
        if let Some((outer, _)) = published(service) {
            assert!(ports.insert(outer), "{name}: {outer}");
        }
        let mounts = service["volumes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for volume in mounts.filter_map(|mount| mount.split_once(':')).map(|(volume, _)| volume) {
            let is_volume = keys(&compose["volumes"]).contains(volume);
            assert!(!is_volume || volumes.insert(volume.to_owned()), "{name}: {volume}");
        }
        if texts_or_none(&service["command"]).iter().any(|word| word == "--slack" || word == "slack") {
            bots.push(name.clone());
        }
    }
    assert_eq!(bots, ["omni2-slack-bot"], "one takes what Slack sends");
    let bot = &compose["services"]["omni2-slack-bot"];
    assert!(bot["ports"].is_null(), "nobody outside reaches the bot");
    assert!(keys(&bot["environment"]).contains("SLACK_APP_TOKEN"));
}

fn texts_or_none(list: &Value) -> Vec<String> {
    if list.is_array() { texts(list) } else { Vec::new() }
}

#[test]
fn files_and_directories_that_are_mounted_are_there() {
    let compose = compose();
    let place = |path: &str| deploy("docker-compose.yml").with_file_name(path);
    let mut found = 0;
    for (name, service) in compose["services"].as_object().unwrap() {
        for mount in service["volumes"].as_array().into_iter().flatten() {
            let source = mount.as_str().unwrap().split(":/").next().unwrap();
            let source = source.rsplit_once(":-").map_or(source, |(_, default)| default.trim_end_matches('}'));
            if source.starts_with('.') {
                assert!(place(source).is_dir(), "{name}: {source}");
                found += 1;
            }
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            assert!(compose["secrets"][secret.as_str().unwrap()]["file"].is_string(), "{name}: {secret}");
        }
        for other in service["depends_on"].as_object().into_iter().flatten() {
            let probe = &compose["services"][other.0]["healthcheck"];
            assert!(other.1["condition"] == "service_healthy" && probe["test"].is_array(), "{name}: {other:?}");
        }
    }
    assert_eq!(found, 6);
}

#[test]
fn every_variable_is_one_that_omni_knows_and_that_the_sample_of_env_names() {
    let compose = compose();
    let mut known = variables_of_omni();
    let config =
        ["settings.yaml", "mcps.yaml", "users.yaml", "slack.yaml"].map(|name| read(&deploy("config").join(name)));
    known.extend(references(&config.concat()).into_iter().map(|(name, _)| name));
    known.extend(OF_OMNI2.map(str::to_owned));
    let mut passed_on = BTreeSet::new();
    for (name, service) in own(&compose) {
        let set = keys(&service["environment"]);
        assert!(set.len() > 10, "{name}: {set:?}");
        assert_eq!(set.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "{name}");
        passed_on.extend(set.into_iter().filter(|variable| service["environment"][variable].is_null()));
    }
    for (name, _) in Recipe::load().env() {
        assert!(known.contains(name), "{name} of the image");
    }

    let sample = read(&deploy(".env.example"));
    let lines = sample.lines().filter_map(|line| line.trim_start_matches("# ").split_once('='));
    let named: Vec<&str> = lines.map(|(name, _)| name).filter(|name| is_variable(name)).collect();
    let mut used = references(&read(&deploy("docker-compose.yml")));
    // One without a value is what .env says, and nothing where that says nothing.
    used.extend(passed_on.into_iter().map(|name| (name, true)));
    for (name, has_default) in &used {
        assert!(*has_default, "{name} has neither a default nor a word on what is missing");
        assert!(named.contains(&name.as_str()), "{name} is not in .env.example");
    }
    for name in named {
        assert!(used.iter().any(|(used, _)| used == name), "{name} of .env.example is used nowhere");
    }
}

/// The variables of the sample, filled in as somebody does.
fn filled() -> BTreeMap<String, String> {
    let sample = read(&deploy(".env.example"));
    let set = sample.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let fill = |value: &str| if value.is_empty() { KEY.to_owned() } else { value.to_owned() };
    set.map(|(name, value)| (name.to_owned(), fill(value))).collect()
}

/// A value of the compose file with its variables in it.
fn interpolated(value: &str, env: &BTreeMap<String, String>) -> String {
    let Some((before, rest)) = value.split_once("${") else { return value.to_owned() };
    let (inner, after) = rest.split_once('}').unwrap();
    let (name, other) = inner.split_once(':').unwrap();
    let given = env.get(name).cloned().unwrap_or_else(|| match other.strip_prefix('-') {
        Some(default) => default.to_owned(),
        None => panic!("{name} is not set: {other}"),
    });
    format!("{before}{given}{}", interpolated(after, env))
}

#[test]
fn the_configuration_of_the_containers_is_right_with_what_the_sample_of_env_sets() {
    let sample = filled();
    for (name, service) in own(&compose()) {
        let home = omni();
        for path in files(&deploy("config")) {
            fs::create_dir_all(home.config_dir()).unwrap();
            fs::copy(&path, home.config_dir().join(path.file_name().unwrap())).unwrap();
        }
        let env: Vec<(String, String)> = service["environment"]
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(name, value)| match value.as_str() {
                Some(value) => Some((name.clone(), interpolated(value, &sample))),
                None => Some((name.clone(), sample.get(name)?.clone())),
            })
            .collect();
        let checked: Ran = home.command(&["config", "check", "--strict"]).envs(env).output().unwrap().into();
        assert_eq!(checked.code, 0, "{name}: {checked:#?}");
    }
}

#[test]
fn people_in_slack_are_of_the_tenant_that_keys_are_of() {
    let of_compose = document(&deploy("config/slack.yaml"));
    let map = document(&deploy("kubernetes/configmap.yaml"));
    let of_kubernetes: Value = serde_yaml::from_str(map["data"]["slack.yaml"].as_str().unwrap()).unwrap();
    for slack in [of_compose, of_kubernetes] {
        assert_eq!(slack["slack"]["tenant"], omni_core::identity::DEFAULT_TENANT);
    }
}

#[test]
fn a_build_is_given_what_it_needs_and_no_secret() {
    let ignored = read(&root().join(".dockerignore"));
    let patterns: Vec<&str> = ignored.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    for secret in [".git", "**/.env", "**/*.key", "**/*.pem", "**/*.db", "**/target"] {
        assert!(patterns.contains(&secret), "{secret}");
    }
    assert!(patterns.iter().all(|pattern| !pattern.starts_with('!')), "{patterns:?}");
    let listed = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    // What is part of the build and would not be there: files by these names are secrets, and none is committed.
    let left_out = |file: &&str| {
        let name = file.rsplit('/').next().unwrap();
        let is_kept = !file.contains("deploy/") && !file.starts_with("docs/") && !file.starts_with(".ci/");
        is_kept && (name == ".env" || name.ends_with(".key") || name.ends_with(".pem") || name.ends_with(".db"))
    };
    assert_eq!(listed.lines().filter(left_out).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn what_omni2_read_of_its_env_reaches_the_service_and_the_bot_alone_has_what_is_slacks() {
    let compose = compose();
    let given = |service: &str| keys(&compose["services"][service]["environment"]);
    for name in ["omni2", "omni2-slack-bot"] {
        let set = given(name);
        for variable in OF_OMNI2 {
            // Not even empty where nobody sets it: omni tells of a variable that is not there.
            assert!(compose["services"][name]["environment"][variable].is_null(), "{name}: {variable}");
            assert!(set.contains(variable), "{name}: {variable}");
        }
        // A level that nobody sets would count before the one of settings.yaml.
        for variable in ["LOG_LEVEL", "DEBUG"] {
            assert!(set.contains(variable), "{name}: {variable}");
            assert!(compose["services"][name]["environment"][variable].is_null(), "{name}: {variable}");
        }
        for variable in ["ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "ANTHROPIC_MAX_TOKENS", "APP_ENV", "LOG_FORMAT"] {
            assert!(set.contains(variable), "{name}: {variable}");
        }
        assert!(!set.contains("POSTGRES_PASSWORD"), "{name}");
    }
    let slacks = |service: &str| given(service).iter().filter(|variable| variable.starts_with("SLACK_")).count();
    assert_eq!(["omni2", "omni2-slack-bot", "omni2-analytics-mcp"].map(slacks), [0, 3, 0]);
}
