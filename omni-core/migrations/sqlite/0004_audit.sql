-- Where a chain begins since its beginning was pruned: signed with the ledger's key.
CREATE TABLE IF NOT EXISTS ledger_checkpoints (
    chain_id  TEXT NOT NULL PRIMARY KEY,
    -- The first place that is still there, and the seal of the record before it.
    next_seq  INTEGER NOT NULL CHECK (next_seq > 0),
    mac       BLOB NOT NULL CHECK (length(mac) = 32),
    -- The seal among those that were pruned by which a later chain names this one.
    named     BLOB CHECK (length(named) = 32),
    at        TEXT NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 32)
);

-- Only what a checkpoint stands for may go. One that was not signed is found by the verification.
DROP TRIGGER IF EXISTS ledger_is_append_only_delete;
CREATE TRIGGER ledger_is_append_only_delete BEFORE DELETE ON ledger
WHEN NOT EXISTS (SELECT 1 FROM ledger_checkpoints c WHERE c.chain_id = OLD.chain_id AND c.next_seq > OLD.seq)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE INDEX IF NOT EXISTS audit_logs_person ON audit_logs (user_email, created_at, id);

-- What the original keeps of servers and their tools.
CREATE TABLE IF NOT EXISTS mcp_servers (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    name                 TEXT NOT NULL UNIQUE,
    url                  TEXT NOT NULL,
    is_enabled           INTEGER NOT NULL DEFAULT 1,
    is_healthy           INTEGER NOT NULL DEFAULT 1,
    last_health_check    TEXT,
    last_seen            TEXT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    version              TEXT,
    capabilities         TEXT,
    total_requests       INTEGER NOT NULL DEFAULT 0,
    successful_requests  INTEGER NOT NULL DEFAULT 0,
    failed_requests      INTEGER NOT NULL DEFAULT 0,
    avg_response_time_ms INTEGER,
    created_at           TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')),
    updated_at           TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now'))
);

CREATE TABLE IF NOT EXISTS mcp_tools (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    mcp_server_id   INTEGER NOT NULL REFERENCES mcp_servers (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    description     TEXT,
    input_schema    TEXT,
    category        TEXT,
    tags            TEXT,
    is_dangerous    INTEGER NOT NULL DEFAULT 0,
    requires_admin  INTEGER NOT NULL DEFAULT 0,
    call_count      INTEGER NOT NULL DEFAULT 0,
    success_count   INTEGER NOT NULL DEFAULT 0,
    failure_count   INTEGER NOT NULL DEFAULT 0,
    avg_duration_ms INTEGER,
    discovered_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')),
    last_called     TEXT,
    UNIQUE (mcp_server_id, name)
);

CREATE TABLE IF NOT EXISTS schema_version (
    version     INTEGER PRIMARY KEY,
    description TEXT,
    applied_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now'))
);

INSERT INTO schema_version (version, description) VALUES (1, 'ledger'), (4, 'audit') ON CONFLICT DO NOTHING;

DROP VIEW IF EXISTS audit_logs_summary;
CREATE VIEW audit_logs_summary AS
SELECT date(created_at) AS date,
       user_id,
       request_type,
       count(*) AS total_requests,
       sum(tool_calls_count) AS total_tool_calls,
       avg(iterations) AS avg_iterations,
       avg(duration_ms) AS avg_duration_ms,
       sum(tokens_input) AS total_tokens_input,
       sum(tokens_output) AS total_tokens_output,
       sum(tokens_cached) AS total_tokens_cached,
       sum(cost_estimate) AS total_cost,
       sum(CASE WHEN success THEN 0 ELSE 1 END) AS error_count,
       sum(CASE WHEN success THEN 1 ELSE 0 END) AS success_count
FROM audit_logs
GROUP BY date(created_at), user_id, request_type;

DROP VIEW IF EXISTS v_user_activity;
CREATE VIEW v_user_activity AS
SELECT u.id,
       u.email,
       u.name,
       u.role,
       count(l.id) AS total_queries,
       sum(CASE WHEN l.success THEN 1 ELSE 0 END) AS successful_queries,
       sum(CASE WHEN l.id IS NOT NULL AND NOT l.success THEN 1 ELSE 0 END) AS failed_queries,
       avg(l.duration_ms) AS avg_duration_ms,
       max(l.created_at) AS last_activity
FROM users u
LEFT JOIN audit_logs l ON l.user_id = u.id
GROUP BY u.id, u.email, u.name, u.role;

-- Counts are those of the sealed calls, also of servers that nobody has listed yet.
DROP VIEW IF EXISTS v_mcp_health;
CREATE VIEW v_mcp_health AS
SELECT s.id,
       n.name,
       s.url,
       s.is_enabled,
       s.is_healthy,
       s.last_health_check,
       s.consecutive_failures,
       (SELECT count(*) FROM mcp_tools t WHERE t.mcp_server_id = s.id) AS tool_count,
       coalesce(c.total, 0) AS total_requests,
       coalesce(c.good, 0) AS successful_requests,
       coalesce(c.total - c.good, 0) AS failed_requests,
       CASE WHEN c.total > 0 THEN round(100.0 * c.good / c.total, 2) END AS success_rate_pct
FROM (SELECT name FROM mcp_servers UNION SELECT server FROM tool_calls) n
LEFT JOIN mcp_servers s ON s.name = n.name
LEFT JOIN (
    SELECT server, count(*) AS total, sum(CASE WHEN status = 'success' THEN 1 ELSE 0 END) AS good
    FROM tool_calls GROUP BY server
) c ON c.server = n.name;

DROP VIEW IF EXISTS v_tool_usage;
CREATE VIEW v_tool_usage AS
SELECT c.tool AS name,
       c.server AS mcp_name,
       max(t.category) AS category,
       count(*) AS call_count,
       sum(CASE WHEN c.status = 'success' THEN 1 ELSE 0 END) AS success_count,
       sum(CASE WHEN c.status = 'success' THEN 0 ELSE 1 END) AS failure_count,
       round(100.0 * sum(CASE WHEN c.status = 'success' THEN 1 ELSE 0 END) / count(*), 2) AS success_rate_pct,
       avg(c.duration_ms) AS avg_duration_ms,
       max(c.created_at) AS last_called
FROM tool_calls c
LEFT JOIN mcp_servers s ON s.name = c.server
LEFT JOIN mcp_tools t ON t.mcp_server_id = s.id AND t.name = c.tool
GROUP BY c.tool, c.server;
