//! A database of OMNI2, as its own dump has it, behind the service.

use std::collections::BTreeSet;

use omni_tests::{
    door::Reply,
    own_database::OwnDatabase,
    program::{Program, Ran},
    rig::until_some,
    service::Service,
};
use serde_json::{Value, json};

use super::{KEY, omni, read, root};

const OWNER: &str = "owner@company.com";
const DBA: &str = "dba@company.com";
/// When the dump begins.
const SINCE: &str = "since=2025-12-01&until=2026-01-01";

/// A home that has the people of the dump who go on, and the variables that name its database.
fn home() -> Program {
    let people = "super_admins: [{ email: owner@company.com }]\nusers: [{ email: dba@company.com, role: dba }]\n";
    omni().with_file("users.yaml", people).with_file("settings.yaml", "limit: { backend: sql }\n")
}

/// A database with the dump in it; `None` where there is no PostgreSQL, which never passes under CI.
async fn database() -> Option<OwnDatabase> {
    let database = OwnDatabase::postgres().await?;
    database.run(&read(&root().join("tests/fixtures/omni2_dump.sql"))).await;
    Some(database)
}

/// The service over that database, and keys of the owner and of the DBA.
struct Moved {
    home: Program,
    service: Service,
    keys: [String; 2],
    env: [(&'static str, String); 2],
    _database: OwnDatabase,
}

impl Moved {
    async fn start() -> Option<Self> {
        let (database, home) = (database().await?, home());
        // As the original spells it.
        let url = database.url().replacen("postgres://", "postgresql+asyncpg://", 1);
        let env = [("DATABASE_URL", url), ("OMNI_AUDIT_KEY", KEY.to_owned())];
        let set = env.each_ref().map(|(name, value)| (*name, value.as_str()));
        let status = home.run_with(&set, &["db", "status", "--json"]).exits(1).json();
        assert_eq!((&status["current"], &status["kind"]), (&json!(0), &json!("postgres")));
        for _ in 0..2 {
            home.run_with(&set, &["db", "migrate"]).exits(0);
            home.run_with(&set, &["db", "status"]).exits(0);
        }
        let key = |who: &str, scopes: &str| {
            home.run_with(&set, &["keys", "create", "--user", who, "--scope", scopes]).exits(0).out.trim().to_owned()
        };
        let keys = [key(OWNER, "ask,audit,admin"), key(DBA, "ask")];
        let service = Service::start_with(&home, &set, &[]);
        Some(Self { home, service, keys, env, _database: database })
    }

    async fn get(&self, key: &str, path: &str) -> Reply {
        Reply::of(self.service.client.get(format!("{}{path}", self.service.url)).bearer_auth(key)).await
    }

    fn run(&self, args: &[&str]) -> Ran {
        let set = self.env.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.home.run_with(&set, args)
    }
}

fn ids(page: &Value) -> Vec<i64> {
    page["logs"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_dump_is_served_row_by_row_with_what_its_rows_left_open() {
    let Some(moved) = Moved::start().await else { return };
    let owner = &moved.keys[0];
    let all = moved.get(owner, &format!("/audit/logs?{SINCE}&limit=100")).await.is(200).json();
    // The newest first, by when they were written.
    assert_eq!(ids(&all), [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(all["total"], 12);
    let row = |id: i64| all["logs"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();

    let first = row(1);
    assert_eq!(
        (&first["user_email"], &first["status"], &first["success"]),
        (&json!(DBA), &json!("success"), &json!(true))
    );
    assert_eq!(first["message_preview"], "Check health on transformer_master");
    assert_eq!(
        (&first["tools_used"], &first["mcps_accessed"]),
        (&json!(["database_mcp.get_database_health"]), &json!(["database_mcp"]))
    );
    assert_eq!(
        (&first["tokens_input"], &first["tokens_output"], &first["tokens_cached"]),
        (&json!(140), &json!(346), &json!(7589))
    );
    assert_eq!((&first["cost_estimate"], &first["duration_ms"]), (&json!(0.002103), &json!(4210)));
    assert_eq!(first["created_at"], "2025-12-11T09:00:00Z");
    // One person under two spellings is one.
    assert_eq!(row(2)["user_email"], DBA);
    assert_eq!(row(4)["message_preview"].as_str().unwrap().chars().count(), 200);
    assert_eq!((&row(5)["warning"], &row(5)["iterations"]), (&json!("max_iterations_reached"), &json!(10)));
    // Errors left arrays, tokens and costs empty, which once hid every other row.
    for id in [6, 7, 8] {
        let failed = row(id);
        assert_eq!((&failed["status"], &failed["tools_used"]), (&json!("error"), &json!([])), "{id}");
        assert_eq!((&failed["cost_estimate"], &failed["tokens_input"]), (&json!(null), &json!(0)), "{id}");
    }
    assert_eq!((&row(9)["user_email"], &row(9)["request_type"]), (&json!(null), &json!("chat")));
    for (id, status, at) in [(10, "success", "2025-12-18T16:00:00Z"), (11, "error", "2025-12-19T17:00:00Z")] {
        let open = row(id);
        assert_eq!((&open["status"], &open["request_type"]), (&json!(status), &json!("chat")), "{id}");
        assert_eq!((&open["created_at"], &open["was_blocked"]), (&json!(at), &json!(false)), "{id}");
    }
    assert!(row(12)["message_preview"].as_str().unwrap().starts_with("<script>"), "as it was typed");
    // What has no record has an id of its own all the same, and is seen by what was asked, whatever kept that.
    let requests: BTreeSet<_> =
        all["logs"].as_array().unwrap().iter().map(|row| row["request_id"].as_str().unwrap()).collect();
    assert!(requests.len() == 12 && !requests.contains("00000000-0000-0000-0000-000000000000"), "{requests:?}");
    for (id, asked) in [(9, "From somebody who left"), (10, "Which MCPs are there?"), (11, "Is it up?")] {
        assert_eq!(row(id)["message_preview"], asked, "{id}");
    }
    let found = moved.get(owner, &format!("/ui/ask.json?id={}", row(10)["request_id"].as_str().unwrap())).await;
    let found = found.is(200).json();
    assert_eq!((&found["id"], &found["message"]), (&json!(10), &json!("Which MCPs are there?")));
    assert_eq!(found["proof"]["state"], "unproved");
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_reads_their_own_of_a_dump_and_filters_find_what_is_in_it() {
    let Some(moved) = Moved::start().await else { return };
    let [owner, dba] = &moved.keys;
    let own = moved.get(dba, &format!("/audit/logs?{SINCE}")).await.is(200).json();
    assert_eq!(ids(&own), [6, 4, 2, 1], "of both spellings");
    moved.get(dba, &format!("/audit/logs?{SINCE}&user_id={OWNER}")).await.error(403, "denied");
    for (filter, expected) in [
        ("mcp_name=database_mcp", &[5, 2, 1][..]),
        ("status=error", &[11, 8, 7, 6][..]),
        ("user_id=contractor@external.com", &[12, 8, 7][..]),
        ("limit=2&offset=1", &[11, 10][..]),
        ("source=unknown&limit=2", &[12, 11][..]),
        ("source=http", &[][..]),
    ] {
        let found = moved.get(owner, &format!("/audit/logs?{SINCE}&{filter}")).await.is(200).json();
        assert_eq!(ids(&found), expected, "{filter}");
    }
    // A page is of the last days; all of it is all that there is.
    let page = moved.get(owner, "/audit/logs?until=2026-01-01").await.is(200).json();
    assert_eq!(page["total"], 0);
    let all = moved.get(owner, "/audit/logs?until=2026-01-01&format=ndjson").await.is(200);
    assert_eq!(all.text.lines().count(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_dump_go_when_somebody_prunes_them() {
    let Some(moved) = Moved::start().await else { return };
    let pruned = moved.run(&["db", "prune", "--older-than", "1", "--json"]).exits(0).json();
    assert_eq!((&pruned["records"], &pruned["unproved"]), (&json!(0), &json!(12)));
    let left = moved.get(&moved.keys[0], &format!("/audit/logs?{SINCE}")).await.is(200).json();
    assert_eq!(left["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_goes_on_as_the_ledger_of_omni_which_says_what_it_cannot_prove() {
    let Some(moved) = Moved::start().await else { return };
    let [owner, dba] = &moved.keys;
    Reply::of(moved.service.ask(dba, "What can you do?")).await.is(200);
    // The answer is there before its row is.
    let row = until_some(async || {
        let newest = moved.get(owner, "/audit/logs?limit=1&type=chat").await.is(200).json();
        newest["logs"].get(0).cloned()
    });
    let row = row.await;
    assert_eq!((&row["user_email"], &row["source"]), (&json!(DBA), &json!("http")));
    assert!(row["id"].as_i64().unwrap() > 12, "numbers go on: {row}");
    let verified = moved.run(&["audit", "verify"]).exits(0);
    assert!(verified.out.contains("12 rows of audit_logs are older than the ledger"), "{verified:?}");
    // Keys of the original open nothing, and whoever was kept out is.
    let keys = moved.run(&["keys", "list"]).exits(0).out;
    assert!(keys.lines().any(|line| line.contains("old key") && line.contains("ended")), "{keys}");
    let people = moved.run(&["users", "list"]).exits(0).out;
    let line =
        |who: &str| people.lines().find(|line| line.starts_with(who)).unwrap_or_else(|| panic!("{who} in {people}"));
    assert!(line("contractor@external.com").contains("blocked"), "{people}");
    assert!(line(OWNER).contains("super_admin") && line(DBA).contains("users.yaml"), "{people}");
}
