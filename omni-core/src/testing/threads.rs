//! The contract of stores of conversations.

#![allow(clippy::expect_used, reason = "this is test code")]

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use serde_json::value::RawValue;
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    llm::{Block, Message},
    thread::{
        Append, Called, ChannelKey, KeptTurn, MAX_SUMMARY_BYTES, MAX_THREAD_BYTES, MAX_TURN_BYTES, MAX_TURNS, Most,
        Summary, ThreadEntry, ThreadKey, ThreadStore, Turn,
    },
};

/// More than the finest clock of a database.
const TICK: Duration = Duration::from_millis(5);

/// Checks a store of conversations.
///
/// # Panics
/// Where the contract is broken.
pub async fn thread_store_contract(store: &dyn ThreadStore) {
    what_is_read_is_what_was_kept(store).await;
    no_more_is_read_than_is_asked_for(store).await;
    conversations_do_not_mix(store).await;
    a_channel_lists_its_conversations_by_their_last_use(store).await;
    what_was_deleted_is_unknown(store).await;
    what_is_over_is_unknown_before_it_is_swept(store).await;
    a_sweep_removes_what_is_over_and_nothing_else(store).await;
    of_a_long_conversation_the_newest_turns_are_kept(store).await;
    of_a_large_conversation_the_newest_turns_are_kept(store).await;
    a_turn_that_is_too_long_is_refused(store).await;
    turns_that_come_at_once_all_stay(store, store).await;
    a_summary_that_is_read_is_the_one_that_was_kept(store).await;
    a_summary_is_of_turns_that_are_there_and_gives_way_to_none_that_tells_less(store).await;
    a_summary_goes_with_its_conversation(store).await;
    a_summary_that_is_too_long_is_refused(store).await;
}

/// Checks that two stores over the same backend, each with connections of its own, are one.
///
/// # Panics
/// Where the contract is broken.
pub async fn shared_thread_store_contract(one: &dyn ThreadStore, other: &dyn ThreadStore) {
    turns_that_come_at_once_all_stay(one, other).await;
    let key = channel().thread("shared");
    add(one, &key, "first").await;
    assert_eq!(add(other, &key, "second").await, 2, "what one instance kept, another goes on with");
    assert_eq!(said(one, &key).await, ["first", "second"]);
    let told = Summary::new("short", &read(one, &key, Most::ALL).await[0]);
    assert!(summarize(one, &key, &told).await);
    assert_eq!(summary(other, &key).await, Some(told), "and so is what stands for its turns");
    assert!(delete(other, &key).await && said(one, &key).await.is_empty());
    assert_eq!(summary(one, &key).await, None);
}

/// A channel that nobody else has.
fn channel() -> ChannelKey {
    ChannelKey::new("default", "embed", &Uuid::new_v4().simple().to_string())
}

fn turn(question: &str) -> Turn {
    Turn::new("ada@x.org", vec![Message::user(question), Message::assistant(vec![Block::text("Well.")])])
}

async fn append(store: &dyn ThreadStore, append: Append<'_>) -> u64 {
    store.append(append).await.expect("a turn can be kept")
}

async fn add(store: &dyn ThreadStore, key: &ThreadKey, question: &str) -> u64 {
    append(store, Append::new(key, &turn(question))).await
}

async fn read(store: &dyn ThreadStore, key: &ThreadKey, most: Most) -> Vec<KeptTurn> {
    store.history(key, most).await.expect("a conversation can be read")
}

async fn said(store: &dyn ThreadStore, key: &ThreadKey) -> Vec<String> {
    read(store, key, Most::ALL).await.iter().map(|kept| kept.turn.question().to_owned()).collect()
}

async fn list(store: &dyn ThreadStore, channel: &ChannelKey, limit: usize) -> Vec<ThreadEntry> {
    store.list(channel, limit).await.expect("conversations can be listed")
}

async fn delete(store: &dyn ThreadStore, key: &ThreadKey) -> bool {
    store.delete(key).await.expect("a conversation can be forgotten")
}

async fn summary(store: &dyn ThreadStore, key: &ThreadKey) -> Option<Summary> {
    store.summary(key).await.expect("a summary can be read")
}

async fn summarize(store: &dyn ThreadStore, key: &ThreadKey, summary: &Summary) -> bool {
    store.summarize(key, summary).await.expect("a summary can be kept")
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("it is JSON")
}

async fn what_is_read_is_what_was_kept(store: &dyn ThreadStore) {
    let key = channel().thread("exact");
    assert!(read(store, &key, Most::ALL).await.is_empty(), "nothing is invented");
    let mut odd = turn("a\0b\u{fffd} 'é' \"🦀\" \\u0000");
    odd.calls.push(Called::new("c1", "lab", "echo"));
    let thought = raw(r#"{ "type" : "thinking",  "signature":"x+/=\u0000" }"#);
    let blocks = vec![
        Block::Opaque { provider: "p".into(), model: "m".into(), raw: thought },
        Block::ToolUse { id: "c1".into(), name: "lab__echo".into(), input: raw(r#"{ "b":1, "a" : 1.0 }"#) },
    ];
    odd.messages.insert(1, Message::assistant(blocks));
    assert_eq!((add(store, &key, "first").await, append(store, Append::new(&key, &odd)).await), (1, 2));
    let kept = read(store, &key, Most::ALL).await;
    let numbers: Vec<u64> = kept.iter().map(|kept| kept.number).collect();
    assert_eq!(numbers, [1, 2], "oldest first");
    let text = odd.encode().expect("it is not long");
    assert_eq!(kept[1].turn.encode().expect("it is not long"), text, "byte for byte");
    assert_eq!((kept[0].begins, kept[1].begins, kept[1].bytes), (0, kept[0].bytes, text.len() as u64));
}

async fn no_more_is_read_than_is_asked_for(store: &dyn ThreadStore) {
    let key = channel().thread("bounded");
    for question in ["a", "b", "c", "d"] {
        add(store, &key, question).await;
    }
    let size = read(store, &key, Most::ALL).await[0].bytes;
    for (turns, bytes, expected) in [
        (2, 10 * size, vec![3, 4]),
        (9, 3 * size, vec![2, 3, 4]),
        (9, 2 * size - 1, vec![4]),
        (0, 10 * size, vec![]),
        (9, 0, vec![]),
    ] {
        let numbers: Vec<u64> =
            read(store, &key, Most::new(turns, bytes)).await.iter().map(|kept| kept.number).collect();
        assert_eq!(numbers, expected, "of {turns} turns and {bytes} bytes");
    }
}

async fn conversations_do_not_mix(store: &dyn ThreadStore) {
    let id = Uuid::new_v4().simple().to_string();
    let keys = [
        ThreadKey::new(&id, "http", "c", "t"),
        ThreadKey::new(&format!("{id}2"), "http", "c", "t"),
        ThreadKey::new(&id, "cli", "c", "t"),
        ThreadKey::new(&id, "http", "", "ct"),
        ThreadKey::new(&id, "http", "ct", ""),
        ThreadKey::new(&id, "http", "C", "t"),
    ];
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(add(store, key, &n.to_string()).await, 1);
    }
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(said(store, key).await, [n.to_string()]);
    }
}

async fn a_channel_lists_its_conversations_by_their_last_use(store: &dyn ThreadStore) {
    let channel = channel();
    for thread in ["one", "two", "one"] {
        add(store, &channel.thread(thread), &format!("  What of\n{thread}?")).await;
        sleep(TICK).await;
    }
    let listed = list(store, &channel, 10).await;
    let shown: Vec<_> = listed.iter().map(|entry| (&*entry.key.thread, entry.turns, &*entry.title)).collect();
    assert_eq!(shown, [("one", 2, "What of one?"), ("two", 1, "What of two?")]);
    assert!(listed.iter().all(|entry| channel.has(&entry.key) && entry.created_at <= entry.used_at));
    assert!(listed.iter().all(|entry| entry.used_at < entry.expires_at));
    assert_eq!(list(store, &channel, 1).await, listed[..1]);
    assert!(list(store, &ChannelKey::new("default", "embed", "nobody's"), 10).await.is_empty());
}

async fn what_was_deleted_is_unknown(store: &dyn ThreadStore) {
    let channel = channel();
    let key = channel.thread("gone");
    assert!(!delete(store, &key).await, "there was none");
    add(store, &key, "first").await;
    add(store, &channel.thread("other"), "stays").await;
    assert!(delete(store, &key).await && !delete(store, &key).await);
    assert!(said(store, &key).await.is_empty());
    assert_eq!(list(store, &channel, 10).await.len(), 1);
    assert_eq!(add(store, &key, "anew").await, 1, "another one begins under its name");
    assert_eq!(said(store, &key).await, ["anew"]);
}

async fn what_is_over_is_unknown_before_it_is_swept(store: &dyn ThreadStore) {
    let channel = channel();
    let key = channel.thread("over");
    append(store, Append::new(&key, &turn("old"))).await;
    append(store, Append::new(&key, &turn("older")).keeping(Duration::ZERO)).await;
    assert!(said(store, &key).await.is_empty() && list(store, &channel, 10).await.is_empty());
    assert!(!delete(store, &key).await, "there is nothing to be forgotten");
    append(store, Append::new(&key, &turn("old")).keeping(Duration::ZERO)).await;
    assert_eq!(add(store, &key, "new").await, 1);
    assert_eq!(said(store, &key).await, ["new"]);
    let listed = list(store, &channel, 10).await;
    assert_eq!((listed.len(), &*listed[0].title), (1, "new"));
}

async fn a_sweep_removes_what_is_over_and_nothing_else(store: &dyn ThreadStore) {
    let channel = channel();
    let (over, stays) = (channel.thread("over"), channel.thread("stays"));
    append(store, Append::new(&over, &turn("old")).keeping(Duration::ZERO)).await;
    add(store, &stays, "here").await;
    // Others may use this store, and sweep it.
    let mut removed = 0;
    loop {
        match store.sweep().await.expect("it can be swept") {
            0 => break,
            some => removed += some,
        }
    }
    assert!(removed > 0 || said(store, &over).await.is_empty());
    assert_eq!(said(store, &stays).await, ["here"]);
}

async fn of_a_long_conversation_the_newest_turns_are_kept(store: &dyn ThreadStore) {
    let key = channel().thread("long");
    for n in 1..=MAX_TURNS + 3 {
        assert_eq!(add(store, &key, &n.to_string()).await, n);
    }
    let kept = read(store, &key, Most::new(u64::MAX >> 1, u64::MAX >> 1)).await;
    assert_eq!((kept.len() as u64, kept[0].number), (MAX_TURNS, 4));
    assert_eq!(kept[0].turn.question(), "4");
    assert!(
        kept.windows(2)
            .all(|pair| pair[0].number + 1 == pair[1].number && pair[0].begins + pair[0].bytes == pair[1].begins)
    );
}

async fn of_a_large_conversation_the_newest_turns_are_kept(store: &dyn ThreadStore) {
    let key = channel().thread("large");
    let large = turn(&"x".repeat(MAX_TURN_BYTES - 1_000));
    let count = MAX_THREAD_BYTES / MAX_TURN_BYTES as u64 + 5;
    for _ in 0..count {
        append(store, Append::new(&key, &large)).await;
    }
    let kept = read(store, &key, Most::ALL).await;
    assert!(kept.iter().map(|kept| kept.bytes).sum::<u64>() <= MAX_THREAD_BYTES);
    assert!((count - 6..count).contains(&(kept.len() as u64)) && kept.last().is_some_and(|kept| kept.number == count));
}

async fn a_turn_that_is_too_long_is_refused(store: &dyn ThreadStore) {
    let key = channel().thread("huge");
    let huge = turn(&"x".repeat(MAX_TURN_BYTES));
    assert!(store.append(Append::new(&key, &huge)).await.is_err());
    assert!(said(store, &key).await.is_empty());
}

async fn turns_that_come_at_once_all_stay(one: &dyn ThreadStore, other: &dyn ThreadStore) {
    const EACH: usize = 20;
    let key = channel().thread("at once");
    let questions: Vec<String> = (0..2 * EACH).map(|n| n.to_string()).collect();
    let stores = [one, other];
    let adding = questions.iter().enumerate().map(|(n, question)| add(stores[n % 2], &key, question));
    let numbers: BTreeSet<u64> = join_all(adding).await.into_iter().collect();
    assert_eq!(numbers, (1..=2 * EACH as u64).collect(), "each has a number of its own");
    let kept = read(one, &key, Most::ALL).await;
    assert!(kept.windows(2).all(|pair| pair[0].begins + pair[0].bytes == pair[1].begins), "and a place of its own");
    let said: BTreeSet<&str> = kept.iter().map(|kept| kept.turn.question()).collect();
    assert_eq!(said, questions.iter().map(String::as_str).collect());
    let read = read(other, &key, Most::ALL).await;
    assert!(read.iter().zip(&kept).all(|(a, b)| a.turn.question() == b.turn.question()), "everybody reads one order");
}

async fn a_summary_that_is_read_is_the_one_that_was_kept(store: &dyn ThreadStore) {
    let channel = channel();
    let (key, other) = (channel.thread("told"), channel.thread("other"));
    assert_eq!(summary(store, &key).await, None, "nothing is invented");
    for key in [&key, &other] {
        add(store, key, "first").await;
        add(store, key, "second").await;
    }
    let (turns, before) = (read(store, &key, Most::ALL).await, list(store, &channel, 10).await);
    let told = Summary::new("a\0b\u{fffd} 'é' \"🦀\" \\u0000\n", &turns[0]);
    assert!(summarize(store, &key, &told).await);
    assert_eq!(summary(store, &key).await, Some(told), "byte for byte");
    assert_eq!(summary(store, &other).await, None, "conversations do not mix");
    assert_eq!(said(store, &key).await, ["first", "second"], "turns stay");
    assert_eq!(list(store, &channel, 10).await, before, "and it is no use of the conversation");
}

async fn a_summary_is_of_turns_that_are_there_and_gives_way_to_none_that_tells_less(store: &dyn ThreadStore) {
    let key = channel().thread("forward");
    for question in ["a", "b", "c"] {
        add(store, &key, question).await;
    }
    let turns = read(store, &key, Most::ALL).await;
    let second = Summary::new("up to b", &turns[1]);
    let mut odd = second.clone();
    odd.through = 4;
    assert!(!summarize(store, &key, &odd).await, "there is no such turn");
    let mut odd = second.clone();
    odd.at += Duration::from_secs(1);
    assert!(!summarize(store, &key, &odd).await, "that one is another conversation's");
    assert_eq!(summary(store, &key).await, None);
    assert!(summarize(store, &key, &second).await);
    for less in [Summary::new("up to a", &turns[0]), Summary::new("up to b, again", &turns[1])] {
        assert!(!summarize(store, &key, &less).await);
        assert_eq!(summary(store, &key).await.as_ref(), Some(&second));
    }
    add(store, &key, "d").await;
    assert_eq!(summary(store, &key).await, Some(second), "it stays while the conversation goes on");
    let third = Summary::new("up to c", &turns[2]);
    assert!(summarize(store, &key, &third).await);
    assert_eq!(summary(store, &key).await, Some(third));
}

async fn a_summary_goes_with_its_conversation(store: &dyn ThreadStore) {
    let key = channel().thread("gone");
    add(store, &key, "first").await;
    let told = Summary::new("told", &read(store, &key, Most::ALL).await[0]);
    assert!(summarize(store, &key, &told).await && delete(store, &key).await);
    assert_eq!(summary(store, &key).await, None);
    assert!(!summarize(store, &key, &told).await, "it brings nothing back");
    sleep(TICK).await;
    add(store, &key, "anew").await;
    assert!(!summarize(store, &key, &told).await && summary(store, &key).await.is_none());

    let told = Summary::new("told", &read(store, &key, Most::ALL).await[0]);
    assert!(summarize(store, &key, &told).await);
    append(store, Append::new(&key, &turn("last")).keeping(Duration::ZERO)).await;
    assert_eq!(summary(store, &key).await, None, "what is over is unknown");
    assert!(!summarize(store, &key, &told).await);
    assert_eq!(add(store, &key, "another").await, 1);
    assert_eq!(summary(store, &key).await, None, "and nothing of it comes back under its name");
}

async fn a_summary_that_is_too_long_is_refused(store: &dyn ThreadStore) {
    let key = channel().thread("long");
    add(store, &key, "first").await;
    let newest = &read(store, &key, Most::ALL).await[0];
    assert!(store.summarize(&key, &Summary::new("x".repeat(MAX_SUMMARY_BYTES + 1), newest)).await.is_err());
    assert_eq!(summary(store, &key).await, None);
    assert!(summarize(store, &key, &Summary::new("x".repeat(MAX_SUMMARY_BYTES), newest)).await);
}
