-- What each tool was when it was seen first or last agreed to, and what it is while it is kept back.
CREATE TABLE IF NOT EXISTS tool_pins (
    server            TEXT NOT NULL,
    tool              TEXT NOT NULL,
    revision          INTEGER NOT NULL,
    -- NULL of a tool that was kept back from the start.
    pinned_digest     TEXT,
    pinned_definition TEXT,
    pinned_findings   TEXT,
    pinned_at         TEXT,
    -- Who agreed; NULL where nobody was asked.
    pinned_by         TEXT,
    held_why          TEXT,
    held_digest       TEXT,
    held_definition   TEXT,
    held_findings     TEXT,
    held_at           TEXT,
    PRIMARY KEY (server, tool)
);

INSERT INTO schema_version (version, description) VALUES (8, 'pins') ON CONFLICT DO NOTHING;
