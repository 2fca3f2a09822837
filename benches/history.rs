//! A history of any length, made by the database itself.

use std::ops::Range;

use omni_core::db::{Db, Dialect};

/// Indexes are made after so many rows.
const MANY: u64 = 100_000;

/// Rows of a year that follow from their numbers: 200 people, three servers, twenty tools; so many requests, each
/// with a call. They are in no chain that can be proved.
pub async fn load(db: &Db, rows: u64) {
    let is_large = rows >= MANY;
    let indexes = if is_large { take_indexes(db).await } else { Vec::new() };
    let parts = Parts::of(db.dialect(), rows);
    for statement in [parts.logs(), parts.calls()] {
        db.execute(&statement, &[]).await.unwrap();
    }
    for index in indexes {
        db.execute(&index, &[]).await.unwrap();
    }
    db.execute("ANALYZE", &[]).await.unwrap();
}

/// People whom an administrator gave a role, by their numbers, as `omni policy import` would write them into SQLite.
pub async fn people(db: &Db, numbers: Range<usize>) {
    if numbers.is_empty() {
        return;
    }
    let Range { start, end } = numbers;
    let users = format!(
        "INSERT INTO users (email, name, role, role_source, created_at, updated_at)
         SELECT 'user' || g || '@company.com', 'User ' || g, 'dba', 'assigned', '2026-01-01 00:00:00.000000',
            '2026-01-01 00:00:00.000000'
         FROM (WITH RECURSIVE n(g) AS (SELECT {start} UNION ALL SELECT g + 1 FROM n WHERE g + 1 < {end}) SELECT g FROM n) x"
    );
    let access =
        "INSERT INTO user_access (user_id) SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM user_access)";
    let changed = "UPDATE policy_version SET version = version + 1";
    for statement in [users.as_str(), access, changed] {
        db.execute(statement, &[]).await.unwrap();
    }
}

/// What makes the indexes again that are taken away here.
async fn take_indexes(db: &Db) -> Vec<String> {
    let list = match db.dialect() {
        Dialect::Sqlite => {
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
            AND tbl_name IN ('audit_logs', 'tool_calls')"
        }
        Dialect::Postgres => {
            "SELECT CAST(indexname AS TEXT) AS name, indexdef AS sql FROM pg_indexes
            WHERE schemaname = current_schema() AND tablename IN ('audit_logs', 'tool_calls')
            AND indexdef NOT LIKE 'CREATE UNIQUE%'"
        }
    };
    if db.dialect() == Dialect::Postgres {
        // What searches texts has nothing to do with it.
        db.execute("ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_search_update", &[]).await.unwrap();
    }
    let mut made = Vec::new();
    for row in db.fetch_all(list, &[]).await.unwrap() {
        made.push(row.text("sql").unwrap());
        db.execute(&format!("DROP INDEX {}", row.text("name").unwrap()), &[]).await.unwrap();
    }
    made
}

/// What the two databases say differently.
struct Parts {
    numbers: String,
    at: String,
    tools: &'static str,
    servers: &'static str,
    yes: &'static str,
    no: &'static str,
    json: &'static str,
}

impl Parts {
    fn of(dialect: Dialect, rows: u64) -> Self {
        let step = 365.0 * 86_400.0 / rows as f64;
        match dialect {
            Dialect::Sqlite => Self {
                numbers: format!(
                    "(WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < {rows})
                      SELECT g, (g * 2654435761) % 4294967296 AS h FROM n)"
                ),
                at: format!("strftime('%Y-%m-%d %H:%M:%f000', 'now', (-({rows} - g) * {step}) || ' seconds')"),
                tools: "json_array('server' || (h % 3) || '.tool' || (h % 20))",
                servers: "json_array('server' || (h % 3))",
                yes: "1",
                no: "0",
                json: "'{}'",
            },
            Dialect::Postgres => Self {
                numbers: format!(
                    "(SELECT g, (g * 2654435761) % 4294967296 AS h FROM generate_series(CAST(1 AS BIGINT), {rows}) g)"
                ),
                at: format!("now() - ({rows} - g) * interval '{step} seconds'"),
                tools: "ARRAY['server' || (h % 3) || '.tool' || (h % 20)]",
                servers: "ARRAY['server' || (h % 3)]",
                yes: "true",
                no: "false",
                json: "CAST('{}' AS jsonb)",
            },
        }
    }

    fn logs(&self) -> String {
        let Self { numbers, at, tools, servers, yes, no, .. } = self;
        format!(
            "INSERT INTO audit_logs (chain_id, seq, timestamp, created_at, request_id, tenant, user_email, user_role,
                source, request_type, message, message_preview, model, iterations, tool_calls_count, tools_used,
                mcps_accessed, tokens_input, tokens_output, tokens_cached, tokens_cache_write, cost_nano_usd, success,
                status, duration_ms, error_message, was_blocked, block_reason)
             SELECT 'bench', g, {at}, {at}, 'r' || g, 'default', 'user' || (h % 200) || '@company.com', 'role' || (h % 8),
                CASE h % 3 WHEN 0 THEN 'cli' WHEN 1 THEN 'http' ELSE 'slack' END, 'chat', 'What about number ' || g || '?',
                'What about number ' || g || '?', CASE WHEN h % 4 = 0 THEN 'claude-sonnet-4-5' ELSE 'claude-haiku-4-5' END,
                1 + h / 7 % 6, 1, {tools}, {servers}, 100 + h % 900, 50 + h % 450, h % 8000, 0, 100000 + h % 90000000,
                CASE WHEN h / 11 % 100 < 95 THEN {yes} ELSE {no} END,
                CASE WHEN h / 11 % 100 < 95 THEN 'success' WHEN h / 11 % 100 < 98 THEN 'error' ELSE 'denied' END,
                300 + h / 13 % 4000 + CASE WHEN h % 50 = 0 THEN h / 17 % 60000 ELSE 0 END,
                CASE WHEN h / 11 % 100 >= 95 THEN 'failure number ' || (h % 12) END,
                CASE WHEN h / 11 % 100 >= 98 THEN {yes} ELSE {no} END,
                CASE WHEN h / 11 % 100 >= 98 THEN 'not for you' END
             FROM {numbers} x"
        )
    }

    fn calls(&self) -> String {
        let Self { numbers, at, json, .. } = self;
        format!(
            "INSERT INTO tool_calls (chain_id, seq, request_id, created_at, tenant, user_email, server, tool, arguments,
                status, duration_ms, bytes, cost_nano_usd, error, rule)
             SELECT 'bench-calls', g, 'r' || g, {at}, 'default', 'user' || (h % 200) || '@company.com', 'server' || (h % 3),
                'tool' || (h % 20), {json}, CASE WHEN h / 11 % 100 < 96 THEN 'success' WHEN h / 11 % 100 < 98 THEN 'error'
                ELSE 'denied' END, 20 + h / 13 % 900, h % 9000, 50000 + h % 40000000,
                CASE WHEN h / 11 % 100 >= 96 THEN 'call failure ' || (h % 12) END,
                CASE WHEN h / 11 % 100 >= 98 THEN 'mcps.server.deny: tool' || (h % 5) END
             FROM {numbers} x"
        )
    }
}
