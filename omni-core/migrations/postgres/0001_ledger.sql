-- The truth: sealed records, append-only.
CREATE TABLE IF NOT EXISTS ledger (
    chain_id TEXT        NOT NULL,
    seq      BIGINT      NOT NULL CHECK (seq >= 0),
    at       TIMESTAMPTZ NOT NULL,
    bytes    BYTEA       NOT NULL,
    mac      BYTEA       NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (chain_id, seq)
);

CREATE OR REPLACE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END $$;

CREATE OR REPLACE TRIGGER ledger_is_append_only_update BEFORE UPDATE ON ledger
FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();

CREATE OR REPLACE TRIGGER ledger_is_append_only_delete BEFORE DELETE ON ledger
FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();

CREATE OR REPLACE TRIGGER ledger_is_append_only_truncate BEFORE TRUNCATE ON ledger
FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- The rest are projections of it. Names and types are the original's, so that its queries run
-- unchanged and a database of the original is taken over: what is missing there is added below.
CREATE TABLE IF NOT EXISTS users (
    id             SERIAL PRIMARY KEY,
    email          VARCHAR(255) NOT NULL,
    name           VARCHAR(255) NOT NULL,
    role           VARCHAR(50),
    slack_user_id  VARCHAR(50) UNIQUE,
    is_active      BOOLEAN      NOT NULL DEFAULT true,
    is_super_admin BOOLEAN      NOT NULL DEFAULT false,
    password_hash  VARCHAR(255),
    last_login     TIMESTAMPTZ,
    login_count    INTEGER      NOT NULL DEFAULT 0,
    preferences    JSONB        NOT NULL DEFAULT '{}',
    created_at     TIMESTAMPTZ  NOT NULL DEFAULT now(),
    updated_at     TIMESTAMPTZ  NOT NULL DEFAULT now(),
    created_by     INTEGER REFERENCES users (id),
    updated_by     INTEGER REFERENCES users (id)
);

ALTER TABLE users ADD COLUMN IF NOT EXISTS tenant TEXT NOT NULL DEFAULT 'default';
-- 'seen': the role that somebody had when they last asked, which grants nothing.
-- 'assigned': the role that an administrator gave them.
ALTER TABLE users ADD COLUMN IF NOT EXISTS role_source TEXT NOT NULL DEFAULT 'seen'
    CHECK (role_source IN ('seen', 'assigned'));
ALTER TABLE users ALTER COLUMN role DROP NOT NULL;

CREATE UNIQUE INDEX IF NOT EXISTS users_tenant_email ON users (tenant, email);
CREATE INDEX IF NOT EXISTS users_role ON users (role);

CREATE TABLE IF NOT EXISTS audit_logs (
    id                 SERIAL PRIMARY KEY,
    user_id            INTEGER REFERENCES users (id) ON DELETE SET NULL,
    timestamp          TIMESTAMPTZ  NOT NULL DEFAULT now(),
    question           TEXT,
    request_type       VARCHAR(50)  NOT NULL DEFAULT 'chat',
    message            TEXT,
    message_preview    VARCHAR(200),
    iterations         INTEGER      DEFAULT 1,
    tool_calls_count   INTEGER      DEFAULT 0,
    tools_used         TEXT[],
    mcps_accessed      TEXT[],
    databases_accessed TEXT[],
    tokens_input       INTEGER,
    tokens_output      INTEGER,
    tokens_cached      INTEGER,
    -- Dollars; NULL when a price is unknown. The exact amount is in cost_nano_usd.
    cost_estimate      NUMERIC(10, 6),
    mcp_target         VARCHAR(255),
    tool_called        VARCHAR(255),
    tool_params        JSONB,
    success            BOOLEAN      NOT NULL,
    status             VARCHAR(50)  NOT NULL DEFAULT 'success',
    warning            VARCHAR(255),
    duration_ms        INTEGER,
    result_summary     TEXT,
    response_preview   TEXT,
    error_message      TEXT,
    error_id           VARCHAR(50),
    slack_channel      VARCHAR(100),
    slack_user_id      VARCHAR(50),
    slack_message_ts   VARCHAR(50),
    slack_thread_ts    VARCHAR(50),
    llm_confidence     NUMERIC(3, 2),
    llm_reasoning      TEXT,
    llm_tokens_used    INTEGER,
    ip_address         INET,
    user_agent         TEXT,
    was_blocked        BOOLEAN      NOT NULL DEFAULT false,
    block_reason       TEXT,
    created_at         TIMESTAMPTZ  NOT NULL DEFAULT now(),
    search_vector      TSVECTOR
);

ALTER TABLE audit_logs
    ADD COLUMN IF NOT EXISTS request_id         TEXT,
    ADD COLUMN IF NOT EXISTS tenant             TEXT NOT NULL DEFAULT 'default',
    ADD COLUMN IF NOT EXISTS user_email         VARCHAR(255),
    ADD COLUMN IF NOT EXISTS user_role          TEXT,
    ADD COLUMN IF NOT EXISTS actor              TEXT,
    ADD COLUMN IF NOT EXISTS source             TEXT,
    ADD COLUMN IF NOT EXISTS x_source           TEXT,
    ADD COLUMN IF NOT EXISTS model              TEXT,
    ADD COLUMN IF NOT EXISTS tokens_cache_write INTEGER,
    ADD COLUMN IF NOT EXISTS cost_nano_usd      BIGINT,
    -- The record that a row follows from; NULL for rows that are older than omni.
    ADD COLUMN IF NOT EXISTS chain_id           TEXT,
    ADD COLUMN IF NOT EXISTS seq                BIGINT;

UPDATE audit_logs SET user_email = users.email FROM users
WHERE audit_logs.user_id = users.id AND audit_logs.chain_id IS NULL AND audit_logs.user_email IS NULL;

CREATE UNIQUE INDEX IF NOT EXISTS audit_logs_chain_seq ON audit_logs (chain_id, seq);
CREATE INDEX IF NOT EXISTS audit_logs_created_at ON audit_logs (created_at, id);
CREATE INDEX IF NOT EXISTS audit_logs_timestamp ON audit_logs (timestamp);
CREATE INDEX IF NOT EXISTS audit_logs_user_id ON audit_logs (user_id, created_at);
CREATE INDEX IF NOT EXISTS audit_logs_status ON audit_logs (status, created_at);
CREATE INDEX IF NOT EXISTS audit_logs_request_id ON audit_logs (request_id);

CREATE OR REPLACE FUNCTION audit_logs_search_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search_vector := to_tsvector('english', concat_ws(' ', NEW.question, NEW.message, NEW.tool_called, NEW.result_summary));
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER audit_logs_search_update BEFORE INSERT OR UPDATE ON audit_logs
FOR EACH ROW EXECUTE FUNCTION audit_logs_search_trigger();

-- One row per call of a tool: an ask's own and direct ones.
CREATE TABLE IF NOT EXISTS tool_calls (
    id            BIGSERIAL PRIMARY KEY,
    request_id    TEXT        NOT NULL,
    tenant        TEXT        NOT NULL DEFAULT 'default',
    user_email    TEXT,
    server        TEXT        NOT NULL,
    tool          TEXT        NOT NULL,
    arguments     JSONB       NOT NULL,
    status        TEXT        NOT NULL,
    rule          TEXT,
    duration_ms   INTEGER     NOT NULL DEFAULT 0,
    -- Of the result; NULL where there is none.
    bytes         BIGINT,
    -- The call's share of what the model turn cost that made it; NULL for direct calls and unknown prices.
    cost_estimate NUMERIC(10, 6),
    cost_nano_usd BIGINT,
    error         TEXT,
    chain_id      TEXT        NOT NULL,
    seq           BIGINT      NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    UNIQUE (chain_id, seq)
);

CREATE INDEX IF NOT EXISTS tool_calls_request_id ON tool_calls (request_id);
CREATE INDEX IF NOT EXISTS tool_calls_tool ON tool_calls (server, tool, created_at);
