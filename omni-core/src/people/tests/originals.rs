//! A database of the original, with everything that it keeps of people and servers.

use super::{Blocks, Tables, UserState};
use crate::{
    db::Db,
    identity::{KeyStore as _, Principal, keys::sql::SqlKeys},
    policy::{PolicyStore as _, sql::SqlPolicy, yaml::tests::config},
};

/// What the original's own script makes, as far as it matters here: column by column with its
/// types, defaults and, above all, what it leaves open.
const ORIGINAL: [&str; 12] = [
    "CREATE TABLE users (id SERIAL PRIMARY KEY, email VARCHAR(255) UNIQUE NOT NULL, name VARCHAR(255) NOT NULL,
        role VARCHAR(50) NOT NULL DEFAULT 'read_only', slack_user_id VARCHAR(50) UNIQUE, is_active BOOLEAN DEFAULT true,
        is_super_admin BOOLEAN DEFAULT false, password_hash VARCHAR(255), last_login TIMESTAMPTZ,
        login_count INTEGER DEFAULT 0, preferences JSONB DEFAULT '{}', created_at TIMESTAMPTZ DEFAULT now(),
        updated_at TIMESTAMPTZ DEFAULT now(), created_by INTEGER REFERENCES users(id),
        updated_by INTEGER REFERENCES users(id), allow_all_mcps BOOLEAN DEFAULT false, allowed_domains TEXT[],
        allowed_databases TEXT[])",
    "CREATE TABLE user_teams (id SERIAL PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
        team_name VARCHAR(100) NOT NULL, created_at TIMESTAMPTZ DEFAULT now(), UNIQUE (user_id, team_name))",
    "CREATE TABLE audit_logs (id SERIAL PRIMARY KEY, user_id INTEGER REFERENCES users(id) ON DELETE SET NULL,
        timestamp TIMESTAMPTZ DEFAULT now(), question TEXT, request_type VARCHAR(50) DEFAULT 'chat', message TEXT,
        message_preview VARCHAR(200), iterations INTEGER DEFAULT 1, tool_calls_count INTEGER DEFAULT 0,
        tools_used TEXT[], mcps_accessed TEXT[], databases_accessed TEXT[], tokens_input INTEGER, tokens_output INTEGER,
        tokens_cached INTEGER, cost_estimate DECIMAL(10,6), mcp_target VARCHAR(255), tool_called VARCHAR(255),
        tool_params JSONB, success BOOLEAN NOT NULL, status VARCHAR(50) DEFAULT 'success', warning VARCHAR(255),
        duration_ms INTEGER, result_summary TEXT, response_preview TEXT, error_message TEXT, error_id VARCHAR(50),
        slack_channel VARCHAR(100), slack_user_id VARCHAR(50), slack_message_ts VARCHAR(50),
        slack_thread_ts VARCHAR(50), llm_confidence DECIMAL(3,2), llm_reasoning TEXT, llm_tokens_used INTEGER,
        ip_address INET, user_agent TEXT, was_blocked BOOLEAN DEFAULT false, block_reason TEXT,
        created_at TIMESTAMPTZ DEFAULT now(), search_vector TSVECTOR)",
    "CREATE TABLE mcp_servers (id SERIAL PRIMARY KEY, name VARCHAR(255) UNIQUE NOT NULL, url VARCHAR(500) NOT NULL,
        is_enabled BOOLEAN DEFAULT true, is_healthy BOOLEAN DEFAULT true, last_health_check TIMESTAMPTZ,
        last_seen TIMESTAMPTZ, consecutive_failures INTEGER DEFAULT 0, version VARCHAR(50), capabilities JSONB,
        total_requests INTEGER DEFAULT 0, successful_requests INTEGER DEFAULT 0, failed_requests INTEGER DEFAULT 0,
        avg_response_time_ms INTEGER, created_at TIMESTAMPTZ DEFAULT now(), updated_at TIMESTAMPTZ DEFAULT now())",
    "CREATE TABLE mcp_tools (id SERIAL PRIMARY KEY,
        mcp_server_id INTEGER NOT NULL REFERENCES mcp_servers(id) ON DELETE CASCADE, name VARCHAR(255) NOT NULL,
        description TEXT, input_schema JSONB, category VARCHAR(100), tags TEXT[], is_dangerous BOOLEAN DEFAULT false,
        requires_admin BOOLEAN DEFAULT false, call_count INTEGER DEFAULT 0, success_count INTEGER DEFAULT 0,
        failure_count INTEGER DEFAULT 0, avg_duration_ms INTEGER, discovered_at TIMESTAMPTZ DEFAULT now(),
        last_called TIMESTAMPTZ, UNIQUE (mcp_server_id, name))",
    "CREATE TABLE sessions (id SERIAL PRIMARY KEY, user_id INTEGER REFERENCES users(id) ON DELETE CASCADE,
        session_id VARCHAR(100) UNIQUE NOT NULL, expires_at TIMESTAMPTZ NOT NULL)",
    "CREATE TABLE api_keys (id SERIAL PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
        key_hash VARCHAR(255) UNIQUE NOT NULL, key_prefix VARCHAR(10) NOT NULL, name VARCHAR(255),
        scopes TEXT[] DEFAULT '{read}', is_active BOOLEAN DEFAULT true, is_revoked BOOLEAN DEFAULT false,
        revoked_at TIMESTAMPTZ, revoked_by INTEGER REFERENCES users(id), last_used TIMESTAMPTZ,
        usage_count INTEGER DEFAULT 0, expires_at TIMESTAMPTZ, created_at TIMESTAMPTZ DEFAULT now())",
    "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, description TEXT, applied_at TIMESTAMPTZ DEFAULT now())",
    "CREATE TABLE roles (name VARCHAR(50) PRIMARY KEY, display_name VARCHAR(255), description TEXT, color VARCHAR(20),
        permissions JSONB, rate_limit JSONB, created_at TIMESTAMPTZ DEFAULT now(), updated_at TIMESTAMPTZ DEFAULT now())",
    "CREATE TABLE teams (name VARCHAR(100) PRIMARY KEY, display_name VARCHAR(255), description TEXT,
        slack_channel VARCHAR(100), notify_on_errors BOOLEAN DEFAULT false, created_at TIMESTAMPTZ DEFAULT now())",
    "CREATE TABLE user_mcp_permissions (id SERIAL PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE, mcp_name VARCHAR(255) NOT NULL,
        mode VARCHAR(20) DEFAULT 'inherit', allowed_tools TEXT[], denied_tools TEXT[], UNIQUE (user_id, mcp_name))",
    "CREATE TABLE user_settings (id SERIAL PRIMARY KEY, default_user JSONB, auto_provisioning JSONB, session JSONB,
        restrictions JSONB, user_audit JSONB)",
];

/// Its rows: addresses as people spelled them, one person twice, and gaps.
const ROWS: [&str; 11] = [
    "INSERT INTO users (email, name, is_active, slack_user_id, updated_at) VALUES
        ('Alice@X.org', 'Alice', false, NULL, NULL), (' Bob@X.org ', 'Bob', true, NULL, now()),
        ('carl@x.org', 'Carl', true, NULL, now()), ('Carl@X.org', 'Carl B.', true, 'U7', now()),
        ('CARL@x.org', 'Carl C.', false, NULL, now()), ('dan@x.org', 'Dan', NULL, NULL, now())",
    "UPDATE users SET created_by = 4, is_super_admin = NULL WHERE id = 2",
    "INSERT INTO audit_logs (user_id, message, success) VALUES (2, 'of Bob', true), (4, 'of Carl', true)",
    "INSERT INTO user_teams (user_id, team_name) VALUES (3, 'dbas'), (4, 'dbas'), (5, 'ops')",
    "INSERT INTO sessions (user_id, session_id, expires_at) VALUES (4, 's', now())",
    "INSERT INTO user_mcp_permissions (user_id, mcp_name, mode, allowed_tools) VALUES (3, 'one', 'all', NULL),
        (4, 'one', 'custom', '{get_x}'), (4, 'two', 'inherit', NULL)",
    "INSERT INTO api_keys (user_id, key_hash, key_prefix, is_revoked, created_at) VALUES (4, 'h', 'p', NULL, NULL)",
    "INSERT INTO mcp_servers (name, url, is_enabled) VALUES ('one', 'http://one', NULL)",
    "INSERT INTO mcp_tools (mcp_server_id, name, is_dangerous) VALUES (1, 'get_x', NULL)",
    "INSERT INTO roles (name, display_name, permissions, rate_limit) VALUES
        ('clerk', 'Clerk', '{\"can_manage_users\": true}', '{\"requests_per_hour\": 7}'), ('dba', 'DBA', NULL, NULL)",
    "INSERT INTO teams (name, display_name) VALUES ('dbas', 'The DBAs')",
];

/// Such a database, taken over.
async fn taken_over() -> Option<(Tables, String)> {
    let url = crate::testing::postgres_schema().await?;
    let db = Db::connect(&url).await.unwrap();
    for statement in ORIGINAL.into_iter().chain(ROWS) {
        db.execute(statement, &[]).await.unwrap();
    }
    db.execute(
        "INSERT INTO user_settings (default_user) VALUES ('{\"role\": \"clerk\", \"allowed_mcps\": [\"one\"]}')",
        &[],
    )
    .await
    .unwrap();
    db.close().await;
    let tables = Tables::at(&url);
    tables.db().await.unwrap();
    Some((tables, url))
}

async fn texts(tables: &Tables, sql: &str) -> Vec<String> {
    let rows = tables.db().await.unwrap().fetch_all(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.optional_text("it").unwrap().unwrap_or_default()).collect()
}

#[tokio::test]
async fn whoever_was_kept_out_under_another_spelling_is_let_in_again() {
    let Some((tables, _)) = taken_over().await else { return };
    let policy = SqlPolicy::new(&config("", ""), tables.clone()).unwrap();
    let may = async |email: &str| {
        policy.refresh().await.unwrap();
        policy.resolve(&Principal::email(email)).await.is_ok()
    };
    for email in ["alice@x.org", "carl@x.org", "dan@x.org"] {
        assert!(!may(email).await, "{email} is not active, under one spelling at least");
        assert!(tables.enable(email).await.unwrap(), "{email}");
        assert!(may(email).await, "{email}");
    }
    tables.assign("Alice@X.org", None, "dba").await.unwrap();
    assert!(may("alice@x.org").await);
}

#[tokio::test]
async fn spellings_of_one_address_become_one_person_who_keeps_what_each_had() {
    let Some((tables, _)) = taken_over().await else { return };
    let known: Vec<_> = tables.users("", 10).await.unwrap().into_iter().map(|user| (user.email, user.state)).collect();
    let expected = ["alice@x.org", "bob@x.org", "carl@x.org", "dan@x.org"].map(|email| (email.into(), UserState::Seen));
    assert_eq!(known, expected);
    let of_carl = "FROM users WHERE email = 'carl@x.org'";
    assert_eq!(texts(&tables, &format!("SELECT slack_user_id AS it {of_carl}")).await, ["U7"]);
    assert_eq!(
        texts(
            &tables,
            &format!("SELECT team_name AS it FROM user_teams WHERE user_id IN (SELECT id {of_carl}) ORDER BY 1")
        )
        .await,
        ["dbas", "ops"]
    );
    for (table, column) in [("sessions", "session_id"), ("api_keys", "key_hash"), ("audit_logs", "message")] {
        let sql = format!(
            "SELECT t.{column} AS it FROM {table} t JOIN users u ON u.id = t.user_id WHERE u.email = 'carl@x.org'"
        );
        assert_eq!(texts(&tables, &sql).await.len(), 1, "{table}");
    }
    let of_bob = "SELECT c.email AS it FROM users b JOIN users c ON c.id = b.created_by WHERE b.email = 'bob@x.org'";
    assert_eq!(texts(&tables, of_bob).await, ["carl@x.org"]);
    let asked = "SELECT user_email AS it FROM audit_logs ORDER BY id";
    assert_eq!(texts(&tables, asked).await, ["bob@x.org", "carl@x.org"], "one's own questions are found");
}

#[tokio::test]
async fn two_entries_of_one_person_that_differ_open_nothing() {
    let Some((tables, _)) = taken_over().await else { return };
    tables.assign("carl@x.org", None, "dba").await.unwrap();
    let mcps =
        "mcps: [{ name: one, url: 'http://1' }, { name: two, url: 'http://2' }, { name: three, url: 'http://3' }]";
    let policy = SqlPolicy::new(&config(mcps, ""), tables).unwrap();
    policy.refresh().await.unwrap();
    let grant = policy.resolve(&Principal::email("carl@x.org")).await.unwrap();
    let may = ["one", "two", "three"].map(|server| grant.decide(server, "get_x", None).is_allowed());
    assert_eq!(may, [false, true, false]);
    assert_eq!(grant.teams, ["dbas", "ops"]);
}

#[tokio::test]
async fn its_other_tables_go_on_as_omnis_own() {
    let Some((tables, _)) = taken_over().await else { return };
    let mcps = "mcps: [{ name: one, url: 'http://1' }, { name: two, url: 'http://2' }]";
    let policy = SqlPolicy::new(&config(mcps, ""), tables.clone()).unwrap();
    policy.refresh().await.unwrap();
    let anybody = policy.resolve(&Principal::email("new@x.org")).await.unwrap();
    assert_eq!((&*anybody.role.name, anybody.quota.per_hour), ("clerk", Some(7)));
    assert!(anybody.decide("one", "x", None).is_allowed() && !anybody.decide("two", "x", None).is_allowed());
    assert!(policy.role("dba").is_some() && anybody.role.permissions.len() == 1);
    let keys = SqlKeys::new(tables.clone()).list(None, None, 10).await.unwrap();
    assert_eq!((keys.len(), &*keys[0].owner, keys[0].scopes.iter().count()), (1, "carl@x.org", 0), "it opens nothing");
    for view in ["v_mcp_health", "v_tool_usage", "v_user_activity", "audit_logs_summary"] {
        tables.db().await.unwrap().fetch_all(&format!("SELECT * FROM {view}"), &[]).await.unwrap();
    }
    let seen = "SELECT name AS it FROM v_mcp_health WHERE tool_count = 1";
    assert_eq!(texts(&tables, seen).await, ["one"]);
    let users = "users: [{ email: a@x, role: clerk }]\nroles: { clerk: {} }\nteams: { t: {} }";
    tables.replace(config("", users).files.users.as_ref().unwrap(), "boss", Blocks::Stay).await.unwrap();
    policy.refresh().await.unwrap();
    assert!(policy.resolve(&Principal::email("a@x")).await.is_ok());
}

#[tokio::test]
async fn what_was_taken_over_is_left_alone_the_next_time() {
    let Some((tables, url)) = taken_over().await else { return };
    let all = "SELECT concat_ws('|', id, email, name, is_active) AS it FROM users ORDER BY id";
    let before = texts(&tables, all).await;
    assert_eq!(texts(&Tables::at(url), all).await, before);
}
