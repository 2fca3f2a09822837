-- What stands for the older turns of a conversation: of questions and answers alone. One goes with its conversation.
CREATE TABLE IF NOT EXISTS thread_summaries (
    thread_id  INTEGER PRIMARY KEY REFERENCES threads (id) ON DELETE CASCADE,
    -- The newest turn that it tells of, and when that was kept.
    through    INTEGER NOT NULL,
    through_at TEXT NOT NULL,
    -- A JSON string.
    summary    TEXT NOT NULL
);

INSERT INTO schema_version (version, description) VALUES (12, 'summaries') ON CONFLICT DO NOTHING;
