//! The official Python SDK takes the stand-in for Slack, over sockets and over HTTP.

use std::{path::Path, process::Stdio, time::Duration};

use omni_tests::{
    parts::{Parts, free_port},
    slack::{Goodbye, Slack, Submitted},
};
use serde_json::json;
use tokio::process::{Child, Command};

const ANN: &str = "U0ANN";
const OPS: &str = "C0OPS";

/// A workspace with people in it, and the SDK's app started against it.
async fn workspace(mode: &str) -> (Slack, Child) {
    let slack = Slack::start().await;
    slack.stops_the_clock();
    slack.user(ANN, "ann@acme.test");
    slack.channel(OPS, "ops");
    let port = free_port();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/slack_app.py");
    let mut python = Command::new(Parts::find().python());
    python
        .arg(script)
        .args([mode, &slack.api_url(), &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    python.env("SLACK_BOT_TOKEN", slack.bot_token()).env("SLACK_APP_TOKEN", slack.app_token());
    python.env("SLACK_SIGNING_SECRET", slack.signing_secret());
    let app = python.spawn().expect("python starts");
    if mode == "http" {
        let url = format!("http://127.0.0.1:{port}/slack/events");
        let mut verified = slack.posts_to(&url).await;
        for _ in 0..300 {
            if verified.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            verified = slack.posts_to(&url).await;
        }
        assert_eq!(verified, Ok(()));
    } else {
        slack.connected(1).await;
    }
    (slack, app)
}

/// Mention, stream, thread, buttons, modal, menu, home, file, shortcut: with nothing refused and nothing late.
async fn everything_works(slack: &Slack) {
    let post = slack.mentions(ANN, OPS, "hello").await;
    let answer = slack.answer(&post).await;
    assert_eq!(answer.text, "You said **hello**");
    assert_eq!(answer.stream.as_ref().unwrap().tasks["t1"].output.as_deref(), Some("3 rows"));
    slack.until("the reaction", |world| (world.reactions(OPS, &post.ts) == ["eyes"]).then_some(())).await;

    let reply = slack.replies(ANN, OPS, &post.ts, "and now?").await;
    slack.answer_saying(&reply, "ann@acme.test said and now? after 2").await;
    let direct = slack.dms(ANN, "hi").await;
    slack.answer_saying(&direct, "ann@acme.test said hi after 0").await;

    slack.clicks(ANN, &answer, "ask").await.acked().await.expect("clicks are acked");
    let modal = slack.modal(ANN, "Your question").await;
    let short = slack.submits(&modal, json!({ "typed": "x" })).await;
    assert_eq!(short, Submitted::Errors([("words".into(), "Say more".into())].into()));
    assert_eq!(slack.submits(&modal, json!({ "typed": "how much?" })).await, Submitted::Closed);
    slack.until("the post", |world| world.messages(OPS).into_iter().find(|m| m.says("Asked: how much?"))).await;
    slack.clicks_value(ANN, &answer, "feedback", "bad").await;
    slack.whisper(ANN, "Noted: bad").await;
    slack.clicks(ANN, &answer, "run").await;
    slack
        .until("the replacement", |world| {
            world.messages(OPS).into_iter().find(|m| m.ts == answer.ts && m.says("Ran run-42"))
        })
        .await;

    slack.slash(ANN, OPS, "/omni-help", "").await;
    let menu = slack.whisper(ANN, "Servers").await;
    slack.selects(ANN, &menu, "server", "git").await;
    let changed = slack.whisper(ANN, "Tools of git").await;
    assert_eq!(changed.ts, menu.ts, "the menu stays where it is");

    slack.shortcut(ANN, "omni_ask_message", &slack.messages(OPS)[0]).await;
    slack.whisper(ANN, "About: <@U0OMNI> hello").await;
    slack.opens_home(ANN).await;
    slack.home_saying(ANN, "Welcome").await;
    slack.dms(ANN, "csv").await;
    let file = slack.until("the file", |world| world.files().pop()).await;
    assert_eq!((file.name.as_str(), file.content.as_slice()), ("a.csv", &b"a,b\n1,2\n"[..]));

    slack.stops(ANN, OPS, &post.ts).await;
    slack.until("the status", |world| (world.statuses(OPS, &post.ts) == ["active"]).then_some(())).await;
    slack.settled().await;
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test]
async fn the_official_sdk_talks_to_the_stand_in_over_sockets() {
    let (slack, _app) = workspace("socket").await;
    everything_works(&slack).await;
    assert!(slack.acks().len() > 20, "{:?}", slack.acks());
}

#[tokio::test]
async fn the_official_sdk_takes_the_stand_ins_signed_posts() {
    let (slack, _app) = workspace("http").await;
    everything_works(&slack).await;
}

#[tokio::test]
async fn the_official_sdk_comes_back_after_a_goodbye_and_after_a_cut() {
    let (slack, _app) = workspace("socket").await;
    slack.disconnects(Goodbye::RefreshRequested).await;
    let post = slack.mentions(ANN, OPS, "after a goodbye").await;
    assert_eq!(slack.answer(&post).await.text, "You said **after a goodbye**");
    slack.settled().await;
    slack.drop_connection();
    let post = slack.mentions(ANN, OPS, "after a cut").await;
    assert_eq!(slack.answer(&post).await.text, "You said **after a cut**");
    assert!(slack.calls("apps.connections.open").len() >= 3);
    assert_eq!(slack.violations(), [""; 0]);
}
