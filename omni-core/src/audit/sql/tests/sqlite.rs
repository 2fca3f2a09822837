//! What only a file has: its owner, other processes, and ways not to be one.

use super::*;
use crate::config::AuditConfig;

fn url(dir: &tempfile::TempDir) -> String {
    format!("sqlite:{}", dir.path().join("data/omni.db").display())
}

#[tokio::test]
async fn opening_again_keeps_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let chain = sealed(3);
    SqlAudit::open(&url(&dir)).await.unwrap().append(&chain).await.unwrap();
    let again = SqlAudit::open(&url(&dir)).await.unwrap();
    assert_eq!(again.read(chain[0].chain_id, 0, 9).await.unwrap(), chain);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_may_open_and_write_one_database_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let chains: Vec<_> = (0..4).map(|_| sealed(30)).collect();
    let write = |chain: Vec<SealedRecord>| {
        let url = url(&dir);
        tokio::spawn(async move {
            let store = SqlAudit::open(&url).await.unwrap();
            for batch in chain.chunks(4) {
                store.append(batch).await.unwrap();
            }
        })
    };
    for written in futures::future::join_all(chains.iter().cloned().map(write)).await {
        written.unwrap();
    }
    let store = SqlAudit::open(&url(&dir)).await.unwrap();
    for chain in &chains {
        assert_eq!(&store.read(chain[0].chain_id, 0, 100).await.unwrap(), chain);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = SqlAudit::open(&url(&dir)).await.unwrap();
    store.append(&sealed(1)).await.unwrap();
    for entry in std::fs::read_dir(dir.path().join("data")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "no database, though long enough to be read as one's header, and not empty").unwrap();
    let mut registry = Registry::empty();
    register(&mut registry);
    for url in [file.join("omni.db"), file.clone(), dir.path().to_owned()] {
        let url = url.display().to_string();
        let config = AuditConfig::new("sqlite", &url, dir.path());
        let error = registry.audit.build("sqlite", config).await.unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()) || error.contains(&url), "{error}");
        assert!(error.contains("omni may write"), "{error}");
    }
}
