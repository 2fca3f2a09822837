use std::time::Duration;

use super::{Append, ChannelKey, Most, ThreadStore, Turn, memory::MemoryThreads};
use crate::{
    llm::{Block, Message},
    testing::thread_store_contract,
};

fn turn(question: &str) -> Turn {
    Turn::new("ada", vec![Message::user(question), Message::assistant(vec![Block::text("Well.")])])
}

#[tokio::test]
async fn conversations_in_memory_keep_the_contract() {
    thread_store_contract(&MemoryThreads::new()).await;
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[tokio::test(flavor = "multi_thread")]
async fn conversations_in_a_database_keep_the_contract() {
    use super::sql::SqlThreads;
    use crate::{people::Tables, testing::shared_thread_store_contract};

    thread_store_contract(&SqlThreads::new(Tables::at("sqlite::memory:"))).await;
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("omni.db").display().to_string();
    #[allow(unused_mut, reason = "with PostgreSQL there are two")]
    let mut urls = vec![file];
    #[cfg(feature = "postgres")]
    urls.extend(crate::testing::postgres_schema().await);
    for url in urls {
        let [one, other] = [(); 2].map(|()| SqlThreads::new(Tables::at(&*url)));
        thread_store_contract(&one).await;
        shared_thread_store_contract(&one, &other).await;
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn whoever_only_looks_makes_no_database() {
    use super::sql::SqlThreads;
    use crate::people::Tables;

    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("omni.db");
    let store = SqlThreads::new(Tables::at(file.display().to_string()));
    let channel = ChannelKey::new("default", "cli", "ada");
    assert!(store.history(&channel.thread("x"), Most::ALL).await.unwrap().is_empty());
    assert!(store.list(&channel, 10).await.unwrap().is_empty());
    assert!(!store.delete(&channel.thread("x")).await.unwrap());
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert!(!file.exists());
}

#[tokio::test]
async fn memory_makes_room_by_what_was_used_longest_ago() {
    let channel = ChannelKey::new("default", "http", "ada");
    let few = MemoryThreads::with_room(2, u64::MAX);
    for thread in ["a", "b", "a", "c"] {
        few.append(Append::new(&channel.thread(thread), &turn("Hi"))).await.unwrap();
    }
    let names =
        |entries: Vec<super::ThreadEntry>| entries.into_iter().map(|entry| entry.key.thread).collect::<Vec<_>>();
    assert_eq!(names(few.list(&channel, 10).await.unwrap()), ["c", "a"]);
    let small = MemoryThreads::with_room(100, 30_000);
    for thread in ["a", "b", "c"] {
        small.append(Append::new(&channel.thread(thread), &turn(&"x".repeat(12_000)))).await.unwrap();
    }
    assert_eq!(names(small.list(&channel, 10).await.unwrap()), ["c", "b"]);
}

/// The fifth of the original's tests of threads: what is fresh stays.
#[tokio::test(start_paused = true)]
async fn a_conversation_is_kept_for_a_day_after_its_last_use() {
    let (store, key) = (MemoryThreads::new(), ChannelKey::new("default", "http", "ada").thread("t"));
    for hours in [0, 23, 23] {
        tokio::time::sleep(Duration::from_secs(hours * 3_600)).await;
        store.append(Append::new(&key, &turn("Hi"))).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(23 * 3_600)).await;
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert_eq!(store.history(&key, Most::ALL).await.unwrap().len(), 3);
    tokio::time::sleep(Duration::from_secs(3_601)).await;
    assert!(store.history(&key, Most::ALL).await.unwrap().is_empty());
    assert_eq!(store.sweep().await.unwrap(), 1);
}

#[test]
fn a_turn_knows_its_question_and_its_answer() {
    let question =
        Message { speaker: crate::llm::Speaker::User, blocks: vec![Block::text("<context>"), Block::text("Who?")] };
    let messages = vec![
        question,
        Message::assistant(vec![Block::text("I look.")]),
        Message::user("x"),
        Message::assistant(vec![Block::text("Ada.")]),
    ];
    let kept = Turn::new("ada", messages);
    assert_eq!((kept.question(), kept.answer().as_str()), ("Who?", "I look.\n\nAda."));
    let long = turn(&format!("a  b\n{}", "é".repeat(100)));
    assert_eq!(long.title().chars().count(), 80);
    assert!(long.title().starts_with("a b é") && long.title().ends_with('…'));
}
