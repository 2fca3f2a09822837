//! What GitHub refuses, and what becomes of it.

use std::time::{Duration, Instant};

use github_mcp::{GithubServer, Settings};
use omni_core::mcp::{CallContext, Connector as _, in_process::InProcess};
use omni_tests::{
    github::{
        Answer, BAD_CREDENTIALS, GitHub, INVALID_QUERY, NO_COMMIT, NOT_FOUND, RATE_LIMITED, README, SEARCH, SECONDARY,
        SINGLE_SIGN_ON, TOKEN, TOO_LARGE,
    },
    log::Log,
    parts::free_port,
};
use serde_json::{Value, json};

use super::{LONG, Rig, file, settings};

const PATH: &str = "/repos/tokio-rs/tokio/contents/README.md";
const SEARCH_PATH: &str = "/search/repositories";

async fn refusing(answer: Answer) -> Rig {
    Rig::new(GitHub::start().await.having(PATH, [answer])).await
}

async fn refusal(answer: Answer) -> String {
    refusing(answer).await.refused("get_file_contents", file("README.md", &json!({}))).await
}

fn used_up() -> Answer {
    // Twelve minutes and five seconds after its own date, whatever the time is here.
    let reset = "1795163525";
    Answer::new(403, RATE_LIMITED).with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", reset)
}

#[tokio::test]
async fn a_used_up_limit_says_when_to_come_back_and_nothing_is_sent_before() {
    let github = GitHub::start().await.having(PATH, [used_up()]).having(SEARCH_PATH, [Answer::new(200, SEARCH)]);
    let rig = Rig::anonymous(github).await;
    let refusal = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    let told = "GitHub's rate limit of 60 requests is used up. Try again in 12 min 5 s, at 2026-11-20 08:32:05 UTC, and \
         not before. Without a token the limit is low: whoever runs this server can set GITHUB_TOKEN.";
    assert_eq!(refusal, told);
    let again = rig.refused("get_file_contents", file("Cargo.toml", &json!({}))).await;
    assert!(again.contains("at 2026-11-20 08:32:05 UTC"), "{again}");
    assert_eq!(rig.github.asked().len(), 1);
    // Searches are counted by themselves.
    rig.read("search_repositories", json!({ "query": "x" })).await;
}

#[tokio::test]
async fn a_secondary_limit_stops_everything_for_as_long_as_github_says() {
    let answer = Answer::new(429, SECONDARY).with("retry-after", "37");
    let github = GitHub::start().await.having(SEARCH_PATH, [answer]).having(PATH, [Answer::new(200, README)]);
    let rig = Rig::new(github).await;
    let refusal = rig.refused("search_repositories", json!({ "query": "x" })).await;
    let told = "GitHub asks for a pause (secondary rate limit: too many requests at once). Try again in 37 s, at \
         2026-11-20 08:20:37 UTC, and not before.";
    assert_eq!(refusal, told);
    let other = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    assert!(other.starts_with("GitHub asks for a pause"), "{other}");
    assert_eq!(rig.github.asked().len(), 1);
}

#[tokio::test]
async fn a_secondary_limit_without_a_time_is_a_minute() {
    let told = refusal(Answer::new(403, SECONDARY)).await;
    assert!(told.contains("Try again in 1 min, at 2026-11-20 08:21:00 UTC"), "{told}");
}

#[tokio::test]
async fn after_a_short_pause_it_goes_on_by_itself() {
    let answers = [Answer::new(429, SECONDARY).with("retry-after", "1"), Answer::new(200, README)];
    let rig = Rig::new(GitHub::start().await.having(PATH, answers)).await;
    let started = Instant::now();
    rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    while rig.call("get_file_contents", file("README.md", &json!({}))).await.is_error {
        assert!(started.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(rig.github.asked().len(), 2);
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_told_apart_from_none() {
    let told = refusal(Answer::new(401, BAD_CREDENTIALS)).await;
    assert!(
        told.starts_with("GitHub does not take this server's token (401)") && told.contains("GITHUB_TOKEN"),
        "{told}"
    );
    let rig = Rig::anonymous(GitHub::start().await.having(PATH, [Answer::new(401, BAD_CREDENTIALS)])).await;
    let told = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    assert!(told.starts_with("GitHub wants a token for this (401)"), "{told}");
}

#[tokio::test]
async fn what_is_not_there_looks_like_what_is_private_and_that_is_said() {
    let told = refusal(Answer::new(404, NOT_FOUND)).await;
    let whole = "GitHub knows no `README.md` in tokio-rs/tokio (404). The owner, the name, the path or the ref may be \
         misspelt; a private repository looks the same: one that this server's token may not read.";
    assert_eq!(told, whole);
    let rig = Rig::anonymous(GitHub::start().await.having(PATH, [Answer::new(404, NO_COMMIT)])).await;
    let told = rig.refused("get_file_contents", file("README.md", &json!({ "ref": "nope" }))).await;
    assert!(told.contains("at `nope` (404): \"No commit found for the ref nope\"."), "{told}");
    assert!(told.contains("this server has no token"), "{told}");
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_said() {
    let rig = Rig::new(GitHub::start().await.having(SEARCH_PATH, [Answer::new(422, INVALID_QUERY)])).await;
    let told = rig.refused("search_repositories", json!({ "query": "user:nobody-of-that-name" })).await;
    let whole = "GitHub cannot carry out this request (422): \"The listed users and repositories cannot be searched either \
         because the resources do not exist or you do not have permission to view them\". Change the arguments and try again.";
    assert_eq!(told, whole);
}

#[tokio::test]
async fn a_broken_github_is_asked_once_more_and_no_oftener() {
    let broken = Answer::new(502, "<html>Unicorn!</html>").with("content-type", "text/html");
    let answers = [broken.clone(), Answer::new(200, README)];
    let rig = Rig::new(GitHub::start().await.having(PATH, answers)).await;
    rig.read("get_file_contents", file("README.md", &json!({}))).await;
    assert_eq!(rig.github.asked().len(), 2);

    let rig = refusing(broken).await;
    let told = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    assert_eq!(told, "GitHub could not answer (502), at a second attempt neither. Try again later.");
    assert_eq!(rig.github.asked().len(), 2);
}

#[tokio::test]
async fn other_refusals_are_told_as_github_words_them() {
    let told = refusal(Answer::new(403, TOO_LARGE)).await;
    assert_eq!(told, "The file is larger than GitHub gives out by its API (100 MB).");
    let told =
        refusal(Answer::new(403, SINGLE_SIGN_ON).with("x-github-sso", "required; url=https://github.com/x")).await;
    assert!(told.starts_with("GitHub refuses this (403): \"Resource protected by organization SAML"), "{told}");
    assert!(told.ends_with("The organization wants the token to be authorized for its single sign-on"), "{told}");
    let told = refusal(Answer::new(451, format!("<b>no\n{}", "x".repeat(100_000)))).await;
    assert!(told.starts_with("GitHub refuses this (451): \"<b>no xxx") && told.len() < 500, "{told:.600}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_named() {
    for body in ["<html>", "{}", "[{}]", r#"{"type":"planet","name":"x","path":"x","sha":"1"}"#] {
        let told = refusal(Answer::new(200, body)).await;
        assert!(told.starts_with("GitHub's answer cannot be read: "), "{body}: {told}");
    }
    let item: Value = serde_json::from_str(README).unwrap();
    let with = |change: Value| {
        let mut item = item.clone();
        item.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Answer::new(200, item.to_string())
    };
    let told = refusal(with(json!({ "content": "$$$" }))).await;
    assert!(told.contains("the file is no base64"), "{told}");
    let told = refusal(with(json!({ "content": "", "encoding": "none", "sha": "../../user" }))).await;
    assert!(told.contains("the file's hash is none"), "{told}");
    let told = refusal(Answer::new(200, "[{},").endless()).await;
    assert_eq!(told, "GitHub's answer is larger than 4,194,304 bytes and was not read to its end.");
}

#[tokio::test]
async fn a_silent_github_is_waited_for_as_long_as_it_was_said() {
    let github = GitHub::start().await.having(PATH, [Answer::new(200, README).after(LONG)]);
    let patience = settings(&github).with_timeout(Duration::from_millis(300));
    let rig = Rig::with(github, patience).await;
    let started = Instant::now();
    let told = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    assert_eq!(told, "GitHub did not answer within 1 s.");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_github_that_is_away_is_named_without_its_address() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let github = GitHub::start().await;
    let rig = Rig::with(github, Settings::public().unwrap().with_api_url(&url).unwrap()).await;
    let told = rig.refused("get_file_contents", file("README.md", &json!({}))).await;
    assert!(told.starts_with("GitHub cannot be reached: ") && !told.contains("127.0.0.1"), "{told}");
}

#[tokio::test]
async fn a_flood_waits_eight_at_a_time_and_what_is_too_much_is_refused() {
    let github = GitHub::start().await.having(PATH, [Answer::new(200, README).after(Duration::from_millis(50))]);
    let rig = Rig::new(github).await;
    let calls = (0..80).map(|_| rig.call("get_file_contents", file("README.md", &json!({}))));
    let outputs = futures::future::join_all(calls).await;
    let refused: Vec<String> = outputs.iter().filter(|output| output.is_error).map(super::text).collect();
    assert!(!refused.is_empty() && refused.iter().all(|told| told.contains("try again in a moment")), "{refused:?}");
    assert_eq!(rig.github.asked().len() + refused.len(), 80);
    assert!(rig.github.at_once() <= 8, "{}", rig.github.at_once());
}

#[tokio::test]
async fn who_waits_while_a_limit_is_used_up_sends_nothing_any_more() {
    let github = GitHub::start().await.having(PATH, [used_up().after(Duration::from_millis(100))]);
    let rig = Rig::new(github).await;
    let calls = (0..30).map(|_| rig.call("get_file_contents", file("README.md", &json!({}))));
    let outputs = futures::future::join_all(calls).await;
    assert!(outputs.iter().all(|output| super::text(output).contains("08:32:05 UTC")));
    assert!(rig.github.asked().len() <= 8, "{}", rig.github.asked().len());
}

#[tokio::test]
async fn the_token_is_in_no_output_no_error_and_no_log() {
    let (log, _logging) = Log::of(tracing::Level::TRACE);
    // A GitHub that says the token back, wherever it can.
    let mut item: Value = serde_json::from_str(README).unwrap();
    item["html_url"] = format!("https://github.com/?token={TOKEN}").into();
    item["content"] = "".into();
    item["encoding"] = "none".into();
    let blob = format!("/repos/tokio-rs/tokio/git/blobs/{}", item["sha"].as_str().unwrap());
    let error =
        json!({ "message": format!("no {TOKEN}"), "errors": [{ "message": format!("not {TOKEN}") }] }).to_string();
    let github = GitHub::start()
        .await
        .having(PATH, [Answer::new(200, item.to_string())])
        .having(&blob, [Answer::new(200, format!("key = {TOKEN}\n"))])
        .having(SEARCH_PATH, [Answer::new(422, error)]);
    let server = GithubServer::new(settings(&github).with_token(TOKEN).unwrap()).unwrap();
    assert!(!format!("{server:?} {:?}", settings(&github).with_token(TOKEN).unwrap()).contains(TOKEN));
    let transport = InProcess::new(move || server.clone()).connect(&CallContext::within(LONG)).await.unwrap();
    let read = super::call(&*transport, "get_file_contents", file("README.md", &json!({}))).await;
    let refused = super::call(&*transport, "search_repositories", json!({ "query": "x" })).await;
    assert!(github.asked().iter().all(|asked| asked.headers["authorization"] == format!("Bearer {TOKEN}")));
    let told = format!("{read:?} {refused:?}");
    assert!(!told.contains(TOKEN) && told.contains("key = [redacted]") && told.contains("not [redacted]"), "{told}");
    let logged = log.take();
    assert!(logged.contains("a tool was called") && !logged.contains(TOKEN), "{logged}");
}
