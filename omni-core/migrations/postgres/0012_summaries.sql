-- What stands for the older turns of a conversation: of questions and answers alone. One goes with its conversation.
CREATE TABLE IF NOT EXISTS thread_summaries (
    thread_id  BIGINT PRIMARY KEY REFERENCES threads (id) ON DELETE CASCADE,
    -- The newest turn that it tells of, and when that was kept.
    through    BIGINT NOT NULL,
    through_at TIMESTAMPTZ NOT NULL,
    -- A JSON string: texts of PostgreSQL lack the character 0.
    summary    TEXT NOT NULL
);

INSERT INTO schema_version (version, description) VALUES (12, 'summaries') ON CONFLICT DO NOTHING;
