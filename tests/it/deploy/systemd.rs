//! The unit of systemd.

use std::collections::BTreeMap;

use super::{deploy, omni, read, root, variables_of_omni};

/// The settings of a section, and their values in order.
fn section(name: &str) -> BTreeMap<String, Vec<String>> {
    let unit = read(&deploy("systemd/omni.service"));
    let (_, rest) = unit.split_once(&format!("[{name}]\n")).unwrap();
    let own = rest.split("\n[").next().unwrap();
    let pairs = own.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (key, value) in pairs {
        found.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    found
}

#[test]
fn the_service_is_nobody_special_and_keeps_to_its_directory() {
    let service = section("Service");
    let one = |key: &str| service.get(key).map(|values| values.join(" ")).unwrap_or_default();
    assert_eq!([one("User"), one("StateDirectory")], ["omni", "omni"]);
    for (key, value) in [
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("RestrictNamespaces", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("SystemCallFilter", "@system-service ~@privileged @resources"),
    ] {
        assert!(service.contains_key(key), "{key}");
        assert_eq!(one(key), value, "{key}");
    }
    // What it writes is where systemd lets it write.
    let set: BTreeMap<&str, &str> =
        service["Environment"][0].split(' ').filter_map(|pair| pair.split_once('=')).collect();
    let known = variables_of_omni();
    assert!(set.keys().all(|name| known.contains(*name)), "{set:?}");
    assert_eq!(format!("{}/omni", set["XDG_DATA_HOME"]), format!("/var/lib/{}", one("StateDirectory")));
}

#[test]
fn it_has_the_connections_that_it_is_made_for_and_the_time_that_ending_takes() {
    let service = section("Service");
    let number = |key: &str| service[key][0].trim_end_matches('s').parse::<u64>().unwrap();
    assert!(number("LimitNOFILE") > 10_000, "as many as http.max_connections says, and more");
    assert!(number("TimeoutStopSec") > 41, "what runs has 30 s to finish, and the ledger some 11 s");
}

#[test]
fn what_does_not_get_better_by_itself_is_not_tried_again() {
    let never: Vec<String> = section("Service")["RestartPreventExitStatus"][0].split(' ').map(str::to_owned).collect();
    let broken = omni().with_file("settings.yaml", "app: { port: nowhere }\n");
    let ends = [
        broken.run(&["serve", "--bind", "127.0.0.1:0"]).code,
        omni().run(&["serve", "--bind", "nowhere at all"]).code,
        omni().run(&["serve", "--no-such-option"]).code,
    ];
    for code in ends {
        assert!(never.contains(&code.to_string()), "{code} is not in {never:?}");
    }
}

#[test]
fn its_exec_and_its_install_instructions_name_what_is_there() {
    let unit = read(&deploy("systemd/omni.service"));
    assert!(unit.contains("ExecStart=/usr/local/bin/omni serve --config /etc/omni "), "{unit}");
    let copied = unit.split_whitespace().find(|word| word.starts_with("examples/")).unwrap();
    assert!(root().join(copied).is_file(), "{copied}");
    let made = omni();
    made.run(&["init", "--dir", "etc", "--example", "team"]).exits(0);
    assert!(made.home().join("etc/.env.example").is_file(), "what the instructions copy to .env");
}
