-- Sums of the tables that people query, so that nobody has to read all of their rows. Each row is counted here once its
-- number is at most the mark of its table; what has a greater one is read where it is. A row that comes late is so in
-- no other place than one that comes in time.
CREATE TABLE IF NOT EXISTS analytics_marks (
    source  TEXT PRIMARY KEY,
    id      INTEGER NOT NULL DEFAULT 0,
    -- Grows with every change of the sums.
    version INTEGER NOT NULL DEFAULT 0
);

INSERT INTO analytics_marks (source) VALUES ('audit_logs'), ('tool_calls') ON CONFLICT DO NOTHING;

-- Days of which rows were removed, to be summed up again.
CREATE TABLE IF NOT EXISTS analytics_stale (
    source TEXT NOT NULL,
    day    INTEGER NOT NULL,
    PRIMARY KEY (source, day)
);

-- In all of them: grain 0 is a quarter of an hour, 1 a day, 2 a month, of UTC; start is which one since 1970, of a month
-- its year and number (202603).

-- What was asked, by quarter of an hour.
CREATE TABLE IF NOT EXISTS analytics_quarters (
    grain       INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    tenant      TEXT NOT NULL,
    requests    INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    cached      INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    last_at     TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start)
) WITHOUT ROWID;

-- What was asked, by who asked and how it ended.
CREATE TABLE IF NOT EXISTS analytics_requests (
    grain       INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    tenant      TEXT NOT NULL,
    user_email  TEXT NOT NULL,
    user_role   TEXT NOT NULL,
    source      TEXT NOT NULL,
    model       TEXT NOT NULL,
    status      TEXT NOT NULL,
    requests    INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    iterations  INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    unpriced    INTEGER NOT NULL,
    input       INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    cached      INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    last_at     TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, user_email, user_role, source, model, status)
) WITHOUT ROWID;

-- How long whole requests took: 5 significant bits.
CREATE TABLE IF NOT EXISTS analytics_waits (
    grain    INTEGER NOT NULL,
    start    INTEGER NOT NULL,
    tenant   TEXT NOT NULL,
    bucket   INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    last_at  TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, bucket)
) WITHOUT ROWID;

-- Why requests failed: the beginnings of what was said.
CREATE TABLE IF NOT EXISTS analytics_faults (
    grain    INTEGER NOT NULL,
    start    INTEGER NOT NULL,
    tenant   TEXT NOT NULL,
    status   TEXT NOT NULL,
    message  TEXT NOT NULL,
    requests INTEGER NOT NULL,
    last_at  TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, status, message)
) WITHOUT ROWID;

-- What tools did.
CREATE TABLE IF NOT EXISTS analytics_calls (
    grain       INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    tenant      TEXT NOT NULL,
    server      TEXT NOT NULL,
    tool        TEXT NOT NULL,
    status      TEXT NOT NULL,
    sent        INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    cost        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    last_at     TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, server, tool, status, sent)
) WITHOUT ROWID;

-- Which servers people used.
CREATE TABLE IF NOT EXISTS analytics_people_calls (
    grain      INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    tenant     TEXT NOT NULL,
    user_email TEXT NOT NULL,
    server     TEXT NOT NULL,
    calls      INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    cost       INTEGER NOT NULL,
    last_at    TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, user_email, server)
) WITHOUT ROWID;

-- How long calls took.
CREATE TABLE IF NOT EXISTS analytics_call_waits (
    grain   INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    tenant  TEXT NOT NULL,
    server  TEXT NOT NULL,
    tool    TEXT NOT NULL,
    bucket  INTEGER NOT NULL,
    calls   INTEGER NOT NULL,
    last_at TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, server, tool, bucket)
) WITHOUT ROWID;

-- Why calls failed.
CREATE TABLE IF NOT EXISTS analytics_call_faults (
    grain   INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    tenant  TEXT NOT NULL,
    server  TEXT NOT NULL,
    tool    TEXT NOT NULL,
    status  TEXT NOT NULL,
    message TEXT NOT NULL,
    calls   INTEGER NOT NULL,
    last_at TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, server, tool, status, message)
) WITHOUT ROWID;

-- By which rules calls were refused.
CREATE TABLE IF NOT EXISTS analytics_rules (
    grain      INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    tenant     TEXT NOT NULL,
    user_email TEXT NOT NULL,
    server     TEXT NOT NULL,
    tool       TEXT NOT NULL,
    status     TEXT NOT NULL,
    rule       TEXT NOT NULL,
    calls      INTEGER NOT NULL,
    last_at    TEXT NOT NULL,
    PRIMARY KEY (tenant, grain, start, user_email, server, tool, status, rule)
) WITHOUT ROWID;

-- The first of many, in an order.

CREATE INDEX IF NOT EXISTS tool_calls_created_at ON tool_calls (created_at, id);
CREATE INDEX IF NOT EXISTS audit_logs_cost ON audit_logs (cost_nano_usd, created_at, id) WHERE cost_nano_usd > 0;
CREATE INDEX IF NOT EXISTS audit_logs_duration ON audit_logs (duration_ms, created_at, id) WHERE duration_ms >= 1000;
CREATE INDEX IF NOT EXISTS audit_logs_iterations ON audit_logs (iterations, created_at, id) WHERE iterations >= 2;
CREATE INDEX IF NOT EXISTS audit_logs_failed ON audit_logs (created_at, id) WHERE NOT success;

-- Rows of the original know their cost in dollars alone.
UPDATE audit_logs SET cost_nano_usd = CAST(round(cost_estimate * 1000000000) AS INTEGER)
WHERE chain_id IS NULL AND cost_nano_usd IS NULL AND cost_estimate IS NOT NULL;

-- What people say of answers: one word of each person on each ask, with what the ask was.
CREATE TABLE IF NOT EXISTS ask_feedback (
    request_id TEXT NOT NULL,
    tenant     TEXT NOT NULL,
    user_email TEXT NOT NULL,
    is_good    BOOLEAN NOT NULL,
    reason     TEXT,
    asker      TEXT,
    model      TEXT,
    question   TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (request_id, tenant, user_email)
);

CREATE INDEX IF NOT EXISTS ask_feedback_created_at ON ask_feedback (tenant, created_at);

INSERT INTO schema_version (version, description) VALUES (13, 'analytics') ON CONFLICT DO NOTHING;
