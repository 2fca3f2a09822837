-- Runs that wait for a human. Whoever goes on with one has a lease on it; a run that ended has no body any more.
CREATE TABLE IF NOT EXISTS parked_runs (
    id          TEXT PRIMARY KEY,
    -- 'parked', 'claimed' or 'ended'.
    state       TEXT NOT NULL,
    body        TEXT,
    result      TEXT,
    created_at  TIMESTAMPTZ NOT NULL,
    -- When it ends unless somebody takes it on.
    lapses_at   TIMESTAMPTZ NOT NULL,
    lease_until TIMESTAMPTZ,
    ended_at    TIMESTAMPTZ
);
CREATE INDEX IF NOT EXISTS parked_runs_state ON parked_runs (state);

-- The calls of such a run that need a human. Their state moves by compare-and-set.
CREATE TABLE IF NOT EXISTS confirmations (
    id          TEXT PRIMARY KEY,
    run_id      TEXT NOT NULL REFERENCES parked_runs (id) ON DELETE CASCADE,
    call_id     TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    actor       TEXT,
    source      TEXT NOT NULL,
    thread      TEXT,
    server      TEXT NOT NULL,
    tool        TEXT NOT NULL,
    -- The exact bytes that are sent.
    arguments   TEXT NOT NULL,
    tool_digest TEXT NOT NULL,
    rule        TEXT NOT NULL,
    rule_digest TEXT NOT NULL,
    digest      TEXT NOT NULL,
    state       TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL,
    decided_by  TEXT,
    decided_at  TIMESTAMPTZ,
    reason      TEXT
);
CREATE INDEX IF NOT EXISTS confirmations_run ON confirmations (run_id);
CREATE INDEX IF NOT EXISTS confirmations_state ON confirmations (state, tenant, expires_at);

INSERT INTO schema_version (version, description) VALUES (10, 'confirmations') ON CONFLICT DO NOTHING;
