-- What tools returned, without secrets, for whoever asked.
CREATE TABLE IF NOT EXISTS results (
    -- The order in which they came.
    number         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    tenant         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    source         TEXT NOT NULL,
    request_id     TEXT NOT NULL,
    thread         TEXT,
    server         TEXT NOT NULL,
    tool           TEXT NOT NULL,
    is_destructive BOOLEAN NOT NULL,
    arguments      TEXT NOT NULL,
    -- Whether these are the very bytes of the call.
    is_whole       BOOLEAN NOT NULL,
    -- The fingerprint of the rules that decided.
    rules          TEXT NOT NULL,
    bytes          BIGINT NOT NULL,
    is_cut         BOOLEAN NOT NULL,
    body           TEXT NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL,
    expires_at     TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS results_owner ON results (tenant, subject, number);
CREATE INDEX IF NOT EXISTS results_expires ON results (expires_at);

INSERT INTO schema_version (version, description) VALUES (11, 'results') ON CONFLICT DO NOTHING;
