//! Which key seals, and which keys prove.

use super::*;

#[cfg(unix)]
#[test]
fn the_key_is_its_owners_alone_and_stays_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new");
    let first = SealKey::load_or_create(&dir).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = dir.join("ledger.key");
    assert_eq!((mode(&dir), mode(&path)), (0o700, 0o600));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let second = SealKey::load_or_create(&dir).unwrap();
    assert_eq!(mode(&path), 0o600);
    let seal = |key: &SealKey| seal::seal(&key.keyed(), &[0; 32], Uuid::nil(), 0, b"{}");
    assert_eq!(seal(&first), seal(&second));
    assert_ne!(seal(&first), seal(&SealKey::generate()));
    assert_eq!(format!("{first:?}"), "SealKey([redacted])");
    fs::write(&path, "abc").unwrap();
    let error = SealKey::load_or_create(&dir).unwrap_err().to_string();
    assert!(error.contains("ledger.key") && error.contains("64 hex digits"), "{error}");
}

#[test]
fn two_processes_that_make_the_key_at_once_get_the_same_one() {
    let dir = tempfile::tempdir().unwrap();
    let seals: Vec<_> = std::thread::scope(|scope| {
        let make = || {
            let key = SealKey::load_or_create(dir.path()).unwrap();
            seal::seal(&key.keyed(), &[0; 32], Uuid::nil(), 0, b"{}")
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(seals.iter().all(|seal| *seal == seals[0]));
}

/// A ledger that was kept by somebody with this key, in the sink of all.
async fn keep(sink: &MemorySink, key: &SealKey) {
    let ledger = Ledger::open(LedgerOptions::new(key.clone()), Arc::new(sink.clone())).await.unwrap();
    ledger.write(ask("?")).await.unwrap();
    ledger.shutdown().await;
}

async fn fault(sink: &MemorySink, keys: impl Into<SealKeys>) -> Option<Fault> {
    verify(sink, keys).await.unwrap().first_break.map(|found| found.fault)
}

#[tokio::test]
async fn hosts_that_share_a_key_prove_what_each_of_them_wrote() {
    let sink = MemorySink::default();
    let key = SealKey::generate();
    keep(&sink, &key).await;
    keep(&sink, &key).await;
    assert_eq!(fault(&sink, &key).await, None);
}

#[tokio::test]
async fn a_chain_names_its_key_to_whoever_lacks_it_and_is_proved_by_whoever_has_it() {
    let sink = MemorySink::default();
    let (mine, theirs) = (SealKey::generate(), SealKey::generate());
    keep(&sink, &mine).await;
    keep(&sink, &theirs).await;
    keep(&sink, &mine).await;
    let verified = verify(&sink, &mine).await.unwrap();
    let unknown: Vec<_> = verified.not_provable.iter().map(|chain| chain.fault).collect();
    assert_eq!((&verified.first_break, unknown), (&None, vec![Fault::UnknownKey(theirs.id())]));
    assert_eq!((verified.chains, verified.records, verified.is_proved()), (2, 4, false), "one's own are proved");
    let said = Fault::UnknownKey(theirs.id()).to_string();
    assert!(said.contains(&theirs.id().to_string()) && said.contains("audit.verify_keys"), "{said}");
    let both = SealKeys::new(mine).with_other(theirs);
    assert_eq!(fault(&sink, &both).await, None);
}

#[tokio::test]
async fn what_one_host_pruned_another_that_knows_its_key_believes() {
    let sink = MemorySink::default();
    let (mine, theirs) = (SealKey::generate(), SealKey::generate());
    keep(&sink, &theirs).await;
    let both = SealKeys::new(mine.clone()).with_other(theirs.clone());
    let later = chrono::Utc::now() + chrono::TimeDelta::days(1);
    assert!(prune::prune(&sink, &theirs, chrono::DateTime::UNIX_EPOCH).await.unwrap().refused.is_empty());
    let pruned = prune::prune(&sink, &both, later).await.unwrap();
    assert!(pruned.records > 0 && pruned.refused.is_empty(), "{pruned:?}");
    assert_eq!(fault(&sink, &both).await, None);
    assert_eq!(fault(&sink, &theirs).await, None, "a checkpoint is signed with the key of its chain");
    let seen = verify(&sink, &mine).await.unwrap();
    assert_eq!((seen.first_break, seen.not_provable.len()), (None, 1));
    assert_eq!(seen.not_provable[0].fault, Fault::UnknownKey(theirs.id()), "what others signed is no forgery");
}

#[tokio::test]
async fn a_break_in_ones_own_chain_is_found_behind_chains_of_others() {
    let sink = MemorySink::default();
    let (mine, theirs) = (SealKey::generate(), SealKey::generate());
    keep(&sink, &theirs).await;
    keep(&sink, &mine).await;
    let forged = MemorySink::default();
    for chain in sink.chains().await.unwrap() {
        let mut records = sink.read(chain, 0, 10).await.unwrap();
        records[1].mac[0] ^= 1;
        forged.append(&records).await.unwrap();
    }
    assert_eq!(fault(&forged, &mine).await, Some(Fault::Altered));
    let pruned = prune::prune(&sink, &mine, chrono::Utc::now() + chrono::TimeDelta::days(1)).await.unwrap();
    assert_eq!((pruned.records, pruned.refused.len(), pruned.not_provable), (2, 0, 1));
}

#[tokio::test]
async fn a_chain_is_sealed_with_one_key_from_its_beginning_to_its_end() {
    let sink = MemorySink::default();
    let (mine, theirs) = (SealKey::generate(), SealKey::generate());
    keep(&sink, &mine).await;
    let chain = sink.heads().await.unwrap()[0].chain_id;
    let mut records = sink.read(chain, 0, 10).await.unwrap();
    let (first, second) = (records[0].clone(), &mut records[1]);
    second.mac = seal::seal(&theirs.keyed(), &first.mac, second.chain_id, second.seq, &second.bytes);
    let forged = MemorySink::default();
    forged.append(&records[..2]).await.unwrap();
    let both = SealKeys::new(mine).with_other(theirs);
    assert_eq!(fault(&forged, &both).await, Some(Fault::Altered));
}

#[test]
fn a_key_that_is_given_seals_and_the_directorys_own_still_proves() {
    let dir = tempfile::tempdir().unwrap();
    let given = SealKey::generate();
    let ids = |keys: SealKeys| keys.iter().map(SealKey::id).collect::<Vec<_>>();
    let alone = SealKeys::load_or_create(dir.path(), Some(given.clone())).unwrap();
    assert_eq!(ids(alone), [given.id()]);
    assert!(!dir.path().join("ledger.key").exists());
    let own = SealKey::load_or_create(dir.path()).unwrap();
    assert_eq!(ids(SealKeys::load(dir.path(), Some(given.clone())).unwrap()), [given.id(), own.id()]);
    assert_eq!(ids(SealKeys::load_or_create(dir.path(), None).unwrap()), [own.id()]);
}

#[test]
fn a_key_is_named_without_being_told() {
    let key: SealKey = "07".repeat(32).parse().unwrap();
    // Computed with Python: hmac.new(bytes([7]*32), b"omni key id 1", "sha256").
    assert_eq!(key.id().to_string(), "83d2baca1449a2bd");
    assert_eq!(key.expose_hex(), "07".repeat(32));
    assert_eq!("abc".parse::<SealKey>().unwrap_err(), "not a key of 64 hexadecimal digits");
}
