use std::fs;

use super::omni;

#[test]
fn the_manual_page_says_what_the_program_takes_and_how_it_ends() {
    let page = omni().run(&["--config", "nowhere", "man"]).exits(0).out;
    assert!(page.contains(".TH omni"), "{page}");
    for part in ["Ask your MCP servers in plain language", "omni\\-serve(1)", "\\-\\-config", "Exit codes"] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn every_command_that_help_lists_has_a_page_and_no_other() {
    let home = omni();
    home.run(&["man", "--dir", "pages/man1"]).exits(0);
    let pages: Vec<String> = fs::read_dir(home.home().join("pages/man1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["omni.1", "omni-ask.1", "omni-serve.1", "omni-health.1", "omni-tools-call.1", "omni-slack-manifest.1"]
    {
        assert!(pages.iter().any(|own| own == page), "{page} in {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.contains("validate-policy")), "what help hides has none: {pages:?}");
    let page = fs::read_to_string(home.home().join("pages/man1/omni-serve.1")).unwrap();
    assert!(page.contains("\\-\\-bind") && page.contains("Example"), "{page}");
}

#[test]
fn pages_that_cannot_be_written_are_a_failure_that_names_the_place() {
    let home = omni();
    fs::write(home.home().join("taken"), "").unwrap();
    let ran = home.run(&["man", "--dir", "taken"]).exits(1);
    assert!(ran.err.contains("cannot write to") && ran.err.contains("taken"), "{ran:?}");
}
