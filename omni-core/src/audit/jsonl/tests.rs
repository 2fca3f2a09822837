//! The ledger as JSON lines.

use super::*;
use crate::testing::{audit_reader_contract, audit_sink_contract, sealed};

#[tokio::test]
async fn the_jsonl_sink_keeps_the_contracts() {
    let dir = tempfile::tempdir().unwrap();
    let sink = JsonlSink::open(dir.path().join("new/ledger.jsonl")).await.unwrap();
    audit_sink_contract(&sink, &sink).await;
    audit_reader_contract(&sink, &sink).await;
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
async fn a_path_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = JsonlSink::open(file.join("ledger.jsonl")).await.unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}
