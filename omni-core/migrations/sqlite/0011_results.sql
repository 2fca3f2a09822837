-- What tools returned, without secrets, for whoever asked.
CREATE TABLE IF NOT EXISTS results (
    -- The order in which they came.
    number         INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    tenant         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    source         TEXT NOT NULL,
    request_id     TEXT NOT NULL,
    thread         TEXT,
    server         TEXT NOT NULL,
    tool           TEXT NOT NULL,
    is_destructive INTEGER NOT NULL,
    arguments      TEXT NOT NULL,
    -- Whether these are the very bytes of the call.
    is_whole       INTEGER NOT NULL,
    -- The fingerprint of the rules that decided.
    rules          TEXT NOT NULL,
    bytes          INTEGER NOT NULL,
    is_cut         INTEGER NOT NULL,
    body           TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    expires_at     TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS results_owner ON results (tenant, subject, number);
CREATE INDEX IF NOT EXISTS results_expires ON results (expires_at);

INSERT INTO schema_version (version, description) VALUES (11, 'results') ON CONFLICT DO NOTHING;
