//! `benches/tune.sh` and `benches/arrange.sh`, as far as they go without half an hour of building.

use std::{
    fs,
    process::{Command, Output},
};

use super::{recipe::Recipe, root};

fn run(script: &str, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = Command::new("bash").arg(root().join(script)).args(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn arrange(args: &[&str]) -> (Option<i32>, String) {
    run("benches/arrange.sh", args)
}

#[test]
fn a_program_that_cannot_be_arranged_is_left_alone_and_it_is_said_how_one_is_built_that_can() {
    let home = tempfile::tempdir().unwrap();
    let (program, arranged) = (env!("CARGO_BIN_EXE_omni-under-test"), home.path().join("omni"));
    fs::write(&arranged, "of before").unwrap();
    let (code, said) = arrange(&[program, program, arranged.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("has no relocations; README.md beside this says how to build it"), "{said}");
    assert_eq!(fs::read_to_string(&arranged).unwrap(), "of before");
}

#[test]
fn what_arranging_a_program_takes_is_told_to_whoever_does_not_say_it() {
    let (code, said) = arrange(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said, "benches/arrange.sh PROGRAM OMNI_BENCH ARRANGED\n");
}

#[test]
fn where_a_tuned_program_goes_has_to_be_said_and_nothing_stands_there() {
    let (code, said) = run("benches/tune.sh", &[]);
    assert_eq!((code, said.as_str()), (Some(2), "benches/tune.sh DIR\n"));
    let file = tempfile::NamedTempFile::new().unwrap();
    let (code, said) = run("benches/tune.sh", &[file.path().to_str().unwrap()]);
    assert_eq!(
        (code, said),
        (Some(1), format!("tune.sh: {} is a file\n", file.path().canonicalize().unwrap().display()))
    );
}

#[test]
fn the_image_is_built_plainly_unless_somebody_asks_for_a_tuned_program() {
    let recipe = Recipe::load();
    assert_eq!(recipe.one("ARG"), "BUILD=plain");
    let build = recipe.all("RUN").into_iter().find_map(|line| line.strip_prefix("case $BUILD in ")).unwrap();
    // What each way runs, told in place of being run.
    let way = |name: &str| {
        let tools = "cargo() { echo cargo $1 $2; }; rustup() { echo rustup $2; }; install() { echo install $2; }";
        let script =
            format!("{tools}\nBUILD={name}\ncase $BUILD in {}", build.replace("benches/tune.sh", "echo tune.sh"));
        let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap())
    };
    assert_eq!(way("plain"), (Some(0), "cargo build --release\n".to_owned()));
    assert_eq!(way("tuned"), (Some(0), "rustup add\ntune.sh /tuned\ninstall /tuned/omni\n".to_owned()));
    assert_eq!(way("fast").0, Some(2));
}
