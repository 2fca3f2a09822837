//! The contract of pin stores.

#![allow(clippy::expect_used, reason = "this is test code")]

use uuid::Uuid;

use crate::{
    pin::{Pin, PinStore, Seen, Why},
    scan::{Finding, FindingKind},
};

fn seen(definition: &str) -> Seen {
    let finding = Finding { kind: FindingKind::Instruction, at: "description".into(), excerpt: "ignore \u{e4}".into() };
    Seen::now(definition.into(), vec![finding])
}

/// Checks a store of pins.
///
/// # Panics
/// Where the contract is broken.
pub async fn pin_store_contract(store: &dyn PinStore) {
    let server = format!("server-{}", Uuid::new_v4().simple());
    let of = async |tool: Option<&str>| store.pins(Some(&server), tool).await.expect("pins can be read");
    assert!(of(None).await.is_empty());
    let (mut one, mut two) = (Pin::new(&server, "b.one"), Pin::new(&server, "a two"));
    one.pinned = Some(seen(r#"{"name":"b.one"}"#));
    two.held = Some((Why::New, seen("{\"name\":\"a two\",\"description\":\"\u{202e}\"}")));
    assert!(store.put(&[one.clone(), two.clone()]).await.expect("pins can be written"));
    (one.revision, two.revision) = (1, 1);
    assert_eq!(of(None).await, [two.clone(), one.clone()], "what was put is what is read, in order");
    assert_eq!(of(Some("b.one")).await, [one.clone()]);
    let marks = store.marks(Some(&server)).await.expect("marks can be read");
    assert_eq!(marks, [two.mark(), one.mark()]);
    let all = store.marks(None).await.expect("marks can be read");
    assert!(marks.iter().all(|mark| all.contains(mark)));

    changes_are_all_or_nothing(store, &server, &one, &two).await;
    one_of_two_at_once_wins(store, &server).await;
    the_order_is_that_of_bytes(store).await;
}

async fn changes_are_all_or_nothing(store: &dyn PinStore, server: &str, one: &Pin, two: &Pin) {
    let of = async || store.pins(Some(server), None).await.expect("pins can be read");
    let mut held = one.clone();
    held.held = Some((Why::Suspicious, seen(r#"{"name":"b.one","description":"other"}"#)));
    let mut agreed = two.clone();
    (agreed.pinned, agreed.held) = (agreed.held.take().map(|(_, seen)| seen), None);
    agreed.pinned_by = Some("boss@x.org".into());
    let stale = Pin { revision: 0, ..one.clone() };
    assert!(!store.put(&[agreed.clone(), stale]).await.expect("the store answers"), "a new pin is not there yet");
    let early = Pin { revision: 7, ..held.clone() };
    assert!(!store.put(&[agreed.clone(), early]).await.expect("the store answers"), "another revision is there");
    assert_eq!(of().await, [two.clone(), one.clone()], "nothing of either was written");

    let third = Pin { pinned: Some(seen(r#"{"name":"c"}"#)), ..Pin::new(server, "c") };
    assert!(store.put(&[held.clone(), third.clone(), agreed.clone()]).await.expect("pins can be written"));
    let next = |pin: Pin| Pin { revision: pin.revision + 1, ..pin };
    assert_eq!(of().await, [next(agreed), next(held), next(third)], "new ones and changed ones together");
    let marks = store.marks(Some(server)).await.expect("marks can be read");
    assert_eq!(marks, of().await.iter().map(Pin::mark).collect::<Vec<_>>(), "who agreed shows in a mark");
    assert!(store.put(&[]).await.expect("the store answers"), "nothing is as it is taken to be");
}

async fn one_of_two_at_once_wins(store: &dyn PinStore, server: &str) {
    let pin = |definition: &str| Pin { pinned: Some(seen(definition)), ..Pin::new(server, "raced") };
    let (a, b) = ([pin("{\"a\":1}")], [pin("{\"b\":1}")]);
    let (a_won, b_won) = tokio::join!(store.put(&a), store.put(&b));
    let won = [a_won.expect("the store answers"), b_won.expect("the store answers")];
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let kept = store.pins(Some(server), Some("raced")).await.expect("pins can be read").pop().expect("one won");
    let winner = if won[0] { &a[0] } else { &b[0] };
    assert_eq!(kept.pinned, winner.pinned);
}

/// Whatever a database's language makes of capitals, signs and accents.
async fn the_order_is_that_of_bytes(store: &dyn PinStore) {
    let name = format!("ordered-{}", Uuid::new_v4().simple());
    let [upper, lower] = ["B", "a"].map(|end| format!("{name}{end}"));
    let of = |server: &str| ["B", "_c", "a", "\u{e4}"].map(|tool| Pin::new(server, tool));
    let mut pins = [of(&upper), of(&lower)].concat();
    pins.reverse();
    assert!(store.put(&pins).await.expect("pins can be written"));
    let mut marks = store.marks(None).await.expect("marks can be read");
    marks.retain(|mark| mark.server.starts_with(&name));
    let found: Vec<(&str, &str)> = marks.iter().map(|mark| (&*mark.server, &*mark.tool)).collect();
    let in_order: Vec<(&str, &str)> = pins.iter().rev().map(|pin| (&*pin.server, &*pin.tool)).collect();
    assert_eq!(found, in_order, "servers and tools are in the order of their bytes");
    let pins = store.pins(Some(&lower), None).await.expect("pins can be read");
    assert!(pins.iter().map(|pin| &*pin.tool).eq(["B", "_c", "a", "\u{e4}"]), "{pins:?}");
}
