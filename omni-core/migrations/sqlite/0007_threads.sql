-- Conversations. Their row is locked by whoever adds a turn.
CREATE TABLE IF NOT EXISTS threads (
    id         INTEGER PRIMARY KEY,
    tenant     TEXT NOT NULL,
    source     TEXT NOT NULL,
    channel    TEXT NOT NULL,
    thread     TEXT NOT NULL,
    -- The beginning of the first question.
    title      TEXT NOT NULL,
    -- All turns and their bytes, also those that are gone.
    turns      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    used_at    TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    UNIQUE (tenant, source, channel, thread)
);
CREATE INDEX IF NOT EXISTS threads_expires ON threads (expires_at);

-- What was said, in short. What a vendor signed comes back byte for byte.
CREATE TABLE IF NOT EXISTS thread_turns (
    thread_id  INTEGER NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    -- Bytes of the turns before it.
    begins     INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    asker      TEXT NOT NULL,
    turn       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (thread_id, number)
);

INSERT INTO schema_version (version, description) VALUES (7, 'threads') ON CONFLICT DO NOTHING;
