//! Every command of the README and of the guide runs, its shown output is what comes, and its files load.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::Command,
};

use omni_core::{Config, config::LoadOptions};
use omni_tests::{
    parts::Parts,
    program::{Program, Ran},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Where everything is told: in short, and topic by topic.
const PAGES: [&str; 2] = ["README.md", "docs/guide.md"];

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The fenced blocks of a language, of all pages.
fn blocks(language: &str) -> Vec<String> {
    PAGES.iter().flat_map(|name| blocks_of(&page(name), language)).collect()
}

fn blocks_of(text: &str, language: &str) -> Vec<String> {
    let fenced = text.split("\n```").collect::<Vec<_>>();
    fenced
        .chunks(2)
        .filter_map(|pair| pair.get(1))
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .map(str::to_owned)
        .collect()
}

/// A home in which the README's files and the real server that its configuration names are at hand.
fn home() -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    symlink(root().join("examples"), program.home().join("examples")).unwrap();
    let parts = Parts::find().everything();
    let modules = parts.ancestors().find(|path| path.ends_with("node_modules")).unwrap();
    symlink(modules, program.home().join("node_modules")).unwrap();
    // What is not there already is not fetched.
    fs::write(program.home().join(".npmrc"), "offline=true\nupdate-notifier=false\n").unwrap();
    program
}

fn shell(program: &Program, line: &str) -> Ran {
    let bin = program.home().join("bin");
    fs::create_dir_all(&bin).unwrap();
    if !bin.join("omni").exists() {
        symlink(env!("CARGO_BIN_EXE_omni-under-test"), bin.join("omni")).unwrap();
    }
    let mut command = Command::new("sh");
    let prepared = program.command(&[]);
    command.arg("-c").arg(line).current_dir(program.home()).env_clear();
    command.envs(prepared.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let path = omni_tests::parts::base_env().into_iter().find(|(name, _)| name == "PATH").unwrap().1;
    command.env("PATH", format!("{}:{path}", bin.display()));
    command.output().unwrap().into()
}

#[test]
fn every_command_of_the_readme_runs_and_says_what_is_shown() {
    let program = home();
    let mut ran = 0;
    for session in blocks("console") {
        for part in session.split("$ ").skip(1) {
            let (line, shown) = part.split_once('\n').unwrap_or((part, ""));
            let result = shell(&program, line);
            assert_eq!(result.code, 0, "{line}\n{result:?}");
            assert!(result.out.contains(shown.trim_end()), "{line}\nshown: {shown}\ncame: {}", result.out);
            ran += 1;
        }
    }
    assert!(ran >= 9, "{ran} commands were found");
}

#[test]
fn the_first_command_answers_with_nothing_configured() {
    let command = blocks("sh").concat();
    let line = command.lines().find(|line| line.starts_with("cargo run -p omni-cli -- ")).unwrap();
    let line = line.replace("cargo run -p omni-cli -- ", "omni ");
    let program = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    let result = shell(&program, &line).exits(0);
    assert!(result.out.contains("offline") && result.out.contains("5 most expensive questions"), "{result:?}");
    assert!(result.err.contains("omni init"), "{result:?}");
}

#[test]
fn the_test_command_of_the_readme_is_there_and_can_be_run() {
    assert!(blocks("sh").concat().contains("tests/run.sh"));
    let mode = fs::metadata(root().join("tests/run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
}

#[test]
fn the_configuration_of_the_readme_loads_and_decides() {
    let yaml = format!("\n{}", blocks("yaml").join("\n"));
    let files = yaml.split("\n# config/").skip(1).map(|file| file.split_once('\n').unwrap());
    let program = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    let program = files.fold(program, |program, (name, text)| program.with_file(name, text));
    program.run(&["config", "check", "--strict"]).exits(0);
    let explain = |tool| {
        let args =
            ["policy", "explain", "--json", "--user", "eve@company.com", "--server", "github_mcp", "--tool", tool];
        program.run(&args).exits(0).json()["effect"].clone()
    };
    assert_eq!((explain("get_me"), explain("delete_repository")), ("allow".into(), "deny".into()));
}

#[test]
fn every_example_configuration_loads() {
    let mut loaded = 0;
    for entry in fs::read_dir(root().join("examples/config")).unwrap() {
        let mut options = LoadOptions::default();
        options.dir = Some(entry.unwrap().path());
        options.cwd = root();
        let config = Config::load(options).unwrap();
        assert!(!config.servers.is_empty());
        loaded += 1;
    }
    assert_eq!(loaded, 2);
}

#[test]
fn links_of_the_readme_and_of_the_guide_lead_somewhere() {
    for name in PAGES {
        let (text, place) = (page(name), root().join(name));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let to = if file.is_empty() { place.clone() } else { place.parent().unwrap().join(file) };
            assert!(to.exists(), "{name}: {link}");
            assert!(
                heading.is_empty() || headings(&fs::read_to_string(to).unwrap()).any(|own| own == heading),
                "{link}"
            );
        }
    }
}

/// The names of a page's headings in addresses.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| line.strip_prefix("## ")).map(|line| {
        let kept = line.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
    })
}

#[test]
fn the_readme_is_short() {
    assert!(page("README.md").lines().count() <= 200);
}
