//! Servers that fail so often that calls are kept from them.

use std::time::Duration;

use omni_core::catalog::BreakerState;
use omni_tests::{
    chaos::{
        child::Child,
        http::{Fault, Faulty},
        stand::{Stand, options},
    },
    rig::until,
};
use serde_json::json;

cases! {
    storm_of_404,
    storm_of_429,
    storm_of_500,
    storm_of_503,
    storm_of_401,
    storm_of_413,
    storm_of_answers_of_hundred_megabytes,
    storm_of_failures_of_the_tool,
    child_that_dies_in_every_call,
    one_probe_at_a_time,
}

/// Three failures keep calls away, until the server shows that it works.
async fn storm(name: &'static str, status: u16) {
    let server = Faulty::start().await;
    let mut stand = Stand::new(name, server.connector(), options()).await;
    stand.call().await;
    server.behave("tools/call", Fault::Status(status), usize::MAX);
    for _ in 0..4 {
        stand.call().await;
    }
    assert_eq!(server.count("tools/call"), 4, "the last one was not sent");
    assert!(stand.tools().is_empty());
    server.heal();
    stand.until_well().await;
    stand.call().await;
    stand.end().await;
}

async fn storm_of_404(name: &'static str) {
    storm(name, 404).await;
}

async fn storm_of_429(name: &'static str) {
    storm(name, 429).await;
}

async fn storm_of_500(name: &'static str) {
    storm(name, 500).await;
}

async fn storm_of_503(name: &'static str) {
    storm(name, 503).await;
}

async fn storm_of_401(name: &'static str) {
    let server = Faulty::start().await;
    let mut stand = Stand::new(name, server.connector(), options()).await;
    stand.call().await;
    server.behave("tools/call", Fault::Status(401), usize::MAX);
    for _ in 0..5 {
        stand.call().await;
    }
    // Nothing is wrong with the connection.
    assert_eq!(stand.breaker(), BreakerState::Closed);
    server.heal();
    stand.call().await;
    stand.end().await;
}

/// Calls that fail because of their size, which takes nothing from whoever else uses the server.
async fn oversized(name: &'static str, fault: Fault) {
    let server = Faulty::start().await;
    let mut stand = Stand::new(name, server.connector(), options()).await;
    stand.call().await;
    server.behave("tools/call", fault, usize::MAX);
    for _ in 0..5 {
        stand.call().await;
    }
    assert_eq!((stand.breaker(), stand.tools()), (BreakerState::Closed, vec!["t".to_owned()]));
    server.heal();
    stand.call().await;
    stand.end().await;
    assert_eq!((server.count("initialize"), server.count("tools/call")), (1, 7));
}

async fn storm_of_413(name: &'static str) {
    oversized(name, Fault::Status(413)).await;
}

async fn storm_of_answers_of_hundred_megabytes(name: &'static str) {
    oversized(name, Fault::Big).await;
}

async fn storm_of_failures_of_the_tool(name: &'static str) {
    let child = Child::that(json!({ "call": "fails" }));
    let mut stand = Stand::new(name, child.connector(), options()).await;
    for _ in 0..5 {
        stand.call().await;
    }
    child.behave(json!({ "call": "refuses" }));
    for _ in 0..5 {
        stand.call().await;
    }
    assert_eq!(stand.breaker(), BreakerState::Closed);
    child.behave(json!({}));
    stand.call().await;
    stand.end().await;
}

async fn child_that_dies_in_every_call(name: &'static str) {
    let child = Child::that(json!({ "call": "die" }));
    let mut stand = Stand::new(name, child.connector(), options()).await;
    for _ in 0..4 {
        stand.call().await;
    }
    assert_eq!(child.count("tools/call"), 3, "the last one was not sent");
    child.behave(json!({}));
    stand.until_well().await;
    stand.call().await;
    stand.end().await;
}

async fn one_probe_at_a_time(name: &'static str) {
    let server = Faulty::start().await;
    let mut patient = options();
    patient.connect_timeout = Duration::from_secs(5);
    let mut stand = Stand::new(name, server.connector(), patient).await;
    stand.call().await;
    server.behave("tools/call", Fault::Status(500), 3);
    for _ in 0..3 {
        stand.call().await;
    }
    assert!(matches!(stand.breaker(), BreakerState::Open { .. }));
    server.behave("tools/list", Fault::Hang, 1);
    let lists = server.count("tools/list");
    until(|| server.count("tools/list") == lists + 1).await;
    // The one that finds out whether the server is back is under way.
    stand.call_at_once(10).await;
    assert_eq!((server.count("tools/list"), server.count("tools/call")), (lists + 1, 4));
    stand.until_well().await;
    stand.call().await;
    stand.end().await;
}
