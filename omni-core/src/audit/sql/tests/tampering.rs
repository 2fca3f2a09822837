//! Somebody with the database's password, and without the key.

use super::*;
use crate::ledger::{ChainHead, Heads};

/// Three asks and a call, written with a key; the chain.
async fn history(store: &SqlAudit, key: &SealKey) -> Uuid {
    let call = CallRecord::new("db", "query", json!({ "sql": "SELECT 1" }), Outcome::Success);
    let events = vec![ask("1", Outcome::Denied), Event::DirectCall(call), ask("2", Outcome::Success)];
    write(store, key, events).await
}

async fn found(store: &SqlAudit, key: &SealKey) -> Option<(u64, Fault)> {
    verify(store, key).await.unwrap().first_break.map(|found| (found.seq, found.fault))
}

fn without_triggers(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Sqlite => &["DROP TRIGGER ledger_is_append_only_update", "DROP TRIGGER ledger_is_append_only_delete"],
        Dialect::Postgres => &["ALTER TABLE ledger DISABLE TRIGGER ALL"],
    }
}

#[tokio::test]
async fn every_kind_of_tampering_with_the_tables_is_found() {
    let cases = [
        ("UPDATE audit_logs SET status = 'success' WHERE seq = 1", (1, Fault::RowDiffers)),
        ("UPDATE audit_logs SET was_blocked = (1 = 0) WHERE seq = 1", (1, Fault::RowDiffers)),
        ("UPDATE audit_logs SET cost_estimate = 1 WHERE seq = 3", (3, Fault::RowDiffers)),
        ("UPDATE audit_logs SET cost_is_estimated = (1 = 1) WHERE seq = 3", (3, Fault::RowDiffers)),
        ("UPDATE audit_logs SET question = 'other' WHERE seq = 3", (3, Fault::RowDiffers)),
        ("UPDATE audit_logs SET timestamp = '2020-01-01 00:00:00' WHERE seq = 3", (3, Fault::RowDiffers)),
        ("UPDATE users SET email = 'other@company.com'", (1, Fault::RowDiffers)),
        ("UPDATE users SET tenant = 'other'", (1, Fault::RowDiffers)),
        (
            "INSERT INTO ledger (chain_id, seq, at, bytes, mac) SELECT 'x', seq, at, bytes, mac FROM ledger",
            (0, Fault::Missing),
        ),
        (
            "INSERT INTO ledger (chain_id, seq, at, bytes, mac) SELECT upper(chain_id), seq, at, bytes, mac FROM ledger",
            (0, Fault::Missing),
        ),
        ("UPDATE tool_calls SET duration_ms = 1 WHERE seq = 2", (2, Fault::RowDiffers)),
        ("DELETE FROM audit_logs WHERE seq = 3", (3, Fault::RowDiffers)),
        ("DELETE FROM tool_calls", (2, Fault::RowDiffers)),
        ("UPDATE audit_logs SET seq = 0 WHERE seq = 1", (0, Fault::RowDiffers)),
        ("UPDATE tool_calls SET seq = 9", (2, Fault::RowDiffers)),
        ("DELETE FROM ledger WHERE seq = 1", (1, Fault::Missing)),
        ("DELETE FROM ledger WHERE seq = 3", (3, Fault::RowStray)),
        ("UPDATE ledger SET seq = seq + 10 WHERE seq > 1", (2, Fault::Missing)),
    ];
    for (statement, expected) in cases {
        for store in stores().await {
            let key = SealKey::generate();
            history(&store, &key).await;
            assert_eq!(found(&store, &key).await, None);
            for trigger in without_triggers(store.db.dialect()) {
                store.db.execute(trigger, &[]).await.unwrap();
            }
            store.db.execute(statement, &[]).await.unwrap();
            assert_eq!(found(&store, &key).await, Some(expected), "{statement}");
        }
    }
}

#[tokio::test]
async fn rows_of_before_say_which_costs_are_estimated_once_there_is_a_column_for_it() {
    for store in stores().await {
        let key = SealKey::generate();
        let mut cut = AskRecord::new("says \"usage\":{\"estimated\":true", Outcome::Cancelled);
        write(&store, &key, vec![Event::Ask(Box::new(cut.clone()))]).await;
        cut.usage.estimated = true;
        write(&store, &key, vec![Event::Ask(Box::new(cut))]).await;
        for statement in
            ["UPDATE audit_logs SET cost_is_estimated = (1 = 0)", "DELETE FROM _sqlx_migrations WHERE version = 25"]
        {
            store.db.execute(statement, &[]).await.unwrap();
        }
        assert_eq!(found(&store, &key).await, Some((1, Fault::RowDiffers)));
        store.db.migrate().await.unwrap();
        assert_eq!(found(&store, &key).await, None);
        written_by_an_earlier_build(&store).await;
        assert_eq!(found(&store, &key).await, None);
    }
}

/// Every row as a build writes it that does not know the column of estimates.
async fn written_by_an_earlier_build(store: &SqlAudit) {
    let columns = match store.db.dialect() {
        Dialect::Sqlite => "SELECT name FROM pragma_table_info('audit_logs')",
        Dialect::Postgres => {
            "SELECT column_name::text AS name FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = 'audit_logs'"
        }
    };
    let columns = store.db.fetch_all(columns, &[]).await.unwrap();
    let columns = columns.iter().map(|row| row.text("name").unwrap());
    let known: Vec<String> = columns.filter(|name| !["id", "cost_is_estimated"].contains(&&**name)).collect();
    let known = known.join(", ");
    store.db.execute("CREATE TABLE aside AS SELECT * FROM audit_logs", &[]).await.unwrap();
    store.db.execute("DELETE FROM audit_logs", &[]).await.unwrap();
    store.db.execute(&format!("INSERT INTO audit_logs ({known}) SELECT {known} FROM aside"), &[]).await.unwrap();
}

#[tokio::test]
async fn what_reads_as_if_nothing_were_there_is_found_too() {
    for (statement, seq) in [
        ("UPDATE audit_logs SET ip_address = '1' WHERE seq = 1", 1),
        ("UPDATE audit_logs SET duration_ms = -1 WHERE seq = 1", 1),
        ("UPDATE audit_logs SET cost_nano_usd = -1 WHERE seq = 3", 3),
        ("UPDATE tool_calls SET bytes = -1 WHERE seq = 2", 2),
    ] {
        let (store, key) = (SqlAudit::open("sqlite::memory:").await.unwrap(), SealKey::generate());
        history(&store, &key).await;
        store.db.execute(statement, &[]).await.unwrap();
        assert_eq!(found(&store, &key).await, Some((seq, Fault::RowDiffers)), "{statement}");
    }
}

#[tokio::test]
async fn arguments_with_keys_that_a_database_takes_for_one_are_no_tampering() {
    for store in stores().await {
        let key = SealKey::generate();
        let call = CallRecord::new("db", "query", json!({ "x\0": 1, "x\u{fffd}": 2 }), Outcome::Success);
        write(&store, &key, vec![Event::DirectCall(call)]).await;
        assert_eq!(found(&store, &key).await, None);
        store.db.execute("UPDATE tool_calls SET arguments = '{}'", &[]).await.unwrap();
        assert_eq!(found(&store, &key).await, Some((1, Fault::RowDiffers)));
    }
}

#[tokio::test]
async fn somebody_whose_row_was_deleted_may_ask_again_and_the_ledger_is_proved_all_the_same() {
    for store in stores().await {
        let key = SealKey::generate();
        history(&store, &key).await;
        assert_eq!(store.db.execute("DELETE FROM users", &[]).await.unwrap(), 1);
        assert_eq!(found(&store, &key).await, None);
        history(&store, &key).await;
        assert_eq!(number(&store, "SELECT count(*) AS n FROM users").await, 1);
        assert_eq!(found(&store, &key).await, None);
    }
}

#[tokio::test]
async fn a_removed_end_is_found_up_to_the_exported_head() {
    for store in stores().await {
        let key = SealKey::generate();
        let chain_id = history(&store, &key).await;
        let heads = Heads::read(&store).await.unwrap();
        let text = serde_json::to_string(&heads).unwrap();
        assert_eq!(serde_json::from_str::<Heads>(&text).unwrap(), heads);
        let check = async |heads: &[ChainHead]| verify_against(&store, &key, heads).await.unwrap().first_break;
        assert_eq!(check(&heads.heads).await, None);
        for statement in without_triggers(store.db.dialect())
            .iter()
            .chain(&["DELETE FROM audit_logs WHERE seq = 3", "DELETE FROM ledger WHERE seq = 3"])
        {
            store.db.execute(statement, &[]).await.unwrap();
        }
        assert_eq!(check(&[]).await, None, "nothing else could tell");
        let found = check(&heads.heads).await.unwrap();
        assert_eq!((found.chain_id, found.seq, found.fault), (chain_id, 3, Fault::HeadMissing));
    }
}

#[tokio::test]
async fn a_beginning_that_was_removed_under_a_forged_checkpoint_is_found() {
    const FORGED: &str = "INSERT INTO ledger_checkpoints (chain_id, next_seq, mac, at, signature)
        SELECT chain_id, seq + 1, mac, at, mac FROM ledger WHERE seq = 1";
    for store in stores().await {
        let key = SealKey::generate();
        history(&store, &key).await;
        for statement in [FORGED, "DELETE FROM audit_logs WHERE seq < 2", "DELETE FROM ledger WHERE seq < 2"] {
            store.db.execute(statement, &[]).await.unwrap();
        }
        assert_eq!(found(&store, &key).await, Some((2, Fault::CheckpointForged)));
    }
}

#[tokio::test]
async fn pruning_a_chain_leaves_the_next_one_provable_and_refuses_what_was_altered() {
    for store in stores().await {
        let (key, later) = (SealKey::generate(), chrono::Utc::now() + chrono::TimeDelta::days(1));
        let dir = tempfile::tempdir().unwrap();
        for question in ["1", "2"] {
            let options = LedgerOptions::new(key.clone()).with_dir(dir.path());
            let ledger = Ledger::open(options, Arc::new(store.clone())).await.unwrap();
            let record = Record::new(Uuid::now_v7(), Some(party()), ask(question, Outcome::Success));
            ledger.write(record).await.unwrap();
            ledger.shutdown().await;
        }
        let heads = Heads::read(&store).await.unwrap();
        let chains = store.chains().await.unwrap();
        let first = store.read(chains[0], 0, 9).await.unwrap();
        let checkpoint = Checkpoint::sign(&key, chains[0], 2, first[1].mac, None);
        assert_eq!(store.forget(&checkpoint).await.unwrap(), 2);
        assert_eq!(store.forget(&checkpoint).await.unwrap(), 0);
        let left = verify_against(&store, &key, &heads.heads).await.unwrap();
        assert_eq!((left.first_break, left.chains, left.pruned), (None, 1, 1));
        let stranger = crate::ledger::prune::prune(&store, &SealKey::generate(), later).await.unwrap();
        assert_eq!((stranger.records, stranger.refused.len(), stranger.not_provable), (0, 0, 1));
        assert_eq!(number(&store, "SELECT count(*) AS n FROM audit_logs").await, 1);
    }
}

#[tokio::test]
async fn a_chain_that_vanished_under_a_forged_checkpoint_is_found() {
    const FORGED: &str = "INSERT INTO ledger_checkpoints (chain_id, next_seq, mac, at, signature)
        SELECT chain_id, 1000000, mac, at, mac FROM ledger WHERE seq = 3";
    for store in stores().await {
        let key = SealKey::generate();
        history(&store, &key).await;
        let heads = Heads::read(&store).await.unwrap().heads;
        for statement in [FORGED, "DELETE FROM audit_logs", "DELETE FROM tool_calls", "DELETE FROM ledger"] {
            store.db.execute(statement, &[]).await.unwrap();
        }
        for heads in [&heads[..], &[]] {
            let found = verify_against(&store, &key, heads).await.unwrap().first_break.unwrap();
            assert_eq!((found.seq, found.fault), (1_000_000, Fault::CheckpointForged));
        }
    }
}

#[tokio::test]
async fn what_was_pruned_comes_back_neither_by_a_file_nor_unseen() {
    for store in stores().await {
        let key = SealKey::generate();
        let chain_id = history(&store, &key).await;
        let chain = store.read(chain_id, 0, 9).await.unwrap();
        store.db.execute("CREATE TABLE kept AS SELECT * FROM ledger WHERE seq < 2", &[]).await.unwrap();
        store.forget(&Checkpoint::sign(&key, chain_id, 2, chain[1].mac, None)).await.unwrap();
        store.append(&chain).await.unwrap();
        assert_eq!(store.read(chain_id, 0, 9).await.unwrap(), chain[2..]);
        assert_eq!(found(&store, &key).await, None);
        store.db.execute("INSERT INTO ledger SELECT * FROM kept", &[]).await.unwrap();
        assert_eq!(found(&store, &key).await, Some((0, Fault::BelowCheckpoint)));
    }
}

#[tokio::test]
async fn a_second_row_for_a_record_is_found_whatever_the_first_one_says() {
    const DOUBLE: &str = "INSERT INTO tool_calls (chain_id, seq, request_id, created_at, tenant, user_email, server,
        tool, arguments, status, duration_ms) SELECT chain_id, seq, request_id, created_at, tenant, user_email, server,
        'other', arguments, status, duration_ms FROM tool_calls";
    for store in stores().await.into_iter().filter(|store| store.db.dialect() == Dialect::Postgres) {
        let key = SealKey::generate();
        history(&store, &key).await;
        for statement in [
            "ALTER TABLE tool_calls DROP CONSTRAINT tool_calls_chain_id_seq_key",
            DOUBLE,
            // Whichever row is read last, it is the true one.
            "UPDATE tool_calls SET tool = tool WHERE tool <> 'other'",
        ] {
            store.db.execute(statement, &[]).await.unwrap();
        }
        assert_eq!(found(&store, &key).await, Some((2, Fault::RowDiffers)));
    }
}

#[tokio::test]
async fn a_row_that_the_tables_refuse_does_not_stop_the_ledger_and_its_absence_is_found() {
    for store in stores().await {
        let key = SealKey::generate();
        let ledger = Ledger::open(LedgerOptions::new(key.clone()), Arc::new(store.clone())).await.unwrap();
        let write = async |question| {
            let record = Record::new(Uuid::now_v7(), Some(party()), ask(question, Outcome::Success));
            ledger.write_with(record, Ack::Database).await
        };
        write("1").await.unwrap();
        // The place of the next record is taken.
        store.db.execute("UPDATE audit_logs SET seq = 2 WHERE seq = 1", &[]).await.unwrap();
        write("2").await.unwrap();
        write("3").await.unwrap();
        assert_eq!(store.read(ledger.chain_id(), 0, 9).await.unwrap().len(), 4);
        assert_eq!(found(&store, &key).await, Some((1, Fault::RowDiffers)));
        ledger.shutdown().await;
    }
}
