-- The truth: sealed records, append-only.
CREATE TABLE IF NOT EXISTS ledger (
    chain_id TEXT    NOT NULL,
    seq      INTEGER NOT NULL CHECK (seq >= 0),
    at       TEXT    NOT NULL,
    bytes    BLOB    NOT NULL,
    mac      BLOB    NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (chain_id, seq)
);

CREATE TRIGGER IF NOT EXISTS ledger_is_append_only_update BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER IF NOT EXISTS ledger_is_append_only_delete BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- The rest are projections of it. Times are UTC as 'YYYY-MM-DD HH:MM:SS.ffffff', lists are JSON arrays.
CREATE TABLE IF NOT EXISTS users (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant         TEXT    NOT NULL DEFAULT 'default',
    email          TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    role           TEXT,
    -- 'seen': the role that somebody had when they last asked, which grants nothing.
    -- 'assigned': the role that an administrator gave them.
    role_source    TEXT    NOT NULL DEFAULT 'seen' CHECK (role_source IN ('seen', 'assigned')),
    slack_user_id  TEXT,
    is_active      INTEGER NOT NULL DEFAULT 1,
    is_super_admin INTEGER NOT NULL DEFAULT 0,
    last_login     TEXT,
    login_count    INTEGER NOT NULL DEFAULT 0,
    preferences    TEXT    NOT NULL DEFAULT '{}',
    created_at     TEXT    NOT NULL,
    updated_at     TEXT    NOT NULL,
    UNIQUE (tenant, email)
);

CREATE INDEX IF NOT EXISTS users_role ON users (role);

CREATE TABLE IF NOT EXISTS audit_logs (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id            INTEGER REFERENCES users (id) ON DELETE SET NULL,
    timestamp          TEXT    NOT NULL,
    request_id         TEXT    NOT NULL,
    tenant             TEXT    NOT NULL DEFAULT 'default',
    user_email         TEXT,
    user_role          TEXT,
    actor              TEXT,
    source             TEXT,
    x_source           TEXT,
    question           TEXT,
    request_type       TEXT    NOT NULL DEFAULT 'chat',
    message            TEXT,
    message_preview    TEXT CHECK (length(message_preview) <= 200),
    model              TEXT,
    iterations         INTEGER NOT NULL DEFAULT 0,
    tool_calls_count   INTEGER NOT NULL DEFAULT 0,
    tools_used         TEXT    NOT NULL DEFAULT '[]',
    mcps_accessed      TEXT    NOT NULL DEFAULT '[]',
    databases_accessed TEXT,
    tokens_input       INTEGER NOT NULL DEFAULT 0,
    tokens_output      INTEGER NOT NULL DEFAULT 0,
    tokens_cached      INTEGER NOT NULL DEFAULT 0,
    tokens_cache_write INTEGER NOT NULL DEFAULT 0,
    -- Dollars; NULL when a price is unknown. The exact amount is in cost_nano_usd.
    cost_estimate      REAL,
    cost_nano_usd      INTEGER,
    mcp_target         TEXT,
    tool_called        TEXT,
    tool_params        TEXT,
    success            INTEGER NOT NULL,
    status             TEXT    NOT NULL DEFAULT 'success',
    warning            TEXT,
    duration_ms        INTEGER NOT NULL DEFAULT 0,
    result_summary     TEXT,
    response_preview   TEXT,
    error_message      TEXT,
    error_id           TEXT,
    slack_channel      TEXT,
    slack_user_id      TEXT,
    slack_message_ts   TEXT,
    slack_thread_ts    TEXT,
    llm_confidence     REAL,
    llm_reasoning      TEXT,
    llm_tokens_used    INTEGER,
    ip_address         TEXT,
    user_agent         TEXT,
    was_blocked        INTEGER NOT NULL DEFAULT 0,
    block_reason       TEXT,
    chain_id           TEXT    NOT NULL,
    seq                INTEGER NOT NULL,
    created_at         TEXT    NOT NULL,
    UNIQUE (chain_id, seq)
);

CREATE INDEX IF NOT EXISTS audit_logs_created_at ON audit_logs (created_at, id);
CREATE INDEX IF NOT EXISTS audit_logs_timestamp ON audit_logs (timestamp);
CREATE INDEX IF NOT EXISTS audit_logs_user_id ON audit_logs (user_id, created_at);
CREATE INDEX IF NOT EXISTS audit_logs_status ON audit_logs (status, created_at);
CREATE INDEX IF NOT EXISTS audit_logs_request_id ON audit_logs (request_id);

-- One row per call of a tool: an ask's own and direct ones.
CREATE TABLE IF NOT EXISTS tool_calls (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id    TEXT    NOT NULL,
    tenant        TEXT    NOT NULL DEFAULT 'default',
    user_email    TEXT,
    server        TEXT    NOT NULL,
    tool          TEXT    NOT NULL,
    arguments     TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    rule          TEXT,
    duration_ms   INTEGER NOT NULL DEFAULT 0,
    -- Of the result; NULL where there is none.
    bytes         INTEGER,
    -- The call's share of what the model turn cost that made it; NULL for direct calls and unknown prices.
    cost_estimate REAL,
    cost_nano_usd INTEGER,
    error         TEXT,
    chain_id      TEXT    NOT NULL,
    seq           INTEGER NOT NULL,
    created_at    TEXT    NOT NULL,
    UNIQUE (chain_id, seq)
);

CREATE INDEX IF NOT EXISTS tool_calls_request_id ON tool_calls (request_id);
CREATE INDEX IF NOT EXISTS tool_calls_tool ON tool_calls (server, tool, created_at);
