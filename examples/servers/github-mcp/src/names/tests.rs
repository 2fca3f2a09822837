use proptest::prelude::*;
use url::Url;

use super::*;
use crate::client::Request;

/// Where a request would go.
fn sent(owner: &str, repo: &str, path: &str, revision: Option<&str>) -> Option<Url> {
    let base = Url::parse("https://github.example.com/api/v3").unwrap();
    let repository = Repository::new(owner, repo).ok()?;
    let path = RepoPath::new(path).ok()?;
    let revision = revision.map(reference).transpose().ok()?;
    Some(Request::contents(&base, &repository, &path, revision.as_deref()).url)
}

/// Text with everything in it that means something to paths, URLs, git or shells.
fn odd() -> impl Strategy<Value = String> {
    let telling = vec![
        "..", "../", "/..", ".", "./", "/", "//", "\\", "%2e", "%2F", "%00", "\0", "?", "#", "&ref=", "@", ":", ";",
        " ", "\r\n", "é", "\u{202e}", "~", "^", "*", "[", "@{", ".lock", "-", "_", "main", "src/", "a", "A1",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(telling).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn whatever_is_asked_stays_below_its_repository(owner in odd(), repo in odd(), path in odd(), revision in odd()) {
        // One of them is odd at a time: two would hide each other.
        for (owner, repo, path, revision) in [
            (&*owner, "tokio", "src", "main"),
            ("tokio-rs", &*repo, "src", "main"),
            ("tokio-rs", "tokio", &*path, "main"),
            ("tokio-rs", "tokio", "src", &*revision),
        ] {
            let Some(url) = sent(owner, repo, path, Some(revision)) else { continue };
            prop_assert_eq!(url.host_str(), Some("github.example.com"));
            prop_assert_eq!(url.fragment(), None);
            let parts: Vec<String> = url.path_segments().unwrap().map(decoded).collect();
            prop_assert_eq!(&parts[..6], ["api", "v3", "repos", owner, repo, "contents"]);
            let below: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            prop_assert_eq!(&parts[6..], below);
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs, [("ref".to_owned(), revision.to_owned())]);
        }
    }

    #[test]
    fn names_of_users_and_repositories_pass(
        owner in "[a-zA-Z0-9]([a-zA-Z0-9]|-){0,30}", repo in "[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,99}",
    ) {
        prop_assert!(Repository::new(&owner, &repo).is_ok());
    }

    #[test]
    fn a_name_with_anything_else_in_it_is_refused(
        before in "[a-z]{0,5}", odd in "[^a-zA-Z0-9._-]", after in "[a-z]{0,5}",
    ) {
        let name = format!("{before}{odd}{after}");
        prop_assert!(Repository::new(&name, "tokio").is_err());
        prop_assert!(Repository::new("tokio-rs", &name).is_err());
    }

    #[test]
    fn a_path_that_climbs_is_refused(
        before in prop::collection::vec("[a-z.]{1,4}", 0..3), after in prop::collection::vec("[a-z.]{1,4}", 0..3),
        climb in prop::sample::select(vec!["..", ".", ""]),
    ) {
        let middle = if climb.is_empty() { vec!["x", "", "y"] } else { vec![climb] };
        let parts: Vec<&str> = before.iter().map(String::as_str).chain(middle).chain(after.iter().map(String::as_str)).collect();
        prop_assert!(RepoPath::new(&parts.join("/")).is_err());
    }
}

fn decoded(part: &str) -> String {
    let query = format!("x={}", part.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned()
}

#[test]
fn what_means_something_in_an_address_means_nothing_in_a_path() {
    let url = sent("tokio-rs", "tokio", "docs/what?#%2e%2e/ü b.md", Some("feature/a#b")).unwrap();
    let wanted = "https://github.example.com/api/v3/repos/tokio-rs/tokio/contents/docs/what%3F%23%252e%252e/%C3%BC%20b.md?ref=feature%2Fa%23b";
    assert_eq!(url.as_str(), wanted);
}

#[test]
fn names_that_are_none_are_refused() {
    for owner in ["", "-tokio", "tokio/rs", "tokio rs", "..", "a@b", "ürgen", &"a".repeat(40)] {
        assert!(Repository::new(owner, "tokio").is_err(), "{owner}");
    }
    for repo in ["", ".", "..", "a/b", "a b", "a%2fb", "tokio\n", &"a".repeat(101)] {
        assert!(Repository::new("tokio-rs", repo).is_err(), "{repo}");
    }
}

#[test]
fn refs_are_what_git_takes() {
    for good in ["main", "v1.2.0", "feature/a-b", "refs/heads/main", "refs/pull/7/head", "tokio-1.40.x", "ünicode"] {
        assert!(reference(good).is_ok(), "{good}");
    }
    let bad = [
        "",
        "@",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[b",
        "a\\b",
        "a//b",
        "/a",
        "a/",
        ".a",
        "a.",
        "a/.b",
        "a.lock",
        "a@{1}",
        "-a",
        "a\u{7f}",
        "a\0",
        &"a".repeat(256),
    ];
    for bad in bad {
        assert!(reference(bad).is_err(), "{bad}");
    }
    assert!(commit("9d44c8a").is_ok() && commit("main").is_err() && commit("9d44c8").is_err());
}

#[test]
fn the_root_is_written_in_several_ways() {
    for root in ["", "/", "//"] {
        assert_eq!(RepoPath::new(root).unwrap().shown(), "/");
    }
    assert_eq!(RepoPath::new("/src/").unwrap().parts().collect::<Vec<_>>(), ["src"]);
}
