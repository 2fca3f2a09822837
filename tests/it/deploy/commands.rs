//! Every command of omni that a file or a guide shows is one that omni understands.

use std::path::PathBuf;

use super::{compose, deploy, document, files, kubernetes, omni, read, recipe::Recipe, root, texts};

/// Asks the program for help at the end of a command: what stands before is read first, so that a command, an
/// option or a value that it does not know is refused.
#[track_caller]
fn understood(place: &str, args: &[String]) {
    let mut asked: Vec<&str> = args.iter().map(String::as_str).collect();
    asked.push("--help");
    let ran = omni().run(&asked);
    assert_eq!(ran.code, 0, "{place}: omni {}\n{}", args.join(" "), ran.err);
    assert!(ran.out.contains("Usage: omni"), "{place}: omni {}\n{}", args.join(" "), ran.out);
}

/// The arguments of a line of shell that runs omni, here or in a container, up to what is the shell's.
fn arguments(line: &str) -> Option<Vec<String>> {
    let is_shells = |word: &str| matches!(word, "|" | ">" | "<" | "&&" | "||" | ";" | "&") || word.starts_with('#');
    let all: Vec<&str> = line.split_whitespace().take_while(|word| !is_shells(word)).collect();
    let is_run = |before: &[&str]| match before {
        ["docker", "compose", ..] | ["kubectl", .., "--"] => true,
        before => before.iter().all(|word| word.contains('=')),
    };
    let at = (0..all.len()).find(|at| all[*at] == "omni" && is_run(&all[..*at]))?;
    // A text in quotes is one word, whatever is in it.
    let (mut found, mut open) = (Vec::new(), None::<String>);
    for word in &all[at + 1..] {
        match open.take() {
            Some(text) if word.ends_with('"') => found.push(format!("{text} {}", word.trim_end_matches('"'))),
            Some(text) => open = Some(format!("{text} {word}")),
            None if word.starts_with('"') && !(word.len() > 1 && word.ends_with('"')) => {
                open = Some(word[1..].to_owned());
            }
            None => found.push(word.trim_matches('"').to_owned()),
        }
    }
    Some(found)
}

/// Lines of shell in the fenced blocks of a guide.
fn shown(guide: &str) -> Vec<String> {
    // Blocks may stand below a point of a list.
    let guide = guide.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    let fenced: Vec<&str> = guide.split("\n```").collect();
    let blocks = fenced.chunks(2).filter_map(|pair| pair.get(1));
    let shell = blocks.filter_map(|block| ["sh\n", "console\n"].iter().find_map(|form| block.strip_prefix(form)));
    shell.flat_map(str::lines).map(|line| line.trim_start_matches("$ ").to_owned()).collect()
}

/// The guides of whoever installs omni.
fn guides() -> Vec<PathBuf> {
    let mut all = files(&root().join("docs"));
    all.extend(["examples", "examples/deploy", "omni-core", "omni-http", "omni-slack", "omni-cli"].map(|dir| {
        let guide = root().join(dir).join("README.md");
        assert!(guide.is_file(), "{}", guide.display());
        guide
    }));
    all
}

#[test]
fn what_omni_does_not_know_would_be_seen() {
    for wrong in [&["serv"][..], &["serve", "--bnid", "127.0.0.1:1"], &["health", "--url", "x"], &["serve", "extra"]] {
        let ran = omni().run(&[wrong, &["--help"]].concat());
        assert_eq!(ran.code, 2, "{wrong:?}: {ran:?}");
    }
    let read = |line| arguments(line).map(|words| words.join("|"));
    assert_eq!(
        read("docker compose exec omni2 omni keys list | tee keys").as_deref(),
        Some("keys|list"),
        "what stands before and after it is no part of a command"
    );
    assert_eq!(read("A=b omni ask \"What is up?\" --json # now").as_deref(), Some("ask|What is up?|--json"));
    assert_eq!(read("docker build -t omni ."), None);
}

#[test]
fn the_image_starts_what_there_is() {
    let recipe = Recipe::load();
    assert_eq!(recipe.words("ENTRYPOINT"), ["omni"]);
    let command = recipe.words("CMD");
    understood("CMD", &command);
    assert!(command.contains(&format!("0.0.0.0:{}", recipe.port())), "{command:?}");
    let probe = recipe.probe();
    assert_eq!(probe[0], "omni");
    understood("HEALTHCHECK", &probe[1..]);
    assert!(probe.contains(&format!("http://127.0.0.1:{}", recipe.port())), "{probe:?}");
}

#[test]
fn files_of_the_examples_start_what_there_is() {
    for (name, service) in compose::own(&document(&deploy("docker-compose.yml"))) {
        understood(&name, &texts(&service["command"]));
        let probe = &service["healthcheck"]["test"];
        if probe.is_array() {
            assert_eq!(texts(probe)[..2], ["CMD", "omni"], "{name}");
            understood(&name, &texts(probe)[2..]);
        }
    }
    let pods = kubernetes::pods();
    assert_eq!(pods.len(), 2);
    for pod in pods {
        understood("kubernetes", &texts(&pod["containers"][0]["args"]));
    }
    let unit = read(&deploy("systemd/omni.service"));
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/")).unwrap();
    understood("systemd", &arguments(start).unwrap());
}

#[test]
fn commands_of_the_guides_are_understood() {
    let mut ran = 0;
    for guide in guides() {
        for line in shown(&read(&guide)) {
            let Some(args) = arguments(&line) else { continue };
            understood(&format!("{}: {line}", guide.display()), &args);
            ran += 1;
        }
    }
    assert!(ran >= 20, "{ran} commands were found");
}

#[test]
fn links_of_the_guides_lead_somewhere() {
    for guide in guides() {
        let text = read(&guide);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let is_there = link.is_empty() || link.starts_with("https://") || guide.with_file_name(link).exists();
            assert!(is_there, "{link} in {}", guide.display());
        }
    }
}
