use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::Page;

/// What no template is longer than.
const MAX_LINES: usize = 300;
/// Templates of what is shown before somebody is in, once they have left, and where something went wrong.
const ALONE: [&str; 4] = ["entered", "failed", "left", "login"];

fn own(dir: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)
}

/// What every template says, by its name.
fn templates() -> BTreeMap<String, String> {
    let files = fs::read_dir(own("templates")).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".html");
        (name.unwrap_or_else(|| panic!("{}", path.display())).to_owned(), fs::read_to_string(&path).unwrap())
    };
    files.map(named).collect()
}

/// The templates that a text names right after `mark`.
fn named<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.split(mark).skip(1).filter_map(|rest| rest.split_once(".html\"")).map(|(name, _)| name).collect()
}

/// The sources below a directory.
fn sources(dir: &Path) -> String {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| match path.is_dir() {
        true => sources(&path),
        false => fs::read_to_string(&path).unwrap(),
    };
    paths.map(text).collect()
}

#[test]
fn every_page_has_one_template_of_its_name_and_none_is_longer_than_300_lines() {
    let templates = templates();
    let long: Vec<_> = templates.iter().filter(|(_, text)| text.lines().count() > MAX_LINES).collect();
    assert!(
        long.is_empty(),
        "longer than {MAX_LINES} lines: {:?}",
        long.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    let pages: BTreeSet<&str> = Page::MENU.into_iter().chain(Page::BELOW).map(Page::name).chain(ALONE).collect();
    let sources = sources(&own("src/ui"));
    let mut shown = named(&sources, "#[template(path = \"");
    shown.sort_unstable();
    assert_eq!(shown, pages.iter().copied().collect::<Vec<_>>(), "a template is of one page, and a page has one");
    // What is no page's is a part of one.
    let parts = |mark| templates.values().flat_map(move |text| named(text, mark));
    let parts: BTreeSet<&str> = parts("{% extends \"").chain(parts("{% include \"")).collect();
    let known: BTreeSet<&str> = pages.union(&parts).copied().collect();
    assert_eq!(templates.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
    assert!(parts.is_disjoint(&pages), "{parts:?}");
}
