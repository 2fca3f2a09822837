-- Tokens for servers, encrypted. A revision is replaced by whoever saw it; a lease is the right to renew it.
CREATE TABLE IF NOT EXISTS server_tokens (
    server       TEXT NOT NULL,
    subject      TEXT NOT NULL DEFAULT '',
    url          TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    revision     TEXT NOT NULL,
    sealed       BYTEA NOT NULL,
    leased_by    TEXT,
    leased_until TIMESTAMPTZ,
    updated_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (server, subject)
);

INSERT INTO schema_version (version, description) VALUES (9, 'tokens') ON CONFLICT DO NOTHING;
