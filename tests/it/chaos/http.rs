//! Servers over streamable HTTP that misbehave.

use std::time::Duration;

use omni_core::{mcp::ServerOptions, policy::PatternSet};
use omni_tests::{
    chaos::{
        http::{Fault, Faulty},
        stand::{LONG, Stand, options},
    },
    rig::until,
};

/// Long enough for a server that answers, as things are on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

cases! {
    slow_drip,
    half_open_answer,
    half_open_stream_of_changes,
    stream_of_changes_that_breaks_off,
    hang_over_http,
    asker_over_http_that_goes_away,
    reset_before_headers,
    reset_after_headers,
    event_that_is_cut_off,
    hundred_megabytes_in_one_answer,
    answer_to_another_request,
    answer_that_is_no_json,
    session_that_is_forgotten,
    session_that_is_forgotten_where_a_call_may_be_repeated,
    session_that_is_forgotten_while_nobody_asks,
    restart_with_other_tools,
    connection_refused_and_then_back,
}

/// A stand whose server has answered once.
async fn well(name: &'static str, server: &Faulty, options: ServerOptions) -> Stand {
    let mut stand = Stand::new(name, server.connector(), options).await;
    stand.call().await;
    stand
}

/// A call that goes wrong once.
async fn once(name: &'static str, fault: Fault, within: Duration) -> Faulty {
    let server = Faulty::start().await;
    let mut stand = well(name, &server, options()).await;
    server.behave("tools/call", fault, 1);
    stand.call_within(within).await;
    stand.call().await;
    stand.end().await;
    assert_eq!(server.count("tools/call"), 3, "what may have been done is not sent again");
    server
}

async fn slow_drip(name: &'static str) {
    once(name, Fault::Drip, SHORT).await;
}

async fn half_open_answer(name: &'static str) {
    once(name, Fault::HalfOpen, SHORT).await;
}

async fn hang_over_http(name: &'static str) {
    let server = once(name, Fault::Hang, SHORT).await;
    assert_eq!(server.count("notifications/cancelled"), 1);
}

async fn reset_before_headers(name: &'static str) {
    once(name, Fault::ResetBeforeHeaders, LONG).await;
}

async fn reset_after_headers(name: &'static str) {
    once(name, Fault::ResetAfterHeaders, LONG).await;
}

async fn event_that_is_cut_off(name: &'static str) {
    once(name, Fault::TruncatedEvent, LONG).await;
}

async fn hundred_megabytes_in_one_answer(name: &'static str) {
    once(name, Fault::Big, LONG).await;
}

async fn answer_to_another_request(name: &'static str) {
    once(name, Fault::WrongId, LONG).await;
}

async fn answer_that_is_no_json(name: &'static str) {
    once(name, Fault::Malformed, LONG).await;
}

async fn half_open_stream_of_changes(name: &'static str) {
    let server = Faulty::start().await;
    server.behave("GET", Fault::HalfOpen, usize::MAX);
    let mut refreshed = options();
    refreshed.refresh = Some(Duration::from_secs(1));
    let mut stand = well(name, &server, refreshed).await;
    until(|| server.count("GET") > 0).await;
    server.offer(&["t", "u"]);
    server.announce();
    stand.until_tools(&["t", "u"]).await;
    stand.call().await;
    stand.end().await;
}

async fn stream_of_changes_that_breaks_off(name: &'static str) {
    let server = Faulty::start().await;
    let mut stand = well(name, &server, options()).await;
    until(|| server.count("GET") == 1).await;
    server.behave("GET", Fault::Status(503), 1);
    server.offer(&["t", "u"]);
    server.break_off();
    stand.until_tools(&["t", "u"]).await;
    assert_eq!(server.count("GET"), 3, "what changed meanwhile is asked for once there is a stream again");
    server.offer(&["t", "u", "v"]);
    server.announce();
    stand.until_tools(&["t", "u", "v"]).await;
    stand.call().await;
    stand.end().await;
}

async fn asker_over_http_that_goes_away(name: &'static str) {
    let server = Faulty::start().await;
    let mut stand = well(name, &server, options()).await;
    server.behave("tools/call", Fault::Hang, 1);
    let asker = stand.begin(LONG);
    until(|| server.count("tools/call") == 2).await;
    asker.abort();
    stand.saw("nothing");
    until(|| server.count("notifications/cancelled") == 1).await;
    stand.call().await;
    stand.end().await;
}

async fn session_that_is_forgotten(name: &'static str) {
    let server = Faulty::start().await;
    let mut stand = well(name, &server, options()).await;
    server.forget_sessions();
    stand.call().await;
    stand.call().await;
    assert_eq!((server.count("initialize"), server.count("tools/call")), (2, 3));
    stand.end().await;
}

async fn session_that_is_forgotten_where_a_call_may_be_repeated(name: &'static str) {
    let server = Faulty::start().await;
    let mut trusting = options();
    trusting.retry_safe = PatternSet::new(&["t"]).unwrap();
    let mut stand = well(name, &server, trusting).await;
    server.forget_sessions();
    stand.call().await;
    stand.end().await;
}

async fn session_that_is_forgotten_while_nobody_asks(name: &'static str) {
    let server = Faulty::start().await;
    let mut watchful = options();
    watchful.keep_alive = Some(Duration::from_millis(200));
    let mut stand = well(name, &server, watchful).await;
    server.forget_sessions();
    until(|| server.count("initialize") == 2).await;
    stand.until_well().await;
    stand.call().await;
    stand.end().await;
}

async fn restart_with_other_tools(name: &'static str) {
    let server = Faulty::start().await;
    let mut watchful = options();
    watchful.keep_alive = Some(Duration::from_millis(200));
    let mut stand = well(name, &server, watchful).await;
    server.stop().await;
    server.offer(&["t", "u"]);
    server.restart().await;
    stand.until_tools(&["t", "u"]).await;
    stand.until_well().await;
    stand.call().await;
    stand.end().await;
}

async fn connection_refused_and_then_back(name: &'static str) {
    let server = Faulty::start().await;
    let mut stand = well(name, &server, options()).await;
    server.stop().await;
    stand.call().await;
    server.restart().await;
    stand.until_well().await;
    stand.call().await;
    stand.end().await;
}
