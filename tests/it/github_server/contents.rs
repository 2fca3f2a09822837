//! `get_file_contents`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use omni_tests::github::{Answer, DIRECTORY, GitHub, LARGE, MOVED, PICTURE, README, SUBMODULE, SYMLINK, TOKEN};
use serde_json::{Value, json};

use super::{Rig, file};

const CONTENTS: &str = "/repos/tokio-rs/tokio/contents";

async fn at(path: &str, body: impl Into<bytes::Bytes>) -> Rig {
    Rig::new(GitHub::start().await.having(&format!("{CONTENTS}{path}"), [Answer::new(200, body)])).await
}

/// A file as GitHub describes it, with other text.
fn described(text: &str) -> String {
    let mut item: Value = serde_json::from_str(README).unwrap();
    item["content"] = STANDARD.encode(text).into();
    item["size"] = text.len().into();
    item.to_string()
}

#[tokio::test]
async fn a_file_is_shown_with_where_it_is() {
    let rig = at("/README.md", README).await;
    let (text, structured) = rig.read("get_file_contents", file("README.md", &json!({}))).await;
    insta::assert_snapshot!("file", text);
    insta::assert_json_snapshot!("file_structured", structured);
}

#[tokio::test]
async fn a_directory_is_listed_with_what_each_entry_is() {
    let rig = at("/examples", DIRECTORY).await;
    let (text, structured) = rig.read("get_file_contents", file("/examples/", &json!({ "ref": "v1.40.0" }))).await;
    insta::assert_snapshot!("directory", text);
    let kinds: Vec<_> = structured["entries"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["directory", "file", "file", "symlink", "submodule"]);
    assert_eq!(rig.github.paths(), [format!("{CONTENTS}/examples?ref=v1.40.0")]);
}

#[tokio::test]
async fn without_a_path_the_root_is_listed() {
    let rig = at("", "[]").await;
    let (text, structured) = rig.read("get_file_contents", json!({ "owner": "tokio-rs", "repo": "tokio" })).await;
    assert_eq!(text, "`/` in tokio-rs/tokio: a directory of 0 entries.\n");
    assert_eq!((&structured["kind"], rig.github.paths()), (&json!("directory"), vec![CONTENTS.to_owned()]));
}

#[tokio::test]
async fn a_commit_goes_before_a_ref() {
    let rig = at("/README.md", README).await;
    let more = json!({ "ref": "main", "sha": "9d44c8a1f0b7e6d5c4b3a29180f7e6d5c4b3a291" });
    let (text, _) = rig.read("get_file_contents", file("README.md", &more)).await;
    assert!(text.starts_with("`README.md` in tokio-rs/tokio at `9d44c8a1f0b7"), "{text}");
    assert_eq!(rig.github.paths(), [format!("{CONTENTS}/README.md?ref=9d44c8a1f0b7e6d5c4b3a29180f7e6d5c4b3a291")]);
}

#[tokio::test]
async fn what_is_no_text_is_named_and_not_shown() {
    let rig = at("/docs/logo.png", PICTURE).await;
    let (text, structured) = rig.read("get_file_contents", file("docs/logo.png", &json!({}))).await;
    assert!(text.starts_with("`docs/logo.png` in tokio-rs/tokio: a file of 70 bytes, binary or not UTF-8"), "{text}");
    assert_eq!((&structured["is_binary"], structured.get("text")), (&json!(true), None));
}

#[tokio::test]
async fn links_and_submodules_are_named_with_where_they_lead() {
    let rig = at("/examples/current", SYMLINK).await;
    let (text, structured) = rig.read("get_file_contents", file("examples/current", &json!({}))).await;
    assert!(text.contains("a symbolic link to `../../elsewhere`"), "{text}");
    assert_eq!((&structured["kind"], &structured["target"]), (&json!("symlink"), &json!("../../elsewhere")));

    let path = "/repos/jquery/jquery/contents/test/qunit";
    let rig = Rig::new(GitHub::start().await.having(path, [Answer::new(200, SUBMODULE)])).await;
    let arguments = json!({ "owner": "jquery", "repo": "jquery", "path": "test/qunit" });
    let (text, structured) = rig.read("get_file_contents", arguments).await;
    assert!(
        text.contains(
            "a submodule: commit 6ca3721222109997540bd6d9ccd396902e0ad2f9 of git://github.com/jquery/qunit.git"
        ),
        "{text}"
    );
    assert_eq!(structured["kind"], "submodule");
}

#[tokio::test]
async fn a_long_file_says_how_to_read_on_and_is_whole_in_the_end() {
    let whole: String = (1..=5_000).map(|line| format!("line {line} of a long file\n")).collect();
    let rig = at("/README.md", described(&whole)).await;
    let (mut read, mut next, mut calls) = (String::new(), Some(1), 0);
    while let Some(first) = next {
        let (text, structured) =
            rig.read("get_file_contents", file("README.md", &json!({ "start_line": first }))).await;
        let part = structured["text"].as_str().unwrap();
        assert!(text.ends_with(part) && part.len() <= 40_000, "{text:.300}");
        next = structured["lines"]["next"].as_u64();
        assert!(
            next.is_none_or(|next| text.contains(&format!("of 5,000 are shown; read on with start_line={next}."))),
            "{text:.300}"
        );
        read.push_str(part);
        calls += 1;
    }
    assert_eq!((read == whole, calls > 2), (true, true));
}

#[tokio::test]
async fn lines_are_shown_by_number() {
    let rig = at("/README.md", README).await;
    let (text, _) = rig.read("get_file_contents", file("README.md", &json!({ "start_line": 6, "end_line": 7 }))).await;
    assert!(text.contains("Lines 6 to 7 of 14 are shown; read on with start_line=8."), "{text}");
    assert!(
        text.ends_with("\n\n* **Fast**: Tokio's zero-cost abstractions give you bare-metal\n  performance.\n"),
        "{text}"
    );
    let beyond = rig.refused("get_file_contents", file("README.md", &json!({ "start_line": 90 }))).await;
    assert_eq!(beyond, "`start_line` is 90, and the file has 14 lines.");
}

#[tokio::test]
async fn a_file_that_does_not_come_with_its_description_is_fetched_by_its_hash() {
    let words: String = (1..=200_000).map(|word| format!("word{word:07}\n")).collect();
    let blob = "/repos/tokio-rs/tokio/git/blobs/5a1f7d3fe0d1a8f5c2d2a40c2d5e9b0f2b2f0c11";
    let github = GitHub::start().await.having(&format!("{CONTENTS}/data/words.txt"), [Answer::new(200, LARGE)]);
    let rig = Rig::new(github.having(blob, [Answer::new(200, words)])).await;
    let (text, structured) =
        rig.read("get_file_contents", file("data/words.txt", &json!({ "start_line": 199_999 }))).await;
    assert!(
        text.contains("a file of 2,400,000 bytes, 200,000 lines.") && text.ends_with("\nword0199999\nword0200000\n"),
        "{text}"
    );
    assert_eq!(
        structured["lines"],
        json!({ "start": 199_999, "end": 200_000, "total": 200_000, "is_line_cut": false })
    );
    let asked = rig.github.asked();
    assert_eq!((asked.len(), &asked[1].headers["accept"]), (2, &"application/vnd.github.raw+json".parse().unwrap()));
}

#[tokio::test]
async fn of_a_file_without_an_end_the_beginning_is_read() {
    let blob = "/repos/tokio-rs/tokio/git/blobs/5a1f7d3fe0d1a8f5c2d2a40c2d5e9b0f2b2f0c11";
    let github = GitHub::start().await.having(&format!("{CONTENTS}/data/words.txt"), [Answer::new(200, LARGE)]);
    let rig = Rig::new(github.having(blob, [Answer::new(200, "größer und größer\n".repeat(100)).endless()])).await;
    let (text, structured) = rig.read("get_file_contents", file("data/words.txt", &json!({}))).await;
    assert!(
        text.contains("are shown; read on with start_line=") && structured["lines"].get("total").is_none(),
        "{text:.300}"
    );
    let beyond = rig.refused("get_file_contents", file("data/words.txt", &json!({ "start_line": 4_000_000 }))).await;
    assert!(beyond.contains("beyond the first 8,388,608 bytes of the file"), "{beyond}");
}

#[tokio::test]
async fn a_renamed_repository_is_found_at_its_new_name() {
    let github = GitHub::start().await;
    let moved = |to: &str| [Answer::new(301, MOVED).with("location", to)];
    github.has("/repositories/57770481/contents/README.md", [Answer::new(200, README)]);
    github.has(
        &format!("{CONTENTS}/README.md"),
        moved(&format!("{}/repositories/57770481/contents/README.md?ref=main", github.url)),
    );
    let rig = Rig::new(github).await;
    let (text, structured) = rig.read("get_file_contents", file("README.md", &json!({ "ref": "main" }))).await;
    assert!(text.contains("another name now") && text.contains("# Tokio") && structured["has_moved"] == true, "{text}");
    let asked = rig.github.asked();
    assert_eq!(asked[1].uri.to_string(), "/repositories/57770481/contents/README.md?ref=main");
    assert_eq!(asked[1].headers["authorization"], format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let elsewhere = GitHub::start().await.having("/README.md", [Answer::new(200, README)]);
    let github = GitHub::start().await;
    let port = elsewhere.url.rsplit(':').next().unwrap();
    let places = [
        format!("{}/README.md", elsewhere.url),
        format!("//127.0.0.1:{port}/README.md"),
        "https://example.com/".into(),
    ];
    let rig = Rig::new(github).await;
    for place in places {
        rig.github.has(&format!("{CONTENTS}/README.md"), [Answer::new(302, MOVED).with("location", &place)]);
        let refusal = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
        assert_eq!(refusal, "GitHub redirects this to another host; the redirect was not followed.");
    }
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn redirects_without_an_end_end() {
    let rig = Rig::new(GitHub::start().await).await;
    let path = format!("{CONTENTS}/README.md");
    rig.github.has(&path, [Answer::new(301, MOVED).with("location", &path)]);
    let refusal = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    assert!(refusal.starts_with("GitHub redirects this too often"), "{refusal}");
    assert_eq!(rig.github.asked().len(), 4);
    rig.github.has(&path, [Answer::new(301, MOVED)]);
    let refusal = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    assert!(refusal.contains("without saying where to"), "{refusal}");
}

#[tokio::test]
async fn names_and_paths_that_lead_elsewhere_are_refused_before_anything_is_sent() {
    let rig = Rig::new(GitHub::start().await).await;
    let cases = [
        (json!({ "owner": "..", "repo": "tokio" }), "`owner`"),
        (json!({ "owner": "tokio-rs/tokio", "repo": "tokio" }), "`owner`"),
        (json!({ "owner": "tokio-rs", "repo": ".." }), "`repo`"),
        (json!({ "owner": "tokio-rs", "repo": "tokio/contents/x?" }), "`repo`"),
        (file("../../../user", &json!({})), "`path`"),
        (file("src/../../x", &json!({})), "`path`"),
        (file("src//lib.rs", &json!({})), "`path`"),
        (file("src\\lib.rs", &json!({})), "`path`"),
        (file("a\r\nHost: evil", &json!({})), "`path`"),
        (file("README.md", &json!({ "ref": "main..x" })), "`ref`"),
        (file("README.md", &json!({ "ref": "main&token=1 2" })), "`ref`"),
        (file("README.md", &json!({ "sha": "main" })), "`sha`"),
        (file("README.md", &json!({ "start_line": 0 })), "`start_line`"),
        (file("README.md", &json!({ "start_line": 9, "end_line": 8 })), "`end_line`"),
        (file("README.md", &json!({ "branch": "main" })), "unknown field `branch`"),
    ];
    for (arguments, told) in cases {
        let refusal = rig.refused("get_file_contents", arguments.clone()).await;
        assert!(refusal.contains(told) && refusal.ends_with("Nothing was sent to GitHub."), "{arguments}: {refusal}");
    }
    assert!(rig.github.asked().is_empty());
}
