//! The contract of stores of results.

#![allow(clippy::expect_used, reason = "this is test code")]

use std::time::Duration;

use serde_json::{json, value::RawValue};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    ask::Source,
    results::{KeptCall, KeptResult, MAX_KEPT, MAX_KEPT_BYTES, Owner, ResultFilter, ResultStore},
};

/// Longer than any of these tests.
const LONG: Duration = Duration::from_secs(3_600);
/// More than the finest clock of a database.
const TICK: Duration = Duration::from_millis(5);

/// Checks a store of results.
///
/// # Panics
/// Where the contract is broken.
pub async fn result_store_contract(store: &dyn ResultStore) {
    what_is_read_is_what_was_kept(store).await;
    nobody_finds_what_is_somebody_elses(store).await;
    a_list_is_the_newest_first_and_can_be_of_one_conversation(store).await;
    what_was_forgotten_is_unknown(store).await;
    what_is_over_is_unknown_before_it_is_swept(store).await;
    of_one_person_the_newest_are_kept(store).await;
    of_one_person_no_more_bytes_are_kept_than_there_is_room_for(store).await;
    a_name_is_taken_once(store).await;
}

/// Checks that two stores over the same backend, each with connections of its own, are one. Of a store that is for one
/// process alone there is nothing to check.
///
/// # Panics
/// Where the contract is broken.
pub async fn shared_result_store_contract(one: &dyn ResultStore, other: &dyn ResultStore) {
    let ada = person();
    let kept = result(&ada, "shared");
    keep(one, &kept).await;
    assert_eq!(texts(other, &ada).await, ["shared"], "what one instance kept, another finds");
    assert_eq!(other.forget(owner(&ada), &ResultFilter::default()).await.expect("it can be forgotten"), 1);
    assert!(texts(one, &ada).await.is_empty());
}

/// Somebody whom nobody else knows.
fn person() -> String {
    Uuid::new_v4().simple().to_string()
}

fn owner(subject: &str) -> Owner<'_> {
    Owner::new("default", subject)
}

fn result(subject: &str, text: &str) -> KeptResult {
    let arguments = RawValue::from_string(r#"{ "b":1, "a" : 1.0 }"#.into()).expect("it is JSON");
    KeptResult::new(KeptCall::new(owner(subject), "lab", "echo", arguments), text, None)
}

async fn keep(store: &dyn ResultStore, result: &KeptResult) {
    store.keep(result, LONG).await.expect("a result can be kept");
}

async fn read(store: &dyn ResultStore, subject: &str, id: &str) -> Option<KeptResult> {
    store.read(owner(subject), id).await.expect("a result can be read")
}

async fn list(store: &dyn ResultStore, subject: &str, filter: &ResultFilter) -> Vec<KeptCall> {
    store.list(owner(subject), filter).await.expect("results can be listed")
}

async fn texts(store: &dyn ResultStore, subject: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for call in list(store, subject, &ResultFilter::default()).await {
        texts.extend(read(store, subject, &call.id).await.map(|kept| kept.text));
    }
    texts
}

async fn what_is_read_is_what_was_kept(store: &dyn ResultStore) {
    let ada = person();
    let mut kept = result(&ada, "");
    kept.call.source = Source::Http;
    (kept.call.request_id, kept.call.thread) = (Uuid::now_v7(), Some("a thread".into()));
    (kept.call.is_destructive, kept.call.is_whole, kept.call.is_cut) = (true, false, true);
    (kept.call.rules, kept.call.channel) = ("rules".into(), Some("a\nchannel".into()));
    let structured = json!({ "rows": [{ "n": 1, "text": "é\u{0}🦀" }] });
    let kept = KeptResult::new(kept.call, "a\0b\u{fffd} 'é' \"🦀\" \\u0000", Some(structured));
    keep(store, &kept).await;
    let found = read(store, &ada, &kept.call.id).await.expect("it is there");
    assert_eq!((&found.text, &found.structured), (&kept.text, &kept.structured));
    let (found, kept) = (found.call, kept.call);
    assert_eq!(found.arguments.get(), kept.arguments.get(), "byte for byte");
    assert_eq!((&found.id, &found.server, &found.tool), (&kept.id, &kept.server, &kept.tool));
    assert_eq!((found.source, found.request_id, &found.thread), (kept.source, kept.request_id, &kept.thread));
    assert_eq!(found.channel, kept.channel);
    assert_eq!((found.is_destructive, found.is_whole, found.is_cut), (true, false, true));
    assert_eq!((&found.rules, found.bytes, found.owner()), (&kept.rules, kept.bytes, kept.owner()));
    assert_eq!((found.expires_at - found.created_at).num_seconds(), 3_600);
    let listed = list(store, &ada, &ResultFilter::default()).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].bytes, listed[0].arguments.get()), (kept.bytes, kept.arguments.get()));
}

async fn nobody_finds_what_is_somebody_elses(store: &dyn ResultStore) {
    let (ada, eve) = (person(), person());
    let kept = result(&ada, "hers");
    keep(store, &kept).await;
    assert!(read(store, &eve, &kept.call.id).await.is_none() && texts(store, &eve).await.is_empty());
    let elsewhere = Owner::new("another", &ada);
    assert!(store.read(elsewhere, &kept.call.id).await.expect("it can be asked").is_none(), "nor in another tenant");
    assert_eq!(store.forget(owner(&eve), &ResultFilter::default()).await.expect("it can be asked"), 0);
    assert_eq!(texts(store, &ada).await, ["hers"]);
}

async fn a_list_is_the_newest_first_and_can_be_of_one_conversation(store: &dyn ResultStore) {
    let ada = person();
    for (text, source, thread, channel) in [
        ("a", Source::Http, None, None),
        ("b", Source::Cli, Some("x"), Some("ada")),
        ("c", Source::Cli, Some("y"), Some("ada")),
        // As builds kept it that took down no channel.
        ("d", Source::Http, Some("x"), None),
        ("e", Source::Http, Some("x"), Some("C1")),
    ] {
        let mut kept = result(&ada, text);
        kept.call.source = source;
        (kept.call.thread, kept.call.channel) = (thread.map(str::to_owned), channel.map(str::to_owned));
        keep(store, &kept).await;
    }
    assert_eq!(texts(store, &ada).await, ["e", "d", "c", "b", "a"]);
    for (filter, many) in [
        (ResultFilter::at(Source::Cli), 2),
        (ResultFilter::at(Source::Cli).in_thread("x"), 1),
        (ResultFilter::default().in_thread("x"), 3),
        (ResultFilter::at(Source::Http).in_thread("x").in_channel("C1"), 2),
        (ResultFilter::at(Source::Http).in_thread("x").in_channel("ada"), 1),
        (ResultFilter::default().in_thread("z"), 0),
    ] {
        let found = list(store, &ada, &filter).await;
        assert!(found.len() == many && found.iter().all(|call| filter.takes(call)), "{filter:?}: {found:?}");
    }
}

async fn what_was_forgotten_is_unknown(store: &dyn ResultStore) {
    let ada = person();
    for (text, thread, channel) in [("a", Some("x"), Some("C1")), ("b", None, None), ("c", Some("x"), Some("C2"))] {
        let mut kept = result(&ada, text);
        (kept.call.thread, kept.call.channel) = (thread.map(str::to_owned), channel.map(str::to_owned));
        keep(store, &kept).await;
    }
    let of_x = ResultFilter::default().in_thread("x");
    assert_eq!(store.forget(owner(&ada), &of_x.clone().in_channel("C1")).await.expect("it can be forgotten"), 1);
    assert_eq!(texts(store, &ada).await, ["c", "b"]);
    assert_eq!(store.forget(owner(&ada), &of_x).await.expect("it can be forgotten"), 1);
    assert_eq!(texts(store, &ada).await, ["b"]);
}

async fn what_is_over_is_unknown_before_it_is_swept(store: &dyn ResultStore) {
    let ada = person();
    let kept = result(&ada, "short");
    store.keep(&kept, TICK).await.expect("a result can be kept");
    keep(store, &result(&ada, "long")).await;
    sleep(4 * TICK).await;
    assert!(read(store, &ada, &kept.call.id).await.is_none());
    assert_eq!(texts(store, &ada).await, ["long"]);
    while store.sweep().await.expect("a store can be swept") > 0 {}
    assert_eq!(texts(store, &ada).await, ["long"], "what is not over stays");
}

async fn of_one_person_the_newest_are_kept(store: &dyn ResultStore) {
    let (ada, eve) = (person(), person());
    keep(store, &result(&eve, "hers")).await;
    for n in 0..MAX_KEPT + 3 {
        keep(store, &result(&ada, &n.to_string())).await;
    }
    let kept = texts(store, &ada).await;
    assert_eq!((kept.len() as u64, kept.first(), kept.last()), (MAX_KEPT, Some(&"102".into()), Some(&"3".into())));
    assert_eq!(texts(store, &eve).await, ["hers"]);
}

async fn of_one_person_no_more_bytes_are_kept_than_there_is_room_for(store: &dyn ResultStore) {
    let ada = person();
    let quarter = "x".repeat(usize::try_from(MAX_KEPT_BYTES / 4).expect("it fits"));
    let mut ids = Vec::new();
    for _ in 0..5 {
        let kept = result(&ada, &quarter);
        keep(store, &kept).await;
        ids.push(kept.call.id);
    }
    let left: Vec<String> =
        list(store, &ada, &ResultFilter::default()).await.into_iter().rev().map(|call| call.id).collect();
    assert_eq!(left, ids[1..]);
}

async fn a_name_is_taken_once(store: &dyn ResultStore) {
    let ada = person();
    let kept = result(&ada, "first");
    keep(store, &kept).await;
    let again = KeptResult { text: "second".into(), ..kept };
    assert!(store.keep(&again, LONG).await.is_err());
    assert_eq!(texts(store, &ada).await, ["first"]);
}
