-- How servers did, as those saw it who watched them: from when until when one watcher found a server up, or away. While it
-- stays so last_at grows; where nobody watched, there is nothing.
CREATE TABLE IF NOT EXISTS server_spells (
    server   TEXT NOT NULL,
    watcher  TEXT NOT NULL,
    began_at TEXT NOT NULL,
    last_at  TEXT NOT NULL,
    is_up    INTEGER NOT NULL,
    -- Why it was away.
    reason   TEXT,
    PRIMARY KEY (server, watcher, began_at)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS server_spells_last_at ON server_spells (last_at);

-- How long whole requests took, now by door as well: made again of the rows that are summed up.
DROP TABLE IF EXISTS analytics_waits;
CREATE TABLE analytics_waits (
    grain    INTEGER NOT NULL,
    start    INTEGER NOT NULL,
    tenant   TEXT NOT NULL,
    source   TEXT NOT NULL,
    bucket   INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    last_at  TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, source, bucket)
) WITHOUT ROWID;
INSERT INTO analytics_waits (grain, start, tenant, source, bucket, requests, last_at)
SELECT 1, CAST(strftime('%s', r.created_at) AS INTEGER) / 86400, r.tenant, coalesce(r.source, ''),
    CASE WHEN coalesce(r.duration_ms, 0) < 32 THEN coalesce(r.duration_ms, 0)
        WHEN r.duration_ms < 64 THEN r.duration_ms / 2 * 2 WHEN r.duration_ms < 128 THEN r.duration_ms / 4 * 4
        WHEN r.duration_ms < 256 THEN r.duration_ms / 8 * 8 WHEN r.duration_ms < 512 THEN r.duration_ms / 16 * 16
        WHEN r.duration_ms < 1024 THEN r.duration_ms / 32 * 32 WHEN r.duration_ms < 2048 THEN r.duration_ms / 64 * 64
        WHEN r.duration_ms < 4096 THEN r.duration_ms / 128 * 128
        WHEN r.duration_ms < 8192 THEN r.duration_ms / 256 * 256
        WHEN r.duration_ms < 16384 THEN r.duration_ms / 512 * 512
        WHEN r.duration_ms < 32768 THEN r.duration_ms / 1024 * 1024
        WHEN r.duration_ms < 65536 THEN r.duration_ms / 2048 * 2048
        WHEN r.duration_ms < 131072 THEN r.duration_ms / 4096 * 4096
        WHEN r.duration_ms < 262144 THEN r.duration_ms / 8192 * 8192
        WHEN r.duration_ms < 524288 THEN r.duration_ms / 16384 * 16384
        ELSE r.duration_ms / 32768 * 32768 END,
    sum(1), max(r.created_at)
FROM audit_logs r
WHERE r.id <= (SELECT m.id FROM analytics_marks m WHERE m.source = 'audit_logs')
    AND r.request_type <> 'admin' AND NOT r.was_blocked AND r.created_at IS NOT NULL
GROUP BY 2, 3, 4, 5;

INSERT INTO analytics_waits (grain, start, tenant, source, bucket, requests, last_at)
SELECT 2, CAST(strftime('%Y%m', r.created_at) AS INTEGER), r.tenant, coalesce(r.source, ''),
    CASE WHEN coalesce(r.duration_ms, 0) < 32 THEN coalesce(r.duration_ms, 0)
        WHEN r.duration_ms < 64 THEN r.duration_ms / 2 * 2 WHEN r.duration_ms < 128 THEN r.duration_ms / 4 * 4
        WHEN r.duration_ms < 256 THEN r.duration_ms / 8 * 8 WHEN r.duration_ms < 512 THEN r.duration_ms / 16 * 16
        WHEN r.duration_ms < 1024 THEN r.duration_ms / 32 * 32 WHEN r.duration_ms < 2048 THEN r.duration_ms / 64 * 64
        WHEN r.duration_ms < 4096 THEN r.duration_ms / 128 * 128
        WHEN r.duration_ms < 8192 THEN r.duration_ms / 256 * 256
        WHEN r.duration_ms < 16384 THEN r.duration_ms / 512 * 512
        WHEN r.duration_ms < 32768 THEN r.duration_ms / 1024 * 1024
        WHEN r.duration_ms < 65536 THEN r.duration_ms / 2048 * 2048
        WHEN r.duration_ms < 131072 THEN r.duration_ms / 4096 * 4096
        WHEN r.duration_ms < 262144 THEN r.duration_ms / 8192 * 8192
        WHEN r.duration_ms < 524288 THEN r.duration_ms / 16384 * 16384
        ELSE r.duration_ms / 32768 * 32768 END,
    sum(1), max(r.created_at)
FROM audit_logs r
WHERE r.id <= (SELECT m.id FROM analytics_marks m WHERE m.source = 'audit_logs')
    AND r.request_type <> 'admin' AND NOT r.was_blocked AND r.created_at IS NOT NULL
GROUP BY 2, 3, 4, 5;

INSERT INTO schema_version (version, description) VALUES (17, 'overview') ON CONFLICT DO NOTHING;
