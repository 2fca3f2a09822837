//! Child processes that misbehave.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use omni_core::{
    mcp::{ServerOptions, stdio::StdioServer},
    policy::PatternSet,
};
use omni_tests::{
    chaos::{
        child::Child,
        stand::{LONG, Stand, options},
    },
    parts::{Parts, base_env},
    rig::until,
};
use serde_json::{Value, json};

use crate::mcp_stdio::signal;

/// Long enough for a server that answers, as things are on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

cases! {
    kill_9_of_an_idle_child,
    kill_9_of_a_child_in_a_call,
    kill_9_in_a_call_that_may_be_repeated,
    kill_9_of_a_child_at_connect,
    kill_9_of_a_child_whose_own_child_goes_on,
    end_of_a_child_in_the_middle_of_many_calls,
    child_that_exits_at_once,
    child_that_ignores_signals,
    program_that_is_not_there_yet,
    hang_at_initialize,
    hang_at_list,
    hang_at_call,
    asker_of_a_child_that_goes_away,
    malformed_frame_in_place_of_an_answer,
    answer_with_another_id,
    answer_that_comes_twice,
    answers_that_nobody_asked_for,
    garbage_before_the_first_word,
    hundred_megabytes_in_one_line,
    list_without_end,
    complaints_without_end,
    changes_without_end,
    tools_that_change,
    restart_of_a_child_with_other_tools,
}

fn is_there(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // What was killed and not waited for is no process any more.
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// A stand whose child has answered once.
async fn well(name: &'static str, child: &Child, options: ServerOptions) -> Stand {
    let mut stand = Stand::new(name, child.connector(), options).await;
    stand.call().await;
    stand
}

async fn kill_9_of_an_idle_child(name: &'static str) {
    let child = Child::new();
    let mut stand = well(name, &child, options()).await;
    signal("-9", child.pid());
    until(|| child.pids().len() == 2).await;
    stand.call().await;
    stand.end().await;
}

async fn kill_9_of_a_child_in_a_call(name: &'static str) {
    let child = Child::that(json!({ "call": "die", "once": true }));
    let mut stand = Stand::new(name, child.connector(), options()).await;
    stand.call().await;
    stand.call().await;
    assert_eq!(child.count("tools/call"), 2, "what may have been done is not sent again");
    stand.end().await;
}

async fn kill_9_in_a_call_that_may_be_repeated(name: &'static str) {
    let child = Child::that(json!({ "call": "die", "once": true }));
    let mut trusting = options();
    trusting.retry_safe = PatternSet::new(&["t"]).unwrap();
    let mut stand = Stand::new(name, child.connector(), trusting).await;
    stand.call().await;
    assert_eq!(child.count("tools/call"), 2);
    stand.end().await;
}

async fn kill_9_of_a_child_at_connect(name: &'static str) {
    let child = Child::that(json!({ "initialize": "die", "once": true }));
    let mut stand = Stand::new(name, child.connector(), options()).await;
    stand.call().await;
    stand.call().await;
    stand.end().await;
}

async fn kill_9_of_a_child_whose_own_child_goes_on(name: &'static str) {
    let child = Child::that(json!({ "start": "grandchild" }));
    let mut stand = well(name, &child, options()).await;
    let grandchild = child.grandchild();
    assert!(is_there(grandchild));
    signal("-9", child.pid());
    // It holds the pipes of the one that was killed open.
    until(|| child.pids().len() == 2 && !is_there(grandchild)).await;
    stand.call().await;
    let last = child.grandchild();
    stand.end().await;
    until(|| !is_there(last)).await;
}

async fn end_of_a_child_in_the_middle_of_many_calls(name: &'static str) {
    let child = Child::new();
    let mut wide = options();
    wide.max_concurrent = 32;
    let mut stand = well(name, &child, wide).await;
    child.behave(json!({ "call": "hang" }));
    let kill = async {
        until(|| child.count("tools/call") == 21).await;
        child.behave(json!({}));
        signal("-9", child.pid());
    };
    tokio::join!(stand.call_at_once(20), kill);
    // That is one failure, and not twenty.
    stand.call().await;
    stand.end().await;
}

async fn child_that_exits_at_once(name: &'static str) {
    let child = Child::that(json!({ "start": "exit", "once": true }));
    let mut stand = Stand::new(name, child.connector(), options()).await;
    stand.call().await;
    stand.call().await;
    stand.end().await;
}

async fn child_that_ignores_signals(name: &'static str) {
    let child = Child::that(json!({ "start": "stubborn" }));
    let stand = well(name, &child, options()).await;
    stand.end().await;
    assert_eq!(child.count("SIGTERM"), 1, "it was asked first");
    until(|| !is_there(child.pid())).await;
}

async fn program_that_is_not_there_yet(name: &'static str) {
    let (child, dir) = (Child::new(), tempfile::TempDir::new().unwrap());
    let program = dir.path().join("server");
    let server = StdioServer::new(program.display().to_string()).with_base_env(base_env());
    let mut stand = Stand::new(name, Arc::new(server), options()).await;
    stand.call().await;
    install(&program, &child);
    stand.until_well().await;
    stand.call().await;
    stand.end().await;
}

fn install(program: &Path, child: &Child) {
    let [script, dir] = child.args();
    fs::write(program, format!("#!/bin/sh\nexec '{}' '{script}' '{dir}'\n", Parts::find().node())).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

async fn hang_at_initialize(name: &'static str) {
    hang_before_calls(name, json!({ "initialize": "hang" })).await;
}

async fn hang_at_list(name: &'static str) {
    hang_before_calls(name, json!({ "list": "hang" })).await;
}

async fn hang_before_calls(name: &'static str, orders: Value) {
    let child = Child::that(orders);
    let mut short = options();
    short.connect_timeout = Duration::from_secs(4);
    let mut stand = Stand::new(name, child.connector(), short).await;
    stand.call().await;
    child.behave(json!({}));
    stand.until_well().await;
    stand.call().await;
    stand.end().await;
}

async fn hang_at_call(name: &'static str) {
    let child = Child::new();
    let mut stand = well(name, &child, options()).await;
    child.behave(json!({ "call": "hang", "once": true }));
    stand.call_within(SHORT).await;
    until(|| child.count("notifications/cancelled") == 1).await;
    stand.call().await;
    assert_eq!(child.pids().len(), 1, "it answers, so it is not started again");
    stand.end().await;
}

async fn asker_of_a_child_that_goes_away(name: &'static str) {
    let child = Child::new();
    let mut stand = well(name, &child, options()).await;
    child.behave(json!({ "call": "hang", "once": true }));
    let asker = stand.begin(LONG);
    until(|| child.count("tools/call") == 2).await;
    asker.abort();
    stand.saw("nothing");
    until(|| child.count("notifications/cancelled") == 1).await;
    stand.call().await;
    stand.end().await;
}

/// A call that is answered with something that is no answer, once.
async fn no_answer(name: &'static str, call: &str) {
    let child = Child::new();
    let mut stand = well(name, &child, options()).await;
    child.behave(json!({ "call": call, "once": true }));
    stand.call_within(SHORT).await;
    stand.call().await;
    stand.end().await;
}

async fn malformed_frame_in_place_of_an_answer(name: &'static str) {
    no_answer(name, "malformed").await;
}

async fn answer_with_another_id(name: &'static str) {
    no_answer(name, "wrong_id").await;
}

/// Calls that are answered, whatever else comes.
async fn answered(name: &'static str, orders: Value) -> Child {
    let child = Child::that(orders);
    let mut stand = well(name, &child, options()).await;
    stand.call().await;
    stand.end().await;
    child
}

async fn answer_that_comes_twice(name: &'static str) {
    answered(name, json!({ "call": "twice" })).await;
}

async fn answers_that_nobody_asked_for(name: &'static str) {
    answered(name, json!({ "call": "unsolicited" })).await;
}

async fn garbage_before_the_first_word(name: &'static str) {
    answered(name, json!({ "start": "garbage" })).await;
}

async fn complaints_without_end(name: &'static str) {
    answered(name, json!({ "start": "stderr" })).await;
}

async fn changes_without_end(name: &'static str) {
    let child = answered(name, json!({ "call": "changes" })).await;
    let lists = child.count("tools/list");
    assert!((1..=10).contains(&lists), "ten thousand changes, {lists} lists");
}

async fn list_without_end(name: &'static str) {
    let child = Child::that(json!({ "list": "endless" }));
    let stand = well(name, &child, options()).await;
    let known = stand.tools().len();
    assert!((1..=10_000).contains(&known), "{known}");
    stand.end().await;
}

async fn hundred_megabytes_in_one_line(name: &'static str) {
    let child = Child::that(json!({ "call": "huge", "once": true }));
    let mut stand = Stand::new(name, child.connector(), options()).await;
    stand.call().await;
    stand.call().await;
    stand.end().await;
}

async fn tools_that_change(name: &'static str) {
    let child = Child::new();
    let mut stand = well(name, &child, options()).await;
    child.behave(json!({ "tools": ["t", "u"] }));
    child.announce();
    stand.until_tools(&["t", "u"]).await;
    assert_eq!(child.pids().len(), 1);
    stand.call().await;
    stand.end().await;
}

async fn restart_of_a_child_with_other_tools(name: &'static str) {
    let child = Child::new();
    let mut stand = well(name, &child, options()).await;
    child.behave(json!({ "tools": ["t", "u"] }));
    signal("-9", child.pid());
    stand.until_tools(&["t", "u"]).await;
    stand.call().await;
    stand.end().await;
}
