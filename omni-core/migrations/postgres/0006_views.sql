-- Whether a call came to its server; what omni refused did not.
ALTER TABLE tool_calls ADD COLUMN IF NOT EXISTS sent BOOLEAN NOT NULL DEFAULT true;
-- Which key a checkpoint is signed with, as its signer says.
ALTER TABLE ledger_checkpoints ADD COLUMN IF NOT EXISTS key_id TEXT;
-- 'omni', or NULL for rows that somebody else wrote.
ALTER TABLE mcp_servers ADD COLUMN IF NOT EXISTS written_by TEXT;

-- Counts are those of the sealed calls that came to their servers, also of servers that nobody has listed
-- yet: what omni refused says nothing of a server, and what a caller made up is none.
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
FROM (SELECT name FROM mcp_servers UNION SELECT server FROM tool_calls WHERE sent) n
LEFT JOIN mcp_servers s ON s.name = n.name
LEFT JOIN (
    SELECT server, count(*) AS total, sum(CASE WHEN status = 'success' THEN 1 ELSE 0 END) AS good
    FROM tool_calls WHERE sent GROUP BY server
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
WHERE c.sent
GROUP BY c.tool, c.server;

-- What administrators do is no query.
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
LEFT JOIN audit_logs l ON l.user_id = u.id AND l.request_type <> 'admin'
GROUP BY u.id, u.email, u.name, u.role;

INSERT INTO schema_version (version, description)
VALUES (2, 'people'), (3, 'limits'), (5, 'originals'), (6, 'views') ON CONFLICT DO NOTHING;
