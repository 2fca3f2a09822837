-- `timestamp`, which the original has, is `created_at`, by which omni itself looks for what is of a time. Of SQLite the
-- original knew nothing, so nobody's own queries look there by the other.
DROP INDEX IF EXISTS audit_logs_timestamp;

INSERT INTO schema_version (version, description) VALUES (19, 'once') ON CONFLICT DO NOTHING;
