//! The contracts of audit readers, and of pruning.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Principal, Source,
    ask::Client,
    audit::{AuditQuery, AuditReader, AuditSink, Cursor, LedgerStore, LogEntry, Order, SealedRecord},
    cost::NanoUsd,
    ledger::{
        AdminRecord, AskRecord, CallRecord, Event, Outcome, Party, Record, SealKey, prune::prune, seal_all,
        verify::verify_chain,
    },
    llm::Usage,
};

/// Checks a sink, and a reader over the same store. One that forgets the oldest needs room for some hundred records.
///
/// # Panics
/// Where the contract is broken.
pub async fn audit_reader_contract(sink: &dyn AuditSink, reader: &dyn AuditReader) {
    let history = History::store(sink).await;
    history.every_condition_narrows_what_is_found(reader).await;
    history.pages_follow_each_other_without_gap_or_repetition(reader).await;
    history.a_brief_page_is_without_what_may_be_long(reader).await;
    what_is_stored_late_comes_late_by_number(sink, reader).await;
    what_came_by_no_door_is_found_as_unknown(sink, reader).await;
    history.sums_are_those_of_the_entries(reader).await;
    history.calls_are_those_of_the_request(reader).await;
    history.rows_say_what_the_records_say(reader).await;
}

/// What one person did who is nowhere else in the store: seven asks, each a minute after the one
/// before, a direct call that was denied, one of a tool that there is not, and an administrator's operation.
struct History {
    person: String,
    begin: DateTime<Utc>,
    chain: Vec<SealedRecord>,
    last_ask: Uuid,
}

impl History {
    async fn store(sink: &dyn AuditSink) -> Self {
        let person = format!("{}@company.com", Uuid::new_v4().simple());
        let begin = Utc::now().trunc_subsecs(6) - TimeDelta::days(1);
        let mut records = Vec::new();
        let mut last_ask = Uuid::nil();
        for minute in 0..7 {
            last_ask = Uuid::now_v7();
            records.extend(ask(&person, begin, minute, last_ask));
        }
        let mut denied =
            CallRecord::new("db", "drop_table", json!({ "ratio": 1e5, "text": "a\u{0}b" }), Outcome::Denied);
        denied.error = Some("not for you".into());
        records.push(at(&person, begin, 7, Uuid::now_v7(), Event::DirectCall(denied)));
        let mut made_up = CallRecord::new("no.such", "tool", json!({}), Outcome::Error);
        made_up.unsent = true;
        records.push(at(&person, begin, 8, Uuid::now_v7(), Event::DirectCall(made_up)));
        let admin = Event::Admin(AdminRecord::new("key.create", "somebody"));
        records.push(at(&person, begin, 9, Uuid::now_v7(), admin));
        let chain = seal_all(&SealKey::generate(), records.into_iter());
        let stored = sink.append(&chain).await;
        assert!(stored.is_ok(), "a batch is stored: {stored:?}");
        Self { person, begin, chain, last_ask }
    }

    fn query(&self) -> AuditQuery {
        AuditQuery { user: Some(self.person.clone()), ..AuditQuery::default() }
    }

    async fn every_condition_narrows_what_is_found(&self, reader: &dyn AuditReader) {
        let some = |text: &str| Some(text.to_owned());
        let minute = |minute: i64| Some(self.begin + TimeDelta::minutes(minute));
        let cases: [(&str, AuditQuery, usize); 22] = [
            ("everything", self.query(), 10),
            ("a tenant", AuditQuery { tenant: some("default"), ..self.query() }, 10),
            ("another tenant", AuditQuery { tenant: some("other"), ..self.query() }, 0),
            ("a status", AuditQuery { status: some("denied"), ..self.query() }, 1),
            ("what failed", AuditQuery { failed: true, ..self.query() }, 1),
            ("a door", AuditQuery { source: some("http"), ..self.query() }, 10),
            ("another door", AuditQuery { source: some("slack"), ..self.query() }, 0),
            ("no door", AuditQuery { source: some("unknown"), ..self.query() }, 0),
            ("a request type", AuditQuery { request_type: some("chat"), ..self.query() }, 7),
            ("a server with a dot", AuditQuery { server: some("git.hub"), ..self.query() }, 7),
            ("a server that nobody came to", AuditQuery { server: some("db"), ..self.query() }, 1),
            ("a server that there is not", AuditQuery { server: some("no.such"), ..self.query() }, 1),
            ("the tool of a server with a dot", AuditQuery { tool: some("git.hub.log"), ..self.query() }, 7),
            ("a server's prefix", AuditQuery { server: some("gi"), ..self.query() }, 0),
            ("a tool of a server", AuditQuery { tool: some("db.drop_table"), ..self.query() }, 1),
            ("a tool of any server", AuditQuery { tool: some("log"), ..self.query() }, 7),
            ("a pattern, which is no name", AuditQuery { tool: some("drop%table"), ..self.query() }, 0),
            ("a time", AuditQuery { since: minute(2), until: minute(4), ..self.query() }, 2),
            ("its id", AuditQuery { request_id: Some(self.last_ask), ..self.query() }, 1),
            ("an id that nothing has", AuditQuery { request_id: Some(Uuid::now_v7()), ..self.query() }, 0),
            ("what the first are left out of", AuditQuery { offset: 5, limit: Some(10), ..self.query() }, 5),
            ("somebody else", AuditQuery { user: some("nobody@company.com"), ..self.query() }, 0),
        ];
        for (name, query, count) in cases {
            let found = reader.logs(&query).await;
            assert_eq!(found.map(|page| page.entries.len()).ok(), Some(count), "by {name}");
        }
    }

    async fn pages_follow_each_other_without_gap_or_repetition(&self, reader: &dyn AuditReader) {
        let newest = self.all(reader, Order::NewestFirst).await;
        let times: Vec<_> = newest.iter().map(|entry| (entry.created_at - self.begin).num_minutes()).collect();
        assert_eq!(times, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], "the newest come first");
        let mut oldest = self.all(reader, Order::OldestFirst).await;
        oldest.reverse();
        assert_eq!(oldest, newest, "the other order is the same the other way round");
        let page = reader.logs(&AuditQuery { offset: 2, limit: Some(3), ..self.query() }).await.unwrap_or_default();
        assert_eq!(page.entries, newest[2..5], "a page begins where it is said to");
        assert_eq!(page.next, Some(Cursor::of(&newest[4])), "and says where the next one does");
    }

    async fn all(&self, reader: &dyn AuditReader, order: Order) -> Vec<LogEntry> {
        let mut query = AuditQuery { order, limit: Some(3), ..self.query() };
        let mut all = Vec::new();
        loop {
            let page = reader.logs(&query).await.unwrap_or_default();
            assert!(page.entries.len() <= 3, "a page has its size");
            all.extend(page.entries);
            let next = page.next.map(|next| next.to_string().parse());
            match next {
                Some(Ok(next)) => query.after = Some(next),
                Some(Err(_)) | None => return all,
            }
        }
    }

    async fn a_brief_page_is_without_what_may_be_long(&self, reader: &dyn AuditReader) {
        let whole = self.all(reader, Order::NewestFirst).await;
        let has_long = |entry: &LogEntry| (entry.message.is_some(), entry.tool_params.is_some());
        assert!(whole.iter().any(|entry| has_long(entry).0) && whole.iter().any(|entry| has_long(entry).1));
        let short = |entry: LogEntry| LogEntry { message: None, tool_params: None, ..entry };
        let page = reader.logs(&AuditQuery { brief: true, ..self.query() }).await.unwrap_or_default();
        assert_eq!(page.entries, whole.into_iter().map(short).collect::<Vec<_>>(), "the rest is as it was");
    }

    async fn sums_are_those_of_the_entries(&self, reader: &dyn AuditReader) {
        let stats = reader.stats(&self.query()).await.unwrap_or_default();
        let counts = (stats.total_requests, stats.total_tool_calls, stats.blocked_count, stats.admin_count);
        assert_eq!(counts, (9, 7, 1, 1), "calls that omni refused are none, and administrators' operations are apart");
        assert_eq!((stats.total_tokens_input, stats.total_tokens_cached), (7 * 140, 7 * 7_589));
        assert_eq!((stats.total_tokens_cache_write, stats.estimated_count), (7 * 11, 1));
        assert_eq!((stats.by_status.get("success"), stats.by_status.get("denied")), (Some(&7), Some(&1)));
        assert!((stats.total_cost - 7.0 * 0.002_103_12).abs() < 1e-9, "{stats:?}");
        assert_eq!(stats.by_status.values().sum::<u64>(), 9);
        assert!((stats.avg_duration_ms - 5_600.0 / 9.0).abs() < 1e-9 && stats.unpriced_count == 0, "{stats:?}");
        assert!((stats.avg_iterations - 3.0).abs() < 1e-9, "a direct call has no turns to share: {stats:?}");
        let denied = AuditQuery { status: Some("denied".into()), limit: Some(1), offset: 1, ..self.query() };
        for (query, count) in [(self.query(), 10), (denied, 1)] {
            assert_eq!(reader.count(&query).await.ok(), Some(count), "all that is found is counted, not the page");
        }
        let none = AuditQuery { status: Some("timeout".into()), ..self.query() };
        let none = reader.stats(&none).await.unwrap_or_default();
        assert_eq!((none.total_requests, none.avg_iterations, none.avg_duration_ms), (0, 0.0, 0.0));
    }

    async fn calls_are_those_of_the_request(&self, reader: &dyn AuditReader) {
        let calls = reader.calls(self.last_ask).await.unwrap_or_default();
        let call = calls.first();
        assert_eq!(calls.len(), 1, "an ask's calls are found by its id");
        assert_eq!(call.map(|call| (call.server.as_str(), call.bytes)), Some(("git.hub", Some(42))));
        assert!(call.is_some_and(|call| call.sent), "it came to its server");
        let refused =
            reader.logs(&AuditQuery { status: Some("denied".into()), ..self.query() }).await.unwrap_or_default();
        let refused = refused.entries.first().map(|entry| (entry.request_id, entry.tools_used.len()));
        let calls = reader.calls(refused.map(|(id, _)| id).unwrap_or_default()).await.unwrap_or_default();
        assert_eq!((refused.map(|(_, used)| used), calls.first().map(|call| call.sent)), (Some(0), Some(false)));
        assert_eq!(call.and_then(|call| call.cost_nano_usd), Some(1_000));
        let Some(call) = call else { return };
        let record = reader.sealed_call(call).await.ok().flatten();
        assert!(record.is_some_and(|record| self.chain.contains(&record)), "a call has its record");
    }

    async fn rows_say_what_the_records_say(&self, reader: &dyn AuditReader) {
        assert_eq!(reader.differing(&self.chain).await.ok(), Some(None), "what was just written is right");
        let page = reader.logs(&self.query()).await.unwrap_or_default();
        let denied = page.entries.iter().find(|entry| entry.status == "denied");
        assert_eq!(denied.map(|entry| (entry.was_blocked, entry.success)), Some((true, false)));
        assert_eq!(denied.and_then(|entry| entry.block_reason.as_deref()), Some("not for you"));
        let answered = page.entries.last();
        assert_eq!(answered.and_then(|entry| entry.message_preview.as_deref()), Some("How many?"));
        assert_eq!(answered.and_then(|entry| entry.cost_estimate), Some(0.002_103));
        let client = answered.map(|entry| (entry.x_source.as_deref(), entry.user_agent.as_deref(), entry.ip_address));
        assert_eq!(client, Some((Some("web-ui"), Some("curl/8"), "2001:db8::1".parse().ok())));
    }
}

/// Whatever time its writer had.
async fn what_is_stored_late_comes_late_by_number(sink: &dyn AuditSink, reader: &dyn AuditReader) {
    let person = format!("{}@company.com", Uuid::new_v4().simple());
    let begin = Utc::now().trunc_subsecs(6) - TimeDelta::days(1);
    for minute in [5, 1, 9, 3] {
        let event = Event::Ask(Box::new(AskRecord::new("?", Outcome::Success)));
        let record = at(&person, begin, minute, Uuid::now_v7(), event);
        let stored = sink.append(&seal_all(&SealKey::generate(), [record].into_iter())).await;
        assert!(stored.is_ok(), "a batch is stored: {stored:?}");
    }
    let found = async |order, limit, after| {
        let query =
            AuditQuery { user: Some(person.clone()), order, limit: Some(limit), after, ..AuditQuery::default() };
        let page = reader.logs(&query).await.unwrap_or_default();
        let times: Vec<_> = page.entries.iter().map(|entry| (entry.created_at - begin).num_minutes()).collect();
        (times, page.next, page.entries.first().map_or(0, |entry| entry.id))
    };
    let (first, next, id) = found(Order::AsStored, 2, None).await;
    assert_eq!(first, [5, 1], "entries come as they were stored");
    assert_eq!(found(Order::AsStored, 9, next).await.0, [9, 3], "a page goes on where the last one ended");
    assert_eq!(found(Order::AsStored, 9, Some(Cursor::behind(id))).await.0, [1, 9, 3], "and behind a number");
    let (last, next, _) = found(Order::LastStoredFirst, 3, None).await;
    assert_eq!(
        (last, found(Order::LastStoredFirst, 3, next).await.0),
        (vec![3, 9, 1], vec![5]),
        "or the other way round"
    );
}

async fn what_came_by_no_door_is_found_as_unknown(sink: &dyn AuditSink, reader: &dyn AuditReader) {
    let id = Uuid::now_v7();
    let record = Record::new(id, None, Event::Admin(AdminRecord::new("config.reload", "somewhere")));
    let stored = sink.append(&seal_all(&SealKey::generate(), std::iter::once(record))).await;
    assert!(stored.is_ok(), "what omni does by itself is stored: {stored:?}");
    for (source, count) in [("unknown", 1), ("http", 0)] {
        let query = AuditQuery { request_id: Some(id), source: Some(source.into()), ..AuditQuery::default() };
        let found = reader.logs(&query).await;
        assert_eq!(found.map(|page| page.entries.len()).ok(), Some(count), "by the door {source:?}");
    }
}

fn at(person: &str, begin: DateTime<Utc>, minute: i64, request_id: Uuid, event: Event) -> Record {
    let client = Client::new("2001:db8::1".parse().ok()).with_x_source(Some("web-ui")).with_user_agent(Some("curl/8"));
    let mut party = Party::new(&Principal::email(person), Source::Http).with_client(client);
    party.role = Some("dba".into());
    let mut record = Record::new(request_id, Some(party), event);
    record.at = begin + TimeDelta::minutes(minute);
    record
}

fn ask(person: &str, begin: DateTime<Utc>, minute: i64, request_id: Uuid) -> [Record; 2] {
    let mut call = CallRecord::new("git.hub", "log", json!({}), Outcome::Success);
    (call.call_id, call.bytes, call.cost) = ("1".into(), Some(42), Some(NanoUsd(1_000)));
    let mut ask = AskRecord::new("How many?", Outcome::Success);
    ask.model = Some("claude-3-5-haiku-20241022".into());
    ask.usage = Usage { cache_read: 7_589, cache_write: 11, estimated: minute == 0, ..Usage::new(140, 346) };
    ask.cost = Some(NanoUsd(2_103_120));
    ask.tools_used = vec!["git.hub.log".into()];
    ask.servers_used = ["git.hub".into()].into();
    (ask.iterations, ask.duration_ms) = (3, 800);
    [Event::ToolCall(call), Event::Ask(Box::new(ask))].map(|event| at(person, begin, minute, request_id, event))
}

/// Checks that pruning takes what is old, and that what is left can still be proved. Chains of other keys stay. What no
/// record proves, rows and what people said of answers, goes where it is older than 85 days, whosever it is.
///
/// # Panics
/// Where the contract is broken.
pub async fn audit_prune_contract(sink: &dyn AuditSink, store: &dyn LedgerStore) {
    let key = SealKey::generate();
    let begin = Utc::now() - TimeDelta::days(100);
    let records = (0..20).map(|day| {
        let event = Event::Ask(Box::new(AskRecord::new("?", Outcome::Success)));
        at("old@company.com", begin, day * 24 * 60, Uuid::now_v7(), event)
    });
    let chain = seal_all(&key, records);
    let chain_id = chain[0].chain_id;
    let stored = sink.append(&chain).await;
    assert!(stored.is_ok(), "a batch is stored: {stored:?}");
    for (days, left) in [(95, 14), (95, 14), (85, 4)] {
        let pruned = prune(store, &key, Utc::now() - TimeDelta::days(days)).await;
        assert!(pruned.is_ok(), "pruning works: {pruned:?}");
        let rest = store.read(chain_id, 0, 100).await.unwrap_or_default();
        assert_eq!(rest, chain[20 - left..], "the old records are gone, and no other");
        assert_eq!(verify_chain(store, &key, chain_id).await.ok(), Some(None), "the rest can be proved");
    }
    let stranger = verify_chain(store, &SealKey::generate(), chain_id).await;
    assert!(matches!(stranger, Ok(Some(_))), "a checkpoint is worth nothing without the key");
}
