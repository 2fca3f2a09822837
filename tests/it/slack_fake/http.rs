//! Delivery by signed posts.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use omni_tests::slack::Slack;
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::bot::{ANN, OPS, button, buttons, workspace};

/// A request to the app.
#[derive(Debug, Clone)]
struct Seen {
    headers: HeaderMap,
    body: String,
}

type Answers = dyn Fn(usize, &Seen) -> Response + Send + Sync;

/// The app's address, and what came to it. The challenge is answered; all else as told, by the number of requests
/// before it.
async fn app(answers: impl Fn(usize, &Seen) -> Response + Send + Sync + 'static) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let (kept, answers): (_, Arc<Answers>) = (seen.clone(), Arc::new(answers));
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        let request = Seen { headers, body: String::from_utf8(body.to_vec()).unwrap() };
        let json: Value = serde_json::from_str(&request.body).unwrap_or_default();
        if json["type"] == "url_verification" {
            return json["challenge"].as_str().unwrap().to_owned().into_response();
        }
        let before = kept.lock().unwrap().len();
        kept.lock().unwrap().push(request.clone());
        answers(before, &request)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/slack", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/slack", post(answer))).await });
    (url, seen)
}

fn is_signed(slack: &Slack, seen: &Seen) -> bool {
    let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
    let base = format!("v0:{}:{}", header("x-slack-request-timestamp"), seen.body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, slack.signing_secret().as_bytes());
    let hex: String = hmac::sign(&key, base.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    header("x-slack-signature") == format!("v0={hex}")
}

#[tokio::test]
async fn an_address_must_answer_the_challenge() {
    let (slack, _) = workspace().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deaf = format!("http://{}/slack", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new()).await });
    let refused = slack.posts_to(&deaf).await.unwrap_err();
    assert_eq!(refused, "the address answered 404 and not the challenge");
}

#[tokio::test]
async fn everything_is_signed_and_each_kind_has_its_form() {
    let (slack, bot) = workspace().await;
    let (url, seen) = app(|_, _| "".into_response()).await;
    slack.posts_to(&url).await.unwrap();
    slack.dms(ANN, "hi").await;
    slack.settled().await;
    slack.slash(ANN, OPS, "/omni", "a b").await.acked().await.unwrap();
    bot.does("chat.postMessage", json!({ "channel": OPS, "text": "t", "blocks": [buttons(&[button("go")])] })).await;
    slack.settled().await;
    slack.clicks(ANN, &slack.messages(OPS)[0], "go").await.acked().await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(seen.iter().all(|request| is_signed(&slack, request)));
    let event: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!(event["event"]["text"], "hi");
    assert!(seen[1].body.contains("command=%2Fomni") && seen[1].body.contains("text=a+b"), "{}", seen[1].body);
    assert!(seen[3].body.starts_with("payload=%7B"), "{}", seen[3].body);
    assert!(seen.iter().all(|request| request.headers.get("x-slack-retry-num").is_none()));
    assert_eq!(slack.violations(), [""; 0]);
}

#[tokio::test]
async fn an_event_that_is_not_taken_comes_again_and_says_so() {
    let (slack, _) = workspace().await;
    let failing = |before, _: &Seen| if before == 0 { StatusCode::BAD_GATEWAY } else { StatusCode::OK }.into_response();
    let (url, seen) = app(failing).await;
    slack.posts_to(&url).await.unwrap();
    slack.dms(ANN, "hi").await;
    slack.settled().await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (&seen[1].headers["x-slack-retry-num"], &seen[1].headers["x-slack-retry-reason"]),
        (&"1".parse().unwrap(), &"http_error".parse().unwrap())
    );
    assert_eq!((seen[0].body.as_str(), slack.acks()[0].attempt), (seen[1].body.as_str(), 1));
}

#[tokio::test]
async fn an_app_can_say_that_it_wants_no_more_tries() {
    let (slack, _) = workspace().await;
    let (url, seen) = app(|_, _| (StatusCode::BAD_GATEWAY, [("x-slack-no-retry", "1")]).into_response()).await;
    slack.posts_to(&url).await.unwrap();
    slack.dms(ANN, "hi").await;
    slack.settled().await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_answer_to_a_command_is_a_message() {
    let (slack, _) = workspace().await;
    let (url, _) =
        app(
            |before, _| {
                if before == 0 {
                    "plain".into_response()
                } else {
                    axum::Json(json!({ "text": "json" })).into_response()
                }
            },
        )
        .await;
    slack.posts_to(&url).await.unwrap();
    for words in ["plain", "json"] {
        slack.slash(ANN, OPS, "/omni", "").await;
        slack.whisper(ANN, words).await;
    }
}
