-- What frontends keep of their own: small JSON values by key, some for a while only. Keys are compared by their bytes, so
-- that those which begin alike stand together.
CREATE TABLE IF NOT EXISTS kept_values (
    door       TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    value      TEXT NOT NULL,
    expires_at TIMESTAMPTZ,
    PRIMARY KEY (door, key)
);
CREATE INDEX IF NOT EXISTS kept_values_expires ON kept_values (expires_at) WHERE expires_at IS NOT NULL;

INSERT INTO schema_version (version, description) VALUES (15, 'kept') ON CONFLICT DO NOTHING;
