//! `benches/arrange.sh`, as far as it goes without BOLT and half an hour of building.

use std::{
    fs,
    process::{Command, Output},
};

use super::root;

fn arrange(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } =
        Command::new("bash").arg(root().join("benches/arrange.sh")).args(args).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
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
