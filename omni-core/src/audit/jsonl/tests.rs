//! The ledger as JSON lines.

use super::*;
use crate::{
    ledger::{
        AskRecord, Event, Outcome, Record, SealKey, seal_all,
        verify::{Fault, verify},
    },
    testing::{audit_reader_contract, audit_sink_contract, sealed, shared_audit_sink_contract},
};

/// What a verification finds in the file of a chain of so many records, after somebody without the key had its lines.
async fn found(count: usize, tamper: impl FnOnce(&mut Vec<String>)) -> Option<(u64, Fault)> {
    let dir = tempfile::tempdir().unwrap();
    let (path, key) = (dir.path().join("ledger.jsonl"), SealKey::generate());
    let asked = |_| Record::new(Uuid::now_v7(), None, Event::Ask(Box::new(AskRecord::new("Who?", Outcome::Success))));
    let sink = JsonlSink::open(&path).await.unwrap();
    sink.append(&seal_all(&key, (0..count).map(asked))).await.unwrap();
    assert_eq!(verify(&sink, &key).await.unwrap().first_break, None);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.split_inclusive('\n').map(str::to_owned).collect();
    tamper(&mut lines);
    std::fs::write(&path, lines.concat()).unwrap();
    verify(&sink, &key).await.unwrap().first_break.map(|found| (found.seq, found.fault))
}

/// The line with another question.
fn altered(line: &str) -> String {
    line.replace("Who?", "Me!")
}

#[tokio::test]
async fn the_jsonl_sink_keeps_the_contracts() {
    let dir = tempfile::tempdir().unwrap();
    let sink = JsonlSink::open(dir.path().join("new/ledger.jsonl")).await.unwrap();
    audit_sink_contract(&sink, &sink).await;
    audit_reader_contract(&sink, &sink).await;
}

#[tokio::test]
async fn two_sinks_on_one_file_are_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let (one, other) = (JsonlSink::open(&path).await.unwrap(), JsonlSink::open(&path).await.unwrap());
    shared_audit_sink_contract(&one, &other, &other).await;
    assert_eq!(one.stray().await.unwrap(), None, "no line stands there twice");
    let elsewhere = JsonlSink::open(dir.path().join("other.jsonl")).await.unwrap();
    assert!(one.place().is_some() && one.place() != elsewhere.place());
}

#[tokio::test]
async fn a_second_opening_knows_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let chain = sealed(4);
    JsonlSink::open(&path).await.unwrap().append(&chain[..3]).await.unwrap();
    let again = JsonlSink::open(&path).await.unwrap();
    again.append(&chain).await.unwrap();
    assert_eq!(again.read(chain[0].chain_id, 0, 10).await.unwrap(), chain);
    let mut forged = chain[2].clone();
    forged.mac = [0; 32];
    let answer = JsonlSink::open(&path).await.unwrap().append(&[forged]).await;
    assert!(matches!(answer, Err(AuditError::Conflict { seq: 2, .. })), "{answer:?}");
}

#[tokio::test]
async fn a_torn_last_line_is_replaced_by_the_whole_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let chain = sealed(2);
    JsonlSink::open(&path).await.unwrap().append(&chain).await.unwrap();
    let len = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 20).unwrap();
    let sink = JsonlSink::open(&path).await.unwrap();
    sink.append(&chain).await.unwrap();
    assert_eq!(sink.read(chain[0].chain_id, 0, 10).await.unwrap(), chain);
}

#[tokio::test]
async fn two_sinks_on_one_file_do_not_mix_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let (one, two) = (JsonlSink::open(&path).await.unwrap(), JsonlSink::open(&path).await.unwrap());
    let chains = [sealed(40), sealed(40)];
    let write = |sink: JsonlSink, chain: Vec<SealedRecord>| async move {
        for batch in chain.chunks(3) {
            sink.append(batch).await.unwrap();
        }
    };
    tokio::join!(write(one.clone(), chains[0].clone()), write(two, chains[1].clone()));
    for chain in &chains {
        assert_eq!(&one.read(chain[0].chain_id, 0, 100).await.unwrap(), chain);
    }
}

#[tokio::test]
async fn an_altered_record_is_found_though_an_earlier_line_stands_behind_it_once_more() {
    let tamper = |lines: &mut Vec<String>| {
        lines[700] = altered(&lines[700]);
        lines.push(lines[0].clone());
    };
    assert_eq!(found(1_000, tamper).await, Some((700, Fault::Altered)));
}

#[tokio::test]
async fn a_line_that_no_place_of_its_chain_leads_to_is_found() {
    let forged = |lines: &mut Vec<String>| lines.push(altered(&lines[3]));
    assert_eq!(found(700, forged).await, Some((3, Fault::RowStray)));
    let copied = |lines: &mut Vec<String>| lines.push(lines[3].clone());
    assert_eq!(found(700, copied).await, Some((3, Fault::RowStray)));
}

#[tokio::test]
async fn a_line_that_is_no_record_is_found_unless_it_is_the_torn_last_one() {
    assert_eq!(found(3, |lines| lines.insert(1, "{}\n".into())).await, Some((2, Fault::RowStray)));
    assert_eq!(found(3, |lines| lines.push("\n".into())).await, Some((4, Fault::RowStray)));
    assert_eq!(found(3, |lines| lines.push(r#"{"chain_id""#.into())).await, None);
}

#[tokio::test]
async fn where_a_chain_goes_on_tells_its_furthest_record_and_not_its_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let chain = sealed(6);
    JsonlSink::open(&path).await.unwrap().append(&chain[..4]).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let first = text.split_inclusive('\n').next().unwrap();
    std::fs::write(&path, format!("{text}{first}")).unwrap();
    let sink = JsonlSink::open(&path).await.unwrap();
    assert_eq!(sink.heads().await.unwrap(), [ChainHead::new(chain[3].chain_id, 3, chain[3].mac)]);
    sink.append(&chain).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4 + 1 + 2);
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = JsonlSink::open(file.join("ledger.jsonl")).await.unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}
