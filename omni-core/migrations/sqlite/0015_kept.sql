-- What frontends keep of their own: small JSON values by key, some for a while only.
CREATE TABLE IF NOT EXISTS kept_values (
    door       TEXT NOT NULL,
    key        TEXT NOT NULL,
    value      TEXT NOT NULL,
    expires_at TEXT,
    PRIMARY KEY (door, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kept_values_expires ON kept_values (expires_at) WHERE expires_at IS NOT NULL;

INSERT INTO schema_version (version, description) VALUES (15, 'kept') ON CONFLICT DO NOTHING;
